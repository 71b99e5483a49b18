"""Whose work a coder does next, among clients that want all of it."""

from collections import deque
from typing import cast

import pytest

from epollo.coder.clients import Client, Work
from epollo.coder.messages import Grade
from epollo.coder.scheduler import AHEAD_SECONDS, Scheduler


class Wanting:
    """A client as far as its turns go: each piece of work is named, and takes a second."""

    def __init__(self, scheduler: Scheduler, number: int, *works: tuple[Grade, str]) -> None:
        self.number = number
        self.queues: tuple[deque[Work], ...] = tuple(deque() for _ in Grade)
        self.is_blocked = False
        self.under_way = 0
        self.spent_seconds = 0.0
        self._scheduler = scheduler
        scheduler.add(cast(Client, self))
        for grade, name in works:
            self.want(grade, name)

    def want(self, grade: Grade, name: str) -> None:
        if not self.under_way:
            self._scheduler.note_begin(cast(Client, self))
        self.under_way += 1
        self.queues[grade].append(cast(Work, (self, name)))

    def close(self) -> None:
        self._scheduler.remove(cast(Client, self))


def take(
    scheduler: Scheduler, least_urgent: Grade = Grade.BEST, interrupted: Wanting | None = None
) -> str | None:
    """Do what is next; return its name."""
    work = scheduler.pick(least_urgent, cast(Client, interrupted))
    if work is None:
        return None
    client, name = cast(tuple[Wanting, str], work)
    client.spent_seconds += 1.0
    client.under_way -= 1
    return name


def test_the_most_urgent_goes_first_one_client_after_another() -> None:
    scheduler = Scheduler()
    Wanting(scheduler, 1, (Grade.BEST, "best of 1"), (Grade.QUICK, "1"), (Grade.QUICK, "1 again"))
    Wanting(scheduler, 2, (Grade.LARGE, "large of 2"), (Grade.QUICK, "2"))
    order = [take(scheduler) for _ in range(6)]
    assert order == ["1", "2", "1 again", "large of 2", "best of 1", None]


def test_one_that_does_not_take_its_answers_is_passed_over() -> None:
    scheduler = Scheduler()
    blocked = Wanting(scheduler, 1, (Grade.QUICK, "1"))
    blocked.is_blocked = True
    Wanting(scheduler, 2, (Grade.BEST, "2"))
    assert [take(scheduler), take(scheduler)] == ["2", None]


@pytest.mark.parametrize("grade", [Grade.LARGE, Grade.BEST])
def test_one_that_always_wants_what_is_urgent_starves_no_other(grade: Grade) -> None:
    scheduler = Scheduler()
    greedy = Wanting(scheduler, 1)
    Wanting(scheduler, 2, *[(grade, "other")] * 20)
    order = []
    for _ in range(40):
        greedy.want(Grade.QUICK, "greedy")
        order.append(take(scheduler))
    first = order.index("other")
    assert first <= AHEAD_SECONDS + 1
    # From then on each has every second.
    assert order[first:].count("other") >= len(order[first:]) // 2 - 1
    assert order[first:].count("greedy") >= len(order[first:]) // 2 - 1


def test_one_that_is_far_ahead_interrupts_no_other() -> None:
    scheduler = Scheduler()
    greedy = Wanting(scheduler, 1)
    other = Wanting(scheduler, 2)
    count = 0
    greedy.want(Grade.QUICK, "greedy")
    while take(scheduler, Grade.QUICK, other) == "greedy":
        greedy.want(Grade.QUICK, "greedy")
        count += 1
    assert 1 <= count <= AHEAD_SECONDS + 1
    # Where nothing of another client waits, it has all of the coder.
    assert [take(scheduler), take(scheduler)] == ["greedy", None]


def test_another_socket_makes_no_other_client() -> None:
    scheduler = Scheduler()
    greedy = Wanting(scheduler, 1)
    greedy.spent_seconds = 100.0
    Wanting(scheduler, 2, (Grade.BEST, "other"))
    again = Wanting(scheduler, 1, (Grade.QUICK, "greedy"))
    assert again.spent_seconds == 100.0
    assert take(scheduler) == "other"
    assert take(scheduler) == "greedy"


def test_one_that_was_idle_for_long_has_no_claim_to_all_that_it_did_not_use() -> None:
    scheduler = Scheduler()
    busy, idle = Wanting(scheduler, 1), Wanting(scheduler, 2)
    busy.spent_seconds = 1000.0
    busy.want(Grade.QUICK, "busy")
    for _ in range(20):
        idle.want(Grade.BEST, "idle")
    assert take(scheduler) == "busy"
