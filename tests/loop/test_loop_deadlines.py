import math

from hypothesis import given
from hypothesis import strategies as st

from epollo.loop.deadlines import Deadlines


def test_nothing_is_due_where_nothing_was_noted() -> None:
    deadlines = Deadlines()
    assert deadlines.earliest == math.inf
    assert set(deadlines.take_due(1e9)) == set()


def test_due_when_its_second_is_over() -> None:
    deadlines = Deadlines()
    deadlines.note(7, 10.3)
    assert deadlines.earliest == 11
    assert set(deadlines.take_due(10.9)) == set()
    assert set(deadlines.take_due(11.0)) == {7}
    assert deadlines.earliest == math.inf


def test_never_before_the_instant() -> None:
    deadlines = Deadlines()
    deadlines.note(7, 10.0)
    assert set(deadlines.take_due(9.999)) == set()
    assert set(deadlines.take_due(10.0)) == {7}


def test_taken_once() -> None:
    deadlines = Deadlines()
    deadlines.note(7, 1.5)
    deadlines.note(7, 1.7)
    deadlines.note(8, 1.9)
    assert set(deadlines.take_due(2)) == {7, 8}
    assert set(deadlines.take_due(2)) == set()


def test_a_closer_instant_is_due_first() -> None:
    deadlines = Deadlines()
    deadlines.note(7, 100)
    deadlines.note(8, 5)
    assert deadlines.earliest == 5
    assert set(deadlines.take_due(50)) == {8}
    assert deadlines.earliest == 100


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 50))),
    st.lists(st.floats(0, 60), max_size=10).map(sorted),
)
def test_whatever_is_noted_is_due_within_a_second_and_never_early(
    noted: list[tuple[int, float]], instants: list[float]
) -> None:
    deadlines = Deadlines()
    for descriptor, instant in noted:
        deadlines.note(descriptor, instant)
    pending = set(noted)
    for now in instants:
        assert deadlines.earliest == min(
            (math.ceil(instant) for _, instant in pending), default=math.inf
        )
        due = {pair for pair in pending if math.ceil(pair[1]) <= now}
        assert set(deadlines.take_due(now)) == {descriptor for descriptor, _ in due}
        pending -= due
