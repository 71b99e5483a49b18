"""The C library, called with integers and octets; what it refuses is an `OSError`."""

import ctypes
import os

from epollo.annotations import Final

LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def call(name: str, *arguments: int | bytes | bytearray | None) -> int:
    """Call a function that returns -1 and sets errno where it fails; raise `OSError` then.

    Integers are passed as C's ``long``, as syscall(2) and prctl(2) read them: an ``int`` would leave
    half of the register undefined. Octets are passed by their address, and as a bytearray if the
    function writes to them; None is the null pointer.
    """
    result: int = LIBC[name](*(_convert(one) for one in arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _convert(
    argument: int | bytes | bytearray | None,
) -> ctypes.c_long | ctypes.c_char_p | ctypes.Array[ctypes.c_char]:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    if isinstance(argument, bytearray):
        return (ctypes.c_char * len(argument)).from_buffer(argument)
    return ctypes.c_char_p(argument)


def set_no_new_privileges() -> None:
    """Let no program that this thread executes have more rights than it has itself (prctl(2)).

    Threads that it starts inherit this, and nothing takes it back. Raises `OSError`.
    """
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def forbid_dumps() -> None:
    """Keep the memory of this process out of core dumps, and from other processes of this user.

    PR_SET_DUMPABLE, prctl(2). It holds until the next program is executed. Raises `OSError`.
    """
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def load_library(name: str) -> bool:
    """Load a shared library now, so that its file is not read later; False if it is missing."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
