"""What a clock of the loop promises, held by the system's and by the one that tests turn by hand."""

import time
from collections.abc import Callable

import pytest

from epollo.http.dates import format_date, parse_date
from epollo.loop import Clock, SystemClock
from loop.hand_clock import HandClock

MAKERS: list[Callable[[], Clock]] = [SystemClock, HandClock]


@pytest.fixture(params=MAKERS, ids=["system", "hand"])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def let_time_pass(clock: Clock, seconds: float) -> None:
    if isinstance(clock, HandClock):
        clock.turn(seconds)
    else:
        time.sleep(seconds)


def test_shows_a_time_from_the_start(clock: Clock) -> None:
    assert clock.now > 0
    assert clock.second > 0
    assert clock.date == format_date(clock.second)


def test_stands_still_between_readings(clock: Clock) -> None:
    shown = clock.now, clock.second, clock.date
    let_time_pass(clock, 0.01)
    assert (clock.now, clock.second, clock.date) == shown


def test_goes_forward_with_a_reading(clock: Clock) -> None:
    before = clock.now
    let_time_pass(clock, 0.01)
    clock.read()
    assert clock.now >= before + 0.01


def test_tells_of_another_second_once(clock: Clock) -> None:
    clock.read()
    before = clock.second
    for _ in range(300):
        let_time_pass(clock, 0.005)
        is_another = clock.read()
        assert is_another == (clock.second != before)
        if is_another:
            break
    assert clock.second == before + 1
    assert clock.date == format_date(before + 1)
    assert not clock.read()


def test_system_clock_shows_this_time() -> None:
    clock = SystemClock()
    assert abs(clock.second - time.time()) < 2
    assert abs(clock.now - time.monotonic()) < 2
    assert parse_date(clock.date, clock.second) == clock.second


def test_wall_clock_may_jump_back_and_monotonic_time_does_not() -> None:
    clock = HandClock()
    before = clock.now, clock.second
    clock.jump(-3600)
    assert clock.read()
    assert (clock.now, clock.second) == (before[0], before[1] - 3600)


def test_system_clock_follows_a_jump_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, wall = 1000.0, 1_784_111_777.75
    monkeypatch.setattr("epollo.loop.clock.monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: wall)
    clock = SystemClock()
    assert clock.second == 1_784_111_777
    now, wall = 1000.2, 784_111_777.5
    assert not clock.read()
    assert clock.now == 1000.2
    now, wall = 1000.25, 784_111_777.5
    assert clock.read()
    assert clock.second == 784_111_777
    assert clock.date == b"Sun, 06 Nov 1994 08:49:37 GMT"
    now, wall = 1000.7, 784_111_777.95
    assert not clock.read()


def test_system_clock_looks_again_where_the_second_is_not_over_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wall clock may be slowed down: time by the monotonic clock is not time by it."""
    now, wall = 1000.0, 784_111_777.75
    monkeypatch.setattr("epollo.loop.clock.monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: wall)
    clock = SystemClock()
    now, wall = 1000.25, 784_111_777.9375
    assert not clock.read()
    now, wall = 1000.3125, 784_111_778.0
    assert clock.read()
    assert clock.second == 784_111_778


@pytest.mark.parametrize("make", MAKERS)
def test_the_length_of_a_batch_is_counted_from_the_reading(make: Callable[[], Clock]) -> None:
    clock = make()
    for _ in range(3):
        clock.read()
        assert 0 <= clock.count_batch_seconds() < 10
    if isinstance(clock, HandClock):
        clock.turn(0.5)
        assert clock.count_batch_seconds() == 0.5
        clock.read()
        assert clock.count_batch_seconds() == 0
