"""The addresses of clients behind proxies that say them in a field of each request.

Facts: any client can send such a field. A proxy that adds to one of the two fields may hand on the other
as it came.
Decision: the operator names the field, and the proxies that are believed. If an address is wanted, the
field is read in the head as it came. No answer depends on it, so all clients share what is recalled.
Price: if an address is wanted, the search of the head costs some microseconds.
"""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.connections.networks import Networks
from epollo.http.forwarded import find_client, parse_forwarded, parse_forwarded_for
from epollo.patterns import compile_late

_LINES: Final = {
    "x-forwarded-for": compile_late(rb"(?i)\r\nx-forwarded-for:[\t ]*+([^\r\n]*+)"),
    "forwarded": compile_late(rb"(?i)\r\nforwarded:[\t ]*+([^\r\n]*+)"),
}
_PARSERS: Final[dict[str, Callable[[bytes], list[bytes]]]] = {
    "x-forwarded-for": parse_forwarded_for,
    "forwarded": parse_forwarded,
}


class Forwarding:
    """What the proxies of ``networks`` say in one field, ``name``, in lower case."""

    def __init__(self, name: str, networks: Networks) -> None:
        self._line = _LINES[name]
        self._parse = _PARSERS[name]
        self.is_trusted = networks.has
        """Returns whether an address is that of a proxy."""

    def find_client(self, address: str, head: bytes) -> str:
        """Return the address of the client that sent this head through a peer with this address."""
        if not self.is_trusted(address):
            return address
        # Lines of one name are one list in their order (RFC 9110 section 5.3).
        value = b",".join(self._line.findall(head))
        if not value:
            return address
        return find_client(self._parse(value), address, self.is_trusted)
