"""What all tests share: real servers on free ports, and hypothesis without a stop-watch."""

import contextlib
import gc
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from hypothesis import settings

import copies
from chromium import Chromium, find_chromium

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

T = TypeVar("T")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
STOP_SECONDS = 15
COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "epollo"]
POLLER_NAMES = ("busy", "select", "poll", "epoll")

# A shell ignores SIGINT for what it starts in the background, nohup(1) SIGHUP, and what ignores a signal
# has its children ignore it, where one that is caught is at its default for them (execve(2)). A mask of
# signals and a umask are inherited as well.
for number in signal.valid_signals():
    if signal.getsignal(number) is signal.SIG_IGN and number not in {
        signal.SIGPIPE,
        signal.SIGXFSZ,
    }:
        signal.signal(number, lambda *_: None)
signal.pthread_sigmask(signal.SIG_SETMASK, ())
os.umask(0o022)

# Tests hold as many sockets open as the servers that they test; a shell gives 1,024 descriptors.
_, HARD_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD_LIMIT, HARD_LIMIT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin each with long ones: the end waits for the last one."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if processes:
        long = [item for item in items if item.get_closest_marker("long")]
        short = [item for item in items if not item.get_closest_marker("long")]
        items[:] = deal(long, short, processes)


def deal(long: Sequence[T], short: Sequence[T], parts: int) -> list[T]:
    """Return all, in an order of which equal parts begin with equally many that are long.

    Of the parts of ``--dist worksteal``, those behind are longer where they cannot be equal.
    """
    dealt: list[T] = []
    for part in range(parts):
        first = long[part::parts]
        rest = len(long) + len(short) - len(dealt)
        taken = len(dealt) - sum(len(long[one::parts]) for one in range(part))
        size = rest // (parts - part)
        dealt += [*first, *short[taken : taken + size - len(first)]]
    return dealt


def pytest_collection() -> None:
    """Look for no garbage among the thousands of tests that are found, a quarter of what that takes."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare every full collection of garbage a walk through the thousands of tests that were found."""
    gc.freeze()
    gc.enable()
    # At its default, hypothesis is called thousands of times in a second, before and after each.
    gc.set_threshold(50_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Spare them what earlier modules left as well: in the end it takes a collection 50 ms."""
    yield
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


class Server:
    """A server in its own process, as an operator starts it."""

    def __init__(self, root: Path, *arguments: str, directory: Path) -> None:
        self.root = root
        self.stderr_path = directory / f"stderr-{id(self)}"
        self.stdout_path = directory / f"stdout-{id(self)}"
        with self.stderr_path.open("wb") as stderr:
            self.process = copies.start([*COMMAND, str(root), "--port", "0", *arguments], stderr)
        self.lines: list[str] = []
        self.port = self._read_start()

    def _read_start(self) -> int:
        port = 0
        assert self.process.stdout is not None
        for octets in self.process.stdout:
            line = octets.decode()
            self.lines.append(line)
            found = re.search(r"https?://\S+?:(\d+)/", line)
            if found:
                port = int(found[1])
            if "Ctrl-C" in line:
                return port
        raise AssertionError(f"the server did not start: {self.lines} {self.stderr}")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text()

    def connect(self, timeout_seconds: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout_seconds)

    def exchange(self, octets: bytes) -> bytes:
        """Send octets, half-close, and return all that comes until the server closes."""
        with self.connect() as peer:
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            return receive_all(peer)

    def get(self, target: str, *, peer: socket.socket | None = None) -> bytes:
        """Return the content of a small answer 200, on a connection of its own or on a given one."""
        if peer is None:
            with self.connect() as own:
                return self.get(target, peer=own)
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head, content = receive_head(peer)
        assert head.startswith(b"HTTP/1.1 200 "), head
        return receive_content(peer, head, content)

    def read_line(self) -> str:
        """Return the next line that the server prints on stdout, waiting for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def descriptors(self) -> int:
        """Return how many descriptors the server has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def descriptors_of(self, path: Path) -> int:
        """Return how many descriptors of a file or folder the server has open."""
        found = 0
        for one in Path(f"/proc/{self.pid}/fd").iterdir():
            # It may be closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                found += one.readlink() == path
        return found

    def settled_descriptors(self) -> int:
        """Return how many descriptors are open once what was closed before has been noticed."""
        for _ in range(2):
            self.exchange(b"OPTIONS * HTTP/1.0\r\n\r\n")
        return self.descriptors()

    def await_descriptors(self, number: int, timeout_seconds: float = 10) -> int:
        """Wait until at most ``number`` descriptors are open; return how many there are then.

        Each question is a request, answered after what was ready before it.
        """
        end = time.monotonic() + timeout_seconds
        while (count := self.descriptors()) > number and time.monotonic() < end:
            self.exchange(b"OPTIONS * HTTP/1.0\r\n\r\n")
        return count

    def limit_descriptors(self, number: int) -> None:
        """Let the server open at most ``number`` descriptors (prlimit(2))."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (number, HARD_LIMIT))

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used so far (proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy_seconds(self) -> float:
        """Return the processor time of the first thread of the server so far, to the nanosecond."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def runnable_seconds(self) -> float:
        """Return for how long the server has run or waited for a processor so far.

        Other work on the machine makes no difference to the sum (Documentation/scheduler/sched-stats).
        """
        running, waiting, _ = Path(f"/proc/{self.pid}/schedstat").read_text().split()
        return (int(running) + int(waiting)) / 1e9

    def resident_octets(self) -> int:
        """Return the resident size of the server."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        return stop_process(self.process, number)


def stop_process(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Send a server a signal, and return its exit status; kill it where it does not end."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(STOP_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def await_coding(server: Server, target: str, *codings: str, timeout_seconds: float = 300) -> None:
    """Ask for a file until it is answered in each coding: they are made in the background.

    At the lowest priority, so that on a busy machine it takes long.
    """
    end = time.monotonic() + timeout_seconds
    pause_seconds = 0.01
    for coding in codings:
        request = f"HEAD {target} HTTP/1.0\r\nAccept-Encoding: {coding}\r\n\r\n".encode()
        while f"\r\nContent-Encoding: {coding}\r\n".encode() not in server.exchange(request):
            assert time.monotonic() < end, f"{target} is not answered in {coding}"
            rest(pause_seconds)
            # Where it takes long, the questions shall not be what takes the processor.
            pause_seconds = min(0.2, pause_seconds * 1.1)


def rest(seconds: float) -> None:
    """Let time pass; only for a test that nothing happens in it."""
    threading.Event().wait(seconds)


def require_descriptors(number: int) -> None:
    """Skip the test where the tester may not open this many."""
    if HARD_LIMIT != resource.RLIM_INFINITY and number > HARD_LIMIT:
        pytest.skip(f"this machine gives a process {HARD_LIMIT} descriptors, not {number}")


def receive_head(peer: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what came with it of the content."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        part = peer.recv(65536)
        assert part, f"closed in the middle of a head: {octets!r}"
        octets += part
    head, _, content = octets.partition(b"\r\n\r\n")
    return head, content


def content_length(head: bytes) -> int:
    """Return the length that a head announces."""
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert found is not None, head
    return int(found[1])


def receive_content(peer: socket.socket, head: bytes, content: bytes = b"") -> bytes:
    """Return the content that a head announces, of which some may be here already."""
    parts = [content]
    missing = content_length(head) - len(content)
    while missing > 0:
        part = peer.recv(min(missing, 262_144))
        assert part, f"closed with {missing} octets missing"
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def receive_all(peer: socket.socket) -> bytes:
    """Return everything until the other side closes."""
    parts = []
    try:
        while part := peer.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


class Serve(Protocol):
    def __call__(self, root: Path, *arguments: str) -> Server: ...


@contextlib.contextmanager
def managed_servers(directory: Path) -> Iterator[Serve]:
    """A factory of servers; each must stop with status 0 and without a traceback in the end."""
    servers: list[Server] = []

    def serve(root: Path, *arguments: str) -> Server:
        server = Server(root, *arguments, directory=directory)
        servers.append(server)
        return server

    yield serve
    faults = []
    for server in servers:
        was_running = server.process.poll() is None
        status = server.stop()
        text = server.stderr
        if (was_running and status != 0) or "Traceback" in text or "fault in epollo" in text:
            faults.append((status, text))
        if "ResourceWarning" in text:
            faults.append((status, text))
    assert not faults


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A factory of servers, for one test."""
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same for servers that all tests of a module share."""
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve


@pytest.fixture(scope="session")
def shared_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser of all tests that want no flags of their own; they use `chromium` or `browser`."""
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def chromium(shared_chromium: Chromium) -> Iterator[Chromium]:
    """A browser that knows what tests of this module have left in it."""
    with shared_chromium.fresh() as browser:
        yield browser


@pytest.fixture
def browser(shared_chromium: Chromium) -> Iterator[Chromium]:
    """A browser that knows nothing."""
    with shared_chromium.fresh() as browser:
        yield browser


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches.

    Those of `tmp_path` are for the user that runs pytest, and each pytest that starts shuts them again.
    """
    with tempfile.TemporaryDirectory(prefix="epollo-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site: index.html, a page, a folder with an index, one without."""
    root = tmp_path / "site"
    (root / "folder").mkdir(parents=True)
    (root / "bare").mkdir()
    (root / "index.html").write_text("<!doctype html><title>index</title>\n")
    (root / "page.html").write_text("<!doctype html><title>page</title>\n")
    (root / "folder" / "index.html").write_text("<!doctype html><title>folder</title>\n")
    return root
