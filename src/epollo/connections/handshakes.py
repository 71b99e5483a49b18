"""The stage of TLS: a handshake, and then the connection continues over the session.

Facts: the first flight of a server (key exchange, signature) takes some 300 microseconds and releases
the interpreter. With 200 of them a second in the loop, the slowest tenth of plain requests waits three
times as long. Later flights take little. A thread costs something, too (`flights`).
Decision: the loop reads the ClientHello (`epollo.protocols.tls`) and refuses what cannot be served. A
thread makes the first flight if any connection could wait for it, the loop the rest. The handshake
waits for the first octets of a request before a connection is made: a client of one answer is
registered once. It counts as a connection, in number and by address; all of it has the time of a
request's head.
"""

import contextlib
import ssl
from _socket import MSG_DONTWAIT, MSG_PEEK
from math import inf

from epollo.annotations import Final
from epollo.connections.addresses import ask_address
from epollo.connections.contract import Peer
from epollo.connections.door import RECEIVE_OCTETS, Arrival, Stage
from epollo.connections.flights import Flights
from epollo.connections.handshake_refusals import format_refusal, refuse_at_once
from epollo.connections.handshake_state import CLIENT, HELLO, KEY, OVER, REQUEST, THREAD, TURN
from epollo.connections.opening import Opening
from epollo.connections.service import Service
from epollo.connections.session_terms import SessionOffer, SessionTerms
from epollo.loop import READABLE
from epollo.protocols.tls import (
    Alert,
    ClientHello,
    MalformedHelloError,
    asks_for_key,
    format_alert,
    parse_whole,
)
from epollo.transports import Transport
from epollo.transports.certificates import PROOF_PROTOCOL
from epollo.transports.session import ENDED, Session
from epollo.transports.tls import TlsTransport

_PROOF: Final = PROOF_PROTOCOL.decode()
_HANDSHAKE_RECORD: Final = b"\x16"
# What calling the class does besides costs as much as the rest of a stage.
_arrive: Final = tuple.__new__


class Handshakes:
    """The stage of arrivals that speak TLS; ``then`` takes those on whose handshake is complete."""

    def __init__(
        self, service: Service, offer: SessionOffer, flights: Flights, then: Stage
    ) -> None:
        self.service = service
        self.offer = offer
        """What the next handshake begins with; may be replaced at any time."""
        self.flights = flights
        self.then = then
        self.plain: Stage | None = None
        """What takes on a peer that speaks plain HTTP; None where it is refused."""
        self.patience_seconds = service.timeouts.head
        """How long all of a handshake may take, and the first request after it."""

    @property
    def is_alone(self) -> bool:
        """Whether there is no connection that a flight could keep waiting, only handshakes."""
        return len(self.service.peers) == self.flights.handshakes

    def begin(self, arrival: Arrival) -> None:
        """Wait for a ClientHello."""
        transport, descriptor, address, received, _, _, _ = arrival
        handshake = Handshake(self, transport, descriptor, address)
        try:
            handshake.on_accepted(received)
        except Exception as fault:
            self.service.loop.end_fault(handshake, fault)

    def turn_away(self, arrival: Arrival) -> None:
        """Close: what an answer 503 would say cannot be said before a handshake."""
        refuse_at_once(arrival, format_alert(Alert.INTERNAL_ERROR))


class Handshake(Peer):
    """The handler of an accepted socket until its handshake is complete, and its first request here."""

    __slots__ = (
        "_address",
        "_descriptor",
        "_is_watched",
        "_opening",
        "_session",
        "_stage",
        "_state",
        "_terms",
        "_transport",
        "deadline",
    )

    # Both from the ClientHello on.
    _terms: SessionTerms
    _session: Session

    def __init__(
        self, stage: Handshakes, transport: Transport, descriptor: int, address: str
    ) -> None:
        self._stage, self._transport = stage, transport
        self._descriptor, self._address = descriptor, address
        self._state = HELLO
        self._opening: Opening | None = None
        self._is_watched = False
        service = stage.service
        self.deadline: float = service.clock.now + stage.patience_seconds
        service.peers[self] = None
        stage.flights.handshakes += 1

    def on_accepted(self, received: bytes) -> None:
        """Take what was received, or is here; watch for the rest."""
        if received:
            self._read_hello(received)
        else:
            self.on_ready(READABLE)
        if self._is_watched:
            return
        state = self._state
        if state == THREAD:
            self._stage.service.loop.note_deadline(self, self.deadline)
        elif state != OVER:
            self._stage.service.loop.add(self._descriptor, self, READABLE)
            self._is_watched = True

    def on_ready(self, events: int) -> None:
        """Take what the client sent."""
        state = self._state
        if state < HELLO:
            self._wait_on(events)
            return
        try:
            octets = self._transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self.close()
        elif state == REQUEST:
            service = self._stage.service
            if events != READABLE or not service.is_report_instant:
                service.look_for_changes()
            self._pass_on(octets)
        elif state == HELLO:
            self._read_hello(octets)
        # A chain of certificates may take as long to verify as the first flight takes.
        elif (state == KEY or self._terms.verifies_client) and self._should_wait():
            self._make_flight(octets)
        else:
            self._state = CLIENT
            self._shake_hands(octets)

    def _wait_on(self, events: int) -> None:
        """Take the turn that was waited for, or wait for the thread."""
        stage, opening = self._stage, self._opening
        if self._state == THREAD:
            # A client that does not wait now, or has left, would be reported again and again.
            self._unwatch()
            stage.service.loop.note_deadline(self, self.deadline)
            return
        assert opening is not None and opening.hello is not None  # noqa: S101, PT018 - it was put off
        if not events or not stage.service.loop.is_late:
            self._begin_session(opening.hello, opening.octets, stage.is_alone)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._state == REQUEST

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; return whether nothing was under way."""
        if self._state != REQUEST:
            return False
        with contextlib.suppress(OSError):
            # A request may be here already, and have its turn later in this batch.
            if self._transport.recv(1, MSG_DONTWAIT | MSG_PEEK):
                return False
        self.close()
        return True

    def find_address(self) -> str:
        """Return the address that this peer came from; empty where it has none."""
        return self._address or ask_address(self._descriptor)

    def on_deadline(self) -> None:
        """Give up: the time of a request's head is the time of a handshake too."""
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._leave():
            self._transport.close()

    def _leave(self) -> bool:
        """Let go, and count one connection of this address less; return whether it was counted."""
        is_counted = self._let_go()
        addresses = self._stage.service.addresses
        if is_counted and addresses is not None and self._address:
            addresses.leave(self._address)
        return is_counted

    def _watch(self) -> None:
        self._stage.service.loop.add(self._descriptor, self, READABLE)
        self._is_watched = True

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            deadline = self.deadline
            self._stage.service.loop.remove(self._descriptor)
            self.deadline = deadline

    def _let_go(self) -> bool:
        """Forget the socket; return whether it was this stage's until now."""
        if self._state == OVER:
            return False
        self._unwatch()
        self._end()
        return True

    def _end(self) -> None:
        """Be no peer any more."""
        self._state = OVER
        self.deadline = inf
        stage = self._stage
        del stage.service.peers[self]
        stage.flights.handshakes -= 1
        # This stays in memory until the second of its deadline is over; a session takes 30 KiB.
        self._session = ENDED
        self._opening = None

    def _refuse(self, octets: bytes) -> None:
        """Send last octets and close."""
        if self._leave():
            refuse_at_once(Arrival(self._transport, self._descriptor), octets)

    def _read_hello(self, octets: bytes) -> None:
        """Take some of a ClientHello; begin a session when it is whole."""
        opening = self._opening
        try:
            hello = parse_whole(octets) if opening is None else None
            if hello is None:
                opening = self._opening = opening or Opening()
                hello = opening.receive(octets)
                octets = opening.octets
        except MalformedHelloError as error:
            self._refuse_hello(opening.octets if opening else octets, error.alert)
            return
        if hello is None:
            return
        stage = self._stage
        service = stage.service
        handshakes = stage.flights.handshakes
        if len(service.peers) != handshakes:
            self._begin_session(hello, octets, False)
        elif handshakes > 1 and service.loop.is_late:
            # Other handshakes wait as well, for this one takes long.
            self._state = TURN
            self._opening = Opening(octets, hello)
            service.loop.call_again(self)
        else:
            self._begin_session(hello, octets, True)

    def _begin_session(self, hello: ClientHello, octets: bytes, is_alone: bool) -> None:
        """Make the first flight of a session; refuse a client that cannot have one."""
        stage = self._stage
        terms = stage.offer.known.young.get(hello)
        if terms is None:
            found = stage.offer.find(hello)
            if isinstance(found, Alert):
                self._refuse(format_alert(found))
                return
            terms = found
        self._opening = None
        self._state = CLIENT
        self._terms = terms
        make_session = terms.make_session
        if is_alone:
            # A session that the thread may work on has buffers of its own.
            self._session = make_session(None if terms.verifies_client else stage.flights.buffers)
            self._shake_hands(octets)
        else:
            self._session = make_session(None)
            self._make_flight(octets)

    def _make_flight(self, octets: bytes) -> None:
        """Continue a session in the thread of flights."""
        self._state = THREAD
        self._stage.flights.make(self._session, octets, self._on_flight)

    def _refuse_hello(self, octets: bytes, alert: Alert) -> None:
        """Refuse what is no ClientHello: plain HTTP by an answer that leads to https."""
        stage = self._stage
        plain = stage.plain
        if plain is not None and not octets.startswith(_HANDSHAKE_RECORD):
            self._let_go()
            stage.service.look_for_changes()
            plain(Arrival(self._transport, self._descriptor, self._address, octets))
            return
        self._refuse(format_refusal(stage.service, octets, alert))

    def _on_flight(self, is_right: bool, octets: bytes, fault: Exception | None = None) -> None:
        """Send a flight, and wait for what the client says to it, or hand the connection on."""
        if self._state == OVER:
            return
        if fault is not None:
            self._stage.service.loop.end_fault(self, fault)
            return
        self._state = CLIENT
        if not is_right:
            self._refuse(octets)
        elif self._session.is_complete:
            self._complete(octets)
        else:
            self._send_flight(octets)
            if self._state != OVER and not self._is_watched:
                self._watch()

    def _should_wait(self) -> bool:
        """Return whether what takes long is to be done by the thread."""
        return not self._stage.is_alone or self._stage.service.loop.is_late

    def _shake_hands(self, octets: bytes) -> None:
        """Continue a session now."""
        session = self._session
        try:
            owed = session.shake_hands(octets)
        except ssl.SSLError:
            self._refuse(session.take())
            return
        if session.is_complete:
            self._complete(owed)
        elif owed:
            self._send_flight(owed)

    def _complete(self, owed: bytes) -> None:
        """Continue over a session; ``owed`` is what the client has not got of it."""
        stage, session = self._stage, self._session
        plain = b""
        if session.incoming.pending:
            try:
                plain = session.receive(b"")
            except ssl.SSLError:
                self._refuse(owed + session.take())
                return
            owed += session.take()
        if self._terms.is_proof and session.protocol == _PROOF:
            # RFC 8737 section 3: nothing is said over such a session.
            self._refuse(owed)
            return
        # Behind a request tickets go out with its answer. Without one they also confirm what the client
        # sent: it may hold back its request until then, for 40 milliseconds (RFC 9293 section 3.7.4).
        if owed and not plain:
            self._send(owed)
            if self._state == OVER:
                return
            owed = b""
        self._transport = TlsTransport(self._transport, session, owed, stage.flights.buffers)
        self._state = REQUEST
        if plain:
            stage.service.look_for_changes()
            self._pass_on(plain)
            return
        self.deadline = stage.service.clock.now + stage.patience_seconds
        if not self._is_watched:
            self._watch()

    def _pass_on(self, octets: bytes) -> None:
        """Let the next stage continue with the first octets of a request."""
        terms = self._terms
        kind = terms.kind
        if terms.verifies_client:
            kind = kind._replace(subject=self._session.find_subject())
        self._end()
        descriptor = self._descriptor
        given = (self._transport, descriptor, self._address, octets, False, kind, self._is_watched)
        # Called as a variable: an attribute that is called is first sought as a method.
        then = self._stage.then
        then(_arrive(Arrival, given))

    def _send_flight(self, octets: bytes) -> None:
        """Send a flight, to which the client answers by another."""
        if asks_for_key(octets) and self._stage.flights.may_make_next(self._session):
            self._state = KEY
        self._send(octets)

    def _send(self, octets: bytes) -> None:
        """Send; close where the peer does not take all of it, as an empty send buffer does."""
        try:
            if self._transport.send(octets, MSG_DONTWAIT) == len(octets):
                return
        except OSError:
            pass
        self.close()
