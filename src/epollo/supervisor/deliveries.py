"""What workers were told and have to confirm: certificates, and what answers an authority.

Fact: a worker that is stopped or swapped out takes nothing. One that has died never will; the worker that
takes its place begins with what is told now.
Decision: a delivery ends when each worker that was told has confirmed it or has died. After some seconds
it ends all the same, and the workers that have not are named.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence

from epollo.annotations import Final, Protocol
from epollo.loop import EventLoop, Timer

_PATIENCE_SECONDS: Final = 5.0


class Recipient(Protocol):
    """What a delivery needs of a worker."""

    @property
    def pid(self) -> int:
        """The number of the process."""


class Deliveries:
    """The deliveries under way; each has a number, which workers confirm."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._numbers = itertools.count(1)
        self._under_way: dict[int, _Delivery] = {}

    def take_number(self) -> int:
        """Return the number of what is told next."""
        return next(self._numbers)

    def begin(
        self,
        number: int,
        workers: Iterable[Recipient],
        then: Callable[[Sequence[Recipient]], None],
    ) -> None:
        """Wait for the workers that were told something under this number.

        ``then`` is called once, with those that have not confirmed it in time. If there are no workers,
        that is before this returns.
        """
        timer = self._loop.call_at(
            self._loop.clock.now + _PATIENCE_SECONDS, lambda: self._end(number)
        )
        self._under_way[number] = _Delivery(list(workers), then, timer)
        self._end_what_arrived()

    def confirm(self, worker: Recipient, number: int) -> None:
        """Note that a worker has what it was told under this number, and so all that came before."""
        self._take_out(worker, number)

    def forget(self, worker: Recipient) -> None:
        """Wait no more for a worker that has ended."""
        self._take_out(worker, None)

    def _take_out(self, worker: Recipient, last: int | None) -> None:
        for number, delivery in self._under_way.items():
            if worker in delivery.awaited and (last is None or number <= last):
                delivery.awaited.remove(worker)
        self._end_what_arrived()

    def _end_what_arrived(self) -> None:
        for number in [one for one, delivery in self._under_way.items() if not delivery.awaited]:
            self._end(number)

    def _end(self, number: int) -> None:
        delivery = self._under_way.pop(number, None)
        if delivery is not None:
            delivery.timer.close()
            delivery.then(delivery.awaited)


class _Delivery:
    """One that is under way."""

    def __init__(
        self,
        awaited: list[Recipient],
        then: Callable[[Sequence[Recipient]], None],
        timer: Timer,
    ) -> None:
        self.awaited = awaited
        self.then = then
        self.timer = timer


def describe_late(workers: Sequence[Recipient]) -> str:
    """Return what is added to a line that tells of a delivery: nothing if all workers confirmed it."""
    if not workers:
        return ""
    numbers = " and ".join(str(worker.pid) for worker in workers)
    late = f"worker {numbers} has" if len(workers) == 1 else f"workers {numbers} have"
    return f", but {late} not answered yet"
