"""A handshake while its first flight is under way in the thread, which a test ends when it wants."""

import contextlib
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID

from certificates import Authority, make_certificate
from connections.in_process import GET, LAST_GET, InProcess, respond
from epollo.connections import http1_stage
from epollo.connections.contract import Peer
from epollo.connections.door import Arrival, Stage
from epollo.connections.flights import Flights
from epollo.connections.handshakes import Handshakes
from epollo.connections.session_terms import SessionOffer
from epollo.http.message import Request, Response
from epollo.linux.openssl import _SET_GROUPS_LIST, _control
from epollo.loop import EventLoop
from epollo.transports.certificates import Certificates, make_proof_context
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import ClientAuthorities, Pair
from epollo.transports.session import Session

MADE = make_certificate("a.test")
PAIR = Pair(MADE.certificate, MADE.key, "a.pem")
CERTIFICATES = Certificates([PAIR])


PROOF = make_proof_context(PAIR)
AUTHORITY = Authority()
ALICE = AUTHORITY.sign((NameOID.COMMON_NAME, "alice"))


class HeldFlights(Flights):
    """Makes flights when it is told to."""

    def __init__(self) -> None:
        super().__init__(lambda call: call())
        self.held: list[tuple[Session, bytes, Callable[..., None]]] = []
        # As if a connection were there that could wait.
        self.handshakes = -1

    def make(self, session: Session, octets: bytes, done: Callable[..., None]) -> None:
        self.held.append((session, octets, done))

    def end(self) -> None:
        """Make what is held, as the thread would."""
        for session, octets, done in self.held:
            done(True, session.shake_hands(octets))
        self.held.clear()


class Held:
    """A server in this process, and a client whose flight is held."""

    def __init__(
        self,
        inside: InProcess,
        client: ssl.SSLContext | None = None,
        then: Stage | None = None,
        *,
        offering: ssl.SSLContext | None = None,
    ) -> None:
        """``client`` has a certificate, which the server asks for; one that is ``offering`` has none."""
        self.inside = inside
        self.flights = HeldFlights()
        self.arrivals: list[Arrival] = []
        certificates = CERTIFICATES
        if client is not None:
            clients = ClientAuthorities(AUTHORITY.certificate, True, "ca.pem")
            certificates = Certificates([PAIR], clients=clients)
        offer = SessionOffer([certificates], proofs={b"a.test": PROOF})
        stage = Handshakes(inside.service, offer, self.flights, then or self.arrivals.append)
        self.near, self.far = socket.socketpair()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client or offering or ssl.create_default_context(cadata=MADE.certificate.decode())
        self.client = context.wrap_bio(self.incoming, self.outgoing, server_hostname="a.test")
        self.step()
        stage.begin(Arrival(self.far, self.far.fileno()))
        self.near.sendall(self.outgoing.read())
        self.inside.loop.run_batch(0)
        assert len(self.flights.held) == 1

    def step(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.client.do_handshake()

    def send(self, plain: bytes) -> None:
        """Have the client send, and the loop turn."""
        self.client.write(plain)
        self.near.sendall(self.outgoing.read())
        self.inside.loop.run_batch(0)

    def receive(self) -> bytes:
        """Return what the client has got."""
        self.incoming.write(self.near.recv(65536))
        return self.client.read(65536)

    def shake_hands(self) -> None:
        """Complete the handshake, of which a flight is held."""
        self.flights.end()
        self.incoming.write(self.near.recv(65536))
        self.step()
        self.near.sendall(self.outgoing.read())
        self.inside.loop.run_batch(0)

    def close(self) -> None:
        self.near.close()
        for arrival in self.arrivals:
            arrival.transport.close()
        self.far.close()

    def is_at_rest(self) -> bool:
        """Return whether the loop has nothing to do, after one batch in which it may have had."""
        self.inside.loop.run_batch(0)
        self.inside.loop.run_batch(0)
        return self.inside.loop.batch_length == 0


def refuse(request: Request) -> Response:
    raise AssertionError(request)


@pytest.fixture
def held() -> Iterator[Held]:
    with InProcess(refuse) as inside:
        held = Held(inside)
        yield held
        assert not inside.reports
        held.close()


def test_what_comes_meanwhile_waits_and_does_not_keep_the_loop_awake(held: Held) -> None:
    assert held.is_at_rest()
    # A change of cipher that says nothing (RFC 8446 section 5), which goes before the rest.
    held.near.sendall(b"\x14\x03\x03\0\x01\x01")
    assert held.is_at_rest()
    held.flights.end()
    held.incoming.write(held.near.recv(65536))
    held.step()
    held.near.sendall(held.outgoing.read().removeprefix(b"\x14\x03\x03\0\x01\x01"))
    assert held.is_at_rest()
    assert not held.arrivals
    held.send(b"request")
    (arrival,) = held.arrivals
    assert arrival.received == b"request"
    assert not held.inside.service.peers


def test_a_client_that_leaves_meanwhile_is_let_go_of_afterwards(held: Held) -> None:
    held.near.close()
    assert held.is_at_rest()
    held.flights.end()
    held.inside.loop.run_batch(0)
    assert held.far.fileno() < 0
    assert not held.arrivals
    assert not held.inside.service.peers


def test_a_connection_is_made_with_the_first_octets_of_a_request(held: Held) -> None:
    held.shake_hands()
    (handshake,) = held.inside.service.peers
    assert handshake.is_idle
    held.send(b"request")
    assert not held.inside.service.peers
    (arrival,) = held.arrivals
    assert (arrival.received, arrival.is_reported) == (b"request", False)


@pytest.mark.parametrize("is_request_here", [False, True])
@pytest.mark.parametrize("head", [GET, LAST_GET])
def test_the_poller_hears_of_a_connection_once(
    head: bytes, is_request_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshake hands over what is watched, whether its last flight brings the request or not."""
    told = []
    for name in ("add", "modify", "remove"):
        tell = getattr(EventLoop, name)

        def note(*arguments: object, tell: Callable[..., None] = tell, name: str = name) -> None:
            told.append(name)
            tell(*arguments)

        monkeypatch.setattr(EventLoop, name, note)
    with InProcess(respond) as inside:
        held = Held(inside, then=partial(http1_stage.serve, inside.service))
        told.clear()
        held.flights.end()
        held.incoming.write(held.near.recv(65536))
        held.step()
        if is_request_here:
            held.client.write(head)
        held.near.sendall(held.outgoing.read())
        inside.loop.run_batch(0)
        if not is_request_here:
            held.send(head)
        for _ in range(2):
            if head == GET:
                # A connection has another request.
                assert b"200 OK" in held.receive()
                held.send(GET)
        assert b"200 OK" in held.receive()
        held.near.close()
        inside.loop.run_batch(0)
        assert told == ["remove"]
        assert not inside.service.peers
        assert held.far.fileno() < 0
        assert not inside.reports


def test_a_connection_that_took_the_place_of_a_handshake_has_its_own_deadline(held: Held) -> None:
    """Silence behind a handshake, and behind half a request, ends as ever."""
    held.shake_hands()
    held.send(b"GET / HTTP/1.1\r\n")
    (arrival,) = held.arrivals
    http1_stage.serve(held.inside.service, arrival)
    (connection,) = held.inside.service.peers
    assert connection.deadline == held.inside.service.clock.now + 10
    connection.on_deadline()
    assert b"408" in held.receive()
    # Not all of its request has come; it may still be sent.
    held.near.close()
    held.inside.loop.run_batch(0)
    assert not held.inside.service.peers


@pytest.mark.parametrize("is_request_here", [False, True])
def test_tickets_wait_for_the_answer_only_if_the_request_is_here(
    held: Held, is_request_here: bool
) -> None:
    """A client may hold its request back until what it sent is confirmed, which a ticket does."""
    held.flights.end()
    held.incoming.write(held.near.recv(65536))
    held.step()
    if is_request_here:
        held.client.write(b"request")
    held.near.sendall(held.outgoing.read())
    held.inside.loop.run_batch(0)
    held.near.setblocking(False)
    if is_request_here:
        with pytest.raises(BlockingIOError):
            held.near.recv(1)
    else:
        held.incoming.write(held.near.recv(65536))
        held.send(b"request")
    (arrival,) = held.arrivals
    arrival.transport.send(b"answer")
    assert held.receive() == b"answer"
    assert held.client.session is not None
    assert held.client.session.has_ticket


def test_a_client_that_says_nothing_behind_its_handshake_gives_way_and_is_told(held: Held) -> None:
    held.shake_hands()
    (handshake,) = held.inside.service.peers
    assert handshake.deadline > held.inside.service.clock.now
    held.client.write(b"request")
    held.near.sendall(held.outgoing.read())
    # Its turn comes later in this batch.
    assert not handshake.try_give_way()
    held.inside.loop.run_batch(0)
    assert held.arrivals


@pytest.mark.parametrize("end", ["give_way", "on_drain", "on_deadline"])
def test_a_handshake_that_is_complete_ends_with_close_notify(held: Held, end: str) -> None:
    held.shake_hands()
    (handshake,) = held.inside.service.peers
    getattr(handshake, end)()
    # Behind the tickets.
    assert held.receive() == b""
    assert held.near.recv(1) == b""
    assert not held.inside.service.peers
    assert held.flights.handshakes == -1


@pytest.mark.parametrize(
    "end", ["while it is under way", "when it is complete", "behind a request"]
)
def test_of_a_handshake_that_is_over_no_session_stays_in_memory(held: Held, end: str) -> None:
    """The loop knows its handler until the second of the deadline is over."""
    (handshake,) = held.inside.service.peers
    if end == "while it is under way":
        held.flights.held.clear()
    else:
        held.shake_hands()
    if end == "behind a request":
        held.send(b"request")
        held.arrivals[0].transport.close()
    else:
        handshake.close()
    assert count_sessions() == 0


def count_sessions() -> int:
    gc.collect()
    return sum(
        isinstance(one, OpensslSession) and hasattr(one, "outgoing") for one in gc.get_objects()
    )


def test_a_flight_that_fails_by_itself_is_reported_and_closed() -> None:
    with InProcess(refuse) as inside:
        held = Held(inside)
        ((_, _, done),) = held.flights.held
        done(False, b"", MemoryError())
        assert held.near.recv(1) == b""
        assert not inside.service.peers
        (report,) = inside.reports
        assert "too little memory" in report
        held.close()


def test_a_handshake_under_way_does_not_give_way(held: Held) -> None:
    (handshake,) = held.inside.service.peers
    assert not handshake.try_give_way()
    held.shake_hands()
    assert handshake.try_give_way()


def test_handshakes_alone_that_take_long_together_are_put_off_to_a_later_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with InProcess(refuse) as inside, contextlib.ExitStack() as stack:
        flights = CountedFlights()
        stage = Handshakes(inside.service, SessionOffer([CERTIFICATES]), flights, lambda _: None)
        near, far = socket.socketpair()
        stack.callback(near.close)
        near.setblocking(False)
        context = ssl.create_default_context(cadata=MADE.certificate.decode())
        outgoing = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a.test")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        near.sendall(outgoing.read())
        silent, other = socket.socketpair()
        stack.callback(silent.close)
        other.setblocking(False)
        stage.begin(Arrival(other, other.fileno()))
        with monkeypatch.context() as patched:
            patched.setattr(type(inside.loop), "is_late", True)
            stage.begin(Arrival(far, far.fileno()))
        with pytest.raises(BlockingIOError):
            near.recv(1)
        inside.loop.run_batch(0)
        assert near.recv(1)
        assert flights.asked == 0
        for handshake in list(inside.service.peers):
            handshake.close()


class CountedFlights(Flights):
    """Notes which flights a thread is asked for."""

    def __init__(self) -> None:
        super().__init__(lambda call: call())
        self.asked = 0

    def make(self, session: Session, octets: bytes, done: Callable[..., None]) -> None:
        self.asked += 1
        self.make_at_once(session, octets, done)


def test_a_thread_is_asked_only_where_a_connection_could_wait() -> None:
    """Another handshake is no connection that could."""
    with InProcess(refuse) as inside, contextlib.ExitStack() as stack:
        flights = CountedFlights()
        stage = Handshakes(inside.service, SessionOffer([CERTIFICATES]), flights, lambda _: None)

        def connect() -> None:
            near, far = socket.socketpair()
            stack.callback(near.close)
            stage.begin(Arrival(far, far.fileno()))
            context = ssl.create_default_context(cadata=MADE.certificate.decode())
            outgoing = ssl.MemoryBIO()
            client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a.test")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            near.sendall(outgoing.read())
            inside.loop.run_batch(0)
            assert near.recv(1)

        for _ in range(2):
            connect()
        assert flights.asked == 0
        assert flights.handshakes == 2
        peer = Peer()
        inside.service.peers[peer] = None
        connect()
        assert flights.asked == 1
        del inside.service.peers[peer]
        for handshake in list(inside.service.peers):
            handshake.close()
        assert flights.handshakes == 0


def make_retrying_client() -> ssl.SSLContext:
    """Return a client that offers a key of a group that no server here takes, and then of another."""
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    if _control(client, _SET_GROUPS_LIST, 0, b"P-521:X25519") != 1:
        pytest.skip("this library cannot be told which groups to offer")
    return client


def make_former_client() -> ssl.SSLContext:
    """Return a client of TLS 1.2, which sends a key when it has that of the server."""
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    return client


LATE = pytest.mark.parametrize("make", [make_retrying_client, make_former_client])


@LATE
def test_a_key_that_comes_late_is_used_by_the_thread_too(
    make: Callable[[], ssl.SSLContext],
) -> None:
    """In another ClientHello (RFC 8446 section 4.1.4), or in TLS 1.2: that is what takes long."""
    with InProcess(refuse) as inside, contextlib.closing(Held(inside, offering=make())) as held:
        held.flights.end()
        held.incoming.write(held.near.recv(65536))
        held.step()
        held.near.sendall(held.outgoing.read())
        inside.loop.run_batch(0)
        assert len(held.flights.held) == 1
        assert held.is_at_rest()
        held.flights.end()
        held.incoming.write(held.near.recv(65536))
        held.step()
        held.send(b"request")
        assert not held.flights.held
        (arrival,) = held.arrivals
        assert arrival.received == b"request"
        assert not inside.service.peers


@LATE
def test_a_key_is_used_by_the_thread_if_the_hello_was_not_read_there(
    make: Callable[[], ssl.SSLContext],
) -> None:
    """The session gets buffers of its own in between, and gives them up when all is said."""
    arrivals: list[Arrival] = []
    with InProcess(refuse) as inside, contextlib.ExitStack() as stack:
        flights = CountedFlights()
        stage = Handshakes(inside.service, SessionOffer([CERTIFICATES]), flights, arrivals.append)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = make().wrap_bio(incoming, outgoing, server_hostname="a.test")
        near, far = socket.socketpair()
        stack.callback(near.close)
        stage.begin(Arrival(far, far.fileno()))
        peer = Peer()
        for asked in range(2):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            near.sendall(outgoing.read())
            inside.loop.run_batch(0)
            assert flights.asked == asked
            incoming.write(near.recv(65536))
            # From here on there is a connection that could wait.
            inside.service.peers[peer] = None
        client.do_handshake()
        client.write(b"request")
        near.sendall(outgoing.read())
        inside.loop.run_batch(0)
        (arrival,) = arrivals
        assert arrival.received == b"request"
        arrival.transport.close()
        assert not flights.buffers.incoming.pending
        assert not flights.buffers.outgoing.pending
        del inside.service.peers[peer]


def test_a_certificate_of_a_client_is_verified_in_the_thread_too(tmp_path: Path) -> None:
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    options = ALICE.write(tmp_path)
    client.load_cert_chain(options[1], options[3])
    with InProcess(refuse) as inside, contextlib.closing(Held(inside, client)) as held:
        held.flights.end()
        held.incoming.write(held.near.recv(65536))
        held.step()
        held.near.sendall(held.outgoing.read())
        held.inside.loop.run_batch(0)
        assert len(held.flights.held) == 1
        assert held.is_at_rest()
        held.flights.end()
        held.send(b"request")
        (arrival,) = held.arrivals
        assert arrival.kind.subject == "CN=alice"
        assert not held.inside.service.peers


def test_nothing_is_served_over_a_session_that_proves_a_host() -> None:
    """RFC 8737 section 3; and the client of it was asked for no certificate."""
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    client.set_alpn_protocols(["acme-tls/1"])
    with InProcess(refuse) as inside, contextlib.closing(Held(inside, client)) as held:
        held.flights.end()
        held.incoming.write(held.near.recv(65536))
        held.step()
        assert held.client.selected_alpn_protocol() == "acme-tls/1"
        held.near.sendall(held.outgoing.read())
        held.inside.loop.run_batch(0)
        held.flights.end()
        assert not held.arrivals
        assert not held.inside.service.peers
        assert held.far.fileno() < 0


def test_a_deadline_that_passes_meanwhile_ends_it(held: Held) -> None:
    (handshake,) = held.inside.service.peers
    handshake.on_deadline()
    assert held.far.fileno() < 0
    held.flights.end()
    assert held.is_at_rest()
    assert not held.inside.service.peers


def test_the_thread_ends_with_its_flights() -> None:
    """A thread in OpenSSL while the process ends would kill it."""
    flights = Flights(lambda call: call())
    done = threading.Event()
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a.test").do_handshake()
    hello = outgoing.read()
    context = CERTIFICATES.find(b"a.test")
    assert context is not None
    for _ in range(20):
        flights.make(OpensslSession(context), hello, lambda *_: done.set())
    assert done.wait(10)
    flights.close()
    assert not [one for one in threading.enumerate() if one.name == "handshakes"]
