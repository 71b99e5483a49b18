"""Until when workers are waited for that were told something."""

from collections.abc import Iterator, Sequence

import pytest

from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.supervisor.deliveries import Deliveries, Recipient, describe_late
from loop.hand_clock import HandClock


class Worker:
    def __init__(self, pid: int) -> None:
        self.pid = pid


class Telling:
    """Deliveries to two workers, under a clock that is turned by hand."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.faults: list[str] = []
        self.loop = EventLoop(open_poller("auto"), self.faults.append, self.clock)
        self.deliveries = Deliveries(self.loop)
        self.workers = [Worker(1), Worker(2)]
        self.ended: list[tuple[int, str]] = []

    def begin(self, workers: Sequence[Worker]) -> int:
        number = self.deliveries.take_number()

        def then(late: Sequence[Recipient]) -> None:
            self.ended.append((number, describe_late(late)))

        self.deliveries.begin(number, workers, then)
        return number

    def turn(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.turn(1)
            self.loop.run_batch(0)


@pytest.fixture
def telling() -> Iterator[Telling]:
    telling = Telling()
    yield telling
    telling.turn(10)
    telling.loop.close()
    assert telling.faults == []
    assert telling.deliveries._under_way == {}


def test_a_delivery_ends_when_all_have_confirmed_it(telling: Telling) -> None:
    one, other = telling.workers
    number = telling.begin(telling.workers)
    telling.deliveries.confirm(one, number)
    telling.deliveries.confirm(one, number)
    assert telling.ended == []
    telling.deliveries.confirm(other, number)
    assert telling.ended == [(number, "")]
    telling.turn(10)
    telling.deliveries.confirm(other, number)
    assert telling.ended == [(number, "")]


def test_a_worker_that_has_the_later_one_has_the_earlier_one(telling: Telling) -> None:
    one, other = telling.workers
    first, second = telling.begin(telling.workers), telling.begin(telling.workers)
    telling.deliveries.confirm(one, first)
    telling.deliveries.confirm(other, second)
    assert telling.ended == [(first, "")]
    telling.deliveries.confirm(one, second)
    assert telling.ended == [(first, ""), (second, "")]


def test_a_worker_that_ends_is_waited_for_no_more(telling: Telling) -> None:
    one, other = telling.workers
    first, second = telling.begin(telling.workers), telling.begin([one])
    telling.deliveries.forget(one)
    assert telling.ended == [(second, "")]
    telling.deliveries.confirm(other, first)
    assert telling.ended == [(second, ""), (first, "")]


def test_no_worker_is_waited_for_at_once(telling: Telling) -> None:
    number = telling.begin([])
    assert telling.ended == [(number, "")]


def test_a_worker_that_does_not_answer_is_named(telling: Telling) -> None:
    one, other = telling.workers
    number = telling.begin(telling.workers)
    telling.deliveries.confirm(one, number)
    telling.turn(4)
    assert telling.ended == []
    telling.turn(3)
    line = ", but worker 2 has not answered yet"
    assert telling.ended == [(number, line)]
    telling.deliveries.confirm(other, number)
    assert telling.ended == [(number, line)]


def test_all_that_do_not_answer_are_named(telling: Telling) -> None:
    number = telling.begin(telling.workers)
    telling.turn(7)
    assert telling.ended == [(number, ", but workers 1 and 2 have not answered yet")]
