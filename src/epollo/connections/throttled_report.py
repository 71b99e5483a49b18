"""Reports to the operator that any client can cause, bounded in number."""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.loop import Clock

EVERY_SECONDS: Final = 60


class ThrottledReport:
    """One kind of line, which is reported at most once in `EVERY_SECONDS`."""

    __slots__ = ("_clock", "_report", "_reported_at")

    def __init__(self, clock: Clock, report: Callable[[str], None]) -> None:
        self._clock = clock
        self._report = report
        self._reported_at = float(-EVERY_SECONDS)

    def tell(self, line: str) -> None:
        """Tell the operator, unless a line of this kind was told less than `EVERY_SECONDS` ago."""
        if self._clock.now - self._reported_at >= EVERY_SECONDS:
            self._reported_at = self._clock.now
            self._report(line)
