"""Handshakes in numbers, whole, half and silent, and beside them clients that are served as before.

How long a client waits is told by what the loop does meanwhile, its processor time: how long it waits for
a processor is up to what else this machine does. Handshakes are counted by requests for the same reason:
by the clock, a busy machine would have more of them beside each request.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certificates import make_certificate, make_hello
from conftest import Serve, Server, managed_servers, receive_all, receive_head, require_descriptors
from epollo.linux.openssl import _SET_GROUPS_LIST, _control
from tls_libraries import RUSTLS

MADE = make_certificate("localhost")
REQUESTS = 1500
REQUESTS_PER_HANDSHAKE = 24
"""An idle machine answers this number, one after another, in a two hundredth of a second."""
NOISE_SECONDS = 0.0001
"""A look at the clock of a thread, and a turn for one that was accepted."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<title>secured</title>\n")
    return root


@pytest.fixture(scope="module", params=["openssl", RUSTLS])
def server(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    options = MADE.write(tmp_path_factory.mktemp("certificates"))
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(folder, *options, "--request-timeout", "3", "--tls-library", request.param)


def ask(peer: ssl.SSLSocket) -> None:
    peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _ = receive_head(peer)
    assert head.startswith(b"HTTP/1.1 200 "), head


def find_p90_seconds(
    server: Server, peer: ssl.SSLSocket, handshaking: "Handshaking | None" = None
) -> float:
    """Return how long the loop works at most while nine of ten requests wait for their answers."""
    waits_seconds = []
    for number in range(REQUESTS):
        if handshaking is not None and not number % REQUESTS_PER_HANDSHAKE:
            handshaking.due.release()
        begun = server.busy_seconds()
        ask(peer)
        waits_seconds.append(server.busy_seconds() - begun)
    waits_seconds.sort()
    return waits_seconds[REQUESTS * 9 // 10]


class Handshaking:
    """Clients that shake hands and leave, each when it is due, while this is entered."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._context = context or MADE.trust()
        self.due = threading.Semaphore(0)
        self._is_over = False
        self._thread = threading.Thread(target=self._work)
        self.count = 0

    def __enter__(self) -> "Handshaking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.due.release()
        self._thread.join()

    def _work(self) -> None:
        while self.due.acquire() and not self._is_over:
            self.shake_hands()

    def shake_hands(self) -> None:
        with self._context.wrap_socket(self._server.connect(), server_hostname="localhost"):
            self.count += 1


@pytest.mark.alone
def test_handshakes_delay_no_request(server: Server) -> None:
    """With one for 24 requests, nine of ten requests wait for at most half as long again."""
    with MADE.trust().wrap_socket(server.connect(), server_hostname="localhost") as peer:
        ask(peer)
        attempts = []
        for _ in range(5):
            alone_seconds = find_p90_seconds(server, peer)
            with Handshaking(server) as handshaking:
                beside_seconds = find_p90_seconds(server, peer, handshaking)
            assert handshaking.count > REQUESTS // REQUESTS_PER_HANDSHAKE // 2
            attempts.append((alone_seconds, beside_seconds))
            if beside_seconds < 1.5 * alone_seconds + NOISE_SECONDS:
                return
    raise AssertionError(attempts)


@pytest.mark.parametrize(
    ("groups", "handshakes"),
    [(b"X25519", 400), (b"P-521:P-384", 100)],
    ids=["at once", "at a retry"],
)
def test_the_loop_makes_no_first_flight(server: Server, groups: bytes, handshakes: int) -> None:
    """The key exchange and the signature are more than a third of what a handshake costs.

    So it is beside a connection, which could wait for the loop. A client whose first key is of no use
    is asked for another (RFC 8446 section 4.1.4).
    """
    context = MADE.trust()
    if _control(context, _SET_GROUPS_LIST, 0, groups) != 1:
        pytest.skip("this library cannot be told which groups to offer")
    handshaking = Handshaking(server, context)
    with MADE.trust().wrap_socket(server.connect(), server_hostname="localhost") as peer:
        ask(peer)
        handshaking.shake_hands()
        loop_seconds, all_seconds = server.busy_seconds(), server.cpu_seconds()
        for _ in range(handshakes):
            handshaking.shake_hands()
        loop_seconds = server.busy_seconds() - loop_seconds
    # This clock is counted in hundredths of a second.
    all_seconds = server.cpu_seconds() - all_seconds + 0.01
    assert loop_seconds < 0.75 * all_seconds, (loop_seconds, all_seconds)


def leave(peer: socket.socket) -> None:
    """Close with a reset (socket(7), SO_LINGER)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@pytest.mark.parametrize("end", [socket.socket.close, leave], ids=["closed", "reset"])
def test_clients_that_leave_in_a_handshake_leave_nothing(
    server: Server, end: Callable[[socket.socket], None]
) -> None:
    hello = make_hello(MADE.trust())
    with MADE.trust().wrap_socket(server.connect(), server_hostname="localhost") as peer:
        ask(peer)
        before = server.settled_descriptors()
        for number in range(300):
            gone = server.connect()
            gone.sendall(hello[: None if number % 2 else number])
            end(gone)
            if not number % 30:
                ask(peer)
        assert server.await_descriptors(before) <= before
        ask(peer)
    assert "Traceback" not in server.stderr
    assert "bug" not in server.stderr


def test_silent_clients_are_let_go_of_and_delay_no_other(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    """Silent from the beginning, in a ClientHello, and behind it."""
    require_descriptors(400)
    server = serve(folder, *MADE.write(tmp_path), "--request-timeout", "2")
    hello = make_hello(MADE.trust())
    starts = (b"", hello[:100], hello)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(server.connect(60)) for _ in range(240)]
        for number, peer in enumerate(silent):
            peer.sendall(starts[number % 3])
        for _ in range(5):
            with MADE.trust().wrap_socket(server.connect(), server_hostname="localhost") as good:
                ask(good)
        for number, peer in enumerate(silent):
            first_flight = receive_all(peer)
            assert bool(first_flight) == (starts[number % 3] == hello)
    assert server.settled_descriptors() < 100


def test_a_client_that_says_too_much_in_a_flight_is_served(server: Server) -> None:
    """What comes while the thread is at work waits, and does not keep the loop awake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = MADE.trust().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with server.connect() as peer:
        # A change of the cipher that says nothing may come at any time (RFC 8446 section 5).
        peer.sendall(outgoing.read())
        peer.sendall(b"\x14\x03\x03\0\x01\x01")
        is_done = False
        while not is_done:
            incoming.write(peer.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                is_done = True
        finished = outgoing.read()
        # Only one of these is allowed.
        peer.sendall(finished.removeprefix(b"\x14\x03\x03\0\x01\x01"))
        client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        peer.sendall(outgoing.read())
        incoming.write(receive_all(peer))
        assert client.read(65536).startswith(b"HTTP/1.1 200 ")
