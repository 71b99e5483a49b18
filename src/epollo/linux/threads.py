"""Threads in the background; the system may refuse them, or their priority."""

import _thread
import contextlib
import os
import threading
from collections.abc import Callable

from epollo.annotations import Final

_LOWEST_PRIORITY: Final = 19


def start_thread(work: Callable[[], None], name: str) -> threading.Thread | None:
    """Start a thread that ends with the process; None if the system has no room for it."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        return None
    return thread


def run_beside(work: Callable[[], None]) -> bool:
    """Do something short in a thread, and wait for nothing; False if the system has no room for it.

    `threading.Thread.start` waits until the thread runs: for milliseconds on a busy machine.
    """
    try:
        _thread.start_new_thread(work, ())
    except (RuntimeError, MemoryError):
        return False
    return True


def lower_session_priority() -> None:
    """Have the session of this process run when no other wants to, if the kernel shares by sessions.

    Linux may share a processor among sessions first. Then a priority counts only among the processes of
    one session (autogroup, sched(7)).
    """
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "wb", buffering=0) as file:
        file.write(b"%d" % _LOWEST_PRIORITY)


def lower_priority() -> None:
    """Have the calling thread run when no other wants to; if that is refused, it runs as before."""
    # Linux has a priority for each thread (setpriority(2), BUGS); 0 is the one that calls.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_PRIORITY)
