import math

from hypothesis import given
from hypothesis import strategies as st

from epollo.loop.handler import Handler
from epollo.loop.timers import Timers

HANDLERS = [Handler() for _ in range(10)]
SEVEN, EIGHT = HANDLERS[7:9]


def test_nothing_is_due_where_nothing_was_noted() -> None:
    timers = Timers()
    assert timers.earliest == math.inf
    assert set(timers.take_due(1e9)) == set()


def test_due_when_its_second_is_over() -> None:
    timers = Timers()
    timers.note(SEVEN, 10.3)
    assert timers.earliest == 11
    assert set(timers.take_due(10.9)) == set()
    assert set(timers.take_due(11.0)) == {SEVEN}
    assert timers.earliest == math.inf


def test_never_before_the_instant() -> None:
    timers = Timers()
    timers.note(SEVEN, 10.0)
    assert set(timers.take_due(9.999)) == set()
    assert set(timers.take_due(10.0)) == {SEVEN}


def test_taken_once() -> None:
    timers = Timers()
    timers.note(SEVEN, 1.5)
    timers.note(SEVEN, 1.7)
    timers.note(EIGHT, 1.9)
    assert set(timers.take_due(2)) == {SEVEN, EIGHT}
    assert set(timers.take_due(2)) == set()


def test_a_closer_instant_is_due_first() -> None:
    timers = Timers()
    timers.note(SEVEN, 100)
    timers.note(EIGHT, 5)
    assert timers.earliest == 5
    assert set(timers.take_due(50)) == {EIGHT}
    assert timers.earliest == 100


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 50))),
    st.lists(st.floats(0, 60), max_size=10).map(sorted),
)
def test_whatever_is_noted_is_due_within_a_second_and_never_early(
    noted: list[tuple[int, float]], instants: list[float]
) -> None:
    timers = Timers()
    for number, instant in noted:
        timers.note(HANDLERS[number], instant)
    pending = set(noted)
    for now in instants:
        assert timers.earliest == min(
            (math.ceil(instant) for _, instant in pending), default=math.inf
        )
        due = {pair for pair in pending if math.ceil(pair[1]) <= now}
        assert set(timers.take_due(now)) == {HANDLERS[number] for number, _ in due}
        pending -= due
