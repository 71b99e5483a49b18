"""A signal when a descriptor becomes ready (fcntl(2), O_ASYNC), which costs no system call to notice.

Facts: if a call makes the descriptor ready, the kernel sends SIGIO before that call returns. What its
caller sends afterwards reaches a socket later. So the call that receives it finds the signal pending,
and the signal's handler runs before it returns (signal(7)). The interpreter then runs the handler in
Python before anything uses the result.
Decision: the signal goes to the thread that receives (F_SETOWN_EX), not to any thread of the process.
Fact: in a storm of changes each one is a signal, and the handler would take all the time of the thread.
Decision: the first signal blocks those after it, until changes are looked for (`await_signal`).
Price: a change interrupts the wait for readiness, which the interpreter begins again (PEP 475).
"""

import fcntl
import os
import signal
import struct
import threading
from collections.abc import Callable

from epollo.annotations import Final

# asm-generic/fcntl.h; the fcntl module does not name them.
_F_SETOWN_EX: Final = 15
_F_OWNER_TID: Final = 0


def signal_readiness(descriptor: int, call: Callable[[], None]) -> bool:
    """Have the main thread make a call when the descriptor becomes ready, in the middle of anything.

    For the main thread only. Returns whether the kernel can do this for the descriptor. Closing the
    descriptor ends it; the handler of the signal stays.
    """

    def note(_number: int, _frame: object) -> None:
        call()
        # Until changes are looked for, another signal would tell nothing new.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})

    signal.signal(signal.SIGIO, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    owner = struct.pack("ii", _F_OWNER_TID, threading.get_native_id())
    try:
        fcntl.fcntl(descriptor, _F_SETOWN_EX, owner)
        status = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, status | os.O_ASYNC)
    except OSError:
        return False
    return True


def await_signal() -> None:
    """Have the next change signalled again; to be called before the present changes are read."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
