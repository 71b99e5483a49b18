"""What the parent says of a worker, and takes from it."""

import contextlib
import errno
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.settings import Settings
from epollo.supervisor.worker_process import WorkerProcess


class Parent:
    """What was told of a worker."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.loop = EventLoop(open_poller("auto"), self.report)

    def report(self, line: str) -> None:
        self.told.append(line)

    def on_worker_ready(self, worker: WorkerProcess) -> None:
        self.told.append(f"ready: {worker.description}")

    def on_worker_here(self, _: WorkerProcess) -> None:
        self.told.append("here")

    def on_worker_leaving(self, _: WorkerProcess) -> None:
        self.told.append("leaving")

    def on_passwords_wanted(self, _: WorkerProcess, number: int) -> None:
        self.told.append(f"passwords {number}")

    def on_root_replaced(self, _: WorkerProcess) -> None:
        self.told.append("root")

    def on_worker_exit(self, _: WorkerProcess, status: int) -> None:
        self.told.append(f"exit {status}")


class Broken:
    """A process in the place of a worker, whose end of the socket is held here."""

    def __init__(self, site: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parent = Parent()
        ends: list[tuple[socket.socket, socket.socket]] = []
        real_pair = socket.socketpair

        def pair(*arguments: int) -> tuple[socket.socket, socket.socket]:
            ends.append(real_pair(*arguments))
            return ends[-1][0], ends[-1][1].dup()

        with monkeypatch.context() as patch:
            patch.setattr(socket, "socketpair", pair)
            patch.setattr("sys.executable", str(program))
            self.worker = WorkerProcess(self.parent, 0, Settings(root=site), [])
        self.control = ends[0][1]

    def say(self, message: bytes) -> list[str]:
        self.control.send(message)
        self.worker.on_ready(0)
        told = list(self.parent.told)
        self.parent.told.clear()
        return told

    def close(self) -> None:
        self.control.close()
        self.worker.kill()
        while not any(line.startswith("exit") for line in self.parent.told):
            self.parent.loop.run_batch(10)
        self.parent.loop.close()


@pytest.fixture
def broken(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    broken = Broken(site, program, monkeypatch)
    yield broken
    broken.close()


def test_what_no_worker_says_has_no_effect(broken: Broken) -> None:
    for message in (
        b"\0",
        b"nonsense",
        b"\xff" * 60_000,
        b"passwords ",
        b"passwords x",
        b"passwords -1",
        b"passwords \xc2\xb2",
        b"passwords " + b"9" * 5_000,
    ):
        assert broken.say(message) == []
    assert broken.say(b"passwords 0") == ["passwords 0"]


def test_descriptors_that_a_worker_sends_are_not_taken(broken: Broken) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open(os.devnull, "rb") as file:
        for message in (b"here", b"coder", b"coder is silent", b"passwords 0", b"leaving"):
            socket.send_fds(broken.control, [message], [file.fileno()] * 253)
            broken.worker.on_ready(0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_worker_is_ready_once(broken: Broken) -> None:
    assert broken.say(b"ready \xff\n\x1b") == ["ready: \\xff\n\x1b"]
    assert broken.say(b"ready again") == []


def test_any_mistake_is_text(broken: Broken) -> None:
    assert broken.say(b"mistake \xff") == []
    assert broken.worker.mistake == "\\xff"


def test_an_order_that_finds_no_room_is_given_later(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that never heard that it is to finish would serve on for ever."""
    with monkeypatch.context() as patch:

        def fail(*_: object) -> int:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

        patch.setattr(socket, "send_fds", fail)
        broken.worker.tell(b"one", [0])
    broken.worker.tell(b"other")
    messages = []
    for _ in range(10):
        broken.parent.loop.run_batch(3)
        broken.control.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                message, descriptors, _, _ = socket.recv_fds(broken.control, 64, 4)
                messages.append((message, len(descriptors)))
                for descriptor in descriptors:
                    os.close(descriptor)
        if len(messages) == 2:
            break
    assert messages == [(b"one", 1), (b"other", 0)]


def test_what_is_not_sent_is_bounded_and_given_back(broken: Broken) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5_000):
        broken.worker.tell(b"word", [0])
    # The other end holds some of them.
    assert len(os.listdir("/proc/self/fd")) <= before + 64


def test_a_worker_whose_end_another_process_holds(broken: Broken) -> None:
    """It has ended when the process has; what the other says then is not waited for."""
    for _ in range(3):
        broken.control.send(b"here")
    broken.worker.kill()
    while not any(line.startswith("exit") for line in broken.parent.told):
        broken.parent.loop.run_batch(10)
    assert broken.parent.told == ["here", "here", "here", f"exit {-signal.SIGKILL}"]
    with pytest.raises(OSError, match=r"."):
        broken.control.send(b"here")
