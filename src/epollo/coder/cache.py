"""What a coder has made, by the hash of the content: bounded, the least recently used goes first."""

from collections import OrderedDict

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple
from epollo.site.sealed import Coded

OCTETS_LIMIT: Final = 32 * 1024 * 1024
DESCRIPTORS_LIMIT: Final = 256
SHARED_OCTETS_LIMIT: Final = 64 * 1024 * 1024
SHARED_DESCRIPTORS_LIMIT: Final = 512
"""The most content of workers that is shared; they hold it themselves for as long as they use it."""
_ENTRY_OCTETS: Final = 512
"""What an entry takes in addition to its content."""


class Key(NamedTuple):
    """A coding of a content: its hash, the place of the coding among `CODINGS`, the level."""

    digest: bytes
    place: int
    level: int


class CodingCache:
    """Codings that were made; of one that was too long, a number of octets that it exceeds."""

    def __init__(
        self, octets_limit: int = OCTETS_LIMIT, descriptors_limit: int = DESCRIPTORS_LIMIT
    ) -> None:
        self._octets_limit = octets_limit
        self._descriptors_limit = descriptors_limit
        self._entries: OrderedDict[Key, Coded | int] = OrderedDict()
        self.octets = 0
        self.descriptors = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key, limit: int) -> Coded | int | None:
        """Return the coding, or a number of octets that it exceeds; None if neither is known.

        ``limit`` is how long it may be: a smaller number that it exceeds says nothing.
        """
        known = self._entries.get(key)
        if known is None or (isinstance(known, int) and known < limit):
            return None
        self._entries.move_to_end(key)
        return known

    def keep(self, key: Key, made: Coded | int) -> None:
        """Keep a coding, or a number of octets that it exceeds; drop the least recently used."""
        former = self._entries.pop(key, None)
        if former is not None:
            self._count(former, -1)
        self._entries[key] = made
        self._count(made, 1)
        while self._entries and (
            self.octets > self._octets_limit or self.descriptors > self._descriptors_limit
        ):
            # Clients that were given a sealed file hold it by descriptors of their own.
            self._count(self._entries.popitem(last=False)[1], -1)

    def _count(self, made: Coded | int, sign: int) -> None:
        self.octets += sign * _ENTRY_OCTETS
        if isinstance(made, Coded):
            self.octets += sign * made.length
            self.descriptors += sign * (not isinstance(made.content, bytes))
