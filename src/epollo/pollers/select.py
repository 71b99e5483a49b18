"""select(2): the oldest way to ask, and the narrowest.

The process hands the kernel its whole set of descriptors at every call, as bitmaps up to the highest
of them, and the kernel tries each. A bitmap has FD_SETSIZE bits: a descriptor whose number is that or
higher cannot be named at all, however few there are.
"""

import math
import select

from epollo.annotations import Final
from epollo.errors import DescriptorLimitError
from epollo.pollers.contract import READABLE, WRITABLE, Traits

FD_SETSIZE: Final = 1024
"""Bits in an ``fd_set``: fixed when the C library was built (select(2), Notes)."""

TRAITS: Final = Traits(
    is_instant=False, batch_limit=math.inf, descriptor_limit=FD_SETSIZE, is_ordered=False
)


class SelectPoller:
    """Two sets of descriptors, handed over whole at every call."""

    __slots__ = ("_readers", "_registered", "_writers")

    def __init__(self) -> None:
        self._registered: set[int] = set()
        self._readers: set[int] = set()
        self._writers: set[int] = set()

    def register(self, descriptor: int, events: int, /) -> None:
        """Add a descriptor to the sets.

        Raises `DescriptorLimitError` for a descriptor that has no bit in an ``fd_set``.
        """
        if descriptor >= FD_SETSIZE:
            raise DescriptorLimitError(
                f"select cannot watch descriptor {descriptor}: FD_SETSIZE is {FD_SETSIZE}"
            )
        if descriptor in self._registered:
            raise FileExistsError(f"descriptor {descriptor} is registered already")
        self._set(descriptor, events)

    def modify(self, descriptor: int, events: int, /) -> None:
        """Move a descriptor between the sets."""
        self.unregister(descriptor)
        self._set(descriptor, events)

    def unregister(self, descriptor: int, /) -> None:
        """Take a descriptor out of the sets."""
        if descriptor not in self._registered:
            raise FileNotFoundError(f"descriptor {descriptor} is not registered")
        self._registered.discard(descriptor)
        self._readers.discard(descriptor)
        self._writers.discard(descriptor)

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        """Hand over both sets; return what the kernel left in them."""
        readable, writable, _ = select.select(self._readers, self._writers, (), timeout_seconds)
        if not writable:
            return [(descriptor, READABLE) for descriptor in readable]
        events = dict.fromkeys(readable, READABLE)
        for descriptor in writable:
            events[descriptor] = events.get(descriptor, 0) | WRITABLE
        return list(events.items())

    def close(self) -> None:
        """Forget everything."""
        self._registered.clear()
        self._readers.clear()
        self._writers.clear()

    def _set(self, descriptor: int, events: int) -> None:
        self._registered.add(descriptor)
        if events & READABLE:
            self._readers.add(descriptor)
        if events & WRITABLE:
            self._writers.add(descriptor)
