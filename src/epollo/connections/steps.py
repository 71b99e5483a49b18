"""How much of a file one of several downloads may send in a turn.

Facts: a step of two megabytes takes a third of a millisecond and more, and all downloads that are ready
take theirs in one batch. A small request that comes meanwhile waits for all of them. The interpreter
finds its memory out of the caches after a step, so its own work costs as much as sending 300 KiB.
Decision: if other requests were served a moment ago, the downloads that are ready share one step. If
there are only downloads, each of up to sixty-four takes a whole step. A download that is alone takes a
longer one, if its last step is a moment ago; that ends where the peer has no more room.
Consequence: beside sixteen downloads a small request waits about as long as beside one. A slow disk,
for which all wait, is read in short steps.
Price: many downloads beside other requests need more system calls for each megabyte. The first request
after a moment without any waits for whole steps.
"""

from epollo.annotations import Final
from epollo.protocols.answer import STEP_OCTETS, STEP_OCTETS_MINIMUM

LONE_OCTETS: Final = 4 * STEP_OCTETS
"""What a lone download may send: twice what a socket has room for, as its peer takes some meanwhile."""
_SOON_SECONDS: Final = 0.01
_TOGETHER_OCTETS: Final = 64 * STEP_OCTETS
_REMEMBERED_SECONDS: Final = 0.25
"""Steps are shared for this long after a batch in which others than downloads were ready."""


class Steps:
    """The share of each download, by how many took a step in this batch or in the last that had any."""

    __slots__ = (
        "_batch_length",
        "_expected",
        "_instant",
        "_lone_instant",
        "_octets",
        "_ready",
        "_shared_until",
    )

    def __init__(self) -> None:
        self._instant = -1.0
        self._lone_instant = -1.0
        """When one that is alone took its last step."""
        self._batch_length = 0
        self._expected = 0
        self._ready = 0
        self._octets = 0
        self._shared_until = -1.0

    def share(self, instant: float, batch_length: int) -> int:
        """Return how many octets a download may send in the batch of this instant (monotonic, seconds).

        ``batch_length`` is how many handlers are ready in it, downloads among them.
        """
        if batch_length == 1 and instant >= self._shared_until:
            is_soon = instant - self._lone_instant < _SOON_SECONDS
            self._lone_instant = instant
            return LONE_OCTETS if is_soon else STEP_OCTETS
        if instant != self._instant:
            if self._batch_length > self._ready:
                self._shared_until = self._instant + _REMEMBERED_SECONDS
            self._instant = instant
            self._batch_length = batch_length
            self._expected, self._ready = self._ready, 0
            self._octets = self._divide(max(1, self._expected))
        self._ready = ready = self._ready + 1
        if ready > self._expected:
            self._octets = self._divide(ready)
        return self._octets

    def _divide(self, downloads: int) -> int:
        """Return the share of each of the downloads that are ready."""
        if self._instant < self._shared_until:
            return max(STEP_OCTETS_MINIMUM, STEP_OCTETS // downloads)
        return max(STEP_OCTETS_MINIMUM, min(STEP_OCTETS, _TOGETHER_OCTETS // downloads))
