"""Slow and broken peers, and too many of them: each test over all four pollers."""

import contextlib
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import (
    POLLER_NAMES,
    Serve,
    Server,
    content_length,
    managed_servers,
    receive_all,
    receive_content,
    receive_head,
    require_descriptors,
    rest,
)

MEBIBYTE = 1024 * 1024
LARGE_OCTETS = 64 * MEBIBYTE
REQUEST = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a small page, one of a middle size and one too large to be kept."""
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<!doctype html><title>small</title>\n")
    (root / "later.html").write_text("<!doctype html><title>asked for later</title>\n")
    (root / "middle.bin").write_bytes(os.urandom(200_000))
    with (root / "large.bin").open("wb") as file:
        file.truncate(LARGE_OCTETS)
        for offset in range(0, LARGE_OCTETS, 65536):
            os.pwrite(file.fileno(), b"%016d" % offset, offset)
    return root


@pytest.fixture(scope="module", params=POLLER_NAMES)
def server(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for each poller, one after the other: the busy one would heat the room for all."""
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        server = serve(root, "--quiet", "--poller", request.param, "--send-timeout", "1")
        # All clients that get a file share one descriptor, which stays.
        for target in (b"/middle.bin", b"/large.bin"):
            server.exchange(b"GET %b HTTP/1.0\r\nRange: bytes=0-0\r\n\r\n" % target)
        yield server


@contextlib.contextmanager
def narrow_peer(server: Server) -> Iterator[socket.socket]:
    """Connect with a receive buffer that holds little, so that the server soon has to wait."""
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        peer.settimeout(15)
        peer.connect(("127.0.0.1", server.port))
        yield peer


def reset(peer: socket.socket) -> None:
    """Close with a reset instead of an orderly end (socket(7), SO_LINGER)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def leave(peer: socket.socket) -> None:
    """Close in an orderly way, whatever may still come."""
    peer.shutdown(socket.SHUT_WR)
    peer.close()


def test_answers_are_whole_however_slowly_they_are_taken(server: Server, root: Path) -> None:
    content = (root / "middle.bin").read_bytes()
    with narrow_peer(server) as peer:
        peer.sendall(REQUEST % b"/middle.bin" * 20)
        octets = b""
        for _ in range(20):
            while b"\r\n\r\n" not in octets:
                octets += peer.recv(1000)
            head, _, octets = octets.partition(b"\r\n\r\n")
            assert content_length(head) == len(content)
            while len(octets) < len(content):
                octets += peer.recv(20_000)
            assert octets.startswith(content)
            octets = octets[len(content) :]
        assert octets == b""


def test_a_client_that_does_not_read_is_not_read_from(server: Server) -> None:
    server.get("/middle.bin")
    resident_octets = server.resident_octets()
    requests = REQUEST % b"/middle.bin" * 1000
    with narrow_peer(server) as peer:
        sent_octets = 0
        peer.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent_octets < 64 * MEBIBYTE:
                sent_octets += peer.send(requests)
        # What the kernel's buffers take on both sides, and one turn of the server.
        assert sent_octets < 32 * MEBIBYTE
        assert server.resident_octets() - resident_octets < 8 * MEBIBYTE
        assert server.get("/")


def test_a_client_that_never_reads_is_given_up(server: Server) -> None:
    """After --send-timeout, a second here, and not before."""
    descriptors = server.settled_descriptors()
    with narrow_peer(server) as peer:
        begun = time.monotonic()
        peer.sendall(REQUEST % b"/large.bin")
        # While it waits the server holds the socket and the file.
        peer.recv(1, socket.MSG_PEEK)
        server.await_descriptors(descriptors)
        assert server.descriptors() == descriptors
        assert 0.9 < time.monotonic() - begun < 5


@pytest.mark.parametrize("target", [b"/large.bin", b"/middle.bin"])
@pytest.mark.parametrize("go_away", [reset, leave, socket.socket.close])
def test_a_client_that_goes_away_leaves_nothing_behind(
    server: Server, target: bytes, go_away: Callable[[socket.socket], None]
) -> None:
    server.get("/")
    descriptors = server.settled_descriptors()
    for _ in range(10):
        with narrow_peer(server) as peer:
            peer.sendall(REQUEST % target * 3)
            receive_head(peer)
            go_away(peer)
    assert server.await_descriptors(descriptors) == descriptors
    assert server.stderr == ""


def test_memory_stays_flat(server: Server) -> None:
    def visit(times: int) -> None:
        for number in range(times):
            with narrow_peer(server) as peer:
                peer.sendall(REQUEST % (b"/large.bin" if number % 2 else b"/middle.bin"))
                peer.recv(1)
                reset(peer)

    descriptors = server.settled_descriptors()
    visit(30)
    server.await_descriptors(descriptors)
    resident_octets = server.resident_octets()
    visit(150)
    assert server.await_descriptors(descriptors) == descriptors
    assert server.resident_octets() - resident_octets < 2 * MEBIBYTE
    assert server.stderr == ""


def test_a_client_that_says_that_it_will_send_no_more_gets_all_answers(
    server: Server, root: Path
) -> None:
    descriptors = server.settled_descriptors()
    with server.connect() as peer:
        peer.sendall(REQUEST % b"/large.bin" + REQUEST % b"/")
        peer.shutdown(socket.SHUT_WR)
        octets = receive_all(peer)
    _, _, rest_octets = octets.partition(b"\r\n\r\n")
    content = (root / "large.bin").read_bytes()
    assert rest_octets[:LARGE_OCTETS] == content
    assert rest_octets.endswith((root / "index.html").read_bytes())
    assert rest_octets.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert server.await_descriptors(descriptors) == descriptors


def test_what_comes_after_the_last_request_does_not_cut_its_answer(
    server: Server, root: Path
) -> None:
    """A socket that is closed when octets come resets the connection (RFC 9112 section 9.6)."""
    for late in (b"\r\n", REQUEST % b"/"):
        with narrow_peer(server) as peer:
            peer.sendall(b"GET /middle.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            _, begin = receive_head(peer)
            peer.sendall(late)
            content = begin
            while part := peer.recv(8192):
                content += part
                rest(0.002)
            assert content == (root / "middle.bin").read_bytes()


@pytest.mark.parametrize(
    "octets", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGE"]
)
def test_a_client_that_goes_in_the_middle_of_a_request(server: Server, octets: bytes) -> None:
    descriptors = server.settled_descriptors()
    for go_away in (reset, leave):
        peer = server.connect()
        peer.sendall(octets)
        go_away(peer)
    assert server.get("/")
    assert server.await_descriptors(descriptors) == descriptors
    assert server.stderr == ""


def test_large_downloads_delay_no_client(server: Server) -> None:
    with contextlib.ExitStack() as open_peers:
        downloads = [open_peers.enter_context(narrow_peer(server)) for _ in range(2)]
        downloads += [open_peers.enter_context(server.connect()) for _ in range(2)]
        for peer in downloads:
            peer.sendall(REQUEST % b"/large.bin")
        visitor = open_peers.enter_context(server.connect())
        longest_seconds = 0.0
        for _ in range(50):
            for peer in downloads:
                assert peer.recv(262_144)
            begun = time.perf_counter()
            server.get("/", peer=visitor)
            server.get("/")
            longest_seconds = max(longest_seconds, time.perf_counter() - begun)
    assert longest_seconds < 1


_DOWNLOAD = """
import http.client, sys
server = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
for _ in range(4):
    server.request("GET", "/large.bin")
    answer = server.getresponse()
    octets = 0
    while part := answer.read(1024 * 1024):
        octets += len(part)
    assert octets == int(sys.argv[2])
"""


def test_a_download_as_fast_as_it_can_delays_no_client(server: Server, root: Path) -> None:
    """A child reads without a pause while small requests are answered."""
    with subprocess.Popen(
        [sys.executable, "-c", _DOWNLOAD, str(server.port), str(LARGE_OCTETS)]
    ) as download:
        longest_seconds = 0.0
        try:
            while download.poll() is None:
                begun = time.perf_counter()
                assert server.get("/") == (root / "index.html").read_bytes()
                longest_seconds = max(longest_seconds, time.perf_counter() - begun)
        finally:
            download.kill()
    assert download.returncode == 0
    assert 0 < longest_seconds < 1


@pytest.mark.parametrize("poller", POLLER_NAMES)
def test_out_of_descriptors(serve: Serve, root: Path, poller: str) -> None:
    """Busy clients are served; the others are accepted when there is room; nothing spins."""
    room = 8
    server = serve(root, "--quiet", "--poller", poller)
    server.get("/")
    server.limit_descriptors(server.settled_descriptors() + room)
    begin = b"GET /"

    def continue_with(peer: socket.socket, target: bytes = b"/") -> tuple[bytes, bytes]:
        """Finish a request that was begun, and begin another: an idle one would make room."""
        peer.sendall((REQUEST % target).removeprefix(begin) + begin)
        return receive_head(peer)

    with contextlib.ExitStack() as open_peers:
        peers = []
        for number in range(3 * room):
            peer = open_peers.enter_context(server.connect())
            peer.sendall(REQUEST % b"/" + (begin if number < room else b""))
            peers.append(peer)
        served, waiting = peers[:room], peers[room:]
        for peer in served:
            receive_content(peer, *receive_head(peer))
        before = server.cpu_seconds()
        for peer in served:
            receive_content(peer, *continue_with(peer))
        rest(1.5)
        if poller != "busy":
            assert server.cpu_seconds() - before < 0.1
        assert server.stderr.count("\n") == 1, server.stderr
        assert "Too many open files" in server.stderr
        for peer in served:
            receive_content(peer, *continue_with(peer))
        # There is no descriptor to open a file with: it is not there *now*.
        head, content = continue_with(served[0], b"/later.html")
        receive_content(served[0], head, content)
        assert re.match(rb"HTTP/1.1 (200|503) ", head), head
        for peer in served:
            peer.close()
        for group in (waiting[:room], waiting[room:]):
            for peer in group:
                assert receive_content(peer, *receive_head(peer))
                peer.close()
    server.settled_descriptors()
    assert server.get("/later.html") == (root / "later.html").read_bytes()


def test_select_refuses_what_it_cannot_name(serve: Serve, root: Path) -> None:
    """Descriptors from FD_SETSIZE (1,024) on: refused with a reason, and every other client is served."""
    require_descriptors(1300)
    server = serve(root, "--quiet", "--poller", "select")
    server.limit_descriptors(1300)
    with contextlib.ExitStack() as open_peers:
        served = []
        for _ in range(1100):
            peer = open_peers.enter_context(server.connect())
            try:
                server.get("/", peer=peer)
            except (AssertionError, ConnectionError):
                break
            served.append(peer)
        assert 900 < len(served) < 1024
        for _ in range(5):
            with contextlib.suppress(ConnectionError), server.connect() as refused:
                refused.sendall(REQUEST % b"/")
                assert refused.recv(1) == b""
        assert "1024" in server.stderr
        assert len(set(server.stderr.splitlines())) == 1
        for peer in served[::100]:
            server.get("/", peer=peer)
        for peer in served[:10]:
            peer.close()
        server.await_descriptors(1015)
        assert server.get("/")
    assert server.await_descriptors(100) < 100
