"""Each call of a server fails once, at its first, second, ... n-th time, and ever after, all its life.

What comes of it is an answer or one clear line, never a traceback, a hang, or half an answer that looks
whole; and when the system says yes again, answers are right again.
"""

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from conftest import COMMAND, content_length, receive_all, rest, stop_process
from server.injecting import Fault, Injector, NoInjectorError
from server.refusing import read_numbers
from server.workers import PATIENCE_SECONDS, await_true, children

# For each call a refusal of each kind: there is no room, the disk or the peer is gone, not now.
ERRORS: dict[str, tuple[int, ...]] = {
    "accept4": (errno.EMFILE, errno.ENOMEM, errno.ECONNABORTED, errno.EPERM),
    "epoll_ctl": (errno.ENOSPC,),
    "fcntl": (errno.EMFILE,),
    "getdents64": (errno.EIO,),
    "inotify_add_watch": (errno.ENOSPC, errno.ENOENT),
    "lseek": (errno.EIO,),
    "memfd_create": (errno.ENOMEM, errno.EMFILE),
    "newfstatat": (errno.ESTALE, errno.EACCES),
    "openat": (errno.EMFILE, errno.EIO),
    "pread64": (errno.EIO,),
    "preadv2": (errno.EIO,),
    "read": (errno.EIO,),
    "recvfrom": (errno.ECONNRESET, errno.EAGAIN),
    "sendfile": (errno.EIO, errno.EAGAIN, errno.EINVAL, errno.ENOMEM),
    "sendmsg": (errno.ECONNRESET, errno.EAGAIN, errno.ENOBUFS),
    "sendto": (errno.EPIPE, errno.EAGAIN, errno.ENOBUFS),
    "write": (errno.ENOSPC, errno.EIO, errno.EPIPE),
}
OPERATIONS = {"epoll_ctl": 1, "fcntl": 1030}
"""EPOLL_CTL_ADD, F_DUPFD_CLOEXEC: others can not fail so."""
LARGE = bytes(range(256)) * 8_448
LENT = LARGE * 4
"""More than a step of a lone download."""
"""More than is sent in a step of 2 MiB: what is called for it is called again and again."""
TEXT = b"again and again " * 2_000
KEPT = LARGE[:300_000]
TIMES_LIMIT = 40
SETTLED_SECONDS = 10.1


class Injected:
    """A server whose calls are decided by the test."""

    def __init__(self, root: Path, *words: str) -> None:
        self.root = root
        calls = {"execve", *ERRORS, *(one.call for one in RELOADS)}
        self.injector = Injector(sorted(calls), OPERATIONS)
        self._stderr = root.with_name("stderr")
        with self._stderr.open("wb") as stderr:
            try:
                self.process = self.injector.popen(
                    [*COMMAND, str(root), "--port", "0", *words],
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            except NoInjectorError:
                pytest.skip("system calls cannot be decided here (seccomp_unotify(2))")
        start = ""
        assert self.process.stdout is not None
        for octets in self.process.stdout:
            start += octets.decode()
            if b"Ctrl-C" in octets:
                break
        found = re.search(r"http://127.0.0.1:(\d+)/", start)
        assert found is not None, self.stderr
        self.port = int(found[1])

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    @property
    def log_descriptor(self) -> int:
        """The descriptor of the log in the server."""
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink().name == "log":
                    return int(link.name)
        raise AssertionError("no log is open")

    def ask(self, target: str, *fields: str) -> tuple[bytes, bytes]:
        """Return head and content, as far as they came before the end of the connection."""
        lines = "".join(f"{line}\r\n" for line in ("Host: a", "Connection: close", *fields))
        octets = b""
        # Whatever fails, the peer is told by an answer or an end, and does not wait.
        with (
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as peer,
            contextlib.suppress(ConnectionError),
        ):
            peer.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
            octets = receive_all(peer)
        head, end, content = octets.partition(b"\r\n\r\n")
        return head + end, content

    def stop(self) -> int:
        try:
            return stop_process(self.process)
        finally:
            self.injector.close()


@contextlib.contextmanager
def injected(root: Path, *words: str) -> Iterator[Injected]:
    """Have a server stop with status 0 at the end of the block, and without a fault."""
    server = Injected(root, *words)
    try:
        yield server
    except BaseException as error:
        was_running = server.process.poll() is None
        status = server.stop()
        ended = f"the server was stopped, with status {status}"
        error.add_note(
            f"{ended if was_running else f'the server had ended with status {status}'}\n"
            f"{server.injector.fault}\n{server.stderr[-4000:]}"
        )
        raise
    assert server.stop() == 0, server.stderr
    check_lines(server.stderr)


def check_lines(stderr: str) -> None:
    """Every line is one of ours, and none is a fault."""
    for line in stderr.splitlines():
        assert line.startswith("epollo: "), stderr
        assert "fault in epollo" not in line, stderr


def is_whole(head: bytes, content: bytes) -> bool:
    """Whether a client takes what it got for all of an answer."""
    return head.endswith(b"\r\n\r\n") and len(content) == content_length(head)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_bytes(b"index")
    (root / "text.txt").write_bytes(TEXT)
    (root / "large.bin").write_bytes(LARGE)
    (root / "lent.bin").write_bytes(LENT)
    (root / "kept.bin").write_bytes(KEPT)
    return root


def check(server: Injected, target: str, contents: set[bytes]) -> None:
    """Ask for something while a call fails: what looks whole and right is so."""
    head, content = server.ask(target)
    if head.startswith(b"HTTP/1.1 200 ") and is_whole(head, content):
        assert content in contents
    elif head.endswith(b"\r\n\r\n") and not head.startswith(b"HTTP/1.1 200 "):
        assert re.match(rb"HTTP/1\.1 (404|403|500|503) ", head), head
        assert is_whole(head, content)


def settle(server: Injected, target: str, content: bytes) -> None:
    """Ask until an answer is right: at once, or within the second in which files are compared anew."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (answer := server.ask(target))[1] != content:
        assert time.monotonic() < end, (answer[0], answer[1][:80], server.stderr)
        rest(0.05)


def get_new(server: Injected, number: int) -> None:
    content = b"index %d" % number
    (server.root / "index.html").write_bytes(content)
    check(server, "/", {content})


def get_known(server: Injected, _: int) -> None:
    check(server, "/sub/../text.txt", {TEXT})


def get_large(server: Injected, number: int) -> None:
    os.utime(server.root / "large.bin", (number, number))
    check(server, "/large.bin", {LARGE})


def get_kept(server: Injected, _: int) -> None:
    (server.root / "kept.bin").write_bytes(KEPT)
    check(server, "/kept.bin", {KEPT})


def get_listing(server: Injected, number: int) -> None:
    (server.root / "sub" / str(number)).touch()
    server.ask("/sub/")


def get_missing(server: Injected, number: int) -> None:
    server.ask(f"/sub/missing/{number}")


def get_new_folder(server: Injected, number: int) -> None:
    folder = server.root / "sub" / f"folder{number}"
    folder.mkdir()
    (folder / "page").write_bytes(b"page")
    check(server, f"/sub/folder{number}/page", {b"page"})


def get_coded(server: Injected, number: int) -> None:
    text = server.root / "coded.txt"
    text.write_bytes(TEXT + b"%d" % number)
    for _ in range(3):
        server.ask("/coded.txt", "Accept-Encoding: gzip")
    rest(0.05)


ACTIONS = [
    get_new,
    get_known,
    get_large,
    get_kept,
    get_listing,
    get_missing,
    get_new_folder,
    get_coded,
]


RELOADS = [
    *(Fault("epoll_ctl", errno.ENOSPC, number) for number in (1, 2, 3)),
    Fault("memfd_create", errno.ENOMEM),
    Fault("pidfd_open", errno.EMFILE),
    Fault("pipe2", errno.EMFILE),
    Fault("sendmsg", errno.ENOBUFS),
    Fault("socketpair", errno.EMFILE),
    # Where there is this call, fork is tried after it.
    *(Fault(call, errno.ENOMEM) for call in ("vfork",) if call in read_numbers()),
]
"""What the parent calls for new workers; what it starts is spared, for that makes calls of Python's."""


def list_faults(calls: Iterable[str], log_descriptor: int) -> Iterator[Iterator[Fault]]:
    """Yield for each call and error its n-th times, and that it lasts."""
    for call in calls:
        for error in ERRORS[call]:
            # Signals are written, too; of output that is not read `test_server_storms` tells.
            of = log_descriptor if call == "write" else None
            yield (Fault(call, error, one, False, of) for one in range(1, TIMES_LIMIT))
            # Where no peer is accepted, and where nothing is said to be ready, peers wait.
            if call != "accept4" and error != errno.EAGAIN:
                yield iter((Fault(call, error, 1, True, of),))


@pytest.mark.long
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_each_call_of_an_answer_fails(root: Path, action: Callable[[Injected, int], None]) -> None:
    words = ("--listing", "on", "--access-log", str(root.with_name("log")))
    with injected(root, *words) as server:
        settle(server, "/text.txt", TEXT)
        server.injector.count()
        number = 0
        action(server, number)
        calls = [call for call in ERRORS if server.injector.counts[call]]
        assert {"accept4", "recvfrom"} <= {*calls}
        for faults in list_faults(calls, server.log_descriptor):
            for fault in faults:
                number += 1
                server.injector.arm(fault)
                action(server, number)
                hits = server.injector.disarm()
                settle(server, "/text.txt", TEXT)
                settle(server, "/large.bin", LARGE)
                check_lines(server.stderr)
                if not hits:
                    break


@pytest.mark.long
def test_each_step_of_a_file_that_is_lent_fails(root: Path) -> None:
    """Where the system cannot lend it, it is read; another failure cuts the answer, or is waited out."""
    changed = (root / "lent.bin").stat().st_ctime
    with injected(root) as server:
        # Until then each step is read, for a process may be writing to it.
        while time.time() - changed <= SETTLED_SECONDS:
            rest(0.2)
        settle(server, "/lent.bin", LENT)
        for error in (errno.EINVAL, errno.ENOSYS, errno.EAGAIN, errno.EIO, errno.ENOMEM):
            number, hits = 0, 1
            while hits:
                number += 1
                server.injector.arm(Fault("sendfile", error, number))
                head, content = server.ask("/lent.bin")
                hits = server.injector.disarm()
                is_cut = error in {errno.EIO, errno.ENOMEM} and hits
                assert content == LENT or (is_cut and LENT.startswith(content)), (number, head)
                assert is_whole(head, content) == (content == LENT)
            assert number >= 3
            check_lines(server.stderr)


@pytest.mark.long
def test_each_call_of_a_reload_fails(root: Path) -> None:
    """Either new workers serve, or nothing has changed, which is said; and the next reload is one."""
    with injected(root, "--workers", "1") as server:
        for fault in RELOADS:
            before = len(server.stderr)
            server.injector.arm(fault, server.process.pid)
            server.process.send_signal(signal.SIGHUP)
            assert await_true(partial(is_reloaded, server, before)), (str(fault), server.stderr)
            # The parent says that new workers serve, and listens to the sockets again after that.
            assert await_true(lambda: server.injector.hits == 1), str(fault)
            server.injector.disarm()
            settle(server, "/text.txt", TEXT)
            assert await_true(lambda: len(children(server.process.pid)) == 1), str(fault)
            check_lines(server.stderr)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("socketpair", errno.EMFILE),
        Fault("epoll_ctl", errno.ENOSPC),
        Fault("pipe2", errno.EMFILE),
    ],
    ids=str,
)
def test_a_call_of_an_upgrade_fails(root: Path, fault: Fault) -> None:
    with injected(root, "--workers", "1") as server:
        server.injector.arm(fault, server.process.pid)
        server.process.send_signal(signal.SIGUSR2)
        assert await_true(lambda: "cannot start another program: " in server.stderr), server.stderr
        assert server.injector.disarm() == 1
        settle(server, "/text.txt", TEXT)
        assert await_true(lambda: len(children(server.process.pid)) == 1)


def test_a_worker_that_cannot_accept_for_another_one_serves_on(root: Path) -> None:
    with injected(root, "--workers", "2") as server:
        gone, stays = children(server.process.pid)
        server.injector.arm(Fault("epoll_ctl", errno.ENOSPC), stays)
        os.kill(gone, signal.SIGKILL)
        assert await_true(lambda: server.injector.hits == 1)
        server.injector.disarm()
        assert await_true(lambda: "serves in its place" in server.stderr), server.stderr
        for _ in range(8):
            settle(server, "/text.txt", TEXT)
        assert stays in children(server.process.pid)
        assert "cannot accept in the place of another worker now: cannot watch" in server.stderr


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOMEM, errno.EPERM, errno.ENOSYS])
def test_a_worker_that_cannot_be_started_is_tried_again_after_a_rest(
    root: Path, error: int
) -> None:
    with injected(root, "--workers", "1") as server:
        (worker,) = children(server.process.pid)
        server.injector.arm(Fault("execve", error, 1, True))
        os.kill(worker, signal.SIGKILL)
        line = f"cannot start a worker: {os.strerror(error)}; trying again"
        assert await_true(lambda: line in server.stderr), server.stderr
        rest(0.3)
        assert server.injector.disarm() == 1
        assert children(server.process.pid) == []


def is_reloaded(server: Injected, before: int) -> bool:
    return bool(re.search("new workers serve|nothing was changed", server.stderr[before:]))
