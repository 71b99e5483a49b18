"""The stage of TLS: a handshake, and then the connection continues over the session.

Facts: the first flight of a server (key exchange, signature) takes some 300 microseconds and releases
the interpreter; done by the loop, 200 handshakes a second make the slowest tenth of plain requests wait
three times as long. The flights after it take little. A thread costs something, too (`flights`).
Decision: the ClientHello is read by the loop (`epollo.protocols.tls`), which refuses what cannot be
served; the first flight is made by a thread, unless no connection is there that could wait for it; the
rest by the loop. A connection is made with the first octets of a request: until then its handshake waits
for them, so that a client which wants one answer is registered with the poller once.

A handshake has the time of a request's head for all of it, and counts as a connection from its begin, so
that those which are silent or slow are bounded in number as well, and by address.
"""

import contextlib
import math
import ssl
from _socket import MSG_DONTWAIT, MSG_PEEK
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from epollo.connections.addresses import ask_address
from epollo.connections.contract import Peer
from epollo.connections.door import RECEIVE_OCTETS, Arrival, Stage
from epollo.connections.flights import Flights
from epollo.connections.handshake_refusals import format_refusal, refuse_at_once
from epollo.connections.service import Service
from epollo.loop import READABLE
from epollo.protocols.tls import (
    Alert,
    ClientHello,
    HelloReader,
    MalformedHelloError,
    format_alert,
    parse_whole,
)
from epollo.transports import format_scope
from epollo.transports.certificates import PROOF_PROTOCOL, PROTOCOLS, Certificates
from epollo.transports.session import Session
from epollo.transports.tls import TLS, TlsTransport

_PROOF: Final = PROOF_PROTOCOL.decode()
_HANDSHAKE_RECORD: Final = b"\x16"
# What calling the class does besides costs as much as the rest of a stage.
_arrive: Final = tuple.__new__


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

    @property
    def is_alone(self) -> bool:
        """Whether no connection is there that could wait for a flight, but handshakes at the most."""
        return len(self.service.peers) == self.flights.handshakes

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


class Handshake(Peer):
    """The handler of an accepted socket until its handshake is complete, and its first request here."""

    __slots__ = (
        "_arrival",
        "_hello",
        "_is_complete",
        "_is_in_flight",
        "_is_open",
        "_is_registered",
        "_may_prove",
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
        # Of one that comes in parts.
        self._reader: HelloReader | None = None
        self._session: Session | None = None
        # Which of several ways there are to verify it.
        self._way = 0
        self._is_open = True
        self._is_registered = False
        self._is_in_flight = False
        # What is to be answered in a later batch.
        self._hello: ClientHello | None = None
        self._may_prove = False
        # Whether nothing is missing but the first request.
        self._is_complete = False
        self.deadline: float = math.inf
        stage.service.peers[self] = None
        stage.flights.handshakes += 1

    def on_accepted(self) -> None:
        """Take what is here; watch for the rest."""
        self.deadline = self._stage.service.clock.now + self._stage.service.timeouts.head
        if self._arrival.received:
            self._read_hello(self._arrival.received)
        else:
            self.on_ready(READABLE)
        if self._is_in_flight:
            self._stage.service.loop.note_deadline(self, self.deadline)
        elif self._is_open and not self._is_registered:
            self._watch()

    def on_ready(self, events: int) -> None:
        """Take what the client sent."""
        hello = self._hello
        if hello is not None:
            if not events or not self._stage.service.loop.is_late:
                self._hello = None
                self._begin_session(hello)
            return
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
        elif self._is_complete:
            service = self._stage.service
            if events != READABLE or not service.is_report_instant:
                service.look_for_changes()
            self._pass_on(octets)
        elif self._session is None:
            self._read_hello(octets)
        else:
            self._go_on(self._session, octets)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._is_complete

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; return whether nothing was under way."""
        if not self._is_complete:
            return False
        with contextlib.suppress(OSError):
            # A request may be here already, and its turn come later in this batch.
            if self._arrival.transport.recv(1, MSG_DONTWAIT | MSG_PEEK):
                return False
        self.close()
        return True

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
        stage = self._stage
        if self._is_registered:
            self._is_registered = False
            stage.service.loop.remove(self._arrival.descriptor)
        self.deadline = math.inf
        stage.service.peers.pop(self, None)
        stage.flights.handshakes -= 1
        # This stays in memory until the second of its deadline is over; a session takes 30 KiB.
        self._session = self._reader = None
        return True

    def _refuse(self, octets: bytes) -> None:
        """Send last octets and close."""
        if self._let_go():
            self._leave()
            refuse_at_once(self._arrival, octets)

    def _read_hello(self, octets: bytes) -> None:
        """Take some of a ClientHello; begin a session when it is whole."""
        self._octets += octets
        reader = self._reader
        try:
            hello = parse_whole(octets) if reader is None else None
            if hello is None:
                if reader is None:
                    reader = self._reader = HelloReader()
                hello = reader.receive(octets)
        except MalformedHelloError as error:
            self._refuse_hello(error.alert)
            return
        if hello is None:
            return
        stage = self._stage
        if stage.service.loop.is_late and stage.is_alone:
            # Other handshakes wait for one that takes long together.
            self._hello = hello
            stage.service.loop.call_again(self)
        else:
            self._begin_session(hello)

    def _begin_session(self, hello: ClientHello) -> None:
        """Make the first flight of a session; refuse a client that cannot have one."""
        stage = self._stage
        way = self._way = stage.find_way(hello.server_name)
        context = stage.find_context(hello, way)
        if isinstance(context, Alert):
            self._refuse(format_alert(context))
            return
        octets, self._octets = self._octets, b""
        self._may_prove = PROOF_PROTOCOL in hello.protocols
        verifies_client = stage.certificates[way].verifies_clients
        is_alone = stage.is_alone
        # What a thread may work on has buffers of its own.
        buffers = stage.flights.buffers if is_alone and not verifies_client else None
        session = self._session = Session(context, verifies_client=verifies_client, buffers=buffers)
        if is_alone:
            self._shake_hands(session, octets)
        else:
            self._make_flight(session, octets)

    def _make_flight(self, session: Session, octets: bytes) -> None:
        """Continue a session in the thread of flights."""
        self._is_in_flight = True
        self._stage.flights.make(session, octets, self._on_flight)

    def _refuse_hello(self, alert: Alert) -> None:
        """Refuse what is no ClientHello: plain HTTP by an answer that leads to https."""
        plain = self._stage.plain
        if plain is not None and not self._octets.startswith(_HANDSHAKE_RECORD):
            self._let_go()
            service = self._stage.service
            service.look_for_changes()
            plain(self._arrival._replace(received=self._octets, is_reported=False))
            return
        self._refuse(format_refusal(self._stage.service, self._octets, alert))

    def _on_flight(self, is_right: bool, octets: bytes) -> None:
        """Send a flight, and wait for what the client says to it, or hand the connection on."""
        session = self._session
        if not self._is_open or session is None:
            return
        self._is_in_flight = False
        if not is_right:
            self._refuse(octets)
        elif session.is_complete:
            self._complete(session, octets)
        elif not self._send(octets):
            self.close()
        elif not self._is_registered:
            self._watch()

    def _go_on(self, session: Session, octets: bytes) -> None:
        """Take the client's last flight."""
        stage = self._stage
        # A chain of certificates may take as long to verify as the first flight takes.
        if session.verifies_client and (not stage.is_alone or stage.service.loop.is_late):
            self._make_flight(session, octets)
        else:
            self._shake_hands(session, octets)

    def _shake_hands(self, session: Session, octets: bytes) -> None:
        """Continue a session now."""
        try:
            is_complete = session.shake_hands(octets)
        except ssl.SSLError:
            self._refuse(session.take())
            return
        owed = session.take()
        if is_complete:
            self._complete(session, owed)
        elif owed and not self._send(owed):
            self.close()

    def _complete(self, session: Session, owed: bytes) -> None:
        """Continue over a session; ``owed`` is what the client has not got of it."""
        plain = b""
        if session.has_received:
            try:
                plain = session.receive(b"")
            except ssl.SSLError:
                self._refuse(owed + session.take())
                return
            owed += session.take()
        if self._may_prove and session.protocol == _PROOF:
            # RFC 8737 section 3: nothing is said over such a session.
            self._refuse(owed)
            return
        # Behind a request tickets go out with its answer. Without one they also confirm what the client
        # sent: it may hold back its request until then, for 40 milliseconds (RFC 9293 section 3.7.4).
        if owed and not plain:
            if not self._send(owed):
                self.close()
                return
            owed = b""
        stage = self._stage
        kind = stage.kinds[self._way]
        if session.verifies_client:
            kind = kind._replace(subject=session.find_subject())
        plain_transport, descriptor, address, *_ = self._arrival
        transport = TlsTransport(plain_transport, session, owed, stage.flights.buffers)
        self._arrival = _arrive(Arrival, (transport, descriptor, address, b"", False, kind))
        self._is_complete = True
        self._session = None
        if plain:
            stage.service.look_for_changes()
            self._pass_on(plain)
            return
        self.deadline = stage.service.clock.now + stage.service.timeouts.head
        if not self._is_registered:
            self._watch()

    def _pass_on(self, octets: bytes) -> None:
        """Let the next stage continue with the first octets of a request."""
        self._let_go()
        transport, descriptor, address, _, _, kind = self._arrival
        self._stage.then(_arrive(Arrival, (transport, descriptor, address, octets, False, kind)))

    def _send(self, octets: bytes) -> bool:
        """Send a flight; return whether the peer took it: an empty send buffer takes more than one."""
        try:
            return self._arrival.transport.send(octets, MSG_DONTWAIT) == len(octets)
        except OSError:
            return False
