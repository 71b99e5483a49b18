"""A system that says no, over the life of a server: start, requests, coding, a large file, reload, stop.

Containers, service managers and kernels refuse calls. What comes of each is an answer or one clear line;
never a traceback, never a hang, never half an answer that looks whole.
"""

import errno
import gzip
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import copies
from conftest import COMMAND, STOP_SECONDS, Serve, receive_all, rest
from epollo.linux.system_calls import find_architecture
from server.refusing import (
    NO_PROCESSES,
    NO_THREADS,
    No,
    compile_program,
    imitate_docker,
    imitate_systemd,
    refuse,
)
from server.workers import PATIENCE_SECONDS, await_true, coders

pytestmark = pytest.mark.skipif(
    find_architecture() is None, reason="calls are refused by numbers of x86_64 and aarch64"
)
TEXT = b"again and " * 3000
LARGE = os.urandom(1 << 16) * 40
KEPT = LARGE[:300_000]
SOCKETS_FILTERED = "no new sockets, programs or processes (seccomp)"


class Row(NamedTuple):
    """What is refused; what the operator sees of it, at the start and later; what clients do not get."""

    refusals: tuple[No, ...]
    start: str = SOCKETS_FILTERED
    lines: tuple[str, ...] = ()
    is_coded: bool = True
    name: str = ""

    def __str__(self) -> str:
        return self.name or (str(self.refusals[-1]) if self.refusals else "nothing")


def no(call: str, error: int, *where: int) -> tuple[No, ...]:
    return (No(call, error, *where),)


_LANDLOCK = "no new privileges, but no Landlock here: "
_UNWATCHED = "changes are seen within a second"
# Each with a worker, so that the parent meets the refusal too.
ROWS = [
    Row(()),
    Row(no("setpriority", errno.EPERM)),
    Row(no("setpriority", errno.EACCES)),
    # A coder is a process, of one thread.
    Row(NO_THREADS),
    Row(no("clone3", errno.EPERM)),
    Row(no("sendfile", errno.EINVAL)),
    Row(no("sendfile", errno.ENOSYS)),
    Row(no("sendfile", errno.EPERM)),
    Row(no("landlock_create_ruleset", errno.EPERM), _LANDLOCK + "Operation not permitted"),
    Row(no("landlock_create_ruleset", errno.ENOSYS), _LANDLOCK + "Function not implemented"),
    Row(no("landlock_create_ruleset", errno.EOPNOTSUPP), _LANDLOCK + "Operation not supported"),
    Row(no("landlock_restrict_self", errno.EPERM), _LANDLOCK + "Operation not permitted"),
    Row(no("seccomp", errno.EPERM), "no filter of system calls here: Operation not permitted"),
    Row(no("seccomp", errno.ENOSYS), "no filter of system calls here: Function not implemented"),
    Row(no("capset", errno.EPERM), "capabilities are kept: Operation not permitted"),
    Row(no("prctl", errno.EPERM), "new privileges are possible: Operation not permitted"),
    Row(no("pidfd_open", errno.ENOSYS)),
    Row(no("pidfd_open", errno.EPERM)),
    Row(no("memfd_create", errno.ENOSYS)),
    Row(no("memfd_create", errno.EPERM)),
    Row(no("prlimit64", errno.EPERM)),
    Row(
        no("inotify_init1", errno.EMFILE),
        lines=(f"no inotify here ([Errno 24] Too many open files); {_UNWATCHED}",),
    ),
    Row(
        no("inotify_init1", errno.ENOSYS),
        lines=(f"no inotify here ([Errno 38] Function not implemented); {_UNWATCHED}",),
    ),
    Row(
        no("inotify_add_watch", errno.ENOSPC),
        lines=(
            "cannot watch a folder (No space left on device); changes there are seen within a second",
        ),
    ),
    Row(no("fcntl", errno.EPERM, 1, 15)),  # F_SETOWN_EX
    Row(no("fcntl", errno.EINVAL, 1, 1033)),  # F_ADD_SEALS
    Row(no("ioctl", errno.EPERM, 1, 0x5411)),  # SIOCOUTQ
    Row(no("ioctl", errno.ENOTTY, 1, 0x5401)),  # TCGETS
    Row(no("preadv2", errno.EOPNOTSUPP)),
    Row(no("sched_getaffinity", errno.EPERM)),
    Row(no("tgkill", errno.EPERM)),
]
UNIT = Path(__file__).parents[2] / "docs" / "systemd" / "epollo.service"
ROWS += [
    Row(imitate_docker(), name="Docker"),
    Row(imitate_docker(is_old=True), _LANDLOCK + "Operation not permitted", name="Docker 20.10"),
]
HAS_SYSTEMD = shutil.which("systemd-analyze") is not None
if HAS_SYSTEMD:
    ROWS.append(Row(imitate_systemd(UNIT.read_text()), name="the unit"))
    # Without the lines that let epollo give up rights.
    PLAIN = "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n"
    ROWS.append(Row(imitate_systemd(PLAIN), "capabilities are kept: ", name="another unit"))
# The command ends with status 2 and this line.
REFUSED_STARTS = [
    (NO_PROCESSES, ("--workers", "1"), "cannot start a worker: Resource temporarily unavailable"),
    (
        no("setsid", errno.EPERM),
        ("--workers", "1"),
        "cannot start a worker: Operation not permitted",
    ),
    (no("socketpair", errno.EMFILE), ("--workers", "1"), "Too many open files"),
    (no("epoll_create1", errno.EMFILE), ("--workers", "1"), "Too many open files"),
    (no("epoll_create1", errno.ENOSYS), (), "Function not implemented"),
    (
        no("socket", errno.EAFNOSUPPORT),
        (),
        "cannot listen on 127.0.0.1 port 0: Address family not supported by protocol",
    ),
    (
        no("getsockopt", errno.EPERM),
        ("--workers", "1"),
        "was passed as a listening socket: Operation not permitted",
    ),
    (
        no("setsockopt", errno.EPERM),
        (),
        "cannot listen on 127.0.0.1 port 0: Operation not permitted",
    ),
    (
        no("landlock_create_ruleset", errno.EPERM),
        ("--sandbox", "on"),
        "no usable Landlock: Operation not permitted",
    ),
    (
        no("seccomp", errno.EPERM),
        ("--sandbox", "on"),
        "system calls cannot be filtered (seccomp): Operation not permitted",
    ),
    (
        no("seccomp", errno.EPERM),
        ("--sandbox", "on", "--workers", "1"),
        "system calls cannot be filtered (seccomp): Operation not permitted",
    ),
    (no("capset", errno.EPERM), ("--sandbox", "on"), "Operation not permitted"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_bytes(b"index")
    (root / "text.txt").write_bytes(TEXT)
    (root / "large.bin").write_bytes(LARGE)
    (root / "kept.bin").write_bytes(KEPT)
    return root


class Refused:
    """A server to which calls are refused."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self.process = process
        self._stderr = stderr
        self.start = ""
        self.port = 0
        assert process.stdout is not None
        for octets in process.stdout:
            self.start += octets.decode()
            if b"Ctrl-C" in octets:
                break
        found = re.search(r"http://127.0.0.1:(\d+)/", self.start)
        assert found is not None, self.stderr
        self.port = int(found[1])

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def get(self, target: str, *fields: str) -> tuple[bytes, bytes]:
        """Return head and content; the content is whole, or the connection was cut before its end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as peer:
            lines = "".join(f"{line}\r\n" for line in ("Host: a", "Connection: close", *fields))
            peer.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
            head, _, content = receive_all(peer).partition(b"\r\n\r\n")
        return head, content

    def await_line(self, text: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in self.stderr:
            assert time.monotonic() < end, self.stderr
            rest(0.02)


@contextmanager
def served(row: Row, root: Path, *words: str) -> Iterator[Refused]:
    """Serve where calls are refused.

    A row with a name is a place where epollo may be started: there, calls of the interpreter's start are
    refused as well. The others are refused to a copy, and to all that it starts.
    """
    stderr = root.with_name("stderr")
    command = [*COMMAND, str(root), "--port", "0", *words]
    with stderr.open("wb") as file:
        if row.name:
            process = subprocess.Popen(
                refuse(row.refusals, command), stdout=subprocess.PIPE, stderr=file
            )
        else:
            process = copies.start(command, file, program=compile_program(row.refusals))
    with ended(process):
        yield Refused(process, stderr)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have a server stop with status 0 at the end of the block."""
    try:
        yield
    finally:
        process.terminate()
        try:
            status = process.wait(STOP_SECONDS)
        finally:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()
    assert status == 0


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_life(root: Path, row: Row) -> None:
    log = root.with_name("log")
    with served(row, root, "--workers", "1", "--access-log", str(log)) as server:
        assert row.start in server.start
        assert server.get("/")[1] == b"index"
        await_coded(server, row)
        for _ in range(2):
            assert server.get("/large.bin")[1] == LARGE
            assert server.get("/kept.bin")[1] == KEPT
            # What may be sent from the file itself is what was not written to lately.
            os.utime(root / "large.bin", (1, 1))
        assert server.get("/kept.bin", "Range: bytes=7-99999")[1] == KEPT[7:100_000]
        (root / "index.html").write_bytes(b"other")
        await_content(server, "/", b"other")
        server.process.send_signal(signal.SIGUSR1)
        server.process.send_signal(signal.SIGHUP)
        server.await_line("new workers serve")
        assert server.get("/")[1] == b"other"
    lines = server.stderr.splitlines()
    expected = {f"epollo: {line}" for line in row.lines}
    assert set(lines) == expected | {"epollo: 1 new workers serve; the old ones finish"}
    # Each generation of workers says it once.
    assert len(lines) <= 1 + 2 * len(row.lines)


def await_content(server: Refused, target: str, content: bytes) -> None:
    """Ask until a change is seen, which takes a second where nothing tells of it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (answer := server.get(target))[1] != content:
        assert time.monotonic() < end, answer


def await_coded(server: Refused, row: Row) -> None:
    """Ask for text until it comes in a coding; where none is expected, until the operator is told why."""
    end = time.monotonic() + PATIENCE_SECONDS
    is_coded = False
    while not (is_coded if row.is_coded else all(line in server.stderr for line in row.lines)):
        head, content = server.get("/text.txt", "Accept-Encoding: gzip")
        assert head.startswith(b"HTTP/1.1 200 "), head
        is_coded = b"\r\nContent-Encoding: gzip" in head
        assert (gzip.decompress(content) if is_coded else content) == TEXT
        assert time.monotonic() < end
        rest(0.02)
    assert is_coded == row.is_coded


def test_a_worker_that_dies_is_replaced_without_a_descriptor_of_its_end(root: Path) -> None:
    with served(Row(no("pidfd_open", errno.ENOSYS)), root, "--workers", "1") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        os.kill(int(children.read_text()), signal.SIGKILL)
        server.await_line("was ended by SIGKILL; another starts")
        server.await_line("serves in its place")
        assert server.get("/")[1] == b"index"


@pytest.mark.parametrize(
    ("refusals", "words", "line"), REFUSED_STARTS, ids=[str(row[0][-1]) for row in REFUSED_STARTS]
)
def test_a_start_that_cannot_be(
    root: Path, refusals: tuple[No, ...], words: tuple[str, ...], line: str
) -> None:
    # What is open when a start ends is left to the end of the process, of which -X dev would warn.
    result = copies.run(
        [sys.executable, "-m", "epollo", str(root), "--port", "0", *words],
        timeout_seconds=PATIENCE_SECONDS,
        program=compile_program(refusals),
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("epollo: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert line in result.stderr


@pytest.mark.parametrize("mebibytes", [8, 24])
@pytest.mark.parametrize("words", [(), ("--workers", "1")], ids=["one process", "a worker"])
def test_little_memory(serve: Serve, root: Path, mebibytes: int, words: tuple[str, ...]) -> None:
    """The library of brotli ends the process where it cannot have the memory that it asks for."""
    for number in range(8):
        (root / f"{number}.txt").write_bytes(b"again and %d " % number * 40_000)
    server = serve(root, "--quiet", *words)
    pid = server.pid
    if words:
        # What takes the memory is the coder; once it has made a coding it has all that it loads.
        text = b"GET /text.txt HTTP/1.0\r\nAccept-Encoding: br\r\n\r\n"
        assert await_true(lambda: b"\r\nContent-Encoding: br" in server.exchange(text))
        (pid,) = coders(server.pid)
    found = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    limit = int(found[1]) * 1024 + mebibytes * 1024 * 1024
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    # A thread takes some for its stack.
    lines = ("there is too little memory to compress a file", "no thread can be started")
    end = time.monotonic() + PATIENCE_SECONDS
    while not any(line in server.stderr for line in lines):
        for number in range(8):
            request = f"GET /{number}.txt HTTP/1.0\r\nAccept-Encoding: br, gzip\r\n\r\n"
            head, _, content = server.exchange(request.encode()).partition(b"\r\n\r\n")
            # Not now is not never.
            assert head[9:12] in {b"200", b"503"}, head
            if b"\r\nContent-Encoding" not in head and head[9:12] == b"200":
                assert content == b"again and %d " % number * 40_000
        assert time.monotonic() < end
    assert server.get("/") == b"index"
    assert server.get("/large.bin") == LARGE
    assert "ended with status" not in server.stderr


@pytest.mark.skipif(not HAS_SYSTEMD, reason="systemd is not installed")
def test_the_unit_is_hardened() -> None:
    result = subprocess.run(
        [
            "systemd-analyze",
            "--no-pager",
            "security",
            "--offline=true",
            "--threshold=20",
            str(UNIT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "exposure level for epollo.service: 1." in result.stdout


def _may_unshare() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev"], check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not _may_unshare(), reason="only root can try it, where it may mount")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_no_devices(root: Path, workers: str) -> None:
    stderr = root.with_name("stderr")
    script = 'mount -t tmpfs none /dev && exec "$0" "$@"'
    words = [*COMMAND, str(root), "--port", "0", "--workers", workers]
    with stderr.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, *words], stdout=subprocess.PIPE, stderr=file
        )
    with ended(process):
        server = Refused(process, stderr)
        assert server.get("/")[1] == b"index"
        assert server.get("/large.bin")[1] == LARGE
    assert server.stderr == ""
