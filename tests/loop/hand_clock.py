"""A clock that a test turns by hand; it passes the tests of the system's (test_loop_clock.py)."""

from epollo.http.dates import format_date

START_SECOND = 784_111_777


class HandClock:
    """Shows what it was turned to, from the next reading on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.second = START_SECOND
        self.date = format_date(START_SECOND)
        self._next_now = self.now
        self._next_wall = float(START_SECOND)

    def turn(self, seconds: float) -> None:
        """Let time go by on both clocks."""
        self._next_now += seconds
        self._next_wall += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator may."""
        self._next_wall += seconds

    def count_batch_seconds(self) -> float:
        return self._next_now - self.now

    def read(self) -> bool:
        self.now = self._next_now
        second = int(self._next_wall)
        if second == self.second:
            return False
        self.second = second
        self.date = format_date(second)
        return True
