"""What signals do to a worker that has a supervisor, and to one that has none."""

import signal
from collections.abc import Callable, Iterator

import pytest

from epollo.worker.orders import LEAVING
from epollo.worker.signals import handle_signals, leave_signals


class Handled:
    """The calls that were asked for, by signal."""

    def __init__(self) -> None:
        self.calls: dict[int, Callable[[], None]] = {}

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        self.calls[number] = call


class Stopping:
    """A worker that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @property
    def is_ending(self) -> bool:
        return "stop" in self.asked

    def stop(self) -> None:
        self.asked.append("stop")

    def stop_at_once(self) -> None:
        self.asked.append("stop at once")

    def reopen_log(self) -> None:
        self.asked.append("reopen")


@pytest.fixture
def hangup() -> Iterator[None]:
    former = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, former)


def handle(worker: Stopping, lines: list[str]) -> dict[int, Callable[[], None]]:
    handled = Handled()
    handle_signals(worker, handled, lines.append)  # type: ignore[arg-type]
    return handled.calls


@pytest.mark.usefixtures("hangup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_second_signal_stops_at_once(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    worker = Stopping()
    calls = handle(worker, [])
    calls[number]()
    assert worker.asked == ["stop"]
    calls[signal.SIGTERM]()
    assert worker.asked == ["stop", "stop at once"]


@pytest.mark.usefixtures("hangup")
def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert signal.SIGHUP not in handle(Stopping(), [])


def test_a_rotation_reopens_the_log_and_an_upgrade_is_refused_in_one_line() -> None:
    worker, lines = Stopping(), list[str]()
    calls = handle(worker, lines)
    calls[signal.SIGUSR1]()
    calls[signal.SIGUSR2]()
    assert worker.asked == ["reopen"]
    (line,) = lines
    assert "--workers" in line


def test_under_a_supervisor_a_worker_asks_to_leave_and_does_nothing_else() -> None:
    said: list[bytes] = []

    class Supervisor:
        def say(self, message: bytes) -> None:
            said.append(message)

    handled = Handled()
    leave_signals(handled, Supervisor())  # type: ignore[arg-type]
    assert list(handled.calls) == [signal.SIGTERM]
    handled.calls[signal.SIGTERM]()
    assert said == [LEAVING]
