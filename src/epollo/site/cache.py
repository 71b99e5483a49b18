"""A bounded cache that a scan cannot empty.

Facts: most things are asked for once. An order of last use lets one walk over a large tree throw out
everything that is asked for all the time.
Decision: S3-FIFO (Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023).
What is new stands in a short queue and leaves by its end, unless it was asked for again meanwhile:
then it moves to the main queue. An entry that left the short queue is remembered by name for a while, and
goes to the main queue at once when it comes back. A hit costs one increment.
Consequence: with room for 1,000 files, 800 in use at random, and four files of a scan between any two
requests, all of 20,000 requests are hits. With an order of last use, 23 of a hundred would be.

The queues are ordered dictionaries: a plain one keeps the places of entries that left by its front until
it grows, and finds the first of 10,000 in 6 microseconds instead of 0.4.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from epollo.annotations import Final, Generic, Protocol, TypeVar
from epollo.budget import Budget

_SHORT_SHARE: Final = 0.1
HITS_LIMIT: Final = 3


class Entry(Protocol):
    """What can be cached."""

    hits: int
    """How often it was asked for lately, up to `HITS_LIMIT`; raised by its user."""
    octets: int
    """What it takes of memory."""


Name = TypeVar("Name", bound=Hashable)
Cached = TypeVar("Cached", bound=Entry)


class Cache(Generic[Name, Cached]):
    """Entries by name, bounded in octets."""

    __slots__ = (
        "_budget",
        "_ghosts",
        "_limit",
        "_main",
        "_on_evict",
        "_short",
        "_short_octets",
        "octets",
    )

    def __init__(
        self, octets_limit: int, on_evict: Callable[[Cached], None], budget: Budget | None = None
    ) -> None:
        """Keep at most ``octets_limit``, and count them in the budget that all caches share."""
        self._limit = octets_limit
        self._budget = budget or Budget(octets_limit)
        self._on_evict = on_evict
        self._short: OrderedDict[Name, Cached] = OrderedDict()
        self._main: OrderedDict[Name, Cached] = OrderedDict()
        # Known by a hash: names may be long, and a mistake only makes a newcomer one of the main.
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._short_octets = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self._short) + len(self._main)

    def get(self, name: Name) -> Cached | None:
        """Return the entry of this name."""
        return self._short.get(name) or self._main.get(name)

    def entries(self) -> list[Cached]:
        """Return everything that is cached."""
        # An ordered dictionary looks its values up one by one, which takes twenty times as long.
        return [*dict.values(self._short), *dict.values(self._main)]

    def put(self, name: Name, entry: Cached) -> Cached | None:
        """Add an entry under a name, and evict what no longer fits; return the former one of the name."""
        former = self._short.get(name) or self._main.get(name)
        if former is not None:
            self.remove(name)
        ghost = hash(name)
        if ghost in self._ghosts:
            del self._ghosts[ghost]
            self._main[name] = entry
        else:
            self._short[name] = entry
            self._short_octets += entry.octets
        self._count(entry.octets)
        return former

    def grow(self, name: Name, entry: Cached, octets: int) -> None:
        """Count more octets for an entry that is cached."""
        entry.octets += octets
        if name in self._short:
            self._short_octets += octets
        self._count(octets)

    def remove(self, name: Name) -> None:
        """Take an entry out, without calling it evicted."""
        entry = self._short.pop(name, None)
        if entry is not None:
            self._short_octets -= entry.octets
        else:
            entry = self._main.pop(name, None)
        if entry is not None:
            self._discount(entry.octets)

    def take_all(self) -> list[OrderedDict[Name, Cached]]:
        """Take all entries out and return them; that takes as long for many as for few."""
        taken = [self._short, self._main]
        self._short, self._main = OrderedDict(), OrderedDict()
        self._short_octets = 0
        self._discount(self.octets)
        return taken

    def give_way(self) -> None:
        """Evict what does not fit into the budget."""
        while self._budget.is_exceeded and (self._short or self._main):
            self.look_at_one()

    def _count(self, octets: int) -> None:
        self.octets += octets
        self._budget.take(octets)
        while self.octets > self._limit and (self._short or self._main):
            self.look_at_one()

    def _discount(self, octets: int) -> None:
        self.octets -= octets
        self._budget.give_back(octets)

    def look_at_one(self) -> None:
        """Evict the entry that is next, unless it is in use."""
        if self._short and (self._short_octets > self._limit * _SHORT_SHARE or not self._main):
            self._shorten()
        else:
            self._turn_main()

    def _shorten(self) -> None:
        name, entry = self._short.popitem(last=False)
        self._short_octets -= entry.octets
        if entry.hits > 0:
            entry.hits = 0
            self._main[name] = entry
            return
        self._discount(entry.octets)
        self._ghosts[hash(name)] = None
        if len(self._ghosts) > max(len(self._main), 256):
            self._ghosts.popitem(last=False)
        self._on_evict(entry)

    def _turn_main(self) -> None:
        name, entry = self._main.popitem(last=False)
        if entry.hits > 0:
            entry.hits -= 1
            self._main[name] = entry
            return
        self._discount(entry.octets)
        self._on_evict(entry)
