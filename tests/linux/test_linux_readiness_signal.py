"""The signal of a change comes before what is sent after the change."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.linux.readiness_signal import signal_readiness
from epollo.site.watch import Watch

ROUNDS = 1000


@pytest.fixture(autouse=True)
def handler_is_given_back() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGIO)
    yield
    signal.signal(signal.SIGIO, previous)


def ignore_end(_: object, /, *, is_written: bool = False) -> None:
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
            # Read, so that the next change is not the same event as the last (inotify(7)).
            watch.on_ready(0)
            signalled.clear()
            near.send(b"x")
            near.recv(1)
            counts.append(len(signalled))
        near.shutdown(socket.SHUT_WR)
        writer.join()
    watch.close()
    assert len(counts) == ROUNDS
    assert min(counts) > 0


def test_descriptor_that_is_closed_cannot_signal() -> None:
    near, far = socket.socketpair()
    descriptor = near.fileno()
    near.close()
    far.close()
    assert not signal_readiness(descriptor, lambda: None)
