"""Floods, storms and stalls, and beside each a client that behaves, which is answered soon and rightly.

How soon is told by what the server does meanwhile, its processor time: how long it waits for a processor
is up to what else this machine does.
"""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import (
    COMMAND,
    Serve,
    Server,
    receive_all,
    receive_head,
    require_descriptors,
    stop_process,
)

P99_SECONDS = 0.05
INTERVAL_SECONDS = 0.001


def is_answered_soon(server: Server, ask: Callable[[], object]) -> bool:
    """Whether the 99th percentile is below the bound, in one measurement of three.

    Processor time is longer, too, while others use the caches of the machine.
    """
    return any(find_p99_seconds(server, ask) < P99_SECONDS for _ in range(3))


def find_p99_seconds(server: Server, ask: Callable[[], object], seconds: float = 1.5) -> float:
    """Return how long the server works at most while 99 of a hundred requests wait for their answers.

    As for a client that asks each millisecond: those that it would have sent meanwhile wait as well.
    """
    waits_seconds = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = server.busy_seconds()
        ask()
        wait_seconds = server.busy_seconds() - begun
        waits_seconds.append(wait_seconds)
        while (wait_seconds := wait_seconds - INTERVAL_SECONDS) > 0:
            waits_seconds.append(wait_seconds)
    waits_seconds.sort()
    return waits_seconds[len(waits_seconds) * 99 // 100]


STORM = """
import os, sys
files = [os.open(name, os.O_WRONLY | os.O_CREAT) for name in ("one.log", "other.log")]
while os.getppid() == int(sys.argv[1]):
    for _ in range(100):
        for file in files:
            os.pwrite(file, b"x", 0)
"""


@pytest.fixture
def storm(site: Path) -> Iterator[None]:
    """Some hundred thousand changes a second in the served folder."""
    with subprocess.Popen([sys.executable, "-c", STORM, str(os.getpid())], cwd=site) as process:
        yield
        process.kill()


def test_a_storm_of_changes_delays_no_answer_and_hides_no_change(
    serve: Serve, site: Path, storm: None
) -> None:
    server: Server = serve(site, "--quiet")
    with server.connect() as peer:
        assert is_answered_soon(server, lambda: server.get("/", peer=peer))
        for number in range(200):
            content = f"<title>{number}</title>"
            (site / "page.html").write_text(content)
            assert server.get("/page.html", peer=peer) == content.encode()


class Stalled:
    """A server whose stdout and stderr are one terminal, or one pipe, that is not read."""

    def __init__(self, site: Path, *arguments: str, kind: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, str(site), "--port", str(self.port), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
        )
        self.text = ""
        self.read_until("Ctrl-C")
        if kind == "stopped terminal":
            # As by Ctrl-S: from here on the terminal takes nothing.
            termios.tcflow(writing, termios.TCOOFF)
        self._writing = writing

    @property
    def pid(self) -> int:
        """The process that serves: a child where there are workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0]) if children else self.process.pid

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def read_until(self, word: str) -> None:
        """Read on until a line of what was read has this word."""
        while word not in self.text or not self.text.endswith("\n"):
            ready, _, _ = select.select((self._reading,), (), (), 60)
            assert ready, self.text[-1000:]
            self.text += os.read(self._reading, 65536).decode()

    def let_on(self) -> None:
        """As by Ctrl-Q."""
        with contextlib.suppress(termios.error):
            termios.tcflow(self._writing, termios.TCOON)

    def stop(self) -> int:
        try:
            return stop_process(self.process)
        finally:
            os.close(self._reading)
            os.close(self._writing)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("terminal", ()),
        ("stopped terminal", ()),
        ("stopped terminal", ("--workers", "1")),
        ("pipe", ("--workers", "1")),
        ("pipe", ("--access-log", "-")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or "alone",
)
def test_output_that_is_not_read_delays_no_answer(
    site: Path, kind: str, arguments: tuple[str, ...]
) -> None:
    stalled = Stalled(site, "--max-connections", "2", *arguments, kind=kind)
    requests = 0
    try:
        with stalled.connect() as peer:
            request = b"GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n"
            # More lines than a pipe, a terminal, and the server together hold.
            for _ in range(150):
                peer.sendall(request * 50)
                requests += 50
                octets = b""
                while octets.count(b"</title>\n") < 50:
                    part = peer.recv(65536)
                    assert part
                    octets += part
            # A line on stderr, which is not read either.
            with stalled.connect() as other, stalled.connect() as third:
                other.sendall(b"GET / HT")
                peer.sendall(b"GET / HT")
                third.sendall(request)
                assert third.recv(4096).startswith(b"HTTP/1.1 503 ")
                peer.sendall(b"TP/1.1\r\nHost: a\r\n\r\n")
                assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")
            stalled.let_on()
            stalled.read_until("refused a client with 503")
            if "--access-log" not in arguments:
                stalled.read_until("left out: stdout was not read)")
                lines = len(re.findall(r"(?m)^GET /page.html 200 ", stalled.text))
                omitted = re.search(r"(?m)^\((\d+) lines are left out", stalled.text)
                assert omitted is not None
                assert lines + int(omitted[1]) in {requests, requests + 1}
    finally:
        assert stalled.stop() == 0


def test_a_parent_whose_terminal_is_stopped_replaces_its_worker(site: Path) -> None:
    stalled = Stalled(site, "--quiet", "--workers", "1", kind="stopped terminal")
    try:
        before = stalled.pid
        os.kill(before, signal.SIGKILL)
        # Its socket is the parent's too, so that what connects now waits for the next worker.
        with stalled.connect() as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert stalled.pid != before
        stalled.let_on()
        stalled.read_until("serves in its place")
    finally:
        assert stalled.stop() == 0


def test_one_address_with_all_connections_keeps_no_other_out(serve: Serve, site: Path) -> None:
    connections, others = 1000, 288
    require_descriptors(2 * connections)
    server = serve(site, "--quiet", "--max-connections", str(connections))
    with contextlib.ExitStack() as open_peers:
        for _ in range(connections):
            open_peers.enter_context(server.connect()).sendall(b"GET / HTTP/1.1\r\nHo")
        statuses = []
        for number in range(others):
            address = f"127.0.{1 + number // 250}.{1 + number % 250}"
            other = open_peers.enter_context(
                socket.create_connection(("127.0.0.1", server.port), 30, (address, 0))
            )
            other.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            statuses.append(other.recv(65536)[:13])
        assert statuses == [b"HTTP/1.1 200 "] * others
        assert "closed a connection of an address that has 1,000" in server.stderr


def unconfirmed_octets(server: Server) -> list[int]:
    """What the kernel holds of each connection of the server, the longest first (proc_net_tcp(5))."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # By the peer: while others connect and leave, the kernel lists some connections twice.
    queues = {
        row[2]: row[4] for row in rows if row[1].endswith(f":{server.port:04X}") and row[3] == "01"
    }
    lengths = (int(queue.partition(":")[0], 16) for queue in queues.values())
    return sorted(lengths, reverse=True)


def test_a_burst_that_reads_nothing_takes_little_and_delays_no_other(
    serve: Serve, site: Path
) -> None:
    connections, pipelined, length = 400, 64, 30_000
    require_descriptors(2 * connections)
    (site / "page.bin").write_bytes(bytes(length))
    server = serve(site, "--quiet")
    request = b"GET /page.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as open_peers:
        good = open_peers.enter_context(server.connect())
        expected = server.get("/", peer=good)
        # All of them are connected before the first is accepted, as if they came at one moment.
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(connections):
            open_peers.enter_context(server.connect()).sendall(request * pipelined)
        resident_octets = server.resident_octets()
        os.kill(server.pid, signal.SIGCONT)
        assert is_answered_soon(server, lambda: server.get("/", peer=good))
        assert server.get("/", peer=good) == expected
        queues = unconfirmed_octets(server)
        assert len(queues) > connections
        # Few have much: the first 128 of a crowd, and what came with the last of them.
        assert sum(octets > 600_000 for octets in queues) <= 128 + 32
        assert server.resident_octets() - resident_octets < connections * 100_000


def test_heads_as_long_as_may_be_delay_no_known_answer(serve: Serve, site: Path) -> None:
    connections = 600
    require_descriptors(2 * connections)
    # On a machine with other work, to send all that while the server stands still takes seconds.
    server = serve(site, "--quiet", "--request-timeout", "60")
    elements = b",".join(b'"%05d"' % number for number in range(3800))
    assert 30_000 < len(elements) < 32_000
    with contextlib.ExitStack() as open_peers:
        good = open_peers.enter_context(server.connect())
        server.get("/", peer=good)
        peers = [open_peers.enter_context(server.connect()) for _ in range(connections)]
        os.kill(server.pid, signal.SIGSTOP)
        for number, peer in enumerate(peers):
            target = b"/page.html?%d" % number
            peer.sendall(
                b"GET %b HTTP/1.1\r\nHost: a\r\nIf-None-Match: %b\r\n\r\n" % (target, elements)
            )
        os.kill(server.pid, signal.SIGCONT)
        waits_seconds = []
        for _ in range(20):
            begun = server.busy_seconds()
            server.get("/", peer=good)
            waits_seconds.append(server.busy_seconds() - begun)
        assert all(receive_head(peer)[0].startswith(b"HTTP/1.1 200 ") for peer in peers)
        # The first waits for what is received before it; the others for a batch each.
        waits_seconds.sort()
        assert waits_seconds[-2] < P99_SECONDS, waits_seconds


def test_behind_a_proxy_the_client_that_has_most_gives_way(serve: Serve, site: Path) -> None:
    connections = 50
    server = serve(site, "--quiet", "--max-connections", str(connections), "--proxy-protocol")

    def connect(client: str, octets: bytes) -> socket.socket:
        peer = server.connect()
        peer.sendall(f"PROXY TCP4 {client} 192.0.2.1 50000 80\r\n".encode() + octets)
        return peer

    with contextlib.ExitStack() as open_peers:
        halves = [
            open_peers.enter_context(connect("198.51.100.1", b"GET / HT"))
            for _ in range(connections)
        ]
        with connect("198.51.100.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as refused:
            assert refused.recv(65536).startswith(b"HTTP/1.1 503 ")
        for number in range(2, 30):
            other = connect(f"198.51.100.{number}", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            open_peers.enter_context(other)
            assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
        # The longest connected gave way, and was told.
        assert receive_all(halves[0]).startswith(b"HTTP/1.1 503 ")
        halves[-1].sendall(b"TP/1.1\r\nHost: a\r\n\r\n")
        assert halves[-1].recv(65536).startswith(b"HTTP/1.1 200 ")
