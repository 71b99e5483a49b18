"""What the process asks of the kernel, as strace(1) sees it.

The claims of the project, held against the kernel's own account: asleep while no client asks for
anything, and three calls for a request that is known. And its opposite: the busy server never rests.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server, require_descriptors, rest

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (Debian: apt install strace)"
)

IDLE_CONNECTIONS = 1000
WATCHED_SECONDS = 3

# `1234 12:00:00.123456 recvfrom(7, ...) = 40`; a call that is cut short by detaching ends otherwise.
_CALL = re.compile(r"(?m)^(?:\d+ +)?(\w+)\(")


class Trace:
    """The system calls of a server while the trace is on."""

    def __init__(self, server: Server, path: Path) -> None:
        self._path = path
        self._strace = subprocess.Popen(
            ["strace", "-f", "-s", "0", "-o", str(path), "-p", str(server.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._strace.stderr is not None
        # It says that it is attached; or why it may not be, in a container without ptrace(2).
        line = self._strace.stderr.readline().decode()
        if "attached" not in line:
            self._strace.kill()
            self._strace.communicate()
            pytest.skip(f"strace may not attach here: {line.strip()}")

    def stop(self) -> list[str]:
        """Stop tracing; return the names of the calls, in their order."""
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate(timeout=15)
        return _CALL.findall(self._path.read_text())


@contextlib.contextmanager
def idle_peers(server: Server, number: int) -> Iterator[list[socket.socket]]:
    """Open connections that have been served and are kept."""
    with contextlib.ExitStack() as open_peers:
        peers = []
        for _ in range(number):
            peer = open_peers.enter_context(server.connect())
            server.get("/", peer=peer)
            peers.append(peer)
        yield peers


@pytest.fixture
def trace_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is not where the server watches: what appears beside the root wakes it."""
    return tmp_path_factory.mktemp("traces") / "trace"


def test_epoll_with_a_thousand_idle_connections_asks_nothing(
    serve: Serve, site: Path, trace_path: Path
) -> None:
    require_descriptors(IDLE_CONNECTIONS + 100)
    server = serve(site, "--quiet", "--poller", "epoll")
    with idle_peers(server, IDLE_CONNECTIONS) as peers:
        trace = Trace(server, trace_path)
        rest(WATCHED_SECONDS)
        calls = trace.stop()
        # The call that it sleeps in is shown once, and again when the tracer leaves it; a tick a
        # second is allowed.
        assert len(calls) <= 2 + WATCHED_SECONDS, calls
        assert set(calls) <= {"epoll_wait", "restart_syscall"}
        assert server.get("/", peer=peers[0]) == (site / "index.html").read_bytes()
        assert server.get("/", peer=peers[-1]) == (site / "index.html").read_bytes()


def test_epoll_uses_no_processor_time_while_idle(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--poller", "epoll")
    with idle_peers(server, 100):
        before = server.cpu_seconds()
        rest(1)
        assert server.cpu_seconds() - before <= 0.02


def test_busy_asks_every_connection_without_end(serve: Serve, site: Path, trace_path: Path) -> None:
    connections = 100
    server = serve(site, "--quiet", "--poller", "busy")
    with idle_peers(server, connections):
        trace = Trace(server, trace_path)
        rest(1)
        calls = trace.stop()
        assert calls.count("recvfrom") > 5 * connections
        assert "epoll_wait" not in calls
        before = server.runnable_seconds()
        rest(1)
        assert server.runnable_seconds() - before > 0.2


@pytest.mark.parametrize(
    ("poller", "waiting"), [("epoll", {"epoll_wait"}), ("poll", {"poll", "ppoll"})]
)
def test_a_known_request_takes_three_calls(
    serve: Serve, site: Path, trace_path: Path, poller: str, waiting: set[str]
) -> None:
    """Wait, receive, send; once a second what is known is looked at again.

    A poller that tries one descriptor after the other may have passed the one that tells of changed
    files before they changed: with poll there is a fourth call, which looks again.
    """
    requests = 200
    (site / "page.bin").write_bytes(os.urandom(1024))
    server = serve(site, "--quiet", "--poller", poller)
    with server.connect() as peer:
        server.get("/page.bin", peer=peer)
        trace = Trace(server, trace_path)
        for _ in range(requests):
            server.get("/page.bin", peer=peer)
        calls = trace.stop()
    assert calls.count("recvfrom") == requests
    assert calls.count("sendto") == requests
    assert sum(name in waiting for name in calls) <= requests + 2
    # Each second the file is compared with the file system, and now and then the heap grows.
    others = [name for name in calls if name not in {"recvfrom", "sendto", *waiting}]
    if poller != "epoll":
        others = [name for name in others if name != "read"]
        assert calls.count("read") <= requests + 5
    assert len(others) < requests / 10, others


def test_a_file_that_was_never_asked_for_takes_as_few_calls_as_can_be(
    serve: Serve, site: Path, trace_path: Path
) -> None:
    """Open, look, read and close, where something in its folder was asked for; no more, nor a watch."""
    files = 100
    (site / "folder" / "deep").mkdir(parents=True)
    for number in range(files + 1):
        (site / "folder" / "deep" / f"{number}.html").write_bytes(b"%04d" % number * 1024)
    server = serve(site, "--quiet", "--poller", "epoll")
    with server.connect() as peer:
        server.get(f"/folder/deep/{files}.html", peer=peer)
        trace = Trace(server, trace_path)
        for number in range(files):
            content = server.get(f"/folder/deep/{number}.html", peer=peer)
            assert content == b"%04d" % number * 1024
        calls = trace.stop()
    assert calls.count("openat") == files
    assert calls.count("close") == files
    # The folder is compared with its path once a second, and so is the root.
    looks = sum(calls.count(name) for name in ("fstat", "newfstatat", "stat", "statx"))
    assert files <= looks < files * 1.2
    assert calls.count("read") == files
    assert "inotify_add_watch" not in calls
    expected = 4 * files + 3 * files
    assert expected <= len(calls) < expected * 1.1, calls
