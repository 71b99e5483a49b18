"""How much of memory is kept: one count for all that keeps something.

Facts: what clients ask for decides how memory is best spent: on content of files, answers, or names
where nothing stands. Separate bounds would waste what another could use.
Decision: each has a bound of its own, and all together have one. Beyond that, what can give way does.
"""

from collections.abc import Callable

from epollo.annotations import Final, Protocol

_GRAIN_OCTETS: Final = 16
_ROUND: Final = tuple(range(0, 16 * 1024 + 1, _GRAIN_OCTETS))


def round_up(octets: int) -> int:
    """Return what an allocator takes for octets; up to 16 KiB all that are the same are one object.

    For each of its entries a number of its own takes 32 octets.
    """
    grains = -(-octets // _GRAIN_OCTETS)
    return _ROUND[grains] if grains < len(_ROUND) else grains * _GRAIN_OCTETS


class Sharer(Protocol):
    """What gives way to all else that is kept."""

    octets: int
    """What it takes."""

    def give_way(self) -> None:
        """Evict what does not fit into the budget."""

    def look_at_one(self) -> None:
        """Evict the entry that is next, unless it is in use."""


class Budget:
    """The octets that are kept in memory, and their limit."""

    __slots__ = ("_sharers", "give_way", "octets", "octets_limit")

    def __init__(self, octets_limit: int) -> None:
        self.octets_limit = octets_limit
        self.octets = 0
        """What is taken of it."""
        self._sharers: list[Sharer] = []
        self.give_way: Callable[[], None] = lambda: None
        """Called when more is taken than there is; gives back until `is_exceeded` is false."""

    def share(self, sharer: Sharer) -> None:
        """Let this give way; among several, the one that takes most does."""
        self._sharers.append(sharer)
        self.give_way = sharer.give_way if len(self._sharers) == 1 else self._make_room

    def _make_room(self) -> None:
        while self.is_exceeded:
            largest = max(self._sharers, key=lambda one: one.octets)
            if not largest.octets:
                return
            largest.look_at_one()

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
