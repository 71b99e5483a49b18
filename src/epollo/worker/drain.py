"""How a worker ends: what is under way is finished, for as long as that is allowed."""

import math
from collections.abc import Callable

from epollo.annotations import Final
from epollo.connections.service import Service
from epollo.loop import EventLoop

_SILENT_SECONDS: Final = 1.0
"""If the end takes longer, the operator is told what it waits for."""


class Drain:
    """The end of a service; until it is begun, the loop runs.

    A connection between two requests is closed at once if the server stops. If others serve from now on,
    it is kept for the grace: its next request may be under way. ``report`` tells the operator, in one
    line, why a server that was asked to stop still runs; None if a parent was asked.
    """

    def __init__(
        self,
        loop: EventLoop,
        service: Service,
        grace_seconds: float,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._loop = loop
        self._service = service
        self._grace_seconds = grace_seconds
        self._ended_by = math.inf
        """The instant at which nothing is finished any more."""
        self._idle_until = math.inf
        """The instant at which connections between two requests are closed."""
        self._report = report
        self._told_at = math.inf
        """The instant at which the operator is told."""

    @property
    def is_begun(self) -> bool:
        """Whether each answer is the last one of its connection."""
        return self._service.is_draining

    def retire(self) -> None:
        """Finish with every peer in its own time, however long a download takes."""
        if not self.is_begun:
            self._idle_until = self._loop.clock.now + self._grace_seconds
            self._begin()

    def stop(self) -> None:
        """Finish what is under way, within the grace."""
        if self._ended_by == math.inf:
            self._ended_by = self._loop.clock.now + self._grace_seconds
            self._idle_until = 0.0
            if self._report is not None:
                self._told_at = self._loop.clock.now + _SILENT_SECONDS
            self._begin()

    def stop_at_once(self) -> None:
        """Finish nothing."""
        self.stop()
        self._ended_by = 0.0

    def finish(self) -> None:
        """Turn the loop until no peer is left, or the time is over."""
        clock = self._loop.clock
        while self._service.peers and clock.now < self._ended_by:
            if clock.now >= self._idle_until:
                self._idle_until = math.inf
                for peer in list(self._service.peers):
                    peer.on_drain()
                continue
            if clock.now >= self._told_at and self._report is not None:
                self._told_at = math.inf
                self._report(self._describe())
            self._loop.run_batch(min(self._ended_by, self._idle_until, self._told_at) - clock.now)

    def _describe(self) -> str:
        number = len(self._service.peers)
        seconds = math.ceil(self._ended_by - self._loop.clock.now)
        return (
            f"finishing {number} connection{'s' if number > 1 else ''}, for at most {seconds} s; "
            "a second signal (Ctrl-C) ends at once"
        )

    def _begin(self) -> None:
        self._service.drain()
        self._loop.stop()
