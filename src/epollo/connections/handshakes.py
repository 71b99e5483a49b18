"""The stage of TLS: a handshake, and then the connection continues over the session.

Facts: the first flight of a server (key exchange, signature) takes some 300 microseconds and lets go of
the interpreter; done by the loop, 200 handshakes a second make the slowest tenth of plain requests wait
three times as long. The flights after it take little. A hand-over to a thread and back takes up to 15 %
of a handshake.
Decision: the ClientHello is read by the loop (`epollo.protocols.tls`), which refuses what cannot be
served; the first flight is made by a thread, unless no connection is there that could wait for it; the
rest by the loop.

A handshake has the time of a request's head for all of it, and counts as a connection from its begin, so
that those which are silent or slow are bounded in number as well, and by address.
"""

import contextlib
import math
import ssl
from _socket import MSG_DONTWAIT
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from epollo.connections.addresses import ask_address
from epollo.connections.contract import Peer
from epollo.connections.door import RECEIVE_OCTETS, Arrival, Stage
from epollo.connections.flights import Flights
from epollo.connections.service import Service
from epollo.loop import READABLE
from epollo.protocols.http1 import refuse, render_refusal
from epollo.protocols.tls import (
    Alert,
    ClientHello,
    HelloReader,
    MalformedHelloError,
    find_link,
    format_alert,
)
from epollo.transports import format_scope
from epollo.transports.certificates import PROOF_PROTOCOL, PROTOCOLS, Certificates
from epollo.transports.session import Session
from epollo.transports.tls import TLS, TlsTransport

_PROOF: Final = PROOF_PROTOCOL.decode()
_HANDSHAKE_RECORD: Final = b"\x16"


class Handshakes:
    """The stage of arrivals that speak TLS; ``then`` takes those on whose handshake is complete."""

    def __init__(
        self,
        service: Service,
        certificates: Sequence[Certificates],
        flights: Flights,
        then: Stage,
        find_way: Callable[[bytes], int] = lambda _: 0,
    ) -> None:
        """``find_way`` returns by which of the ``certificates`` a client of a name is to be served."""
        self.service = service
        self.certificates = certificates
        """Those that the next handshake uses, for each way in which clients are verified; may be replaced
        at any time."""
        self.find_way = find_way
        self.kinds = [TLS._replace(scope=format_scope(way)) for way in range(len(certificates))]
        """What a connection is, for each of the ways."""
        self.flights = flights
        self.then = then
        self.plain: Stage | None = None
        """What takes on a peer that speaks plain HTTP; None where it is refused."""
        self.proofs: Mapping[bytes, ssl.SSLContext] = {}
        """By name, what answers an authority that asks whether a host is ours."""

    def find_context(self, hello: ClientHello, way: int) -> ssl.SSLContext | Alert:
        """Return what a session begins with, or why there is none."""
        if PROOF_PROTOCOL in hello.protocols:
            return self.proofs.get(hello.server_name, Alert.NO_APPLICATION_PROTOCOL)
        if hello.protocols and not set(hello.protocols).intersection(PROTOCOLS):
            return Alert.NO_APPLICATION_PROTOCOL
        return self.certificates[way].find(hello.server_name) or Alert.UNRECOGNIZED_NAME

    def begin(self, arrival: Arrival) -> None:
        """Wait for a ClientHello."""
        handshake = Handshake(self, arrival)
        try:
            handshake.on_accepted()
        except Exception as fault:
            self.service.loop.end_fault(handshake, fault)

    def turn_away(self, arrival: Arrival) -> None:
        """Close: what an answer 503 would say cannot be said before a handshake."""
        refuse_at_once(arrival, format_alert(Alert.INTERNAL_ERROR))


def refuse_at_once(arrival: Arrival, octets: bytes) -> None:
    """Send last octets, without waiting for anything, and close."""
    # A socket that is closed with octets unread resets the connection (RFC 9112 section 9.6).
    with contextlib.suppress(OSError):
        arrival.transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
    with contextlib.suppress(OSError):
        arrival.transport.send(octets, MSG_DONTWAIT)
    arrival.transport.close()


class Handshake(Peer):
    """The handler of an accepted socket until its handshake is complete."""

    __slots__ = (
        "_arrival",
        "_is_in_flight",
        "_is_open",
        "_is_registered",
        "_octets",
        "_reader",
        "_session",
        "_stage",
        "_way",
        "deadline",
    )

    def __init__(self, stage: Handshakes, arrival: Arrival) -> None:
        self._stage = stage
        self._arrival = arrival
        # What came of the ClientHello; empty once there is a session.
        self._octets = b""
        self._reader = HelloReader()
        self._session: Session | None = None
        # Which of several ways there are to verify it.
        self._way = 0
        self._is_open = True
        self._is_registered = False
        self._is_in_flight = False
        self.deadline: float = math.inf
        stage.service.peers[self] = None
        stage.flights.handshakes += 1

    def on_accepted(self) -> None:
        """Take what is here; watch for the rest."""
        self.deadline = self._stage.service.clock.now + self._stage.service.timeouts.head
        self._arrival.transport.setblocking(False)
        if self._arrival.received:
            self._read_hello(self._arrival.received)
        else:
            self.on_ready(READABLE)
        if self._is_in_flight:
            self._stage.service.loop.note_deadline(self, self.deadline)
        elif self._is_open and not self._is_registered:
            self._watch()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Take what the client sent."""
        if self._is_in_flight:
            # A client that keeps to the protocol waits now. Another one, or the end of it, would be
            # reported again and again.
            self._unwatch()
            self._stage.service.loop.note_deadline(self, self.deadline)
            return
        try:
            octets = self._arrival.transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self.close()
        elif self._session is None:
            self._read_hello(octets)
        else:
            self._go_on(self._session, octets)

    def find_address(self) -> str:
        """Return the address that this peer came from; empty where it has none."""
        return self._arrival.address or ask_address(self._arrival.descriptor)

    def on_deadline(self) -> None:
        """Give up: the time of a request's head is the time of a handshake too."""
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._let_go():
            self._leave()
            self._arrival.transport.close()

    def _leave(self) -> None:
        """Count one connection of this address less."""
        addresses = self._stage.service.addresses
        if addresses is not None and self._arrival.address:
            addresses.leave(self._arrival.address)

    def _watch(self) -> None:
        self._stage.service.loop.add(self._arrival.descriptor, self, READABLE)
        self._is_registered = True

    def _unwatch(self) -> None:
        if self._is_registered:
            self._is_registered = False
            deadline = self.deadline
            self._stage.service.loop.remove(self._arrival.descriptor)
            self.deadline = deadline

    def _let_go(self) -> bool:
        """Forget the socket; return whether it was this stage's until now."""
        if not self._is_open:
            return False
        self._is_open = False
        self._unwatch()
        self.deadline = math.inf
        self._stage.service.peers.pop(self, None)
        self._stage.flights.handshakes -= 1
        return True

    def _refuse(self, octets: bytes) -> None:
        """Send last octets and close."""
        if self._let_go():
            self._leave()
            refuse_at_once(self._arrival, octets)

    def _read_hello(self, octets: bytes) -> None:
        """Begin a session by a ClientHello that is whole; refuse what cannot become one."""
        self._octets += octets
        try:
            hello = self._reader.receive(octets)
        except MalformedHelloError as error:
            self._refuse_hello(error.alert)
            return
        if hello is None:
            return
        way = self._way = self._stage.find_way(hello.server_name)
        context = self._stage.find_context(hello, way)
        if isinstance(context, Alert):
            self._refuse(format_alert(context))
            return
        verifies_client = self._stage.certificates[way].verifies_clients
        self._session = Session(context, verifies_client=verifies_client)
        octets, self._octets = self._octets, b""
        self._make_flight(self._session, octets)

    def _make_flight(self, session: Session, octets: bytes) -> None:
        """Continue a session where that takes long."""
        self._is_in_flight = True
        service, flights = self._stage.service, self._stage.flights
        # Connections wait for the loop, and so do other handshakes for one that takes long together.
        is_alone = len(service.peers) == flights.handshakes and not service.loop.is_late
        make = flights.make_at_once if is_alone else flights.make
        make(session, octets, self._on_flight)

    def _refuse_hello(self, alert: Alert) -> None:
        """Refuse what is no ClientHello: plain HTTP by an answer that leads to https."""
        plain = self._stage.plain
        if plain is not None and not self._octets.startswith(_HANDSHAKE_RECORD):
            self._let_go()
            service = self._stage.service
            service.look_for_changes()
            plain(self._arrival._replace(received=self._octets, is_reported=False))
            return
        link = find_link(self._octets)
        if link is None:
            self._refuse(format_alert(alert))
            return
        answer = render_refusal(refuse(400, self._octets), link=link)
        head = self._stage.service.frames[answer]
        self._refuse(b"".join((head, *(one for one in answer.rest if isinstance(one, bytes)))))

    def _on_flight(self, is_right: bool, octets: bytes) -> None:
        """Send a flight, and wait for what the client says to it, or hand the connection on."""
        session = self._session
        if not self._is_open or session is None:
            return
        self._is_in_flight = False
        if not is_right:
            self._refuse(octets)
        elif session.is_complete:
            self._hand_on(session, octets)
        elif not self._send(octets):
            self.close()
        elif not self._is_registered:
            self._watch()

    def _go_on(self, session: Session, octets: bytes) -> None:
        """Take the client's last flight."""
        if session.verifies_client:
            # A chain of certificates may take as long to verify as the first flight takes.
            self._make_flight(session, octets)
            return
        try:
            is_complete = session.shake_hands(octets)
        except ssl.SSLError:
            self._refuse(session.take())
            return
        owed = session.take()
        if is_complete:
            self._hand_on(session, owed)
        elif owed and not self._send(owed):
            self.close()

    def _hand_on(self, session: Session, owed: bytes) -> None:
        """Let the next stage continue over a session; ``owed`` is what the client has not got of it."""
        try:
            plain = session.receive(b"")
        except ssl.SSLError:
            self._refuse(owed + session.take())
            return
        owed += session.take()
        if session.protocol == _PROOF:
            # RFC 8737 section 3: nothing is said over such a session.
            self._refuse(owed)
            return
        # Behind a request tickets go out with its answer; a client of TLS 1.2 waits for what is owed.
        if owed and not plain:
            if not self._send(owed):
                self.close()
                return
            owed = b""
        self._let_go()
        buffers = self._stage.flights.buffers
        transport = TlsTransport(self._arrival.transport, session, owed, buffers)
        subject = session.find_subject() if session.verifies_client else ""
        kind = self._stage.kinds[self._way]
        if subject:
            kind = kind._replace(subject=subject)
        service = self._stage.service
        if plain:
            service.look_for_changes()
        self._stage.then(
            self._arrival._replace(
                transport=transport, received=plain, is_reported=False, kind=kind
            )
        )

    def _send(self, octets: bytes) -> bool:
        """Send a flight; return whether the peer took it: an empty send buffer takes more than one."""
        try:
            return self._arrival.transport.send(octets, MSG_DONTWAIT) == len(octets)
        except OSError:
            return False
