"""What the operator is told once in a while, however often clients bring it about."""

from collections.abc import Callable
from typing import Final

from epollo.loop import Clock

EVERY_SECONDS: Final = 60


class Seldom:
    """One kind of line, which is told at most once in `EVERY_SECONDS`."""

    __slots__ = ("_clock", "_report", "_told")

    def __init__(self, clock: Clock, report: Callable[[str], None]) -> None:
        self._clock = clock
        self._report = report
        self._told = float(-EVERY_SECONDS)

    def tell(self, line: str) -> None:
        """Tell the operator, in one line, unless that was done lately."""
        if self._clock.now - self._told >= EVERY_SECONDS:
            self._told = self._clock.now
            self._report(line)
