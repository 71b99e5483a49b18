"""What a valid head says of its message and its connection (RFC 9112 sections 3.2, 6 and 9).

Where the content ends decides where the next request begins. Two readers that disagree about it are what
request smuggling is made of (RFC 9112 section 11), so a head that says it twice is refused.
"""

import re

from epollo.annotations import Final
from epollo.http.grammar import OWS, OWS_OCTETS, PARAMETER_VALUE, TCHAR, parse_list
from epollo.http.message import Request
from epollo.http.target import Target
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

# transfer-coding    = token *( OWS ";" OWS transfer-parameter )      RFC 9112 section 7
# transfer-parameter = token BWS "=" BWS ( token / quoted-string )
_TRANSFER_CODING: Final = compile_late(
    rb"%b++(?:%b;%b%b++%b=%b%b)*" % (TCHAR, OWS, OWS, TCHAR, OWS, OWS, PARAMETER_VALUE)
)

# A member of Connection among others                                RFC 9110 section 7.6.1
_CLOSE: Final = re.compile(rb"(?:\A|,)%bclose%b(?:,|\Z)" % (OWS, OWS))
_KEEP_ALIVE: Final = re.compile(rb"(?:\A|,)%bkeep-alive%b(?:,|\Z)" % (OWS, OWS))

_TRANSFER_CODINGS_MAX: Final = 64

FRAMING_FIELDS: Final = frozenset(
    (b"connection", b"content-length", b"expect", b"host", b"transfer-encoding")
)
"""The fields that this protocol reads itself; all others are relevant only to what the site says."""


class RequestLine(NamedTuple):
    """The first line of a head; ``minor_version`` is the second number of HTTP/1."""

    method: bytes
    target: Target
    minor_version: int


class Head(NamedTuple):
    """A valid head, and what it says about the message and the connection.

    ``content_length`` is None for chunked content. ``expects_continue`` is RFC 9110 section 10.1.1.
    """

    request: Request
    minor_version: int
    persists: bool
    content_length: int | None
    expects_continue: bool


def conclude(line: RequestLine, fields: dict[bytes, bytes]) -> Head | int:
    """Return the head that consists of valid lines; the names of ``fields`` are in lower case.

    If the lines do not fit together (RFC 9112 sections 3.2, 6 and 9.3), return the status to refuse the
    head with.
    """
    if line.minor_version and b"host" not in fields:
        return 400
    content_length: int | None = 0
    if b"transfer-encoding" in fields:
        # An additional length, or the field in HTTP/1.0, is what smuggling looks like: RFC 9112
        # section 6.1 lets us refuse it.
        if b"content-length" in fields or not line.minor_version:
            return 400
        coding = fields[b"transfer-encoding"].lower()
        if coding != b"chunked":
            # If the last coding is not chunked, the end of the content cannot be found.
            is_framed = coding.rpartition(b",")[2].strip(OWS_OCTETS) == b"chunked"
            codings = parse_list(coding, _TRANSFER_CODINGS_MAX + 1)
            is_valid = len(codings) <= _TRANSFER_CODINGS_MAX and all(
                map(_TRANSFER_CODING.fullmatch, codings)
            )
            return 501 if is_framed and is_valid else 400
        content_length = None
    elif b"content-length" in fields:
        content_length = int(fields[b"content-length"])
    expects_continue = False
    if b"expect" in fields and line.minor_version:
        members = set(parse_list(fields[b"expect"].lower()))
        if members - {b"100-continue"}:
            return 417
        expects_continue = bool(members)
    return Head(
        Request(line.method, line.target, fields),
        line.minor_version,
        _persists(line.minor_version, fields.get(b"connection")),
        content_length,
        expects_continue,
    )


def _persists(minor_version: int, connection: bytes | None) -> bool:
    """Return whether the connection may persist after this answer (RFC 9112 section 9.3)."""
    if connection is None:
        return minor_version > 0
    options = connection.lower()
    if _CLOSE.search(options) is not None:
        return False
    return minor_version > 0 or _KEEP_ALIVE.search(options) is not None
