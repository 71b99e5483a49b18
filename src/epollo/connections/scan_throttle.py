"""When all connections may be scanned again, to find those that give way to others.

Decision: at most once a second, or when the last scan has been paid for: one connection was closed for
each `SCANNED_PER_CLOSING` that it saw.
Consequence: under a flood of new connections a scan costs each of them no more than a bounded share.
"""

from epollo.annotations import Final
from epollo.loop import Clock

SCANNED_PER_CLOSING: Final = 64
SCAN_EVERY_SECONDS: Final = 1.0


class ScanThrottle:
    """How many connections the last scan saw, and how many were closed since."""

    __slots__ = ("_clock", "_closed", "_scanned", "_scanned_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scanned = 0
        self._closed = 0
        self._scanned_at = -SCAN_EVERY_SECONDS

    @property
    def may_begin(self) -> bool:
        """Whether another scan may begin."""
        return (
            self._clock.now - self._scanned_at >= SCAN_EVERY_SECONDS
            or self._closed * SCANNED_PER_CLOSING > self._scanned
        )

    def begin(self, connections: int) -> None:
        """Begin a scan of this many connections."""
        self._scanned = connections
        self._closed = 0
        self._scanned_at = self._clock.now

    def note_closing(self) -> None:
        """Count a connection that was closed, of those that the scan found."""
        self._closed += 1
