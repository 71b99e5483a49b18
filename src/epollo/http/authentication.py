"""The Basic authentication scheme: credentials in, challenge out (RFC 7617, RFC 9110 section 11)."""

import binascii

from epollo.annotations import Final
from epollo.http.message import FieldLine
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

# credentials = auth-scheme [ 1*SP token68 ]                         RFC 9110 section 11.4
# token68     = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
# The scheme is case-insensitive (section 11.1), and token68 is base64 here (RFC 7617 section 2).
_BASIC: Final = compile_late(rb"[Bb][Aa][Ss][Ii][Cc] ++([A-Za-z0-9+/]++=*+)")
# user-id and password must not contain control characters (RFC 7617 section 2).
_CONTROLS: Final = compile_late(rb"[\x00-\x1f\x7f]")


class Credentials(NamedTuple):
    """A user-id and a password, as octets of UTF-8 where the client follows the challenge."""

    user: bytes
    password: bytes


def parse_basic(value: bytes) -> Credentials | None:
    """Return the credentials in a value of Authorization; None if it has none of this scheme."""
    found = _BASIC.fullmatch(value)
    if found is None:
        return None
    try:
        octets = binascii.a2b_base64(found[1], strict_mode=True)
    except binascii.Error:
        return None
    user, colon, password = octets.partition(b":")
    if not colon or _CONTROLS.search(octets):
        return None
    return Credentials(user, password)


def format_challenge(realm: bytes) -> FieldLine:
    """Return the field line that asks for credentials; ``realm`` is of printable ASCII without quotes.

    The charset has clients encode user-id and password in UTF-8 (RFC 7617 section 2.1).
    """
    return (b"WWW-Authenticate", b'Basic realm="%b", charset="UTF-8"' % realm)
