"""How a worker ends: what is finished, and for how long."""

from collections.abc import Iterator

import pytest

from connections.in_process import GET, InProcess, respond
from epollo.connections.contract import Timeouts
from epollo.worker.drain import Drain
from loop.hand_clock import HandClock

PART = b"GET / HTTP/1.1\r\nHo"
GRACE_SECONDS = 10.0


class Turning:
    """A loop that does not sleep: the time that it would wait goes by on its clock."""

    def __init__(self, harness: InProcess, clock: HandClock) -> None:
        self._loop = harness.loop
        self.clock = clock
        self.waits: list[float] = []
        self.has_stopped = False

    def stop(self) -> None:
        self.has_stopped = True

    def run_batch(self, longest_seconds: float) -> None:
        self.waits.append(longest_seconds)
        self.clock.turn(longest_seconds)
        self._loop.run_batch(0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def harness(clock: HandClock) -> Iterator[InProcess]:
    with InProcess(respond, clock=clock, timeouts=Timeouts(head=1000.0)) as harness:
        yield harness


@pytest.fixture
def loop(harness: InProcess, clock: HandClock) -> Turning:
    return Turning(harness, clock)


@pytest.fixture
def drain(harness: InProcess, loop: Turning) -> Drain:
    return Drain(loop, harness.service, GRACE_SECONDS)  # type: ignore[arg-type]


def test_nothing_is_begun_until_it_is_asked_for(drain: Drain, loop: Turning) -> None:
    before = drain.is_begun, loop.has_stopped
    drain.retire()
    assert (*before, drain.is_begun, loop.has_stopped) == (False, False, True, True)


def test_a_server_that_stops_closes_idle_connections_at_once(
    harness: InProcess, loop: Turning, drain: Drain
) -> None:
    idle = harness.connect(GET)
    harness.settle(idle)
    drain.stop()
    drain.finish()
    assert idle.is_let_go()
    assert loop.waits == []


def test_a_server_that_stops_waits_for_the_grace(
    harness: InProcess, loop: Turning, drain: Drain
) -> None:
    slow = harness.connect(PART)
    drain.stop()
    drain.stop()
    drain.finish()
    assert loop.waits == [GRACE_SECONDS]
    assert not slow.is_let_go(), "the worker closes it, with all that is left"


def test_where_others_serve_an_idle_connection_is_kept_for_the_grace(
    harness: InProcess, loop: Turning, drain: Drain
) -> None:
    idle = harness.connect(GET)
    harness.settle(idle)
    drain.retire()
    drain.finish()
    assert loop.waits == [GRACE_SECONDS]
    assert idle.is_let_go()


def test_where_others_serve_a_request_is_finished_in_its_own_time(
    harness: InProcess, loop: Turning, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = harness.connect(PART)
    drain.retire()
    turn = loop.run_batch

    def send_the_rest(longest_seconds: float) -> None:
        if loop.waits:
            slow.send(b"st: a\r\n\r\n")
        turn(min(longest_seconds, 100 * GRACE_SECONDS))

    monkeypatch.setattr(loop, "run_batch", send_the_rest)
    drain.finish()
    slow.receive()
    assert b" 200 OK\r\n" in slow.received
    assert slow.is_let_go()
    assert loop.waits[0] == GRACE_SECONDS


def test_at_once_nothing_is_finished(harness: InProcess, loop: Turning, drain: Drain) -> None:
    harness.connect(PART)
    drain.retire()
    drain.stop_at_once()
    drain.finish()
    assert loop.waits == []


def test_what_the_end_waits_for_is_told_once_after_a_second(
    harness: InProcess, loop: Turning
) -> None:
    told: list[str] = []
    drain = Drain(loop, harness.service, GRACE_SECONDS, told.append)  # type: ignore[arg-type]
    harness.connect(PART)
    drain.stop()
    drain.finish()
    assert loop.waits == [1.0, GRACE_SECONDS - 1]
    assert told == [
        "finishing 1 connection, for at most 9 s; a second signal (Ctrl-C) ends at once"
    ]


def test_an_end_at_once_is_not_told(harness: InProcess, loop: Turning) -> None:
    told: list[str] = []
    drain = Drain(loop, harness.service, GRACE_SECONDS, told.append)  # type: ignore[arg-type]
    idle = harness.connect(GET)
    harness.settle(idle)
    drain.stop()
    drain.finish()
    assert told == []
