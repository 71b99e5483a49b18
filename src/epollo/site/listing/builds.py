"""Listings that take longer than one turn may: made slice by slice, between what else there is to do.

Facts: 100,000 files take half a second to be looked at, sorted and written down. A thread would need a
walk, a watch and a cache that two threads may use.
Decision: a build is a generator, and a turn takes it on for about a millisecond. All builds share one
such slice in each batch of the loop, in turn.
Price: beside a busy loop a large folder takes as many batches as it has milliseconds.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence

from epollo.annotations import Final, TypeAlias
from epollo.http.message import Later
from epollo.loop import Handler
from epollo.site.listing.snapshot import ListingPage, Snapshot
from epollo.site.resolve import Kind

SLICE_SECONDS: Final = 0.001
_DISCARDED_AT_ONCE: Final = 2048
BUILDS_LIMIT: Final = 32
"""At most this number of listings is being made at once."""

Listed: TypeAlias = ListingPage | Kind
"""A page, or why there is none."""
Making: TypeAlias = Generator[bool | None, None, Listed]
"""Steps; true where one can do nothing before another build has come further."""


class Build:
    """A page that is being made, and the requests that wait for it.

    ``snapshot`` is what it is made of, once there is one: when that has ended, the page is still an
    answer to requests that came before, and to no others.
    """

    def __init__(self, make: Callable[["Build"], Making]) -> None:
        self._making = make(self)
        self.snapshot: Snapshot | None = None
        self.is_read = False
        """Whether the folder has been read."""
        self.outcome: Listed | None = None
        self._waiting: list[Later] = []

    @property
    def may_be_joined(self) -> bool:
        """Whether a request of this moment may be answered with what comes of it."""
        return self.snapshot is None or self.snapshot.is_current

    def take_on(self, seconds: float) -> bool:
        """Continue for this long, and for one step in any case; return whether there is an outcome."""
        end = time.perf_counter() + seconds
        try:
            waits = next(self._making)
            while not waits and time.perf_counter() < end:
                waits = next(self._making)
        except StopIteration as stop:
            self.outcome = stop.value
        except BaseException:
            self.outcome = Kind.UNAVAILABLE
            raise
        return self.outcome is not None

    def wait(self, later: Later, address: str) -> None:  # noqa: ARG002 - as any result is begun
        """Finish a response when there is an outcome."""
        if self.outcome is None:
            self._waiting.append(later)
        else:
            later.finish()

    def finish(self) -> None:
        """Let the requests that wait be answered."""
        waiting, self._waiting = self._waiting, []
        for later in waiting:
            later.finish()

    def close(self) -> None:
        """Give back what is open, without an outcome."""
        self._making.close()


class Builds(Handler):
    """The handler that takes builds on; ``call_again`` has the loop call it in the next batch."""

    def __init__(self, call_again: Callable[[Handler], None]) -> None:
        self._call_again = call_again
        self._queue: deque[Build] = deque()
        self._discarded: list[object] = []

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, build: Build) -> None:
        """Take on a build from the next batch on."""
        self._queue.append(build)
        self._call_again(self)

    def discard(self, values: Sequence[object]) -> None:
        """Release many values in slices: a hundred thousand take some twenty milliseconds."""
        if len(values) > _DISCARDED_AT_ONCE:
            self._discarded += values
            self._call_again(self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Take the next build on for one slice, and release what is discarded."""
        del self._discarded[-_DISCARDED_AT_ONCE:]
        if self._queue:
            self._take_next_on()
        elif self._discarded:
            self._call_again(self)

    def _take_next_on(self) -> None:
        build = self._queue.popleft()
        try:
            if not build.take_on(SLICE_SECONDS):
                self._queue.append(build)
        finally:
            if self._queue or self._discarded:
                self._call_again(self)
            if build.outcome is not None:
                build.finish()

    def close(self) -> None:
        """Give back what is open."""
        while self._queue:
            self._queue.popleft().close()
