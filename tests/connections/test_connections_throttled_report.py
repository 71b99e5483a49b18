"""Lines that the operator is told at most once a minute."""

from epollo.connections.throttled_report import EVERY_SECONDS, ThrottledReport
from loop.hand_clock import HandClock


def test_a_line_is_told_at_most_once_a_minute() -> None:
    clock = HandClock()
    lines: list[str] = []
    one, other = ThrottledReport(clock, lines.append), ThrottledReport(clock, lines.append)
    one.tell("first")
    one.tell("kept back")
    other.tell("another kind")
    clock.now += EVERY_SECONDS - 1
    one.tell("kept back")
    clock.now += 1
    one.tell("second")
    assert lines == ["first", "another kind", "second"]
