r"""The PROXY protocol, versions 1 and 2: what a proxy says about the peer that it speaks for.

(HAProxy, "The PROXY protocol", sections 2.1 and 2.2.) The header stands before all else on the
connection. Its two forms differ from the first octet on, and neither can begin a request of HTTP.

One rule makes the outcome the same however the octets are split: a verdict, once reached, is not
changed by octets that follow. Both forms are bounded: 107 octets for the line of version 1,
`LONGEST_OCTETS` for version 2.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

LONGEST_OCTETS: Final = 2048
"""A longer header is refused; one with certificates in it (PP2_TYPE_SSL) needs a few hundred."""

_LONGEST_LINE_OCTETS: Final = 107

# line = "PROXY" SP ( family SP source SP destination SP port SP port / "UNKNOWN" *ignored ) CRLF
_LINE_BEGIN: Final = b"PROXY "
_UNKNOWN_LINE: Final = compile_late(rb"PROXY UNKNOWN(?: [^\r\n]*+)?")
_LINE: Final = compile_late(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,39}+) ([0-9A-Fa-f:.]{2,39}+)"
    rb" (0|[1-9][0-9]{0,4}+) (0|[1-9][0-9]{0,4}+)"
)

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_OCTETS: Final = 16
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_TCP4: Final = 0x11
_TCP6: Final = 0x21
# Octets of the addresses by family: AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX; the other numbers must be
# refused, as must transports but UNSPEC (0), STREAM (1) and DGRAM (2).
_ADDRESS_OCTETS: Final = (0, 12, 36, 216)
_TRANSPORTS: Final = 3


class ProxyHeader(NamedTuple):
    """What a valid header says; ``octets`` is its length.

    ``source`` is the address of the peer that the proxy speaks for, None if it speaks for itself
    (LOCAL) or does not know, or where the peer did not come over TCP.
    """

    source: str | None
    octets: int


class NoProxyHeader(NamedTuple):
    """The octets begin no valid header."""


def parse_proxy_header(octets: bytes) -> ProxyHeader | NoProxyHeader | None:
    """Return the header that stands first in the octets; None if more of it is to come."""
    if octets.startswith(_SIGNATURE[:1]):
        return _parse_binary(octets)
    return _parse_line(octets) if octets else None


def _parse_line(octets: bytes) -> ProxyHeader | NoProxyHeader | None:
    """Parse version 1: a line for persons."""
    begin = octets[: len(_LINE_BEGIN)]
    if not _LINE_BEGIN.startswith(begin):
        return NoProxyHeader()
    line, end, _ = octets[:_LONGEST_LINE_OCTETS].partition(b"\r")
    following = octets[len(line) + 1 : len(line) + 2]
    if not end or (not following and len(line) + 1 < _LONGEST_LINE_OCTETS):
        return NoProxyHeader() if len(octets) >= _LONGEST_LINE_OCTETS or b"\n" in line else None
    if following != b"\n" or len(line) + 2 > _LONGEST_LINE_OCTETS:
        return NoProxyHeader()
    length = len(line) + 2
    if _UNKNOWN_LINE.fullmatch(line):
        return ProxyHeader(None, length)
    found = _LINE.fullmatch(line)
    if found is None or int(found[4]) > 65535 or int(found[5]) > 65535:
        return NoProxyHeader()
    kind = IPv4Address if found[1] == b"4" else IPv6Address
    try:
        source = kind(found[2].decode("ascii"))
        kind(found[3].decode("ascii"))
    except AddressValueError:
        return NoProxyHeader()
    return ProxyHeader(_show(source), length)


def _parse_binary(octets: bytes) -> ProxyHeader | NoProxyHeader | None:
    """Parse version 2: signature, version and command, family and transport, length, addresses.

    What follows the addresses (TLVs) says nothing that we would act on, and is passed over.
    """
    known = octets[:_FIXED_OCTETS]
    if not _SIGNATURE.startswith(known[: len(_SIGNATURE)]):
        return NoProxyHeader()
    fixed = known[len(_SIGNATURE) :]
    if fixed[:1] and fixed[0] not in {_LOCAL, _PROXY}:
        return NoProxyHeader()
    # LOCAL is a connection of the proxy's own: all that follows is passed over, whatever it is.
    is_local = fixed[:1] == bytes((_LOCAL,))
    if (
        not is_local
        and fixed[1:2]
        and (fixed[1] >> 4 >= len(_ADDRESS_OCTETS) or fixed[1] & 0xF >= _TRANSPORTS)
    ):
        return NoProxyHeader()
    if len(fixed) < 4:
        return None
    length = _FIXED_OCTETS + int.from_bytes(fixed[2:])
    if length > LONGEST_OCTETS or (
        not is_local and length < _FIXED_OCTETS + _ADDRESS_OCTETS[fixed[1] >> 4]
    ):
        return NoProxyHeader()
    if len(octets) < length:
        return None
    source = None
    if not is_local and fixed[1] == _TCP4:
        source = str(IPv4Address(octets[16:20]))
    elif not is_local and fixed[1] == _TCP6:
        source = _show(IPv6Address(octets[16:32]))
    return ProxyHeader(source, length)


def _show(address: IPv4Address | IPv6Address) -> str:
    """Return an address as text, that of IPv4 the same however it was written (RFC 4291, 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
