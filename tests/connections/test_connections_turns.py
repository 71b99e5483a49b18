"""What one turn of a connection does and leaves: when it looks for changes, and until when it waits."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from connections.in_process import GET, InProcess, Peer
from epollo.connections.contract import Timeouts
from epollo.connections.door import RECEIVE_OCTETS
from epollo.http.message import PERMANENT, Request, Response
from epollo.loop import Handler
from loop.hand_clock import HandClock
from properties.answers import read_answers

TIMEOUTS = Timeouts(head=10, idle=75, send=30, linger=2)


class ChangingSite:
    """A site that learns of a change only when it is told to look."""

    def __init__(self) -> None:
        self.truth = 0
        self.known = 0
        self.asked = 0
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        self.known = self.truth

    def __call__(self, request: Request) -> Response:  # noqa: ARG002
        self.asked += 1
        content = b"version %d" % self.known
        return Response(
            200, ((b"Content-Length", b"%d" % len(content)),), (content,), basis=PERMANENT
        )


@pytest.fixture
def site() -> ChangingSite:
    return ChangingSite()


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def harness(
    request: pytest.FixtureRequest, site: ChangingSite, clock: HandClock
) -> Iterator[InProcess]:
    with InProcess(site, poller_name=request.param, clock=clock, timeouts=TIMEOUTS) as harness:
        yield harness
        assert not harness.reports


def answers(peer: Peer) -> list[bytes]:
    """Take and return the contents of the answers so far."""
    octets = bytes(peer.received)
    peer.received.clear()
    return [answer.content for answer in read_answers(octets)]


def ask(harness: InProcess, peer: Peer, octets: bytes) -> list[bytes]:
    peer.send(octets)
    harness.settle(peer)
    return answers(peer)


def test_a_connection_whose_every_answer_is_recalled_is_not_idle(
    harness: InProcess, site: ChangingSite, clock: HandClock
) -> None:
    other, peer = harness.connect(), harness.connect()
    for _ in range(6):
        # The first request is answered by the site, and by a connection of its own.
        assert ask(harness, other, GET) == [b"version 0"]
        assert ask(harness, peer, GET) == [b"version 0"]
        assert site.asked == 1
        clock.turn(30)
    clock.turn(44)
    harness.loop.run_batch(0)
    assert not peer.is_let_go()
    for _ in range(3):
        clock.turn(1)
        harness.loop.run_batch(0)
    assert peer.is_let_go()


def test_a_connection_whose_first_answer_is_recalled_has_the_time_of_one_that_is_idle(
    harness: InProcess, site: ChangingSite, clock: HandClock
) -> None:
    other = harness.connect()
    assert ask(harness, other, GET) == [b"version 0"]
    peer = harness.connect(GET)
    harness.settle(peer)
    assert (answers(peer), site.asked) == ([b"version 0"], 1)
    clock.turn(60)
    harness.loop.run_batch(0)
    assert not peer.is_let_go()


def test_changes_are_looked_for_before_a_second_pipelined_request(
    harness: InProcess, site: ChangingSite
) -> None:
    """It may have come after the poller's report, and after a change that the peer knows of."""
    harness.service.look_for_changes = site.look
    harness.service.is_report_instant = True
    harness.service.recalls = harness.service.recalls_at_once = dict.fromkeys(
        harness.service.recalls
    )
    peer = harness.connect()
    site.truth = 1
    assert ask(harness, peer, 3 * GET) == [b"version 0", b"version 1", b"version 1"]
    assert site.looks == 1
    # What was reported alone needs no look: the loop saw the changes of that moment first.
    assert ask(harness, peer, GET) == [b"version 1"]
    assert site.looks == 1


def test_changes_are_looked_for_before_a_request_that_comes_in_pieces(
    harness: InProcess, site: ChangingSite
) -> None:
    harness.service.look_for_changes = site.look
    harness.service.is_report_instant = True
    peer = harness.connect()
    assert ask(harness, peer, GET[:10]) == []
    site.truth = 1
    assert ask(harness, peer, GET[10:]) == [b"version 1"]
    assert site.looks == 1


class Changes(Handler):
    """Has the site look when there is a change."""

    def __init__(self, site: ChangingSite) -> None:
        self._site = site
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self.descriptor = self._reader.fileno()

    def happen(self, truth: int) -> None:
        self._site.truth = truth
        self._writer.send(b"x")

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        # A call without a reason is the contract of the pollers.
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(1)
            self._site.look()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@pytest.fixture
def changes(harness: InProcess, site: ChangingSite) -> Iterator[Changes]:
    changes = Changes(site)
    harness.loop.add_first(changes.descriptor, changes)
    yield changes
    harness.loop.remove(changes.descriptor)
    changes.close()


def test_a_further_turn_of_many_requests_knows_the_changes_that_its_batch_began_with(
    harness: InProcess, site: ChangingSite, changes: Changes
) -> None:
    """All of them came before that batch, and so did each change that the client knows of."""
    harness.service.look_for_changes = site.look
    harness.service.is_report_instant = True
    harness.service.recalls = harness.service.recalls_at_once = dict.fromkeys(
        harness.service.recalls
    )
    peer = harness.connect()
    peer.send(200 * GET)
    harness.loop.run_batch(0)
    assert (site.asked, site.looks) == (64, 1)
    changes.happen(2)
    harness.settle(peer)
    assert (site.asked, site.looks) == (200, 2)
    assert answers(peer) == [b"version 0"] * 64 + [b"version 2"] * 136


def test_no_more_is_received_in_a_turn_than_is_said(harness: InProcess) -> None:
    peer = harness.connect()
    octets = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60_000
    peer.send(octets)
    harness.loop.run_batch(0)
    assert peer.unread_octets() == len(octets) - RECEIVE_OCTETS
    harness.settle(peer)
    assert len(read_answers(bytes(peer.received))) == 1


@pytest.mark.parametrize("octets", [GET, 2 * GET], ids=["one", "two"])
def test_where_reports_are_of_no_moment_changes_are_looked_for_after_each_reception(
    harness: InProcess, site: ChangingSite, octets: bytes
) -> None:
    harness.service.look_for_changes = site.look
    harness.service.is_report_instant = False
    harness.service.recalls = harness.service.recalls_at_once = dict.fromkeys(
        harness.service.recalls
    )
    peer = harness.connect()
    site.truth = 3
    assert set(ask(harness, peer, octets)) == {b"version 3"}
    assert site.looks == 1


# A batch that has lasted for long: what has to be parsed waits for a later one.


class Delay(Handler):
    """Makes a batch a long one, before all else in it."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.reading, self._writing = socket.socketpair()
        self.reading.setblocking(False)

    def begin(self) -> None:
        self._writing.send(b"x")

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        with contextlib.suppress(BlockingIOError):
            self.reading.recv(1)
            self._clock.turn(0.1)

    def close(self) -> None:
        self.reading.close()
        self._writing.close()


@pytest.fixture
def delay(harness: InProcess, clock: HandClock) -> Iterator[Delay]:
    delay = Delay(clock)
    harness.loop.add_first(delay.reading.fileno(), delay)
    yield delay
    harness.loop.remove(delay.reading.fileno())
    delay.close()


def test_in_a_late_batch_a_request_waits_and_is_answered_as_it_is_then(
    harness: InProcess, delay: Delay, changes: Changes
) -> None:
    peer = harness.connect()
    harness.loop.run_batch(0)
    delay.begin()
    peer.send(GET)
    harness.loop.run_batch(0)
    peer.receive()
    assert answers(peer) == []
    changes.happen(1)
    harness.settle(peer)
    assert answers(peer) == [b"version 1"]


def test_in_a_late_batch_an_answer_that_is_known_does_not_wait(
    harness: InProcess, site: ChangingSite, delay: Delay
) -> None:
    peer = harness.connect(GET)
    harness.settle(peer)
    assert answers(peer) == [b"version 0"]
    delay.begin()
    peer.send(GET)
    harness.loop.run_batch(0)
    peer.receive()
    assert answers(peer) == [b"version 0"]


def test_in_a_late_batch_the_deadline_of_a_request_stands(
    harness: InProcess, clock: HandClock, delay: Delay
) -> None:
    first_half, whole = harness.connect(), harness.connect()
    harness.loop.run_batch(0)
    first_half.send(b"GET / HT")
    harness.loop.run_batch(0)
    clock.turn(TIMEOUTS.head - 1)
    harness.loop.run_batch(0)
    delay.begin()
    first_half.send(b"TP/1.1\r\n")
    whole.send(GET)
    for _ in range(3):
        harness.loop.run_batch(0)
    assert answers(whole) or (whole.receive() and answers(whole))
    clock.turn(2)
    harness.settle(first_half)
    assert b"HTTP/1.1 408 " in first_half.received
    assert not whole.is_let_go()


def test_a_request_that_begins_in_a_late_batch_has_its_deadline(
    harness: InProcess, clock: HandClock, delay: Delay
) -> None:
    peer = harness.connect(GET)
    harness.settle(peer)
    delay.begin()
    peer.send(b"GET / HT")
    for _ in range(3):
        harness.loop.run_batch(0)
    clock.turn(TIMEOUTS.head + 1)
    harness.settle(peer)
    assert b"HTTP/1.1 408 " in peer.received
