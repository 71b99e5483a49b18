"""The addresses of clients behind proxies that say them in a field of each request.

Facts: any client can send such a field. A proxy that adds to one of the two fields may hand on the other
as it came.
Decision: the operator names the field, and the proxies that are believed. The field is read when an
address is wanted, of the head as it came: no answer depends on it, so what is recalled stays one.
Price: where it is wanted, to search a head costs some microseconds.
"""

from collections.abc import Callable
from typing import Final

from epollo.connections.contract import AccessLog
from epollo.connections.networks import Networks
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


class Forwarding:
    """What the proxies of ``networks`` say in one field, ``name``, in lower case."""

    def __init__(self, name: str, networks: Networks) -> None:
        self._line = _LINES[name]
        self._parse = _PARSERS[name]
        self.is_trusted = networks.has
        """Returns whether an address is that of a proxy."""

    def find_client(self, address: str, head: bytes) -> str:
        """Return the address of the client that sent a head, by a peer that has this address."""
        if not self.is_trusted(address):
            return address
        # Lines of one name are one list in their order (RFC 9110 section 5.3).
        value = b",".join(self._line.findall(head))
        if not value:
            return address
        return find_client(self._parse(value), address, self.is_trusted)


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
