"""A stage before the protocol: a trusted proxy first says for which client it speaks.

If a header need not come from a proxy, any client could choose the address that is logged and limited.
So a peer that is not trusted is closed at once, and so is one that sends no header
(`epollo.protocols.proxy_protocol`).

Octets behind the header belong to the next stage. The poller has reported the header, not them, so they
may be newer than a change that was not reported.
"""

import math
from collections.abc import Callable
from socket import MSG_DONTWAIT

from epollo.connections.contract import Peer
from epollo.connections.door import RECEIVE_OCTETS, Arrival, Stage
from epollo.connections.networks import Networks
from epollo.connections.service import Service
from epollo.connections.throttled_report import ThrottledReport
from epollo.loop import READABLE
from epollo.protocols.proxy_protocol import ProxyHeader, parse_proxy_header


class Proxies:
    """The stage of arrivals that come through proxies; ``then`` is the next stage."""

    __slots__ = ("_networks", "_service", "_then", "tell")

    def __init__(self, service: Service, networks: Networks, then: Stage) -> None:
        self._service = service
        self._networks = networks
        self._then = then
        self.tell = ThrottledReport(service.clock, service.report).tell
        """Tells the operator what was refused, at most once a minute."""

    def begin(self, arrival: Arrival) -> None:
        """Wait for the header of a proxy that is trusted; close any other peer."""
        if not self._networks.has(arrival.address):
            address = arrival.address or "a peer"
            self.tell(f"closed {address}: not a proxy that --proxy-from names")
            arrival.transport.close()
            return
        preamble = Preamble(self._service, arrival, self._then, self.tell)
        try:
            preamble.on_accepted()
        except Exception as fault:
            self._service.loop.end_fault(preamble, fault)


class Preamble(Peer):
    """The handler of an accepted socket until the proxy's header is complete."""

    __slots__ = (
        "_arrival",
        "_is_open",
        "_is_registered",
        "_octets",
        "_service",
        "_tell",
        "_then",
        "deadline",
    )

    def __init__(
        self, service: Service, arrival: Arrival, then: Stage, tell: Callable[[str], None]
    ) -> None:
        self._service = service
        self._arrival = arrival
        self._then = then
        self._tell = tell
        self._octets = arrival.received
        self._is_open = True
        self._is_registered = False
        self.deadline: float = math.inf
        service.peers[self] = None

    def on_accepted(self) -> None:
        """Take what is here of the header; watch for the rest."""
        self.deadline = self._service.clock.now + self._service.timeouts.head
        is_over = self._judge() if self._octets else False
        if not is_over and not self._receive():
            self._arrival.transport.setblocking(False)
            self._service.loop.add(self._arrival.descriptor, self, READABLE)
            self._is_registered = True

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Take more of the header."""
        self._receive()

    def find_address(self) -> str:
        """Return the address of the proxy."""
        return self._arrival.address

    def on_deadline(self) -> None:
        """Give up: the time of a request is the time of a header too."""
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._let_go():
            self._arrival.transport.close()

    def _let_go(self) -> bool:
        """Forget the socket; return whether it was this stage's until now."""
        if not self._is_open:
            return False
        self._is_open = False
        if self._is_registered:
            self._service.loop.remove(self._arrival.descriptor)
        self._service.peers.pop(self, None)
        return True

    def _receive(self) -> bool:
        """Take octets; return whether this stage is over."""
        try:
            octets = self._arrival.transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            octets = b""
        if not octets:
            self.close()
            return True
        self._octets += octets
        return self._judge()

    def _judge(self) -> bool:
        """Read what is here of the header; return whether this stage is over."""
        octets = self._octets
        header = parse_proxy_header(octets)
        if header is None:
            return False
        if not isinstance(header, ProxyHeader):
            self._tell(f"closed a connection of {self._arrival.address}: no valid PROXY header")
            self.close()
            return True
        self._let_go()
        received = octets[header.octets :]
        if received:
            self._service.look_for_changes()
        self._then(
            self._arrival._replace(
                address=header.source or self._arrival.address, received=received, is_reported=False
            )
        )
        return True
