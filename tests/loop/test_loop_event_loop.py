"""The loop, over every poller."""

import errno
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from conftest import require_descriptors
from epollo.errors import EpolloError, ExhaustedError
from epollo.loop import READABLE, WRITABLE, EventLoop, Handler, SystemClock
from epollo.pollers import POLLERS, OpenPoller, open_poller
from loop.hand_clock import HandClock


class Guest(Handler):
    """A handler of one end of a socket pair that notes what it is called for."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self.deadline = math.inf
        self.faults: list[Exception] = []
        self.action: Callable[[], None] | None = None
        self.at_deadline: Callable[[], None] | None = None
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.descriptor = self.near.fileno()

    def raise_hand(self) -> None:
        self.far.send(b"x")

    def on_ready(self, events: int) -> None:
        # The busy poller calls those as well that are not ready.
        if events == READABLE:
            try:
                self.near.recv(1)
            except BlockingIOError:
                return
        self.calls.append(self.name)
        if self.action is not None:
            self.action()

    def on_deadline(self) -> None:
        self.calls.append(f"{self.name} is due")
        self.deadline = math.inf
        if self.at_deadline is not None:
            self.at_deadline()

    def on_fault(self, fault: Exception) -> None:
        self.faults.append(fault)

    def close(self) -> None:
        self.near.close()
        self.far.close()


class Table:
    """A loop, its clock and its guests."""

    def __init__(self, poller_name: str) -> None:
        self.clock = HandClock()
        self.reports: list[str] = []
        self.loop = EventLoop(open_poller(poller_name), self.reports.append, self.clock)
        self.calls: list[str] = []
        self.guests: list[Guest] = []

    def make_guest(self, name: str) -> Guest:
        guest = Guest(name, self.calls)
        self.guests.append(guest)
        return guest

    def seat(self, name: str, deadline: float = math.inf) -> Guest:
        guest = self.make_guest(name)
        guest.deadline = deadline
        self.loop.add(guest.descriptor, guest)
        return guest

    def batch(self) -> list[str]:
        """Turn once; return which handlers were called."""
        self.calls.clear()
        self.loop.run_batch(0)
        return list(self.calls)

    def turn(self, seconds: float) -> list[str]:
        """Let time go by, then turn once."""
        self.clock.turn(seconds)
        return self.batch()


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table(request.param)
    yield table
    for guest in table.guests:
        guest.close()
    table.loop.close()


def test_a_handler_that_is_ready_is_called(table: Table) -> None:
    quiet, hungry = table.seat("quiet"), table.seat("hungry")
    assert table.batch() == []
    hungry.raise_hand()
    assert table.batch() == ["hungry"]
    assert table.batch() == []
    assert table.loop.handlers() == [quiet, hungry]


def test_first_handler_goes_first(table: Table) -> None:
    others = [table.seat(f"other {number}") for number in range(5)]
    first = table.make_guest("first")
    table.loop.add_first(first.descriptor, first)
    others += [table.seat(f"other {number}") for number in range(5, 10)]
    for guest in (*others, first):
        guest.raise_hand()
    calls = table.batch()
    assert calls[0] == "first"
    assert sorted(calls[1:]) == sorted(guest.name for guest in others)


def test_several_first_handlers_go_first_in_their_order(table: Table) -> None:
    other = table.seat("other")
    first, second = table.make_guest("first"), table.make_guest("second")
    for guest in (first, second):
        table.loop.add_first(guest.descriptor, guest)
    for guest in (other, second, first):
        guest.raise_hand()
    assert table.batch() == ["first", "second", "other"]
    table.loop.remove(first.descriptor)
    for guest in (other, second):
        guest.raise_hand()
    assert table.batch() == ["second", "other"]


def test_first_handler_is_called_in_its_turn_only(table: Table) -> None:
    first = table.make_guest("first")
    table.loop.add_first(first.descriptor, first)
    table.seat("other").raise_hand()
    assert table.batch() == ["other"]


class ListPoller:
    """A poller that reports what it is told to."""

    def __init__(self) -> None:
        self.batch: list[tuple[int, int]] = []

    def register(self, descriptor: int, events: int) -> None:
        """Watch nothing."""

    def modify(self, descriptor: int, events: int) -> None:
        """Watch nothing."""

    def unregister(self, descriptor: int) -> None:
        """Watch nothing."""

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:  # noqa: ARG002
        return self.batch

    def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(("reported", "is_called"), [(1022, False), (1023, True), (1024, True)])
def test_first_handler_is_called_where_the_report_may_be_cut_off(
    reported: int, is_called: bool
) -> None:
    poller = ListPoller()
    loop = EventLoop(OpenPoller("list", poller, POLLERS["epoll"].traits), print, HandClock())
    calls: list[str] = []
    first, other = Guest("first", calls), Guest("other", calls)
    loop.add_first(first.descriptor, first)
    loop.add(other.descriptor, other)
    for guest in (first, other):
        guest.raise_hand()
    poller.batch = [(1_000_000 + number, READABLE) for number in range(reported - 1)]
    poller.batch.append((other.descriptor, READABLE))
    loop.run_batch(0)
    assert calls == (["first", "other"] if is_called else ["other"])
    for guest in (first, other):
        guest.close()
    loop.close()


@pytest.mark.parametrize("poller_name", ["busy", "poll", "epoll"])
def test_first_handler_goes_before_more_than_a_report_holds(poller_name: str) -> None:
    """``select.epoll.poll`` returns 1,023 of them, in the order in which they became ready."""
    require_descriptors(2 * 1200 + 100)
    table = Table(poller_name)
    others = [table.seat(f"other {number}") for number in range(1200)]
    first = table.make_guest("first")
    table.loop.add_first(first.descriptor, first)
    for guest in (*others, first):
        guest.raise_hand()
    calls = table.batch()
    assert calls[0] == "first"
    assert len(calls) > 1000
    table.batch()
    for guest in table.guests:
        guest.close()
    table.loop.close()


def test_first_handler_that_leaves(table: Table) -> None:
    first = table.make_guest("first")
    table.loop.add_first(first.descriptor, first)
    first.raise_hand()
    table.loop.remove(first.descriptor)
    table.seat("other").raise_hand()
    assert table.batch() == ["other"]


def test_fault_of_one_is_not_the_others(table: Table) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    guests = [table.seat(name) for name in ("one", "two", "three")]
    guests[1].action = fail
    for guest in guests:
        guest.raise_hand()
    assert sorted(table.batch()) == ["one", "three", "two"]
    assert [len(guest.faults) for guest in guests] == [0, 1, 0]
    assert isinstance(guests[1].faults[0], RuntimeError)
    assert len(table.reports) == 1
    assert "RuntimeError('a bug')" in table.reports[0]


def test_fault_of_the_first_handler_is_not_the_others(table: Table) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    first, other = table.make_guest("first"), table.seat("other")
    table.loop.add_first(first.descriptor, first)
    first.action = fail
    first.raise_hand()
    other.raise_hand()
    assert table.batch() == ["first", "other"]
    assert len(first.faults) == 1


def test_fault_in_a_further_turn_and_at_a_deadline(table: Table) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    guest, other = table.seat("guest", table.clock.now + 0.5), table.seat("other")
    guest.action = guest.at_deadline = fail
    table.loop.call_again(guest)
    assert table.batch() == ["guest"]
    assert table.turn(2) == ["guest is due"]
    assert len(guest.faults) == 2
    other.raise_hand()
    assert table.batch() == ["other"]


def test_a_handler_removed_within_a_batch_is_not_called(table: Table) -> None:
    guests = {name: table.seat(name) for name in ("one", "two")}

    def leave(other: str) -> None:
        table.loop.remove(guests[other].descriptor)

    guests["one"].action = lambda: leave("two")
    guests["two"].action = lambda: leave("one")
    for guest in guests.values():
        guest.raise_hand()
    assert len(table.batch()) == 1
    assert len(table.loop.handlers()) == 1


def test_a_handler_removed_and_added_within_a_batch(table: Table) -> None:
    """The number of a descriptor that was closed is given to the next one (open(2))."""
    old = table.seat("old")

    def replace() -> None:
        table.loop.remove(old.descriptor)
        old.close()
        new = table.make_guest("new")
        assert new.descriptor == old.descriptor
        table.loop.add(new.descriptor, new)

    old.action = replace
    old.raise_hand()
    assert table.batch() == ["old"]
    assert table.batch() == []
    table.guests[-1].raise_hand()
    assert table.batch() == ["new"]


def test_report_of_a_descriptor_that_was_closed_is_not_for_its_next_holder(table: Table) -> None:
    guests = [table.seat("one"), table.seat("two")]

    def replace(other: Guest) -> None:
        table.loop.remove(other.descriptor)
        other.close()
        new = table.make_guest("new")
        assert new.descriptor == other.descriptor
        # Ready only now: what comes after the report is not what was reported.
        new.raise_hand()
        table.loop.add(new.descriptor, new)

    guests[0].action = lambda: replace(guests[1])
    guests[1].action = lambda: replace(guests[0])
    for guest in guests:
        guest.raise_hand()
    assert table.batch() in (["one"], ["two"])
    assert table.batch() == ["new"]


class FullPoller:
    """A poller that reports as many as one call can, and leaves out the others."""

    def __init__(self, descriptor: int, reports: int) -> None:
        self._batch = [(descriptor, READABLE)] * reports

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch nothing."""

    modify = register

    def unregister(self, descriptor: int, /) -> None:
        """Watch nothing."""

    def poll(self, _: float | None = None, /) -> list[tuple[int, int]]:
        return self._batch

    def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(("reports", "first"), [(1022, []), (1023, ["first"])])
def test_full_report_may_leave_out_the_first_handler(reports: int, first: list[str]) -> None:
    """epoll_wait(2) tells of no more than ``maxevents``: select.epoll.poll takes FD_SETSIZE - 1."""
    calls: list[str] = []
    guests = [Guest("first", calls), Guest("other", calls)]
    loop = EventLoop(
        OpenPoller("full", FullPoller(guests[1].descriptor, reports), POLLERS["epoll"].traits),
        print,
        HandClock(),
    )
    loop.add_first(guests[0].descriptor, guests[0])
    loop.add(guests[1].descriptor, guests[1])
    for guest in guests:
        guest.raise_hand()
    loop.run_batch(0)
    assert calls == [*first, "other"]
    for guest in guests:
        guest.close()
    loop.close()


def test_modify_asks_for_other_events(table: Table) -> None:
    guest = table.seat("guest")
    guest.raise_hand()
    table.loop.modify(guest.descriptor, 0)
    assert table.batch() == []
    table.loop.modify(guest.descriptor, WRITABLE)
    assert table.batch() == ["guest"]
    table.loop.modify(guest.descriptor, READABLE)
    assert table.batch() == ["guest"]


def test_another_turn_comes_in_the_next_batch_behind_the_others(table: Table) -> None:
    greedy, other = table.seat("greedy"), table.seat("other")
    greedy.action = lambda: table.loop.call_again(greedy)
    greedy.raise_hand()
    assert table.batch() == ["greedy"]
    other.raise_hand()
    assert table.batch() == ["other", "greedy"]


def test_a_handler_that_is_ready_and_asks_again_gets_no_more_turns_with_each_batch(
    table: Table,
) -> None:
    greedy, other = table.seat("greedy"), table.seat("other")
    greedy.action = lambda: table.loop.call_again(greedy)
    for _ in range(50):
        greedy.raise_hand()
    counts = []
    for _ in range(10):
        other.raise_hand()
        counts.append(table.batch().count("greedy"))
    assert max(counts) <= 2


def test_no_waiting_while_a_handler_wants_another_turn(table: Table) -> None:
    guest = table.seat("guest")
    table.loop.call_again(guest)
    begun = time.monotonic()
    table.loop.run_batch(60)
    assert table.calls == ["guest"]
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("is_new", [False, True])
def test_a_handler_takes_the_place_of_another(table: Table, is_new: bool) -> None:
    """Also of one that the poller was not asked about yet, or that has asked for another turn."""
    former = table.seat("former")
    if not is_new:
        table.batch()
    heir = table.make_guest("heir")
    heir.near, mine = former.near, heir.near
    mine.close()
    table.loop.call_again(former)
    table.loop.replace(former.descriptor, heir)
    assert table.loop.handlers() == [heir]
    assert table.batch() == []
    former.raise_hand()
    assert table.batch() == ["heir"]
    table.loop.remove(former.descriptor)
    assert not table.loop.handlers()


def test_another_turn_of_a_handler_that_was_removed(table: Table) -> None:
    guest = table.seat("guest")
    table.loop.call_again(guest)
    table.loop.remove(guest.descriptor)
    assert table.batch() == []


def test_deadline(table: Table) -> None:
    table.seat("guest", table.clock.now + 2)
    assert table.turn(1.9) == []
    assert table.turn(0.2) == ["guest is due"]
    assert table.turn(10) == []


def test_deadline_that_was_moved_away(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 2)
    guest.deadline += 5
    assert table.turn(3) == []
    assert table.turn(3) == []
    assert table.turn(2) == ["guest is due"]


def test_deadline_that_was_taken_back(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 2)
    guest.deadline = math.inf
    assert table.turn(3) == []
    assert table.turn(100) == []


def test_deadline_that_was_set_later(table: Table) -> None:
    guest = table.seat("guest")
    guest.deadline = table.clock.now + 1
    table.loop.note_deadline(guest, guest.deadline)
    assert table.turn(1) == ["guest is due"]


def test_deadline_that_was_moved_closer(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 60)
    guest.deadline = table.clock.now + 1
    table.loop.note_deadline(guest, guest.deadline)
    assert table.turn(1) == ["guest is due"]


def test_deadline_of_a_handler_that_was_removed(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 1)
    table.loop.remove(guest.descriptor)
    assert table.turn(2) == []


def test_deadline_that_is_set_again_when_it_has_come(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 1)

    def again() -> None:
        guest.deadline = table.clock.now + 1

    guest.at_deadline = again
    assert [table.turn(1) for _ in range(3)] == [["guest is due"]] * 3


def test_deadline_that_stays_where_it_is_is_due_again_a_second_later(table: Table) -> None:
    guest = table.seat("guest", table.clock.now + 1)

    def leave_it() -> None:
        guest.deadline = table.clock.now - 10

    guest.at_deadline = leave_it
    assert table.turn(1) == ["guest is due"]
    # The loop may sleep meanwhile: no handler is due at once.
    assert [table.batch() for _ in range(3)] == [[]] * 3
    assert table.turn(1) == ["guest is due"]


def test_waiting_ends_with_the_next_deadline() -> None:
    loop = EventLoop(open_poller("epoll"), print, SystemClock())
    calls: list[str] = []
    guest = Guest("guest", calls)
    guest.deadline = loop.clock.now + 0.01
    loop.add(guest.descriptor, guest)
    while not calls:
        loop.run_batch(60)
    assert calls == ["guest is due"]
    guest.close()
    loop.close()


@pytest.mark.parametrize("poller_name", ["select", "poll", "epoll"])
def test_deadlines_of_years_are_no_fault(poller_name: str) -> None:
    """poll(2) and epoll_wait(2) count milliseconds in an int: 24 days at the most."""
    table = Table(poller_name)
    guest = table.seat("guest", table.clock.now + 1e11)
    guest.raise_hand()
    table.loop.run_batch()
    assert table.calls == ["guest"]
    guest.close()
    table.loop.close()


def test_on_second_goes_before_every_handler(table: Table) -> None:
    table.loop.on_second.append(lambda: table.calls.append("second"))
    guest = table.seat("guest")
    guest.raise_hand()
    assert table.batch() == ["guest"]
    guest.raise_hand()
    assert table.turn(1) == ["second", "guest"]
    guest.raise_hand()
    assert table.turn(0.1) == ["guest"]
    assert table.turn(5) == ["second"]


def test_on_second_after_a_jump_back(table: Table) -> None:
    table.loop.on_second.append(lambda: table.calls.append("second"))
    table.clock.jump(-100)
    assert table.batch() == ["second"]


def test_run_until_stop(table: Table) -> None:
    guest = table.seat("guest")
    guest.action = table.loop.stop
    guest.raise_hand()
    table.loop.run()
    assert table.calls == ["guest"]


def test_running_loop_cannot_be_closed(table: Table) -> None:
    guest = table.seat("guest")

    def act() -> None:
        table.loop.stop()
        table.loop.stop()

    guest.action = act
    guest.raise_hand()
    table.loop.run()
    guest.action = table.loop.close
    table.loop._is_running = True
    guest.raise_hand()
    assert table.batch() == ["guest"]
    assert isinstance(guest.faults[0], EpolloError)
    table.loop.stop()


def test_sleeps_until_a_descriptor_is_ready() -> None:
    loop = EventLoop(open_poller("epoll"), print)
    calls: list[str] = []
    guest = Guest("guest", calls)
    guest.action = loop.stop
    loop.add(guest.descriptor, guest)
    before = time.thread_time()
    waker = threading.Timer(0.2, guest.raise_hand)
    waker.start()
    loop.run()
    waker.join()
    assert calls == ["guest"]
    assert time.thread_time() - before < 0.1
    guest.close()
    loop.close()


def test_a_handler_that_says_nothing_of_faults_is_closed(table: Table) -> None:
    class Plain(Guest):
        def on_fault(self, fault: Exception) -> None:
            Handler.on_fault(self, fault)

        def close(self) -> None:
            table.calls.append(f"{self.name} is closed")
            table.loop.remove(self.descriptor)
            super().close()

    def fail() -> None:
        raise RuntimeError("a bug")

    plain = Plain("plain", table.calls)
    plain.action = fail
    table.loop.add(plain.descriptor, plain)
    plain.raise_hand()
    assert table.batch() == ["plain", "plain is closed"]
    assert len(table.reports) == 1
    assert table.batch() == []


def test_a_deadline_without_a_descriptor(table: Table) -> None:
    table.loop.call_at(table.clock.now + 2, lambda: table.calls.append("call"))
    assert table.turn(1.5) == []
    assert table.turn(1) == ["call"]
    assert table.turn(100) == []


def test_a_call_that_was_cancelled(table: Table) -> None:
    timer = table.loop.call_at(table.clock.now + 2, lambda: table.calls.append("call"))
    timer.close()
    assert table.turn(3) == []


def test_several_handlers_go_first_in_their_order(table: Table) -> None:
    others = [table.seat("other")]
    firsts = [table.make_guest(name) for name in ("one", "two")]
    for guest in firsts:
        table.loop.add_first(guest.descriptor, guest)
    for guest in (*others, *firsts):
        guest.raise_hand()
    assert table.batch() == ["one", "two", "other"]
    table.loop.remove(firsts[0].descriptor)
    for guest in (others[0], firsts[1]):
        guest.raise_hand()
    assert table.batch() == ["two", "other"]


def test_turns_that_take_long_are_spread_over_batches(table: Table) -> None:
    names = ["one", "two", "three", "four"]
    guests = {name: table.seat(name) for name in names}
    for guest in guests.values():
        guest.action = lambda: table.clock.turn(0.003)
        table.loop.call_again(guest)
    other = table.seat("other")
    assert table.batch() == ["one", "two"]
    other.raise_hand()
    guests["one"].action = lambda: None
    table.loop.call_again(guests["one"])
    assert table.batch() == ["other", "three", "four"]
    assert table.batch() == ["one"]
    assert table.batch() == []


def test_one_turn_is_given_however_long_the_batch_has_lasted(table: Table) -> None:
    slow, patient = table.seat("slow"), table.seat("patient")
    slow.action = lambda: table.clock.turn(1)
    table.loop.call_again(patient)
    slow.raise_hand()
    assert table.batch() == ["slow", "patient"]


def test_a_batch_that_has_lasted_for_long_is_late(table: Table) -> None:
    seen: list[bool] = []
    guest = table.seat("guest")

    def act() -> None:
        for seconds in (0.0, 0.001, 0.1):
            table.clock.turn(seconds)
            seen.append(table.loop.is_late)

    guest.action = act
    for _ in range(2):
        guest.raise_hand()
        table.batch()
    assert seen == [False, False, True] * 2


class Full:
    """A poller that has no room."""

    def __init__(self, opened: OpenPoller) -> None:
        self._poller = opened.poller

    def register(self, *_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> object:
        return getattr(self._poller, name)


def test_no_room_to_watch_one_more_is_no_bug() -> None:
    """It is told once in a while, and the handler closes."""
    opened = open_poller("epoll")
    reports: list[str] = []
    clock = HandClock()
    loop = EventLoop(opened._replace(poller=Full(opened)), reports.append, clock)  # type: ignore[arg-type]
    guest = Guest("guest", [])
    for _ in range(3):
        with pytest.raises(ExhaustedError) as caught:
            loop.add(guest.descriptor, guest)
        loop.end_fault(guest, caught.value)
    assert [line.partition(",")[0] for line in reports] == [
        "cannot watch one more connection or file (No space left on device)"
    ]
    assert len(guest.faults) == 3
    assert loop.handlers() == []
    guest.close()
    loop.close()
