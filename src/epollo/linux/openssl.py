"""Calls of OpenSSL that Python's ``ssl`` does not have (up to Python 3.14), where they can be had.

The library is the one that ``_ssl`` is linked with. A context of Python begins, behind what all objects
begin with, with the pointer to that of OpenSSL: so it is in CPython's ``_ssl.c`` from 3.11 to 3.14.
Where that may be otherwise, or the symbol is hidden (a Python that has OpenSSL in itself), nothing is
done, and the caller is told.
"""

import ctypes
import ssl
import sys
from functools import cache
from typing import Any, Final

_KNOWN: Final = ((3, 11), (3, 14))
_SET_TICKET_KEYS: Final = 59
"""SSL_CTRL_SET_TLSEXT_TICKET_KEYS (ssl.h)."""
_SET_GROUPS_LIST: Final = 92
"""SSL_CTRL_SET_GROUPS_LIST (ssl.h)."""
# Mozilla's intermediate profile; before it what OpenSSL has from 3.5 on against quantum computers.
GROUPS: Final = (b"X25519MLKEM768:X25519:prime256v1:secp384r1", b"X25519:prime256v1:secp384r1")


def set_ticket_key(context: ssl.SSLContext, key: bytes) -> bool:
    """Have a context protect its tickets by this key; return whether that could be done."""
    return _control(context, _SET_TICKET_KEYS, len(key), key) == 1


def set_groups(context: ssl.SSLContext) -> bool:
    """Restrict a context to the groups for key exchange that are recommended."""
    return any(_control(context, _SET_GROUPS_LIST, 0, names) == 1 for names in GROUPS)


def _control(context: ssl.SSLContext, command: int, number: int, octets: bytes) -> int:
    """Call SSL_CTX_ctrl(3); return 0 where it cannot be called."""
    call = _find_control()
    if call is None:
        return 0
    # Behind the head that each object has lies the pointer.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    # The library reads keys from memory that it takes for writable.
    buffer = ctypes.create_string_buffer(octets, len(octets) + 1)
    result: int = call(pointer, command, number, buffer)
    return result


@cache
def _find_control() -> Any:
    if sys.implementation.name != "cpython" or not _KNOWN[0] <= sys.version_info[:2] <= _KNOWN[1]:
        return None
    try:
        import _ssl  # noqa: PLC0415 - it is looked at as a library, not as a module

        call = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (ImportError, OSError, AttributeError):
        return None
    call.restype = ctypes.c_long
    call.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    return call
