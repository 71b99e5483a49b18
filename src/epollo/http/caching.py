"""The field Cache-Control: whether a client may use an answer again, and when it asks (RFC 9111)."""

from epollo.annotations import Final
from epollo.http.grammar import QUOTED_STRING, TOKEN, parse_list
from epollo.http.message import FieldLine
from epollo.patterns import compile_late

NO_CACHE: Final = b"no-cache"
"""A client may keep the answer, and asks before each use whether it is current (section 5.2.2.4)."""
NO_CACHE_FIELD: Final[FieldLine] = (b"Cache-Control", NO_CACHE)
NO_STORE_FIELD: Final[FieldLine] = (b"Cache-Control", b"no-store")
"""No cache may keep the answer (section 5.2.2.5)."""
IMMUTABLE: Final = b"public, max-age=31536000, immutable"
"""A client may use the answer for a year and asks for it at no reload (RFC 8246 section 2)."""

# Cache-Control   = #cache-directive                                 RFC 9111 section 5.2
# cache-directive = token [ "=" ( token / quoted-string ) ]
_DIRECTIVE: Final = compile_late(
    rb"%b(?:=(?:%b|%b))?" % (TOKEN.pattern, TOKEN.pattern, QUOTED_STRING.pattern)
)


DIRECTIVES: Final = (
    *("immutable", "max-age", "must-revalidate", "must-understand", "no-cache", "no-store"),
    *("no-transform", "private", "proxy-revalidate", "public", "s-maxage"),
    *("stale-if-error", "stale-while-revalidate"),
)
"""What an answer may say in Cache-Control (RFC 9111 section 5.2.2, RFC 5861, RFC 8246)."""


def is_cache_control(value: bytes) -> bool:
    """Return whether the octets are a valid value of Cache-Control with at least one directive."""
    directives = parse_list(value)
    return bool(directives) and all(map(_DIRECTIVE.fullmatch, directives))


# What speaks to shared caches, or contradicts "private" (RFC 9111 section 5.2.2).
_SHARED: Final = frozenset((b"private", b"proxy-revalidate", b"public", b"s-maxage"))


def make_private(fields: tuple[FieldLine, ...]) -> tuple[FieldLine, ...]:
    """Return field lines that let no shared cache keep the answer (RFC 9111 section 5.2.2.7).

    What they allow a browser stays.
    """
    is_said = False
    lines = []
    for name, value in fields:
        if name.lower() == b"cache-control":
            is_said = True
            kept = [
                directive
                for directive in parse_list(value)
                if directive.partition(b"=")[0].lower() not in _SHARED
            ]
            lines.append((name, b", ".join((b"private", *kept))))
        else:
            lines.append((name, value))
    if not is_said:
        lines.append((b"Cache-Control", b"private"))
    return tuple(lines)
