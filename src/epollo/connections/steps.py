"""How much of a file one of several downloads may send in a turn.

Facts: a step of two megabytes takes a third of a millisecond and more, and all downloads that are ready
take theirs in one batch. A small request that comes meanwhile waits for all of them.
Decision: where others were served in the last second, the downloads that are ready share what one alone
may send; where there are none but downloads, each of up to sixty-four takes its whole step.
Consequence: beside sixteen downloads a small request waits about as long as beside one.
Price: of many downloads beside other requests, more system calls for each megabyte. The first request
after a second without any waits for whole steps.
"""

from typing import Final

from epollo.protocols.answer import STEP_OCTETS

STEP_OCTETS_MINIMUM: Final = 128 * 1024
"""A smaller step costs more than it sends."""
_ALONE_OCTETS: Final = 64 * STEP_OCTETS
_REMEMBERED_SECONDS: Final = 1.0


class Steps:
    """The share of each download, by how many took a step in this batch or in the last that had any."""

    __slots__ = ("_batch_length", "_instant", "_ready", "_ready_before", "_shared_until")

    def __init__(self) -> None:
        self._instant = -1.0
        self._batch_length = 0
        self._ready = 0
        self._ready_before = 0
        self._shared_until = -1.0

    def share(self, instant: float, batch_length: int) -> int:
        """Return how many octets a download may send in the batch of this instant (monotonic, seconds).

        ``batch_length`` is how many handlers are ready in it, downloads among them.
        """
        if instant != self._instant:
            if self._batch_length > self._ready:
                self._shared_until = self._instant + _REMEMBERED_SECONDS
            self._instant = instant
            self._batch_length = batch_length
            self._ready_before, self._ready = self._ready, 0
        self._ready += 1
        together = STEP_OCTETS if instant < self._shared_until else _ALONE_OCTETS
        share = together // max(self._ready, self._ready_before)
        return min(STEP_OCTETS, max(STEP_OCTETS_MINIMUM, share))
