"""Limits of time, size and number, each shown on a server in its own process."""

import contextlib
import re
import resource
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from conftest import POLLER_NAMES, Serve, Server, receive_all, receive_content, receive_head

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PART = REQUEST[:20]
LARGE_OCTETS = 64 * 1024 * 1024
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture
def large(site: Path) -> Path:
    """A file that no buffer holds."""
    with (site / "large.bin").open("wb") as file:
        file.truncate(LARGE_OCTETS)
    return site


def status(octets: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", octets)
    assert found is not None, octets
    return int(found[1])


def is_open(peer: socket.socket) -> bool:
    """Return whether the server has not closed the connection up to now."""
    peer.setblocking(False)
    try:
        return bool(peer.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        peer.settimeout(10)


# Time.


def test_a_slow_drip_of_a_head_does_not_extend_its_time(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--request-timeout", "2")
    with server.connect() as peer:
        begun = time.monotonic()
        peer.sendall(PART)
        peer.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - begun < 10:
            peer.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = peer.recv(65536)
        assert 1.8 < time.monotonic() - begun < 5
        assert status(answer) == 408


class Reader(threading.Thread):
    """Takes an answer at a steady pace until it ends or the time is over."""

    def __init__(self, server: Server, octets_per_second: int, seconds: float) -> None:
        super().__init__()
        self.peer = socket.socket()
        # Of a size that the window moves often, so that the kernel tells the pace as it is.
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.peer.settimeout(10)
        self.peer.connect(("127.0.0.1", server.port))
        self.peer.sendall(REQUEST.replace(b" / ", b" /large.bin "))
        self.end = time.monotonic() + seconds
        self.octets_per_second = octets_per_second
        self.was_cut_after: float | None = None

    def run(self) -> None:
        pause = threading.Event()
        begun = time.monotonic()
        taken_octets = 0
        with self.peer:
            while time.monotonic() < self.end:
                ahead = taken_octets / self.octets_per_second - (time.monotonic() - begun)
                if ahead > 0:
                    pause.wait(min(ahead, 0.2))
                    continue
                try:
                    octets = self.peer.recv(2048)
                except ConnectionError:
                    octets = b""
                if not octets:
                    self.was_cut_after = time.monotonic() - begun
                    return
                taken_octets += len(octets)


@pytest.mark.long
@pytest.mark.parametrize("poller", ["epoll"])
def test_a_reader_under_the_floor_is_cut_and_one_above_is_not(
    serve: Serve, large: Path, poller: str
) -> None:
    server = serve(large, "--quiet", "--poller", poller, "--min-rate", "20000")
    descriptors = server.settled_descriptors()
    slow, fast = Reader(server, 4_000, 23), Reader(server, 80_000, 23)
    slow.start()
    fast.start()
    # What was sent before the cut may still be taken from the buffers by a slow reader: that the
    # server let go of it is told by its descriptors. The fast one has a socket, and both the file; the
    # folder that it is in stays open, too.
    begun = time.monotonic()
    assert server.settled_descriptors() == descriptors + 4
    assert server.await_descriptors(descriptors + 3, 16) <= descriptors + 3
    assert 9 < time.monotonic() - begun < 16
    fast.join()
    assert fast.was_cut_after is None
    slow.join()


# Size.


@pytest.mark.parametrize(
    ("arguments", "head", "expected"),
    [
        (["--max-request-line", "64"], b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 51), 414),
        (["--max-request-line", "70"], b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 50), 404),
        (["--max-head", "256"], REQUEST[:-2] + b"X: " + b"x" * 230 + b"\r\n\r\n", 431),
        (["--max-head", "300"], REQUEST[:-2] + b"X: " + b"x" * 220 + b"\r\n\r\n", 200),
        (["--max-fields", "2"], REQUEST[:-2] + b"X: 1\r\nY: 2\r\n\r\n", 431),
        (["--max-fields", "3"], REQUEST[:-2] + b"X: 1\r\nY: 2\r\n\r\n", 200),
    ],
)
def test_sizes(serve: Serve, site: Path, arguments: list[str], head: bytes, expected: int) -> None:
    assert status(serve(site, "--quiet", *arguments).exchange(head)) == expected


def test_content_is_read_past_up_to_a_limit(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--max-content", "10")
    head = REQUEST[:-2] + b"Content-Length: %d\r\n\r\n"
    assert server.exchange(head % 10 + b"x" * 10 + REQUEST).count(b"HTTP/1.1 200 ") == 2
    refused = server.exchange(head % 11 + b"x" * 11 + REQUEST)
    assert refused.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in refused


# Number.


@pytest.mark.parametrize("poller", POLLER_NAMES)
def test_beyond_the_limit_peers_get_503_and_those_open_are_served(
    serve: Serve, site: Path, poller: str
) -> None:
    server = serve(site, "--quiet", "--poller", poller, "--max-connections", "5")
    with contextlib.ExitStack() as open_peers:
        served = [open_peers.enter_context(server.connect()) for _ in range(5)]
        for peer in served:
            server.get("/", peer=peer)
            peer.sendall(PART)
        # What each of them sent was ready before this request, and is looked at with it.
        refused = [server.exchange(REQUEST) for _ in range(5)]
        assert [status(octets) for octets in refused] == [503] * 5
        assert all(b"\r\nRetry-After: " in octets for octets in refused)
        for peer in served:
            peer.sendall(REQUEST[20:])
            receive_content(peer, *receive_head(peer))
        assert server.stderr.count("503") == 1
        served[0].close()
        # The second is answered after that was noticed, also where each peer is looked at in turn.
        for _ in range(2):
            server.get("/", peer=served[1])
        assert status(server.exchange(REQUEST)) == 200


@pytest.mark.parametrize("poller", POLLER_NAMES)
def test_the_idle_are_closed_first(serve: Serve, site: Path, poller: str) -> None:
    server = serve(site, "--quiet", "--poller", poller, "--max-connections", "4")
    with contextlib.ExitStack() as open_peers:
        busy = open_peers.enter_context(server.connect())
        server.get("/", peer=busy)
        busy.sendall(PART)
        idle = []
        for _ in range(3):
            idle.append(open_peers.enter_context(server.connect()))
            server.get("/", peer=idle[-1])
        for count in range(1, 4):
            newcomer = open_peers.enter_context(server.connect())
            server.get("/", peer=newcomer)
            assert [is_open(peer) for peer in idle] == [False] * count + [True] * (3 - count)
        busy.sendall(REQUEST[20:])
        receive_content(busy, *receive_head(busy))
        assert server.stderr == ""


def test_connections_per_address(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--max-connections-per-address", "3")
    with contextlib.ExitStack() as open_peers:

        def ask(source: str) -> int:
            peer = socket.create_connection(
                ("127.0.0.1", server.port), 10, source_address=(source, 0)
            )
            open_peers.enter_context(peer)
            peer.sendall(REQUEST)
            return status(receive_head(peer)[0])

        assert [ask("127.0.0.1") for _ in range(4)] == [200, 200, 200, 503]
        assert [ask("127.0.0.2") for _ in range(4)] == [200, 200, 200, 503]
    assert "127.0.0.1 has 3 connections open" in server.stderr


def test_the_last_request_of_a_connection(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--max-requests", "3")
    with server.connect() as peer:
        heads = []
        for _ in range(3):
            peer.sendall(REQUEST)
            head, content = receive_head(peer)
            assert receive_content(peer, head, content) == (site / "index.html").read_bytes()
            heads.append(head)
        assert ["\r\nConnection: close" in head.decode() for head in heads] == [False, False, True]
        peer.sendall(REQUEST)
        assert receive_all(peer) == b""
    with server.connect() as peer:
        peer.sendall(REQUEST * 10)
        assert receive_all(peer).count(b"HTTP/1.1 200 ") == 3


def test_the_limit_of_descriptors_is_the_hard_one(serve: Serve, site: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        server = serve(site, "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    raised, _ = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    assert raised == min(hard, 1_048_576)


# The PROXY protocol.

LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n"
BINARY = (
    SIGNATURE + b"\x21\x11" + struct.pack("!H", 12 + 5)
    + socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.8") + struct.pack("!HH", 5, 80)
    + b"\x01\x00\x02h2"
)  # fmt: skip


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_a_proxy_speaks_for_a_peer(serve: Serve, site: Path, header: bytes) -> None:
    server = serve(site, "--quiet", "--proxy-protocol", "--max-connections-per-address", "1")
    octets = header + REQUEST
    for split in range(1, len(octets), 3):
        with server.connect() as peer:
            peer.sendall(octets[:split])
            peer.sendall(octets[split:])
            receive_content(peer, *receive_head(peer))
            if split % 10 == 1:
                # Another of the same address is one too many, one of another is not.
                assert status(server.exchange(octets)) == 503
                other = octets.replace(LINE, b"PROXY UNKNOWN\r\n") if header is LINE else None
                assert other is None or status(server.exchange(other)) == 200
            peer.shutdown(socket.SHUT_WR)
            assert receive_all(peer) == b""


def test_peers_without_a_header_are_closed(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--proxy-protocol")
    assert server.exchange(REQUEST) == b""
    assert "no valid PROXY header" in server.stderr
    assert status(server.exchange(LINE + REQUEST)) == 200


def test_https_is_answered_where_a_trusted_proxy_may_have_secured_it(
    serve: Serve, site: Path
) -> None:
    """RFC 9110 section 7.4."""
    request = REQUEST.replace(b" / ", b" https://a/ ")
    assert status(serve(site, "--quiet", "--proxy-protocol").exchange(LINE + request)) == 200
    assert status(serve(site, "--quiet").exchange(request)) == 421


def test_peers_that_are_not_trusted_are_closed(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--proxy-protocol", "--proxy-from", "127.0.0.2,10.0.0.0/8")
    # The end may come before all is sent, and is a reset then.
    with server.connect() as peer, contextlib.suppress(ConnectionError):
        peer.sendall(LINE + REQUEST)
        assert receive_all(peer) == b""
    assert "--proxy-from" in server.stderr
    with socket.create_connection(
        ("127.0.0.1", server.port), 10, source_address=("127.0.0.2", 0)
    ) as peer:
        peer.sendall(LINE + REQUEST)
        assert status(receive_head(peer)[0]) == 200


def test_a_header_is_waited_for_as_long_as_a_request(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--proxy-protocol", "--request-timeout", "1")
    with server.connect() as peer:
        begun = time.monotonic()
        peer.sendall(LINE[:10])
        assert receive_all(peer) == b""
        assert 0.9 < time.monotonic() - begun < 5
