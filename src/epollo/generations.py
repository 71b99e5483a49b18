"""A bounded map that forgets what is not asked for, at a cost of O(1) and without a list of uses.

Facts: a cache that keeps its entries in the order of their use pays for that order at every hit.
Decision: two dictionaries. New entries and those that are asked for live in the young one; when it is
full, it becomes the old one and the old one is dropped whole.
Consequence: what was asked for within the last generation stays, a flood of entries that are asked
for once costs at most two generations of memory.
Price: an entry may be forgotten after half of the bound's worth of others.
"""

from epollo.annotations import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """A map bounded in entries and in octets; both bounds hold for each of its two generations."""

    __slots__ = ("_entries_limit", "_octets", "_octets_limit", "_old", "young")

    def __init__(self, *, entries_limit: int, octets_limit: int) -> None:
        self.young: dict[Key, Value] = {}
        """The young generation, for a look-up at the price of a dictionary; never written to here.

        What it lacks, `get` may still have.
        """
        self._old: dict[Key, Value] = {}
        self._octets = 0
        self._entries_limit = entries_limit
        self._octets_limit = octets_limit

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: Key, octets: int = 0) -> Value | None:
        """Return what is known for the key; found in the old generation, it is made young.

        ``octets`` is what the entry takes, as given to `put`.
        """
        value = self.young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value, octets)
        return value

    def put(self, key: Key, value: Value, octets: int = 0) -> None:
        """Keep an entry that takes this many octets, unless it alone would fill a generation."""
        if octets > self._octets_limit:
            return
        if len(self.young) >= self._entries_limit or self._octets + octets > self._octets_limit:
            self._old = self.young
            self.young = {}
            self._octets = 0
        self.young[key] = value
        self._octets += octets

    def clear(self) -> None:
        """Forget everything."""
        self.young.clear()
        self._old.clear()
        self._octets = 0
