"""The addresses of clients behind proxies that say them in a field of each request.

Facts: any client can send such a field. A proxy that adds to one of the two fields may hand on the other
as it came.
Decision: the operator names the field, and the proxies that are believed. The field is read when an
address is wanted, of the head as it came: no answer depends on it, so what is recalled stays one.
Price: where it is wanted, to search a head costs some microseconds.
"""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Final

from epollo.connections.networks import Network
from epollo.connections.service import AccessLog
from epollo.generations import Generations
from epollo.http.forwarded import find_client, parse_forwarded, parse_forwarded_for
from epollo.loop import EventLoop
from epollo.patterns import compile_late
from epollo.protocols.answer import Answer

_LINES: Final = {
    "x-forwarded-for": compile_late(rb"(?i)\r\nx-forwarded-for:[\t ]*+([^\r\n]*+)"),
    "forwarded": compile_late(rb"(?i)\r\nforwarded:[\t ]*+([^\r\n]*+)"),
}
_PARSERS: Final[dict[str, Callable[[bytes], list[bytes]]]] = {
    "x-forwarded-for": parse_forwarded_for,
    "forwarded": parse_forwarded,
}
_ADDRESSES_LIMIT: Final = 4096


class Forwarding:
    """What the proxies of ``networks`` say in one field, ``name``, in lower case."""

    def __init__(self, name: str, networks: Sequence[Network]) -> None:
        self._line = _LINES[name]
        self._parse = _PARSERS[name]
        self._networks = networks
        self._trusted: Generations[str, bool] = Generations(
            entries_limit=_ADDRESSES_LIMIT, octets_limit=0
        )

    def is_trusted(self, address: str) -> bool:
        """Return whether an address is that of a proxy."""
        known = self._trusted.get(address)
        if known is None:
            # Which programs may connect to a unix-domain socket, the file system decides.
            known = not address or self._is_within(address)
            self._trusted.put(address, known)
        return known

    def find_client(self, address: str, head: bytes) -> str:
        """Return the address of the client that sent a head, by a peer that has this address."""
        if not self.is_trusted(address):
            return address
        # Lines of one name are one list in their order (RFC 9110 section 5.3).
        value = b",".join(self._line.findall(head))
        if not value:
            return address
        return find_client(self._parse(value), address, self.is_trusted)

    def _is_within(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


class ForwardedLog:
    """An access log that notes the addresses of clients where it is told those of their proxies."""

    def __init__(self, log: AccessLog, forwarding: Forwarding) -> None:
        self._log = log
        self._forwarding = forwarding
        self.names_peers = log.names_peers

    def note(
        self,
        peer: str | None,
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",
    ) -> None:
        """Note an answer as one to the client."""
        if self.names_peers:
            peer = self._forwarding.find_client(peer or "", head) or None
        self._log.note(peer, head, answer, content_octets, begun, subject=subject)

    def begin(self, loop: EventLoop) -> None:
        """Write by this loop from now on."""
        self._log.begin(loop)

    def reopen(self) -> None:
        """Continue with another file of the same name, after a rotation."""
        self._log.reopen()

    def close(self) -> None:
        """Write what is not written yet."""
        self._log.close()
