"""The signal of a change comes before what is sent after the change."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.linux.readiness_signal import await_signal, signal_readiness
from epollo.site.watch import Watch

ROUNDS = 1000


@pytest.fixture(autouse=True)
def handler_is_given_back() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGIO)
    yield
    signal.signal(signal.SIGIO, previous)


def ignore_end(_: object, /, **__: bool) -> None:
    """Let nothing depend on the folder."""


def test_change_is_signalled_before_what_is_sent_after_it(tmp_path: Path) -> None:
    watch = Watch(ignore_end, pytest.fail)
    signalled: list[int] = []
    counts = []
    near, far = socket.socketpair()

    def write_then_send() -> None:
        with (tmp_path / "page").open("wb", buffering=0) as file:
            while far.recv(1):
                file.write(b"1")
                far.send(b"x")

    writer = threading.Thread(target=write_then_send)
    with near, far:
        folder = os.open(tmp_path, os.O_RDONLY)
        watch.add_folder(folder)
        os.close(folder)
        assert signal_readiness(watch.descriptor, lambda: signalled.append(1))
        writer.start()
        for _ in range(ROUNDS):
            # Read, so that the next change is not the same event as the last (inotify(7)); and again, if
            # a signal was still waiting.
            signalled.append(0)
            while signalled:
                signalled.clear()
                await_signal()
                watch.on_ready(0)
            near.send(b"x")
            near.recv(1)
            counts.append(len(signalled))
        near.shutdown(socket.SHUT_WR)
        writer.join()
    watch.close()
    assert len(counts) == ROUNDS
    assert min(counts) > 0


def test_one_signal_is_enough_until_changes_are_looked_for(tmp_path: Path) -> None:
    """Of a storm each would be one; what came meanwhile is told as soon as the next is waited for."""
    watch = Watch(ignore_end, pytest.fail)
    signalled: list[int] = []
    folder = os.open(tmp_path, os.O_RDONLY)
    watch.add_folder(folder)
    os.close(folder)
    assert signal_readiness(watch.descriptor, lambda: signalled.append(1))
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert signalled == [1]
    await_signal()
    assert signalled == [1, 1]
    watch.on_ready(0)
    await_signal()
    (tmp_path / "last").touch()
    assert signalled == [1, 1, 1]
    watch.close()


def test_descriptor_that_is_closed_cannot_signal() -> None:
    near, far = socket.socketpair()
    descriptor = near.fileno()
    near.close()
    far.close()
    assert not signal_readiness(descriptor, lambda: None)
