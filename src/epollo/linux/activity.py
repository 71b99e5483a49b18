"""What another process does at the moment, as far as the system tells."""

import contextlib
import time

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

_CLOCK_OF_PROCESS: Final = 2
"""CPUCLOCK_SCHED: that clock of a process which counts the time that it ran (linux/posix-timers.h)."""
_RUNNABLE: Final = b"R"


class Activity(NamedTuple):
    """The processor time that a process has used, and whether it waits for a processor.

    ``is_known`` is whether the system tells both (proc_pid_stat(5)).
    """

    processor_seconds: float
    is_waiting: bool
    is_known: bool


def read_activity(pid: int) -> Activity:
    """Return what a process of this number does."""
    seconds, state = 0.0, b""
    with contextlib.suppress(OSError):
        # As clock_getcpuclockid(3) makes the number of the clock.
        seconds = time.clock_gettime((~pid << 3) | _CLOCK_OF_PROCESS)
        # The name of the program stands in brackets, and may hold brackets itself.
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    return Activity(seconds, state == _RUNNABLE, bool(state))
