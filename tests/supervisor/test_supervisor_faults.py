"""A bug in what the parent does at a signal does not end it: its workers serve on."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.settings import Settings
from epollo.supervisor.supervisor import Supervisor

FAULT = "a fault in epollo, please report it: ValueError('a bug')"


def fail(*_: object, **__: object) -> None:
    raise ValueError("a bug")


@pytest.fixture(autouse=True)
def signals_given_back() -> Iterator[None]:
    """A supervisor keeps its signals, for its process ends with it; the tests' does not end."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "broken", "line"),
    [
        (signal.SIGHUP, "change_listening", f"nothing was changed: {FAULT}"),
        (signal.SIGHUP, "WorkerProcess", f"nothing was changed: cannot start a worker: {FAULT}"),
        (signal.SIGUSR1, "open_destination", FAULT),
        (signal.SIGUSR2, "Upgrade", f"cannot start another program: {FAULT}"),
    ],
)
def test_a_bug_is_one_line_and_the_end_is_still_orderly(
    site: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    broken: str,
    line: str,
) -> None:
    """The parent runs in this process: it is sent the signal when it has started, then the next."""
    log = tmp_path / "access.log"
    settings = Settings(root=site, port=0, workers="1", quiet=True, access_log=str(log))
    lines: list[str] = []
    answers: list[bytes] = []
    address: tuple[str, int] = ("", 0)

    def on_started(_: Settings, sockets: list[socket.socket], __: str) -> None:
        nonlocal address
        address = sockets[0].getsockname()
        monkeypatch.setattr(f"epollo.supervisor.supervisor.{broken}", fail)
        os.kill(os.getpid(), number)

    def report(text: str) -> None:
        lines.append(text)
        with socket.create_connection(address, 10) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answers.append(peer.recv(15))
        if len(lines) == 1:
            # A second one might come when the parent has ended, and end the tests.
            os.kill(os.getpid(), signal.SIGTERM)

    assert Supervisor(lambda: settings, report, on_started, None).run() == 0
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert answers == [b"HTTP/1.1 200 OK"]
