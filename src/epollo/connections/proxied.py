"""Peers behind a proxy: trusted, it first says whom it speaks for (`epollo.protocols.proxy_protocol`).

A header that a proxy did not write would let anybody choose the address that is logged and limited:
who is not trusted is closed at once, and so is who sends no header.

Facts: what follows the header belongs to the connection, and may have come together with it.
Decision: octets are looked at (MSG_PEEK, recv(2)) before they are taken, and no more are taken than
belong to the header.
Consequence: a connection begins as if there had been no header, and has no code for it.
Price: a system call more for each connection.
"""

import _socket
import ipaddress
import math
from collections.abc import Sequence
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import Final, TypeAlias

from epollo.connections.admission import Admission
from epollo.connections.service import Service
from epollo.errors import OperatorError, describe_fault
from epollo.loop import READABLE
from epollo.protocols.proxy_protocol import (
    LONGEST_OCTETS,
    NoProxyHeader,
    ProxyHeader,
    parse_proxy_header,
)

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_REPORT_EVERY_SECONDS: Final = 60.0


def parse_networks(text: str) -> list[Network]:
    """Return the networks of a list with commas: addresses, or CIDR prefixes (RFC 4632).

    Raises `OperatorError` for anything else.
    """
    networks = []
    for word in text.split(","):
        try:
            networks.append(ipaddress.ip_network(word.strip()))
        except ValueError:
            raise OperatorError(f"{word.strip()!r} is no address and no network (CIDR)") from None
    return networks


class ProxiedAdmission(Admission):
    """The door of a service whose peers come through proxies."""

    __slots__ = ("_networks", "_proxied_service", "_refused")

    def __init__(self, service: Service, networks: Sequence[Network]) -> None:
        super().__init__(service)
        self.needs_addresses = True
        # What comes first is not ours to receive.
        self.burst_limit = 1
        self._proxied_service = service
        self._networks = networks
        self._refused = -_REPORT_EVERY_SECONDS

    def welcome(
        self,
        peer: _socket.socket,
        descriptor: int,
        address: str,
        received: bytes = b"",
        events: int = 0,  # noqa: ARG002 - what was reported is the header
    ) -> None:
        """Wait for the header of a proxy that is trusted; close any other peer."""
        assert not received  # noqa: S101 - by the limit of bursts
        if not self._is_trusted(address):
            self.tell(f"closed {address or 'a peer'}: not a proxy that --proxy-from names")
            peer.close()
            return
        preamble = Preamble(self, self._proxied_service, peer, descriptor, address)
        try:
            preamble.on_accepted()
        except Exception as fault:
            preamble.on_fault(fault)

    def introduce(self, peer: _socket.socket, descriptor: int, address: str) -> None:
        """Serve the peer that a proxy speaks for, or turn it away."""
        super().welcome(peer, descriptor, address)

    def tell(self, line: str) -> None:
        """Tell the operator what was refused, once in a while."""
        now = self._proxied_service.clock.now
        if now - self._refused >= _REPORT_EVERY_SECONDS:
            self._refused = now
            self._proxied_service.report(line)

    def _is_trusted(self, address: str) -> bool:
        # A unix-domain socket has no address; who may connect is decided by the file system.
        if not address:
            return True
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)


class Preamble:
    """The handler of an accepted socket until the proxy's header is complete."""

    __slots__ = (
        "_address",
        "_admission",
        "_is_open",
        "_is_registered",
        "_octets",
        "_service",
        "_socket",
        "deadline",
        "descriptor",
    )

    def __init__(
        self,
        admission: ProxiedAdmission,
        service: Service,
        peer: _socket.socket,
        descriptor: int,
        address: str,
    ) -> None:
        self._admission = admission
        self._service = service
        self._socket = peer
        self._address = address
        self._octets = b""
        self._is_open = True
        self._is_registered = False
        self.descriptor = descriptor
        self.deadline: float = math.inf
        service.connections += 1

    def on_accepted(self) -> None:
        """Take what is here of the header; watch for the rest."""
        self.deadline = self._service.clock.now + self._service.timeouts.head
        if self._receive():
            self._socket.setblocking(False)
            self._service.loop.add(self.descriptor, self, READABLE)
            self._is_registered = True

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Take more of the header."""
        self._receive()

    def on_deadline(self) -> None:
        """Give up: the time of a request is the time of a header too."""
        self.close()

    def on_drain(self) -> None:
        """Close: nothing was asked for."""
        self.close()

    def on_fault(self, fault: Exception) -> None:
        """Close after a bug of ours, and say so."""
        self._service.report(describe_fault(fault))
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._let_go():
            self._socket.close()

    def _let_go(self) -> bool:
        """Forget the socket; tell whether it was ours until now."""
        if not self._is_open:
            return False
        self._is_open = False
        if self._is_registered:
            self._service.loop.remove(self.descriptor)
        self._service.connections -= 1
        return True

    def _receive(self) -> bool:
        """Take octets of the header; tell whether more are needed."""
        try:
            seen = self._socket.recv(LONGEST_OCTETS, MSG_DONTWAIT | MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            seen = b""
        header = parse_proxy_header(self._octets + seen) if seen else NoProxyHeader()
        if header is None:
            self._octets += self._socket.recv(len(seen), MSG_DONTWAIT)
            return True
        if isinstance(header, ProxyHeader):
            self._socket.recv(header.octets - len(self._octets), MSG_DONTWAIT)
            self._let_go()
            self._admission.introduce(self._socket, self.descriptor, header.source or self._address)
            return False
        if seen:
            self._admission.tell(f"closed a connection of {self._address}: no valid PROXY header")
        self.close()
        return False
