"""For which client a proxy speaks: Forwarded (RFC 7239) and X-Forwarded-For.

Each proxy on the way adds the address of its own peer at the end of the list. So the list is believed
from its end on, one address further for each proxy that is trusted; what stands before that, a client may
have written.
"""

import ipaddress
from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.grammar import OWS, OWS_OCTETS, PARAMETER_VALUE, TCHAR, parse_list
from epollo.patterns import compile_late

_HOPS_LIMIT: Final = 32
"""The most proxies on the way that are looked at."""

# forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )  RFC 7239 section 4
# forwarded-pair    = token "=" value
# value             = token / quoted-string
_PAIR: Final = compile_late(rb"%b(%b++)=(%b)%b" % (OWS, TCHAR, PARAMETER_VALUE, OWS))
_SEMICOLON: Final = compile_late(rb'((?:[^;"]++|"(?:[^"\\]++|\\.)*"?)*)(?:;|\Z)')
_QUOTED_PAIR: Final = compile_late(rb"\\(.)")

# node     = nodename [ ":" node-port ]                              RFC 7239 section 6
# nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
_NODE: Final = compile_late(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9A-Za-z._-]+)?|([0-9A-Fa-f:.]+)"
)


def find_client(values: list[bytes], address: str, is_trusted: Callable[[str], bool]) -> str:
    """Return the address of the client for which the peer with this ``address`` speaks.

    ``values`` are the nodes of a list, in the order in which proxies added them. If one is no address
    (``unknown``, a hidden name), return the address of the proxy that added it.
    """
    for value in reversed(values[-_HOPS_LIMIT:]):
        if not is_trusted(address):
            break
        node = _parse_node(value)
        if node is None:
            break
        address = node
    return address


def parse_forwarded_for(value: bytes) -> list[bytes]:
    """Return the nodes of a value of X-Forwarded-For."""
    return [element.strip(OWS_OCTETS) for element in value.split(b",")]


def parse_forwarded(value: bytes) -> list[bytes]:
    """Return the nodes of a value of Forwarded; an empty one where a proxy does not say its peer's."""
    return [_find_for(element) for element in parse_list(value)]


def _find_for(element: bytes) -> bytes:
    for raw_pair in _SEMICOLON.findall(element):
        found = _PAIR.fullmatch(raw_pair)
        if found is not None and found[1].lower() == b"for":
            text: bytes = found[2]
            return _QUOTED_PAIR.sub(rb"\1", text[1:-1]) if text.startswith(b'"') else text
    return b""


def _parse_node(value: bytes) -> str | None:
    """Return the address of a node, without its port; None if it is no address."""
    found = _NODE.fullmatch(value.decode("latin-1"))
    if found is None:
        return None
    try:
        address = ipaddress.ip_address(found[1] or found[2] or found[3])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
