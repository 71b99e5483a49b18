"""The event loop: a map from descriptor to handler, and one place where the process sleeps.

Everything that happens reaches the process as readiness of a descriptor. One turn of the loop is a
*batch*: sleep until something is ready or due, read the clock once, call the handlers concerned.

The order within a batch is part of the contract. The handlers added with ``add_first`` (changes of
files, mounts) are called before all others, so that a change which was complete before a request was
sent is seen before that request is answered: both were ready when ``poll`` returned.

A fault of one handler never ends the loop: it is reported here, once, and the handler is asked to close
(`Handler.on_fault`).

Expensive work waits. A handler that stops in the middle of its work, or finds that the batch has lasted
long (`is_late`), asks for another turn in a later batch (`call_again`). A batch gives as many of these
turns as fit into `_POSTPONED_SECONDS`, so that no answer which is a look-up waits for expensive work.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from math import inf

from epollo.annotations import Final
from epollo.errors import EpolloError, ExhaustedError, describe_fault
from epollo.loop.clock import Clock, SystemClock
from epollo.loop.handler import Handler
from epollo.loop.timers import Timer, Timers
from epollo.pollers.contract import READABLE, OpenPoller, Traits

# poll(2) and epoll_wait(2) count milliseconds in an int, which holds 24 days of them. A day is as good as
# no end: a process that is woken without need sleeps again.
_LONGEST_SLEEP_SECONDS: Final = 86_400.0
_LATE_SECONDS: Final = 0.005
_POSTPONED_SECONDS: Final = 0.005
_EXHAUSTED_EVERY_SECONDS: Final = 60.0


class _End(Handler):
    """Stands behind the handlers whose turns were asked for before this batch."""


_END: Final = _End()


class EventLoop:
    """One thread's loop over one poller; ``report`` tells the operator of a fault, in one line."""

    __slots__ = (
        "_added",
        "_again",
        "_batch",
        "_batch_limit",
        "_exhausted_until",
        "_first",
        "_first_descriptors",
        "_first_reports",
        "_handlers",
        "_is_running",
        "_poller",
        "_timers",
        "clock",
        "note_deadline",
        "on_second",
        "report",
        "traits",
    )

    def __init__(
        self, opened: OpenPoller, report: Callable[[str], None], clock: Clock | None = None
    ) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.on_second: list[Callable[[], None]] = []
        """Called first in the first batch of each second of the wall clock that has a batch."""
        self.report = report
        self.traits: Traits = opened.traits
        """What holds of the poller."""
        self._poller = opened.poller
        self._batch_limit = opened.traits.batch_limit
        self._handlers: dict[int, Handler] = {}
        # Handlers that were added since the poller was asked. A report of this batch is not for them, but
        # for the former holder of the same number (open(2)).
        self._added: dict[int, Handler] = {}
        self._batch: Sequence[tuple[int, int]] = ()
        # What a poller reports of the handlers that go first, in their order.
        self._first: dict[tuple[int, int], Handler] = {}
        self._first_reports: frozenset[tuple[int, int]] = frozenset()
        self._first_descriptors: frozenset[int] = frozenset()
        # Handlers that asked for another turn, in the order in which they did.
        self._again: OrderedDict[Handler, None] = OrderedDict()
        self._timers = Timers()
        # An attribute that is a function is called without a frame of its own.
        self.note_deadline: Callable[[Handler, float], None] = self._timers.note
        """Notes that the deadline of a handler has moved closer, to an instant (monotonic, seconds).

        A deadline that moves away needs no call, and a handler needs no descriptor.
        """
        self._is_running = False
        # Before this instant the operator is not told again that there is no room.
        self._exhausted_until = -inf

    def add(self, descriptor: int, handler: Handler, events: int = READABLE) -> None:
        """Call the handler when the descriptor is ready, and when its deadline has passed.

        Raises `DescriptorLimitError` where the poller cannot watch this descriptor, `ExhaustedError`
        where the system cannot watch one more (epoll_ctl(2)).
        """
        try:
            self._poller.register(descriptor, events)
        except OSError as error:
            raise ExhaustedError(
                f"cannot watch one more connection or file ({error.strerror})"
            ) from error
        self._added[descriptor] = handler
        if handler.deadline != inf:
            self._timers.note(handler, handler.deadline)

    def add_first(self, descriptor: int, handler: Handler) -> None:
        """Like `add`, for a handler that is called before all others in every batch."""
        self.add(descriptor, handler)
        self._first[descriptor, READABLE] = handler
        self._note_first()

    def modify(self, descriptor: int, events: int) -> None:
        """Watch the descriptor for other events."""
        self._poller.modify(descriptor, events)

    def replace(self, descriptor: int, handler: Handler) -> None:
        """Call this handler instead of the one before, for the same events, from now on.

        Its deadline is to be noted (`note_deadline`), and the one before is to have none. What is spared
        is two system calls.
        """
        handlers = self._added if descriptor in self._added else self._handlers
        if self._again:
            self._again.pop(handlers[descriptor], None)
        handlers[descriptor] = handler

    def remove(self, descriptor: int) -> None:
        """Forget the descriptor and the deadline of its handler; to be called before it is closed."""
        self._poller.unregister(descriptor)
        handler = self._handlers.pop(descriptor, None)
        if handler is None:
            handler = self._added.pop(descriptor)
        if handler.deadline != inf:
            # Handlers that have one declare it (`Handler.deadline`).
            handler.deadline = inf  # type: ignore[misc]
        if self._again:
            self._again.pop(handler, None)
        if descriptor in self._first_descriptors:
            del self._first[descriptor, READABLE]
            self._note_first()

    def handlers(self) -> list[Handler]:
        """Return every handler that was added and not removed."""
        return [*self._handlers.values(), *self._added.values()]

    def call_at(self, instant: float, call: Callable[[], None]) -> Timer:
        """Make a call in the second after an instant (monotonic); closing what is returned cancels it."""
        timer = Timer(instant, call)
        self._timers.note(timer, instant)
        return timer

    def call_again(self, handler: Handler) -> None:
        """Give the handler another turn in a later batch, after the handlers that are ready then.

        For a handler that stopped in the middle of its work to let others have their turn. However
        often it asks within a batch, it gets one. Turns are given in the order in which they were asked
        for; the first of them in the next batch.
        """
        self._again[handler] = None

    @property
    def batch_length(self) -> int:
        """How many descriptors the poller has reported for this batch."""
        return len(self._batch)

    @property
    def is_late(self) -> bool:
        """Whether this batch has lasted so long that what is expensive should wait for another one."""
        return self.clock.count_batch_seconds() > _LATE_SECONDS

    def stop(self) -> None:
        """Return from `run` after this batch."""
        self._is_running = False

    def run(self) -> None:
        """Turn until `stop` is called."""
        self._is_running = True
        self._turn(_LONGEST_SLEEP_SECONDS, is_once=False)

    def run_batch(self, longest_seconds: float = _LONGEST_SLEEP_SECONDS) -> None:
        """Turn once: wait for an event, at most this long, then call each handler that is concerned."""
        self._turn(min(longest_seconds, _LONGEST_SLEEP_SECONDS), is_once=True)

    def _turn(self, longest_seconds: float, *, is_once: bool) -> None:  # noqa: PLR0912 - see below
        """Turn once, or until `stop` is called."""
        # No calls, and variables instead of attributes: of a batch with one handler this and the clock
        # are half the cost.
        clock, timers, poll = self.clock, self._timers, self._poller.poll
        handlers, added, again = self._handlers, self._added, self._again
        batch_limit = self._batch_limit
        while True:
            # Two of one type, compared for a jump, need no call of the interpreter.
            timeout = timers.earliest - clock.now
            is_asked = False
            if again:
                is_asked, timeout = True, 0.0
            elif timeout < 0.0 or timeout > longest_seconds:
                timeout = max(0.0, min(timeout, longest_seconds))
            if added:
                handlers.update(added)
                added.clear()
            self._batch = batch = poll(timeout)
            if clock.read():
                for on_second in self.on_second:
                    on_second()
            # One look at the batch, however many go first: the only report of a batch comes first in any
            # case. A poller that returns as many as it can may have left one of them out.
            count = len(batch)
            if count > 1:
                is_full = count >= batch_limit
                if is_full or not self._first_reports.isdisjoint(batch):
                    self._call_first(batch, is_full=is_full)
            if is_asked:
                again[_END] = None
            for descriptor, events in batch:
                handler = handlers.get(descriptor)
                if handler is not None:
                    try:
                        handler.on_ready(events)
                    except Exception as fault:
                        self.end_fault(handler, fault)
            if is_asked and _END in again:
                self._call_postponed()
            if timers.earliest <= clock.now:
                self._sweep()
            if is_once or not self._is_running:
                return

    def close(self) -> None:
        """Release the poller; the handlers' descriptors are theirs."""
        if self._is_running:
            raise EpolloError("a running loop cannot be closed")
        self._handlers.clear()
        self._added.clear()
        self._poller.close()

    def _note_first(self) -> None:
        """Note anew, for quick looks, what is watched for the handlers that go first."""
        self._first_reports = frozenset(self._first)
        self._first_descriptors = frozenset(descriptor for descriptor, _ in self._first)

    def _call_first(self, batch: Sequence[tuple[int, int]], *, is_full: bool) -> None:
        """Call the handlers that go first and are in the batch, or may be missing in one that is full."""
        for report, handler in list(self._first.items()):
            if report in batch:
                self._call(handler, READABLE)
            elif is_full:
                self._call(handler, 0)

    def _call_postponed(self) -> None:
        """Give another turn to handlers that asked before this batch, while there is time."""
        again = self._again
        begun_seconds = self.clock.count_batch_seconds()
        while True:
            handler, _ = again.popitem(last=False)
            if handler is _END:
                return
            self._call(handler, 0)
            if self.clock.count_batch_seconds() - begun_seconds > _POSTPONED_SECONDS:
                del again[_END]
                return

    def end_fault(self, handler: Handler, fault: Exception) -> None:
        """Report a bug in a handler, or that there is no room, and have the handler act on it."""
        if not isinstance(fault, ExhaustedError):
            self.report(describe_fault(fault))
        elif self.clock.now >= self._exhausted_until:
            self._exhausted_until = self.clock.now + _EXHAUSTED_EVERY_SECONDS
            seconds = f"{_EXHAUSTED_EVERY_SECONDS:.0f} seconds"
            self.report(f"{fault}, which is closed; this line is printed at most once in {seconds}")
        handler.on_fault(fault)

    def _sweep(self) -> None:
        now = self.clock.now
        for handler in self._timers.take_due(now):
            if handler.deadline <= now:
                try:
                    handler.on_deadline()
                except Exception as fault:
                    self.end_fault(handler, fault)
            if handler.deadline != inf:
                self._timers.note(handler, max(handler.deadline, now + 1))

    def _call(self, handler: Handler, events: int) -> None:
        try:
            handler.on_ready(events)
        except Exception as fault:
            self.end_fault(handler, fault)
