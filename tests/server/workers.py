"""What the tests of workers share: the processes under a parent, clients that keep asking, fakes."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import copies
from conftest import COMMAND, STOP_SECONDS, Server, receive_content, receive_head, rest

PATIENCE_SECONDS = 30
_REQUESTS_PER_CONNECTION = 10
_PACE_SECONDS = 0.004


def children(pid: int) -> list[int]:
    """Return the processes that a process started (proc_pid_task_children(5)), without coders."""
    coding = coders(pid)
    return [one for one in _all_children(pid) if one not in coding]


def coders(pid: int) -> list[int]:
    """Return the coders that a process started."""
    return [one for one in _all_children(pid) if b"epollo.coder" in _command(one)]


def _all_children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def await_true(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until something holds that no event tells of; return whether it came to hold."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        rest(0.01)
    return True


def await_line(server: Server, text: str, count: int = 1) -> None:
    """Wait until ``count`` lines on stderr hold a text."""
    assert await_true(lambda: server.stderr.count(text) >= count), server.stderr


def refusal(*words: str) -> str:
    """Start the command, which refuses; return its one line."""
    result = copies.run([*COMMAND, *words], timeout_seconds=PATIENCE_SECONDS)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("epollo: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def ignored_signals(pid: int) -> set[int]:
    """Return the signals that a process ignores (proc_pid_status(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            mask = int(line.split()[1], 16)
            return {number for number in range(1, 65) if mask >> (number - 1) & 1}
    raise AssertionError


@contextlib.contextmanager
def ended(pid: int) -> Iterator[int]:
    """Have a process that is not our child end with the block."""
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not await_true(lambda: not is_alive(pid), STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)


class Load:
    """Clients that ask again and again, on new connections and on such that persist.

    A request counts as answered when all of its content has come and is among what is expected.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        *expected: bytes,
        clients: int = 6,
        target: str = "/",
    ) -> None:
        self._connect = connect
        self._expected = set(expected)
        self._request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.clients = clients
        self.answered = 0
        self.failures: list[tuple[float, str]] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert await_true(lambda: self.answered > 10 or bool(self.failures))
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                with self._connect() as peer:
                    self._converse(peer)
            except (OSError, AssertionError) as error:
                self.failures.append((time.monotonic(), f"{type(error).__name__}: {error}"))

    def _converse(self, peer: socket.socket) -> None:
        for _ in range(_REQUESTS_PER_CONNECTION):
            peer.sendall(self._request)
            head, content = receive_head(peer)
            assert head.startswith(b"HTTP/1.1 200 "), head
            content = receive_content(peer, head, content)
            assert content in self._expected, content
            self.answered += 1
            if b"\r\nConnection: close" in head or self._is_over.wait(_PACE_SECONDS):
                return


class ServiceManager:
    """A fake of systemd's end of NOTIFY_SOCKET (sd_notify(3)): it collects what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_SECONDS)

    def read(self) -> dict[str, str]:
        """Return the next message, waiting for it."""
        message = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in message.splitlines())

    def close(self) -> None:
        self._socket.close()
