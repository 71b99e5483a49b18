"""Deadlines at a cost of O(1) each, coarse to the second.

Facts: nearly every deadline is moved long before it comes (a connection that is used is not idle),
so the cheap thing must be the moving.
Decision: whoever has a deadline keeps it as an attribute and moves it by an assignment. Here only
its descriptor is noted, in the bucket of one second; when that second is over, the sweep looks at
the attribute and either calls the owner or moves the descriptor to the bucket where it belongs by now.
Price: a deadline that moves *closer* must be noted again (`note`), and one that was noted for a
descriptor whose owner has changed since costs one look at the new owner.
"""

import math
from collections.abc import Iterable


class Deadlines:
    """Descriptors in buckets of one second of monotonic time each."""

    __slots__ = ("_buckets", "earliest")

    def __init__(self) -> None:
        self._buckets: dict[int, set[int]] = {}
        self.earliest: float = math.inf
        """The instant at which the next bucket is due; infinite when there is none."""

    def note(self, descriptor: int, instant: float) -> None:
        """See to it that the descriptor is swept in the second after the instant."""
        due = math.ceil(instant)
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {descriptor}
            self.earliest = min(self.earliest, due)
        else:
            bucket.add(descriptor)

    def take_due(self, now: float) -> Iterable[int]:
        """Remove and return the descriptors of every bucket whose second is over."""
        due: set[int] = set()
        for instant in [instant for instant in self._buckets if instant <= now]:
            due |= self._buckets.pop(instant)
        self.earliest = min(self._buckets, default=math.inf)
        return due
