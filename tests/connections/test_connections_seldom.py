"""Lines that the operator is told once in a while."""

from epollo.connections.seldom import EVERY_SECONDS, Seldom
from loop.hand_clock import HandClock


def test_a_line_is_told_at_most_once_in_a_while() -> None:
    clock = HandClock()
    lines: list[str] = []
    seldom, other = Seldom(clock, lines.append), Seldom(clock, lines.append)
    seldom.tell("first")
    seldom.tell("kept back")
    other.tell("another kind")
    clock.now += EVERY_SECONDS - 1
    seldom.tell("kept back")
    clock.now += 1
    seldom.tell("second")
    assert lines == ["first", "another kind", "second"]
