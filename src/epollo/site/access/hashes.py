"""Hashes of passwords: which formats are taken, and whether a password is the one that was hashed.

htpasswd(1) writes bcrypt, SHA-crypt, its own variant of MD5-crypt and unsalted SHA-1, Caddy writes bcrypt
and Argon2. Those of crypt(5) are the system's to compute (`linux.crypt`), Argon2 is that of argon2-cffi.
"""

import binascii
import hashlib
import hmac

from epollo.annotations import Any, Final
from epollo.errors import describe_missing
from epollo.linux.crypt import Crypt
from epollo.patterns import compile_late

PASSWORD_OCTETS_LIMIT: Final = 512
"""A longer password is refused unhashed, for a hash may take time in proportion to its square."""

# The alphabet of crypt(5), without the padding of base64.
_ALPHABET: Final = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MD5_ROUNDS: Final = 1000
# The order in which the octets of a digest are written, three at a time.
_MD5_ORDER: Final = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))

_APACHE_MD5: Final = compile_late(rb"\$apr1\$([./0-9A-Za-z]{1,8})\$([./0-9A-Za-z]{22})")
_SHA1: Final = compile_late(rb"\{SHA\}([A-Za-z0-9+/]{27}=)")
_ARGON2: Final = compile_late(
    rb"\$argon2(?:id|i|d)\$v=[0-9]+\$[a-z0-9=,]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)
_CRYPT: Final = compile_late(
    rb"\$2[aby]\$[0-3][0-9]\$[./0-9A-Za-z]{53}"
    rb"|\$[56]\$(?:rounds=[0-9]+\$)?[^$:\x00-\x20\x7f]{0,16}\$[./0-9A-Za-z]{43,86}"
    rb"|\$(?:y|gy|7)\$[./0-9A-Za-z$]+"
)
_UNSAFE: Final = (
    (
        compile_late(rb"[./0-9A-Za-z]{13}"),
        "is of the kind of htpasswd -d, which takes 8 characters",
    ),
    (compile_late(rb"\$1\$.*"), "is MD5-crypt, which is guessed fast"),
    (compile_late(rb"\$2x\$.*"), "is of a bcrypt that had a fault"),
    (
        compile_late(rb"\{(?:SSHA|PLAIN|CRYPT)[0-9]*\}.*"),
        "is of a kind that htpasswd does not write",
    ),
)
_REMEDY: Final = "make it anew with htpasswd -B"


class Hashes:
    """What compares passwords with hashes; for one thread at a time.

    All that it needs is loaded when it is made, so that a sandbox may close behind it.
    """

    def __init__(self) -> None:
        self._crypt = Crypt()
        self._argon2 = _load_argon2()

    def find_mistake(self, hashed: bytes) -> str:
        """Return what keeps a hash from being used; an empty text if it can be used."""
        if _APACHE_MD5.fullmatch(hashed) or _SHA1.fullmatch(hashed):
            return ""
        if _ARGON2.fullmatch(hashed):
            missing = f"is Argon2, which needs {describe_missing('argon2-cffi')}"
            return "" if self._argon2 is not None else missing
        if _CRYPT.fullmatch(hashed):
            missing = "needs the library libcrypt, which this system does not have"
            return "" if self._crypt.is_known else missing
        for pattern, reason in _UNSAFE:
            if pattern.fullmatch(hashed):
                return f"{reason}; {_REMEDY}"
        return f"is of no kind that epollo knows; {_REMEDY}"

    def is_password(self, password: bytes, hashed: bytes) -> bool | None:
        """Return whether a hash without a known mistake was made of this password.

        None if the library does not know its format after all.
        """
        if len(password) > PASSWORD_OCTETS_LIMIT:
            return False
        if found := _APACHE_MD5.fullmatch(hashed):
            return hmac.compare_digest(_hash_apache_md5(password, found[1]), found[2])
        if found := _SHA1.fullmatch(hashed):
            digest = hashlib.sha1(password, usedforsecurity=False).digest()
            return hmac.compare_digest(binascii.b2a_base64(digest, newline=False), found[1])
        if _ARGON2.fullmatch(hashed):
            return self._is_argon2(password, hashed)
        return self._crypt.is_password(password, hashed)

    def _is_argon2(self, password: bytes, hashed: bytes) -> bool | None:
        if self._argon2 is None:
            return None
        kind = hashed.split(b"$")[1].removeprefix(b"argon2").decode().upper()
        low_level = self._argon2.low_level
        try:
            is_right: bool = low_level.verify_secret(hashed, password, low_level.Type[kind])
        except self._argon2.exceptions.VerifyMismatchError:
            return False
        except (self._argon2.exceptions.Argon2Error, ValueError):
            return None
        return is_right


def _load_argon2() -> Any:
    try:
        # Most sites have no passwords, and those need not wait for it.
        import argon2  # noqa: PLC0415
    except ImportError:
        return None
    return argon2


def _hash_apache_md5(password: bytes, salt: bytes) -> bytes:
    """Return the last part of a hash that Apache calls apr1: MD5-crypt with another name in it."""
    inner = _md5(password + salt + password)
    octets = password + b"$apr1$" + salt
    octets += (inner * (len(password) // len(inner) + 1))[: len(password)]
    bits = len(password)
    while bits:
        octets += b"\0" if bits & 1 else password[:1]
        bits >>= 1
    digest = _md5(octets)
    for number in range(_MD5_ROUNDS):
        is_odd = number & 1
        digest = _md5(
            (password if is_odd else digest)
            + (salt if number % 3 else b"")
            + (password if number % 7 else b"")
            + (digest if is_odd else password)
        )
    written = b"".join(
        _write(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        for first, second, third in _MD5_ORDER
    )
    return written + _write(digest[11], 2)


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def _write(number: int, length: int) -> bytes:
    """Return a number in the alphabet of crypt(5), the lowest six bits first."""
    return bytes(_ALPHABET[number >> 6 * place & 63] for place in range(length))
