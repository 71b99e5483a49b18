"""Numbers that a server counts and another process reads, in memory that both have mapped.

Fact: if counting took a system call, it would count itself.
Decision: a memfd of 64-bit numbers, mapped by both sides; one writes, the other reads.
Price: Linux only; a reader may see one number a moment newer than the next.
"""

import mmap
import os

from epollo.annotations import Final, TypeAlias

NAMES: Final = (
    "turns",
    "looked_at",
    "reported",
    "in_vain",
    "epoll_wait",
    "poll",
    "select",
    "recvfrom",
    "sendto",
    "sendmsg",
    "sendfile",
    "accept4",
    "read",
    "epoll_ctl",
    "ioctl",
    "shutdown",
    "close",
    "stat",
)
"""What is counted, in the order of the memory.

The first four are no system calls: turns of the loop; descriptors that the kernel or the process
looked at in them; descriptors that the poller reported as ready; and `TRIES` that found nothing.
"""

TRIES: Final = ("recvfrom", "accept4")
"""The calls that ask for a peer or its octets. A read is the server's look for changed files."""

SYSTEM_CALLS: Final = NAMES[4:]
"""The system calls that are counted; those with one purpose share a name (fstat counts as stat)."""

Values: TypeAlias = "memoryview[int]"

_OCTETS: Final = 8 * len(NAMES)


class Counters:
    """The numbers by their names; ``values`` are the numbers in the order of `NAMES`."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _OCTETS)
        self.values = memoryview(self._memory).cast("Q")

    def read(self) -> dict[str, int]:
        """Return all numbers as they are now."""
        return dict(zip(NAMES, self.values.tolist(), strict=True))

    def close(self) -> None:
        """Give the memory back."""
        self.values.release()
        self._memory.close()


def create_counters() -> int:
    """Return the descriptor of new numbers, all zero, to be handed to another process."""
    descriptor = os.memfd_create("epollo-lab", 0)
    os.ftruncate(descriptor, _OCTETS)
    return descriptor
