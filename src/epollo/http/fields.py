"""Field names, and the values of the fields on which the framing of a message rests."""

import re
from functools import cache

from epollo.annotations import Final
from epollo.http.grammar import TOKEN

# An integer of 18 digits is a valid length of a file on every system, and fits 63 bits.
_LENGTH_DIGITS_MAX: Final = 18

# Content-Length = 1*DIGIT                                           RFC 9110 section 8.6
_CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,%d}+" % _LENGTH_DIGITS_MAX)

# IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet  RFC 3986 section 3.2.2
# dec-octet   = DIGIT / %x31-39 DIGIT / "1" 2DIGIT / "2" %x30-34 DIGIT / "25" %x30-35
_DEC_OCTET: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = rb"(?:%b\.){3}%b" % (_DEC_OCTET, _DEC_OCTET)

# h16  = 1*4HEXDIG                                                   RFC 3986 section 3.2.2
# ls32 = ( h16 ":" h16 ) / IPv4address
_H16: Final = rb"[0-9A-Fa-f]{1,4}"
_LS32: Final = rb"(?:%b:%b|%b)" % (_H16, _H16, _IPV4)

# IPv6address =                            6( h16 ":" ) ls32         RFC 3986 section 3.2.2
#             /                       "::" 5( h16 ":" ) ls32
#             / [               h16 ] "::" 4( h16 ":" ) ls32
#             / [ *1( h16 ":" ) h16 ] "::" 3( h16 ":" ) ls32
#             / [ *2( h16 ":" ) h16 ] "::" 2( h16 ":" ) ls32
#             / [ *3( h16 ":" ) h16 ] "::"    h16 ":"   ls32
#             / [ *4( h16 ":" ) h16 ] "::"              ls32
#             / [ *5( h16 ":" ) h16 ] "::"              h16
#             / [ *6( h16 ":" ) h16 ] "::"
_IPV6: Final = b"|".join(
    [
        rb"(?:%b:){6}%b" % (_H16, _LS32),
        rb"::(?:%b:){5}%b" % (_H16, _LS32),
        *(
            rb"(?:(?:%b:){0,%d}%b)?::(?:%b:){%d}%b" % (_H16, before, _H16, _H16, 4 - before, _LS32)
            for before in range(5)
        ),
        rb"(?:(?:%b:){0,5}%b)?::%b" % (_H16, _H16, _H16),
        rb"(?:(?:%b:){0,6}%b)?::" % (_H16, _H16),
    ]
)

# uri-host   = IP-literal / IPv4address / reg-name                   RFC 3986 section 3.2.2
# IP-literal = "[" ( IPv6address / IPvFuture ) "]"
# IPvFuture  = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
# reg-name   = *( unreserved / pct-encoded / sub-delims )
# Every IPv4address is a reg-name too, so that it needs no alternative of its own. That the host is
# not empty is RFC 9110 section 4.2.1.
_PORT: Final = rb"(?::(?P<port>[0-9]*+))?"
_NAME_AND_PORT: Final = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]++|%[0-9A-Fa-f]{2})+" + _PORT,
)

_PORT_MAX: Final = 65535


@cache
def _compile_literal_and_port() -> re.Pattern[bytes]:
    """Return the pattern of an IP-literal: few hosts are one, and it takes longest to compile."""
    literal = rb"\[(?:%b|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]" % _IPV6
    return re.compile(literal + _PORT)


def is_token(octets: bytes) -> bool:
    """Return whether the octets are a token, as field names and methods must be.

    RFC 9110 section 5.6.2.
    """
    return TOKEN.fullmatch(octets) is not None


def is_host(octets: bytes) -> bool:
    """Return whether the octets are a valid value of Host: ``uri-host [ ":" port ]``.

    The empty value is valid: a client sends it where its target has no authority (RFC 9110 section
    7.2). With a port the host may not be empty (RFC 9110 section 4.2.1). A port is at most 65535,
    and may be left empty after its colon (RFC 3986 section 3.2.3).
    """
    if not octets:
        return True
    pattern = _compile_literal_and_port() if octets.startswith(b"[") else _NAME_AND_PORT
    host = pattern.fullmatch(octets)
    if host is None:
        return False
    # Zeros in front are valid and mean nothing; without them five digits are enough for a port.
    port = (host["port"] or b"").lstrip(b"0")
    return len(port) <= 5 and int(port or b"0") <= _PORT_MAX


def parse_content_length(value: bytes) -> int | None:
    """Return the length in octets that a Content-Length field announces, None if it is invalid.

    A recipient may take a list of equal lengths for one (RFC 9110 section 8.6). We refuse it: two
    readers that disagree on the length of a request are what request smuggling is made of (RFC 9112
    section 11.2). More than 18 digits are refused as well.
    """
    return int(value) if _CONTENT_LENGTH.fullmatch(value) else None
