"""The loop's clock: read once per batch, formatted once per second.

Two times are kept apart (clock_gettime(2)): the monotonic one, for deadlines, which cannot be set;
and the wall clock, for Date and for dates in requests, which may jump. The latter is read when the second
that it showed is over by the former: a jump is followed within a second.
"""

import math
import time
from time import monotonic

from epollo.annotations import Protocol
from epollo.http.dates import format_date


class Clock(Protocol):
    """The time as one batch sees it."""

    now: float
    """Monotonic time, seconds."""
    second: int
    """Wall clock, whole seconds since 1970."""
    date: bytes
    """`second` as the value of a Date field (RFC 9110 section 6.6.1)."""

    def read(self) -> bool:
        """Read the time anew; return whether the wall clock shows another second than before."""

    def count_batch_seconds(self) -> float:
        """Return how long ago the time was read."""


class SystemClock:
    """The time of this machine."""

    __slots__ = ("_second_ends", "date", "now", "second")

    def __init__(self) -> None:
        self.now = 0.0
        self.second = 0
        self.date = b""
        self._second_ends = -math.inf
        """When `second` is over, monotonic."""
        self.read()

    def read(self) -> bool:
        """Read the time anew; return whether the wall clock shows another second than before."""
        self.now = now = monotonic()
        if now < self._second_ends:
            return False
        wall = time.time()
        second = math.floor(wall)
        self._second_ends = now + (second + 1 - wall)
        if second == self.second:
            return False
        self.second = second
        self.date = format_date(second)
        return True

    def count_batch_seconds(self) -> float:
        """Return how long ago the time was read."""
        return monotonic() - self.now
