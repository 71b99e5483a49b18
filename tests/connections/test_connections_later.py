"""Answers that wait for a result: in their order, bounded in time, and without holding up other peers."""

from collections.abc import Iterator

import pytest

from connections.in_process import InProcess, Log, Peer
from epollo.connections.contract import Capacity, Timeouts
from epollo.http.message import PERMANENT, Later, Request, Response
from loop.hand_clock import HandClock
from properties.answers import AnswerRead, read_answers

TIMEOUTS = Timeouts(head=10, idle=75, send=30, linger=2)
LATER = b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
AT_ONCE = b"GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n"


class WaitingSite:
    """A site whose paths that begin with ``/later`` wait until a test says that they are done."""

    def __init__(self) -> None:
        self.waiting: list[Later] = []
        self.addresses: list[str] = []
        self.fails = False
        self.times = 1
        self.is_instant = False

    def __call__(self, request: Request) -> Response | Later:
        if request.target.path.startswith(b"/later"):
            return self.wait(request.target.path, self.times)
        return self.respond(request.target.path)

    def wait(self, path: bytes, times: int) -> Response | Later:
        return self.respond(path) if not times else Later(
            self.begin, lambda: self.wait(path, times - 1)
        )  # fmt: skip

    def respond(self, path: bytes) -> Response:
        if self.fails:
            raise ZeroDivisionError
        # An answer of any length: some do not fit into the buffer of a socket.
        content = path * (40_000 if path.endswith(b"long") else 1)
        return Response(
            200, ((b"Content-Length", b"%d" % len(content)),), (content,), basis=PERMANENT
        )

    def begin(self, later: Later, address: str) -> None:
        self.addresses.append(address)
        if self.is_instant:
            later.finish()
        else:
            self.waiting.append(later)

    def finish(self) -> None:
        """End the waiting of all."""
        waiting, self.waiting = self.waiting, []
        for later in waiting:
            later.finish()


@pytest.fixture
def site() -> WaitingSite:
    return WaitingSite()


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def harness(
    request: pytest.FixtureRequest, site: WaitingSite, clock: HandClock
) -> Iterator[InProcess]:
    with InProcess(
        site, poller_name=request.param, clock=clock, timeouts=TIMEOUTS, log=Log()
    ) as harness:
        yield harness


def settle(harness: InProcess, peer: Peer) -> list[AnswerRead]:
    """Turn the loop a few times; return the answers since the last call."""
    for _ in range(8):
        harness.loop.run_batch(0)
        peer.receive()
    octets = bytes(peer.received)
    peer.received.clear()
    return list(read_answers(octets))


def contents(answers: list[AnswerRead]) -> list[bytes]:
    return [answer.content for answer in answers]


def test_an_answer_comes_when_its_result_is_there(harness: InProcess, site: WaitingSite) -> None:
    peer, other = harness.connect(LATER, address="192.0.2.1"), harness.connect()
    assert not settle(harness, peer)
    other.send(AT_ONCE)
    assert contents(settle(harness, other)) == [b"/at-once"]
    site.finish()
    assert contents(settle(harness, peer)) == [b"/later"]
    assert site.addresses == ["192.0.2.1"]
    # It was kept, so nothing is waited for any more.
    peer.send(LATER)
    assert contents(settle(harness, peer)) == [b"/later"]
    assert site.addresses == ["192.0.2.1"]
    assert not harness.reports


def test_answers_keep_their_order(harness: InProcess, site: WaitingSite) -> None:
    peer = harness.connect(AT_ONCE + LATER + AT_ONCE)
    assert contents(settle(harness, peer)) == [b"/at-once"]
    # What comes meanwhile is read later.
    peer.send(AT_ONCE)
    assert not settle(harness, peer)
    site.finish()
    assert contents(settle(harness, peer)) == [b"/later", b"/at-once", b"/at-once"]
    assert not harness.reports


def test_a_result_may_come_before_the_answers_before_it_are_taken(
    harness: InProcess, site: WaitingSite
) -> None:
    long = b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"
    peer = harness.connect(long + LATER + AT_ONCE, buffer_octets=4096)
    harness.loop.run_batch(0)
    site.finish()
    harness.settle(peer)
    octets = bytes(peer.received)
    assert contents(list(read_answers(octets))) == [b"/long" * 40_000, b"/later", b"/at-once"]
    assert not harness.reports


def test_a_result_may_be_there_at_once(harness: InProcess, site: WaitingSite) -> None:
    site.is_instant, site.times = True, 3
    peer = harness.connect(LATER)
    assert contents(settle(harness, peer)) == [b"/later"]
    assert len(site.addresses) == 3


def test_a_response_may_wait_for_several_results(harness: InProcess, site: WaitingSite) -> None:
    site.times = 3
    peer = harness.connect(LATER)
    for _ in range(3):
        assert not settle(harness, peer)
        site.finish()
    assert contents(settle(harness, peer)) == [b"/later"]
    assert len(site.addresses) == 3


def test_a_client_that_wants_one_answer_is_waited_for(
    harness: InProcess, site: WaitingSite
) -> None:
    peer = harness.connect(LATER.replace(b"a\r\n\r\n", b"a\r\nConnection: close\r\n\r\n"))
    peer.half_close()
    assert not settle(harness, peer)
    site.finish()
    (answer,) = settle(harness, peer)
    assert answer.is_last
    assert peer.is_let_go()


def test_a_client_that_leaves_is_not_waited_for(harness: InProcess, site: WaitingSite) -> None:
    peer = harness.connect(LATER)
    assert not settle(harness, peer)
    peer.socket.close()
    harness.loop.run_batch(0)
    (later,) = site.waiting
    site.finish()
    harness.loop.run_batch(0)
    assert peer.is_let_go()
    assert not harness.service.peers
    if harness.loop.traits.is_instant:
        # Other pollers do not tell of the end of a peer that is not read from.
        assert not later.is_wanted
    assert not harness.reports


@pytest.mark.parametrize("before", [b"", AT_ONCE])
def test_a_result_that_does_not_come_is_an_answer_503(
    harness: InProcess, site: WaitingSite, clock: HandClock, before: bytes
) -> None:
    peer = harness.connect(before + LATER + AT_ONCE)
    assert contents(settle(harness, peer)) == ([b"/at-once"] if before else [])
    clock.turn(31)
    (answer,) = settle(harness, peer)
    assert (answer.status, answer.is_last) == (503, True)
    assert answer.value(b"retry-after") == b"5"
    assert not site.waiting[0].is_wanted
    site.finish()
    assert not settle(harness, peer)
    clock.turn(3)
    assert not settle(harness, peer)
    assert peer.is_let_go()
    log = harness.service.log
    assert isinstance(log, Log)
    assert log.noted[-1] == (b"/later", 503)
    assert not harness.reports


def test_a_fault_after_the_waiting_is_an_answer_500(harness: InProcess, site: WaitingSite) -> None:
    peer = harness.connect(LATER)
    assert not settle(harness, peer)
    site.fails = True
    site.finish()
    (answer,) = settle(harness, peer)
    assert (answer.status, answer.is_last) == (500, True)
    assert "ZeroDivisionError" in harness.reports[0]


def test_a_server_that_stops_gives_the_answer_that_is_waited_for(
    harness: InProcess, site: WaitingSite
) -> None:
    peer = harness.connect(LATER)
    assert not settle(harness, peer)
    harness.service.drain()
    for serving in list(harness.service.peers):
        serving.on_drain()
    site.finish()
    (answer,) = settle(harness, peer)
    assert (answer.content, answer.is_last) == (b"/later", True)


def test_an_answer_that_was_waited_for_counts(site: WaitingSite) -> None:
    with InProcess(site, capacity=Capacity(requests=1)) as harness:
        peer = harness.connect(LATER + AT_ONCE)
        assert not settle(harness, peer)
        site.finish()
        (answer,) = settle(harness, peer)
        assert answer.is_last
        assert peer.is_closed


def test_the_log_is_told_of_the_answer(harness: InProcess, site: WaitingSite) -> None:
    log = harness.service.log
    assert isinstance(log, Log)
    peer = harness.connect(LATER, address="192.0.2.1")
    assert not settle(harness, peer)
    assert not log.noted
    site.finish()
    assert settle(harness, peer)
    assert (log.noted, log.peers, log.heads) == ([(b"/later", 200)], ["192.0.2.1"], [LATER])
