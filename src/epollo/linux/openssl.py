"""Calls of OpenSSL that Python's ``ssl`` does not have (up to Python 3.14), where they can be made.

Facts: the library is the one that ``_ssl`` is linked with. In CPython's ``_ssl.c``, from 3.11 to 3.14,
a context and a buffer begin with the pointer to their structure of OpenSSL, behind the head that each
object has; in a session it is the second pointer.
Decision: on any other Python, or where the symbol is hidden because OpenSSL is linked into the
interpreter, nothing is done, and the caller is told.
"""

import ctypes
import os
import ssl
import sys
from functools import cache

from epollo.annotations import Any, Final

_KNOWN: Final = ((3, 11), (3, 14))
_SET_TICKET_KEYS: Final = 59
"""SSL_CTRL_SET_TLSEXT_TICKET_KEYS (ssl.h)."""
_MODE: Final = 33
_NO_AUTO_CHAIN: Final = 8
"""SSL_CTRL_MODE and SSL_MODE_NO_AUTO_CHAIN (ssl.h)."""
_SET_GROUPS_LIST: Final = 92
"""SSL_CTRL_SET_GROUPS_LIST (ssl.h)."""
_FIRST: Final = object.__basicsize__
_SECOND: Final = _FIRST + ctypes.sizeof(ctypes.c_void_p)
_pointer_at: Final = ctypes.c_void_p.from_address
# First what OpenSSL has from 3.5 on against quantum computers, then Mozilla's intermediate profile.
SUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
"""The suites of TLS 1.3 in Mozilla's profile, the one that takes the least time first."""
GROUPS: Final = (b"X25519MLKEM768:X25519:prime256v1:secp384r1", b"X25519:prime256v1:secp384r1")


def set_ticket_key(context: ssl.SSLContext, key: bytes) -> bool:
    """Have a context protect its tickets by this key; return whether that could be done."""
    return _control(context, _SET_TICKET_KEYS, len(key), key) == 1


def set_groups(context: ssl.SSLContext) -> bool:
    """Restrict a context to the groups for key exchange that are recommended."""
    return any(_control(context, _SET_GROUPS_LIST, 0, names) == 1 for names in GROUPS)


def send_as_loaded(context: ssl.SSLContext) -> bool:
    """Have a context send its certificates as they were loaded; return whether it will.

    Else, of a certificate that was loaded without a chain, the library looks for the authority in each
    handshake, among the certificates by which the context verifies others.
    """
    return bool(_control(context, _MODE, _NO_AUTO_CHAIN, b"") & _NO_AUTO_CHAIN)


def set_client_authorities(context: ssl.SSLContext, path: str) -> bool:
    """Have a context tell clients the names of the authorities in a file; return whether it will.

    Without it a browser offers its user all certificates (RFC 8446 section 4.2.4).
    """
    load, use = (
        _find_function("SSL_load_client_CA_file"),
        _find_function("SSL_CTX_set_client_CA_list"),
    )
    if load is None or use is None:
        return False
    load.restype = ctypes.c_void_p
    load.argtypes = (ctypes.c_char_p,)
    use.restype = None
    use.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    names = load(os.fsencode(path))
    if not names:
        return False
    # The context owns the list from here on.
    use(_find_pointer(context), names)
    return True


def set_suites(context: ssl.SSLContext, names: bytes = SUITES) -> bool:
    """Have a context use these suites of TLS 1.3, in this order; return whether that could be done."""
    call = _find_function("SSL_CTX_set_ciphersuites")
    if call is None:
        return False
    call.restype = ctypes.c_int
    call.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return bool(call(_find_pointer(context), names) == 1)


def set_buffers(engine: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> bool:
    """Have a session, ``SSLObject._sslobj``, use these buffers; return whether that could be done.

    What is in its former buffers is lost. The same buffers may serve any number of sessions of one
    thread, if each leaves them empty: the library keeps part of a record in the session itself
    (SSL_read(3)).
    """
    calls = _find_buffer_calls()
    if calls is None:
        return False
    share, set_incoming, set_outgoing = calls
    session = _find_pointer(engine, _SECOND)
    for buffer, put in ((incoming, set_incoming), (outgoing, set_outgoing)):
        pointer = _find_pointer(buffer)
        # The session owns a share of the buffer from here on, and gives it back when it ends.
        if not share(pointer):
            return False
        put(session, pointer)
    return True


def set_socket(engine: Any, descriptor: int) -> bool:
    """Have a session, ``SSLObject._sslobj``, send to a socket by itself; return whether it does.

    What is in its buffer for output is lost, unless other sessions use that one. The socket has to be
    non-blocking: a write that it does not take raises `ssl.SSLWantWriteError`.
    """
    call = _find_set_socket()
    return call is not None and call(_find_pointer(engine, _SECOND), descriptor) == 1


def set_outgoing(engine: Any, outgoing: ssl.MemoryBIO) -> None:
    """Have a session write to a buffer again, and no longer to its socket (`set_socket`).

    Raises `MemoryError` if that cannot be done.
    """
    calls = _find_buffer_calls()
    pointer = _find_pointer(outgoing)
    if calls is None or not calls[0](pointer):
        raise MemoryError
    calls[2](_find_pointer(engine, _SECOND), pointer)


def say_end(engine: Any) -> bool:
    """Have a session, ``SSLObject._sslobj``, say close_notify; return whether it has.

    Its own ``shutdown`` also asks whether the peer has said close_notify, and raises an exception where
    it has not, which takes ten times as long.
    """
    call = _shutdown
    return call is not None and call(_pointer_at(id(engine) + _SECOND).value) >= 0


def _find_shutdown() -> Any:
    call = _find_function("SSL_shutdown")
    if call is not None:
        call.restype = ctypes.c_int
        call.argtypes = (ctypes.c_void_p,)
    return call


@cache
def _find_set_socket() -> Any:
    """Return SSL_set_wfd(3); None if it, or the way back from it, is missing."""
    call = _find_function("SSL_set_wfd")
    if call is None or _find_buffer_calls() is None:
        return None
    call.restype = ctypes.c_int
    call.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return call


@cache
def _find_buffer_calls() -> tuple[Any, Any, Any] | None:
    share = _find_function("BIO_up_ref")
    puts = _find_function("SSL_set0_rbio"), _find_function("SSL_set0_wbio")
    if share is None or None in puts:
        return None
    share.restype = ctypes.c_int
    share.argtypes = (ctypes.c_void_p,)
    for put in puts:
        put.restype = None
        put.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    return share, *puts


def _control(context: ssl.SSLContext, command: int, number: int, octets: bytes) -> int:
    """Call SSL_CTX_ctrl(3); return 0 where it cannot be called."""
    call = _find_control()
    if call is None:
        return 0
    # The library declares the memory of keys as writable, but only reads it.
    buffer = ctypes.create_string_buffer(octets, len(octets) + 1)
    result: int = call(_find_pointer(context), command, number, buffer)
    return result


def _find_pointer(holder: object, offset: int = _FIRST) -> int | None:
    """Return a pointer that an object holds: the first lies behind the head that each object has."""
    # As a number: to pass an object of ctypes to the call takes three times as long.
    return _pointer_at(id(holder) + offset).value


@cache
def _find_control() -> Any:
    call = _find_function("SSL_CTX_ctrl")
    if call is not None:
        call.restype = ctypes.c_long
        call.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    return call


@cache
def _find_function(name: str) -> Any:
    """Return a function of the library, to be given its types; None if it cannot be called."""
    if sys.implementation.name != "cpython" or not _KNOWN[0] <= sys.version_info[:2] <= _KNOWN[1]:
        return None
    try:
        import _ssl  # noqa: PLC0415 - it is looked at as a library, not as a module

        return ctypes.CDLL(_ssl.__file__)[name]
    except (ImportError, OSError, AttributeError):
        return None


_shutdown: Final = _find_shutdown()
"""Found once, at the import: what remembers a result takes longer to ask than the call itself."""
