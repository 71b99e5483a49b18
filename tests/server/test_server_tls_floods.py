"""Peers that abuse TLS: silent ones in thousands, trickles, records without content, keys without end."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certificates import make_certificate, make_hello
from conftest import Serve, Server, managed_servers, receive_all, receive_head, require_descriptors
from forged_records import (
    ALERT,
    APPLICATION_DATA,
    CLOSE_NOTIFY,
    HANDSHAKE,
    KEY_UPDATE,
    USER_CANCELED,
    ForgingClient,
)
from tls_libraries import RUSTLS

MADE = make_certificate("localhost")
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONTENT = b"<title>flooded</title>\n"
SILENT_PEERS = 2000
PEER_OCTETS = 48 * 1024
"""A session in the middle of a handshake, with what OpenSSL and Python keep for it."""
LIMIT_OCTETS = 64 * 1024
"""Of a ClientHello."""
DECODE_ERROR = b"\x15\x03\x03\0\x02\x02\x32"


HELLO = make_hello(MADE.trust())


def split_into_records(hello: bytes, size: int) -> bytes:
    message = hello[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_bytes(CONTENT)
    (root / "large.bin").write_bytes(bytes(range(250)) * 4000)
    return root


@pytest.fixture(scope="module", params=["openssl", RUSTLS])
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, library: str
) -> Iterator[Server]:
    options = MADE.write(tmp_path_factory.mktemp("certificates"))
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        more = ("--request-timeout", "2", "--idle-timeout", "3")
        yield serve(folder, *options, *more, "--tls-library", library)


def connect_from(server: Server, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 60, (address, 0))


def ask(server: Server, address: str = "127.0.0.1") -> None:
    """Be a client that means it."""
    with MADE.trust().wrap_socket(
        connect_from(server, address), server_hostname="localhost"
    ) as peer:
        peer.sendall(GET)
        head, _ = receive_head(peer)
        assert head.startswith(b"HTTP/1.1 200 "), head


@contextlib.contextmanager
def silent_peers(
    server: Server, number: int, address: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """Peers that say nothing, half a ClientHello, or nothing behind a whole one."""
    with contextlib.ExitStack() as stack:
        peers = []
        for turn in range(number):
            peer = stack.enter_context(connect_from(server, address))
            with contextlib.suppress(OSError):
                peer.sendall((b"", HELLO[: len(HELLO) // 2], HELLO)[turn % 3])
            peers.append(peer)
        yield peers


@pytest.mark.long
def test_thousands_of_silent_peers_are_bounded_in_time_and_memory(
    serve: Serve, folder: Path, tmp_path: Path, library: str
) -> None:
    require_descriptors(2 * SILENT_PEERS + 200)
    options = ("--request-timeout", "4", "--tls-library", library)
    server = serve(folder, *MADE.write(tmp_path), *options)
    ask(server)
    before_octets, before = server.resident_octets(), server.settled_descriptors()
    with silent_peers(server, SILENT_PEERS) as peers:
        worked_seconds = server.busy_seconds()
        for _ in range(10):
            ask(server)
        # A request and its handshake take the loop some milliseconds, whatever else is connected.
        assert server.busy_seconds() - worked_seconds < 2
        assert server.resident_octets() - before_octets < SILENT_PEERS * PEER_OCTETS
        for peer in peers:
            receive_all(peer)
    assert server.await_descriptors(before) <= before
    ask(server)


def test_silent_peers_give_way_where_there_is_no_room(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    """Beside twice as many silent peers as there may be connections, a client is served."""
    server = serve(
        folder, *MADE.write(tmp_path), "--max-connections", "100", "--request-timeout", "60"
    )
    ask(server)
    with silent_peers(server, 200, "127.0.0.2"):
        for _ in range(5):
            ask(server)
        assert server.descriptors() < 160


def test_silent_peers_of_one_address_are_bounded(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    options = ("--max-connections-per-address", "20", "--request-timeout", "60")
    server = serve(folder, *MADE.write(tmp_path), *options)
    ask(server)
    before = server.settled_descriptors()
    with silent_peers(server, 200, "127.0.0.2"):
        ask(server, "127.0.0.3")
        assert server.await_descriptors(before + 20) <= before + 20
    # A peer whose first flight is being made counts until that is done, though it has gone.
    assert server.await_descriptors(before) <= before
    ask(server, "127.0.0.2")


@pytest.mark.parametrize(
    "octets",
    [HELLO, split_into_records(HELLO, 1), b"\x16\x03\x01\x40\0\x01\0\x3f\xfc"],
    ids=["a record", "records of one octet", "a long record"],
)
def test_a_trickle_ends_in_time(server: Server, octets: bytes) -> None:
    """Octets that arrive one by one move no deadline."""
    begun = time.monotonic()
    with server.connect() as peer:
        peer.settimeout(0.05)
        for octet in octets + b"x" * 1000:
            try:
                peer.sendall(bytes((octet,)))
                assert not peer.recv(100)
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert 1.5 < time.monotonic() - begun < 30


@pytest.mark.parametrize("size", [1, 64, 16 * 1024])
def test_small_records_are_as_good_as_large_ones(server: Server, size: int) -> None:
    with server.connect() as plain:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = MADE.trust().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        plain.sendall(split_into_records(outgoing.read(), size))
        is_done = False
        while not is_done:
            incoming.write(plain.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                is_done = True
        client.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        plain.sendall(outgoing.read())
        incoming.write(receive_all(plain))
        assert client.read(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [1, 16 * 1024])
def test_a_hello_that_is_too_long_is_refused(server: Server, size: int) -> None:
    """By what it says of its length at once, else when it is so long."""
    message = b"\x01\0\xff\xf0" + bytes(LIMIT_OCTETS)
    worked_seconds = server.cpu_seconds()
    for _ in range(10):
        with server.connect() as peer, contextlib.suppress(OSError):
            peer.sendall(split_into_records(b"\0" * 5 + message, size))
            assert receive_all(peer) in {b"", DECODE_ERROR}
    assert server.cpu_seconds() - worked_seconds < 5
    ask(server)


@pytest.fixture
def forging(server: Server, tmp_path: Path) -> Iterator[ForgingClient]:
    with server.connect() as plain:
        yield ForgingClient(plain, MADE.certificate, tmp_path, "localhost")


def test_padding_and_empty_records_between_are_taken(forging: ForgingClient) -> None:
    """RFC 8446 section 5.4: traffic that says nothing is allowed."""
    forge = forging.forge
    for _ in range(5):
        said = forge(APPLICATION_DATA, b"") + forge(APPLICATION_DATA, GET[:9], 200)
        forging.socket.sendall(said + forge(APPLICATION_DATA, b"", 16_000))
        forging.socket.sendall(forge(APPLICATION_DATA, GET[9:]))
        assert forging.receive(len(CONTENT)).endswith(CONTENT)


def test_a_request_in_records_of_one_octet_is_answered(forging: ForgingClient) -> None:
    records = (forging.forge(APPLICATION_DATA, GET[at : at + 1]) for at in range(len(GET)))
    forging.socket.sendall(b"".join(records))
    assert forging.receive(len(CONTENT)).endswith(CONTENT)


@pytest.mark.parametrize(
    ("kind", "content"),
    [(APPLICATION_DATA, b""), (ALERT, USER_CANCELED), (HANDSHAKE, b"\x01\0\0\0"), (24, b"x")],
    ids=["empty records", "alerts", "another handshake", "an unknown kind"],
)
def test_records_without_end_that_say_nothing_end_the_connection(
    server: Server, forging: ForgingClient, kind: int, content: bytes, library: str
) -> None:
    forging.socket.sendall(b"".join(forging.forge(kind, content) for _ in range(100)))
    # rustls takes them for what they are, nothing: the connection ends as an idle one.
    assert forging.receive_end() in {
        "SSLV3_ALERT_UNEXPECTED_MESSAGE",
        "TLSV1_ALERT_DECODE_ERROR",
        "close_notify" if library == "rustls" else "without a word",
    }
    ask(server)


def test_keys_are_changed_when_it_is_asked_for(forging: ForgingClient) -> None:
    """RFC 8446 section 4.6.3, in both directions."""
    for is_wanted in (b"\0", b"\1", b"\1", b"\0"):
        forging.socket.sendall(forging.forge(HANDSHAKE, KEY_UPDATE + is_wanted))
        forging.change_keys()
        forging.socket.sendall(forging.forge(APPLICATION_DATA, GET))
        assert forging.receive(len(CONTENT)).endswith(CONTENT)


def test_keys_without_end_take_no_memory(
    serve: Serve, folder: Path, tmp_path: Path, library: str
) -> None:
    """OpenSSL owes another key once, however often it was asked for; rustls refuses after 32 times."""
    server = serve(folder, *MADE.write(tmp_path), "--tls-library", library)
    with server.connect() as plain:
        forging = ForgingClient(plain, MADE.certificate, tmp_path, "localhost")
        forging.socket.sendall(forging.forge(APPLICATION_DATA, GET))
        assert forging.receive(len(CONTENT)).endswith(CONTENT)
        before_octets = server.resident_octets()
        are_refused = False
        for _ in range(100):
            updates = []
            for _ in range(200):
                updates.append(forging.forge(HANDSHAKE, KEY_UPDATE + b"\1"))
                forging.change_keys()
            try:
                plain.sendall(b"".join(updates))
            except ConnectionError:
                are_refused = True
                break
        assert are_refused is (library == "rustls")
        if not are_refused:
            plain.sendall(forging.forge(APPLICATION_DATA, GET))
            assert forging.receive(len(CONTENT)).endswith(CONTENT)
        ask(server)
        assert server.resident_octets() - before_octets < 2 * 1024 * 1024


def test_a_trickle_of_keys_moves_no_deadline(server: Server, forging: ForgingClient) -> None:
    """It is no request: the connection is closed as one that is idle."""
    forging.socket.settimeout(0.1)
    begun = time.monotonic()
    while time.monotonic() < begun + 30:
        try:
            forging.socket.sendall(forging.forge(HANDSHAKE, KEY_UPDATE + b"\0"))
            forging.change_keys()
            if not forging.socket.recv(65536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    assert 1.5 < time.monotonic() - begun < 20


def end_by_alert(forging: ForgingClient) -> None:
    forging.socket.sendall(forging.forge(ALERT, CLOSE_NOTIFY))


def end_by_half_close(forging: ForgingClient) -> None:
    forging.socket.shutdown(socket.SHUT_WR)


def end_by_both(forging: ForgingClient) -> None:
    end_by_alert(forging)
    end_by_half_close(forging)


@pytest.mark.parametrize("end", [end_by_alert, end_by_half_close, end_by_both])
def test_what_was_asked_for_before_an_end_is_answered(
    forging: ForgingClient, folder: Path, end: Callable[[ForgingClient], None]
) -> None:
    """RFC 8446 section 6.1, RFC 9112 section 9.8: an end, with or without alert, is of one direction."""
    large = (folder / "large.bin").read_bytes()
    forging.socket.sendall(forging.forge(APPLICATION_DATA, GET.replace(b"/ ", b"/large.bin ", 1)))
    end(forging)
    assert forging.receive(len(large) + 50).endswith(large)
    assert forging.receive_end() == "close_notify"


@pytest.mark.parametrize("end", [end_by_alert, end_by_half_close, end_by_both])
def test_half_a_request_before_an_end_is_not_answered(
    forging: ForgingClient, end: Callable[[ForgingClient], None]
) -> None:
    """A request that was cut is none, however its connection ended."""
    forging.socket.sendall(forging.forge(APPLICATION_DATA, GET[:-2]))
    end(forging)
    said = forging.receive(1)
    # An end that comes together with octets is seen when nothing follows.
    assert said == b"" or said.startswith(b"HTTP/1.1 408 ")


def test_what_follows_an_end_is_not_read(forging: ForgingClient) -> None:
    """RFC 8446 section 6.1."""
    forging.socket.sendall(
        forging.forge(ALERT, CLOSE_NOTIFY) + forging.forge(APPLICATION_DATA, GET)
    )
    assert forging.receive(1) == b""


def test_idle_connections_end_with_an_alert(forging: ForgingClient) -> None:
    """RFC 9112 section 9.8: so a client can tell it from a connection that was cut."""
    forging.socket.settimeout(30)
    assert forging.receive_end() == "close_notify"
