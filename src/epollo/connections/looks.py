"""When all connections may be looked at again, to find those that give way to others.

Decision: at most once a second, or when the last look has been paid for: one connection was closed for
each `LOOKS_PER_CLOSING` that it saw.
Consequence: under a flood of new connections a look costs each of them no more than a bounded share.
"""

from typing import Final

from epollo.loop import Clock

LOOKS_PER_CLOSING: Final = 64
LOOK_EVERY_SECONDS: Final = 1.0


class Looks:
    """How many connections the last look saw, and how many were closed since."""

    __slots__ = ("_clock", "_closed", "_looked_at", "_seen")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = 0
        self._closed = 0
        self._looked_at = -LOOK_EVERY_SECONDS

    @property
    def may_begin(self) -> bool:
        """Whether it is time for another look."""
        return (
            self._clock.now - self._looked_at >= LOOK_EVERY_SECONDS
            or self._closed * LOOKS_PER_CLOSING > self._seen
        )

    def begin(self, seen: int) -> None:
        """Begin a look at this many connections."""
        self._seen = seen
        self._closed = 0
        self._looked_at = self._clock.now

    def note_closing(self) -> None:
        """Count a connection that was closed, of those that the look found."""
        self._closed += 1
