"""How much of memory is kept: one count for all that keeps something.

Facts: what is asked for decides on what memory is best spent: content of files, answers, names where
nothing stands. A bound for each wastes what another could use.
Decision: each has a bound of its own, and all together have one. Beyond that, what can give way does.
"""

from collections.abc import Callable


def _do_nothing() -> None:
    """Make no room: nothing can give way."""


class Budget:
    """The octets that are kept in memory, and their limit."""

    __slots__ = ("give_way", "octets", "octets_limit")

    def __init__(self, octets_limit: int) -> None:
        self.octets_limit = octets_limit
        self.octets = 0
        """What is taken of it."""
        self.give_way: Callable[[], None] = _do_nothing
        """Called when more is taken than there is; gives back until `is_exceeded` is false."""

    @property
    def is_exceeded(self) -> bool:
        """Whether more is taken than there is."""
        return self.octets > self.octets_limit

    def take(self, octets: int) -> None:
        """Count octets that are kept from now on."""
        self.octets += octets
        if self.octets > self.octets_limit:
            self.give_way()

    def give_back(self, octets: int) -> None:
        """Count octets that are no longer kept."""
        self.octets -= octets
