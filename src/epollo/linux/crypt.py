"""crypt(3): passwords compared with hashes in the formats of crypt(5), by the system's library.

Facts: the C library, or libxcrypt beside it, knows bcrypt, SHA-crypt and yescrypt, and is there on
nearly every system. Other threads run while it hashes. Python has no binding of it since 3.13.
Decision: it is called directly. Nothing has to be installed for a password file.
Price: which formats are known depends on the system. A format that is not known is told apart from a
wrong password.
"""

import ctypes
import hmac
from collections.abc import Callable

from epollo.annotations import Any, Final
from epollo.linux.libc import LIBC

# In musl the C library itself has the function, elsewhere libxcrypt under one of these names.
_LIBRARIES: Final = ("libcrypt.so.1", "libcrypt.so.2")
# struct crypt_data has 32 KiB in libxcrypt and 128 KiB in older C libraries.
_DATA_OCTETS: Final = 256 * 1024


class Crypt:
    """The function crypt_r(3) of this system, found once; for one thread at a time."""

    def __init__(self) -> None:
        self._function: Any = _find_function()
        self._data = ctypes.create_string_buffer(_DATA_OCTETS)

    @property
    def is_known(self) -> bool:
        """Whether this system has the library."""
        return self._function is not None

    def is_password(self, password: bytes, hashed: bytes) -> bool | None:
        """Return whether a hash was made of this password, which has no NUL.

        None if this system does not know the format.
        """
        if self._function is None:
            return None
        ctypes.memset(self._data, 0, _DATA_OCTETS)
        result: bytes | None = self._function(password, hashed, self._data)
        ctypes.memset(self._data, 0, _DATA_OCTETS)
        if result is None or result.startswith(b"*"):
            return None
        return hmac.compare_digest(result, hashed)


def _find_function() -> Callable[..., Any] | None:
    for library in (*_LIBRARIES, None):
        try:
            found = LIBC if library is None else ctypes.CDLL(library)
            function = found["crypt_r"]
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return function
    return None
