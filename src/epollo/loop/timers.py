"""Deadlines at a cost of O(1) each, coarse to the second.

Facts: nearly every deadline is moved long before it passes (a connection that is used is not idle),
so the cheap operation must be the move.
Decision: a handler keeps its deadline as an attribute and moves it by an assignment. Here only the
handler is noted, in the bucket of one second; when that second is over, the loop looks at the attribute
and either calls the handler or notes it again, in the bucket of its present deadline.
Consequence: a deadline needs no descriptor; a handler that sets its deadline to infinity is forgotten at
the end of the second in which it was noted.
Price: a deadline that moves *closer* must be noted again (`Timers.note`), and a handler that was closed
stays in memory until its second is over.
"""

from collections.abc import Callable, Iterable
from math import ceil, inf

from epollo.loop.handler import Handler


class Timers:
    """Handlers in buckets of one second of monotonic time each."""

    __slots__ = ("_buckets", "earliest")

    def __init__(self) -> None:
        self._buckets: dict[int, set[Handler]] = {}
        self.earliest: float = inf
        """The instant at which the next bucket is due; infinite when there is none."""

    def note(self, handler: Handler, instant: float) -> None:
        """Return the handler from `take_due` in the second after the instant."""
        due = ceil(instant)
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {handler}
            self.earliest = min(self.earliest, float(due))
        else:
            bucket.add(handler)

    def take_due(self, now: float) -> Iterable[Handler]:
        """Remove and return the handlers of every bucket whose second is over."""
        due: set[Handler] = set()
        for instant in [instant for instant in self._buckets if instant <= now]:
            due |= self._buckets.pop(instant)
        self.earliest = float(min(self._buckets, default=inf))
        return due


class Timer(Handler):
    """One call at an instant, for what is no handler by itself (`EventLoop.call_at`)."""

    __slots__ = ("_call", "deadline")

    def __init__(self, instant: float, call: Callable[[], None]) -> None:
        self.deadline = instant
        self._call = call

    def on_deadline(self) -> None:
        """Make the call, once."""
        self.close()
        self._call()

    def close(self) -> None:
        """Cancel the call."""
        self.deadline = inf
