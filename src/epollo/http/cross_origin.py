"""What pages of other origins may do with an answer (the Fetch Standard, sections 3.2 and 4.8).

Where any origin may read, or just one, the field lines are always the same. Where there are several, they
name the origin that asks, and the answer says that it varies by Origin.
"""

import re
from collections.abc import Mapping

from epollo.annotations import Final
from epollo.http.fields import is_host
from epollo.http.grammar import TOKEN, parse_list
from epollo.http.message import FieldLine
from epollo.patterns import compile_late

ANY: Final = ("any", "*")

# serialized-origin = scheme "://" host [ ":" port ]                RFC 6454 section 6.2
_ORIGIN: Final = compile_late(r"([a-z][a-z0-9+.\-]*)://([^/?#@\s]+)")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

# Beside those that every origin may read (the Fetch Standard, section 2.2.2).
_EXPOSED: Final[FieldLine] = (
    b"Access-Control-Expose-Headers",
    b"Accept-Ranges, Content-Encoding, Content-Length, Content-Range, Date, ETag, Location, Retry-After",
)
_ALLOW_ANY: Final[FieldLine] = (b"Access-Control-Allow-Origin", b"*")
_ALLOW_CREDENTIALS: Final[FieldLine] = (b"Access-Control-Allow-Credentials", b"true")
_EMBEDDED_ANYWHERE: Final[FieldLine] = (b"Cross-Origin-Resource-Policy", b"cross-origin")
_VARY: Final[FieldLine] = (b"Vary", b"Origin")
_PREFLIGHT: Final[tuple[FieldLine, ...]] = (
    (b"Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS"),
    (b"Access-Control-Max-Age", b"600"),
)
_NAMES_LIMIT: Final = 50

_REQUEST_METHOD: Final = b"access-control-request-method"
_REQUEST_HEADERS: Final = b"access-control-request-headers"
_REQUEST_PRIVATE_NETWORK: Final = b"access-control-request-private-network"
_PREFLIGHT_FIELDS: Final = frozenset((_REQUEST_METHOD, _REQUEST_HEADERS, _REQUEST_PRIVATE_NETWORK))

ISOLATION: Final[tuple[FieldLine, ...]] = (
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Embedder-Policy", b"require-corp"),
)
"""What a page needs to have threads in wasm (HTML, section 7.1.3 and 7.1.4)."""


def parse_origins(text: str) -> tuple[bytes, ...] | None:
    """Return the origins of a list with commas, as browsers write them; None for any.

    Raises `ValueError`, with what is wrong, where one is no origin.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 and words[0].lower() in ANY:
        return None
    for word in words:
        if word.lower() in ANY:
            raise ValueError(f"{word!r} stands alone: it is for every origin")
    return tuple(dict.fromkeys(map(_parse_origin, words)))


def _parse_origin(word: str) -> bytes:
    found = _ORIGIN.fullmatch(word.lower())
    if found is None or not word.isascii() or not is_host(found[2].encode()) or "*" in word:
        near = re.match(r"([a-z][a-z0-9+.\-]*://[^/?#@\s]+)[/?#]", word.lower())
        meant = f"; is {near[1]} meant?" if near and word.isascii() else ""
        raise ValueError(f"{word!r} is no origin such as https://example.com{meant}")
    scheme, host = found.groups()
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ':'))}".encode()


class OriginPolicy:
    """Which origins may read answers: those of a list, or any with None.

    ``has_credentials`` is whether a listed origin may send the password of its user.
    """

    def __init__(self, origins: tuple[bytes, ...] | None, *, has_credentials: bool = False) -> None:
        self._origins = None if origins is None else frozenset(origins)
        self._fixed: tuple[FieldLine, ...] | None = None
        self._credentials = (_ALLOW_CREDENTIALS,) if has_credentials else ()
        if origins is None:
            self._fixed = (_ALLOW_ANY, _EXPOSED, _EMBEDDED_ANYWHERE)
        elif len(origins) == 1:
            self._fixed = self._allow(origins[0])
        self.relevant_fields: frozenset[bytes] = _PREFLIGHT_FIELDS
        """The fields that an answer may depend on."""
        if self._fixed is None:
            self.relevant_fields |= {b"origin"}

    def select_fields(self, fields: Mapping[bytes, bytes]) -> tuple[FieldLine, ...]:
        """Return the field lines of the answer to a request with these fields."""
        if self._fixed is not None:
            return self._fixed
        origin = fields.get(b"origin", b"")
        return (*(self._allow(origin) if origin in (self._origins or ()) else ()), _VARY)

    def select_preflight_fields(
        self, fields: Mapping[bytes, bytes]
    ) -> tuple[FieldLine, ...] | None:
        """Return the field lines of the answer to OPTIONS with these fields; None for no preflight."""
        if _REQUEST_METHOD not in fields:
            return None
        allowing = self.select_fields(fields)
        if allowing == (_VARY,):
            return allowing
        return (
            *(line for line in allowing if line not in {_EXPOSED, _EMBEDDED_ANYWHERE}),
            *_PREFLIGHT,
            *_allow_names(fields.get(_REQUEST_HEADERS)),
            *(
                ((b"Access-Control-Allow-Private-Network", b"true"),)
                if fields.get(_REQUEST_PRIVATE_NETWORK) == b"true"
                else ()
            ),
        )

    def _allow(self, origin: bytes) -> tuple[FieldLine, ...]:
        return ((b"Access-Control-Allow-Origin", origin), *self._credentials, _EXPOSED)


def _allow_names(value: bytes | None) -> tuple[FieldLine, ...]:
    """Return the field line that allows these field names: no file is harmed by any of them."""
    names = parse_list(value or b"")
    if not names or len(names) > _NAMES_LIMIT or not all(map(TOKEN.fullmatch, names)):
        return ()
    return ((b"Access-Control-Allow-Headers", b", ".join(names)),)
