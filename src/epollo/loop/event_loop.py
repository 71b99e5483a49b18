"""The event loop: a map from descriptor to handler, and one place where the process sleeps.

Everything that happens reaches the process as readiness of a descriptor. One turn of the loop is a
*batch*: sleep until something is ready or due, read the clock once, call whom it concerns.

The order within a batch is part of the contract. The handlers added with ``add_first`` (changes of
files, mounts) are called before all others, so that a change which was complete before a request was
sent is seen before that request is answered: both were ready when ``poll`` returned.
"""

import math
from collections.abc import Callable
from typing import Final, Protocol

from epollo.errors import EpolloError
from epollo.loop.clock import Clock, SystemClock
from epollo.loop.deadlines import Deadlines
from epollo.pollers.contract import READABLE, Poller

_FULL_BATCH: Final = 1023
"""As many as ``select.epoll.poll`` returns at once: there may be more that it did not tell."""

# poll(2) and epoll_wait(2) count milliseconds in an int, which holds 24 days of them. A day is as good as
# for ever: who is woken in vain goes to sleep again.
_LONGEST_SLEEP_SECONDS: Final = 86_400.0


class Handler(Protocol):
    """Whoever is called when a descriptor is ready."""

    deadline: float
    """The instant (monotonic, seconds) at which `on_deadline` is due; infinite for never."""

    def on_ready(self, events: int, /) -> None:
        """Try what the events promise; being called in vain is allowed (spurious readiness)."""

    def on_deadline(self) -> None:
        """Act on a deadline that has passed: go away, or set another."""

    def on_fault(self, fault: Exception, /) -> None:
        """Give up after a bug: the loop goes on without this handler."""


class EventLoop:
    """One thread's loop over one poller."""

    __slots__ = (
        "_again",
        "_deadlines",
        "_first",
        "_handlers",
        "_is_running",
        "_poller",
        "_removed",
        "clock",
        "on_second",
    )

    def __init__(self, poller: Poller, clock: Clock | None = None) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.on_second: list[Callable[[], None]] = []
        """Called first in the first batch of each second of the wall clock that has a batch."""
        self._poller = poller
        self._handlers: dict[int, Handler] = {}
        self._first: tuple[tuple[tuple[int, int], Handler], ...] = ()
        self._again: dict[int, Handler] = {}
        self._deadlines = Deadlines()
        self._removed: set[int] = set()
        self._is_running = False

    def add(self, descriptor: int, handler: Handler, events: int = READABLE) -> None:
        """Call the handler when the descriptor is ready, and when its deadline has passed.

        Raises `DescriptorLimitError` where the poller cannot watch this descriptor.
        """
        self._poller.register(descriptor, events)
        self._handlers[descriptor] = handler
        if handler.deadline != math.inf:
            self._deadlines.note(descriptor, handler.deadline)

    def add_first(self, descriptor: int, handler: Handler) -> None:
        """Like `add`, for a handler that goes before all that are not first in every batch."""
        self.add(descriptor, handler)
        self._first += (((descriptor, READABLE), handler),)

    def modify(self, descriptor: int, events: int) -> None:
        """Watch the descriptor for other events."""
        self._poller.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Forget the descriptor; to be called before it is closed."""
        self._poller.unregister(descriptor)
        self._removed.add(descriptor)
        handler = self._handlers.pop(descriptor)
        self._first = tuple(first for first in self._first if first[1] is not handler)

    def handlers(self) -> list[Handler]:
        """Return everyone who was added and not removed."""
        return list(self._handlers.values())

    def note_deadline(self, descriptor: int, instant: float) -> None:
        """Say that the deadline of a handler has moved closer; one that moves away needs no call."""
        self._deadlines.note(descriptor, instant)

    def call_again(self, descriptor: int, handler: Handler) -> None:
        """Give the handler another turn in the next batch, after those who are ready then.

        For a handler that stopped in the middle of its work to let others have their turn. However
        often it asks within a batch, it gets one.
        """
        self._again[descriptor] = handler

    def stop(self) -> None:
        """Return from `run` after this batch."""
        self._is_running = False

    def run(self) -> None:
        """Turn until `stop` is called."""
        self._is_running = True
        while self._is_running:
            self.run_batch()

    def run_batch(self, longest_seconds: float = _LONGEST_SLEEP_SECONDS) -> None:
        """Turn once: wait, for so long at most, then call everyone whom the batch concerns."""
        clock = self.clock
        # No calls: of a batch with one handler this and the clock are half the cost.
        timeout = 0.0 if self._again else self._deadlines.earliest - clock.now
        if not 0 <= timeout <= longest_seconds <= _LONGEST_SLEEP_SECONDS:
            timeout = max(0.0, min(timeout, longest_seconds, _LONGEST_SLEEP_SECONDS))
        removed = self._removed
        if removed:
            removed.clear()
        batch = self._poller.poll(timeout)
        if clock.read():
            for on_second in self.on_second:
                on_second()
        self._call_first(batch)
        again, self._again = self._again, {}
        handlers = self._handlers
        for descriptor, events in batch:
            if removed and descriptor in removed:
                # The report was of the former holder of this number, not of who has it now (open(2)).
                continue
            handler = handlers.get(descriptor)
            if handler is not None:
                try:
                    handler.on_ready(events)
                except Exception as fault:
                    handler.on_fault(fault)
        for descriptor, handler in again.items():
            if handlers.get(descriptor) is handler:
                _call(handler, 0)
        if self._deadlines.earliest <= clock.now:
            self._sweep()

    def close(self) -> None:
        """Release the poller; the handlers' descriptors are theirs."""
        if self._is_running:
            raise EpolloError("a running loop cannot be closed")
        self._handlers.clear()
        self._poller.close()

    def _call_first(self, batch: list[tuple[int, int]]) -> None:
        """Call the handlers that go before all others, as far as the batch concerns them."""
        for pair, handler in self._first:
            if pair in batch:
                _call(handler, READABLE)
            elif len(batch) >= _FULL_BATCH:
                _call(handler, 0)

    def _sweep(self) -> None:
        now = self.clock.now
        for descriptor in self._deadlines.take_due(now):
            handler = self._handlers.get(descriptor)
            if handler is None:
                continue
            if handler.deadline <= now:
                try:
                    handler.on_deadline()
                except Exception as fault:
                    handler.on_fault(fault)
            if self._handlers.get(descriptor) is handler and handler.deadline != math.inf:
                self._deadlines.note(descriptor, max(handler.deadline, now + 1))


def _call(handler: Handler, events: int) -> None:
    try:
        handler.on_ready(events)
    except Exception as fault:
        handler.on_fault(fault)
