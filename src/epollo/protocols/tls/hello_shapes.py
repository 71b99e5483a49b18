"""What was read of ClientHellos of a shape, so that the next one of the same shape need not be read.

Facts: a client that comes again says the same, except for random octets, keys and tickets: the same
extensions in the same order, each as long as before. To find them takes 450 steps of the interpreter, a
seventh of all that it does for a connection.
Decision: for each length of a message, the octets on which the reading depends are kept, with what was
read. If all of them are the same again, one call and one comparison are enough. One length may have
several shapes: OpenSSL's client fills up to 517 octets, whatever the name.
Price: a client that puts its extensions into another order each time (Chromium) is compared for
nothing. So that it does not drive out others, a shape gives way to another only at every `_EVERY`-th
miss.
"""

from struct import Struct

from epollo.annotations import Final, Generic, TypeVar
from epollo.generations import Generations

Reading = TypeVar("Reading")

_EVERY: Final = 16
_OF_A_LENGTH: Final = 4
_LENGTHS: Final = 64
_KEPT_OCTETS: Final = 32 * 1024
"""The most octets that each generation keeps for one shape of a length."""
_LONGEST_OCTETS: Final = 4096
"""A longer message is not remembered; hybrid key shares take some 1,200."""
_EXTENSIONS_LIMIT: Final = 64
_HEADS: Final = 5 + 4
"""The head of a record, and that of the message in it: types, versions, lengths."""
_RANDOM: Final = 2 + 32
"""The version, on which nothing depends here, and the random octets."""


class HelloShapes(Generic[Reading]):
    """Readings, each with the shape of the messages that have it; bounded in number and in octets.

    ``kinds`` are the types of the extensions whose content is read; all others are passed over.
    """

    __slots__ = ("_kinds", "_misses", "_shapes")

    def __init__(self, kinds: frozenset[int]) -> None:
        self._kinds = kinds
        self._misses = 0
        self._shapes = Generations[int, tuple[tuple[Struct, tuple[bytes, ...], Reading], ...]](
            entries_limit=_LENGTHS, octets_limit=_KEPT_OCTETS
        )

    def __len__(self) -> int:
        return len(self._shapes)

    def find(self, octets: bytes) -> Reading | None:
        """Return what was read of a message of this shape; None if that is not known."""
        for split, fixed, reading in self._shapes.young.get(len(octets), ()):
            if split.unpack(octets) == fixed:
                return reading
        return None

    def keep(self, octets: bytes, reading: Reading) -> None:
        """Keep what was read of octets that are one record, which is a whole ClientHello."""
        length = len(octets)
        if length > _LONGEST_OCTETS:
            return
        self._misses += 1
        others = self._shapes.get(length, length) or ()
        if len(others) == _OF_A_LENGTH:
            if self._misses % _EVERY:
                return
            others = others[:-1]
        split = _find_shape(octets, self._kinds)
        if split is not None:
            self._shapes.put(length, ((split, split.unpack(octets), reading), *others), length)


def _find_shape(octets: bytes, kinds: frozenset[int]) -> Struct | None:
    """Return the call that takes out of a ClientHello the octets on which its reading depends.

    None for a ClientHello without extensions (RFC 5246 section 7.4.1.2), or with very many.
    """
    parts = [f">{_HEADS}s{_RANDOM}x"]
    offset = _HEADS + _RANDOM
    # legacy_session_id, cipher_suites, legacy_compression_methods (RFC 8446 section 4.1.2).
    for octets_of_length in (1, 2, 1):
        length = int.from_bytes(octets[offset : offset + octets_of_length], "big")
        parts.append(f"{octets_of_length}s{length}x")
        offset += octets_of_length + length
    parts.append("2s")
    offset += 2
    while offset < len(octets):
        kind, length = (
            octets[offset : offset + 2],
            int.from_bytes(octets[offset + 2 : offset + 4], "big"),
        )
        is_read = int.from_bytes(kind, "big") in kinds
        parts.append(f"4s{length}{'s' if is_read else 'x'}")
        offset += 4 + length
    if not 3 < len(parts) - 2 <= _EXTENSIONS_LIMIT:
        return None
    return Struct("".join(parts))
