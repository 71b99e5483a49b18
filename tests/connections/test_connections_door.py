"""Which peers are admitted: limits in all and by address, and room made by idle connections."""

import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from connections.in_process import GET, LAST_GET, InProcess, Log, Peer, respond
from epollo.connections import http1_stage
from epollo.connections.addresses import Addresses
from epollo.connections.contract import Capacity
from epollo.connections.door import Arrival, Door, claim_descriptors
from epollo.connections.http1 import Http1Connection
from epollo.connections.scan_throttle import ScanThrottle
from epollo.http.message import PERMANENT, Basis, Request, Response
from epollo.loop import EventLoop
from loop.hand_clock import HandClock
from properties.answers import read_answers

PART = b"GET / HTTP/1.1\r\nHo"


@pytest.fixture
def harness(clock: HandClock) -> Iterator[InProcess]:
    with InProcess(respond, clock=clock, capacity=Capacity(connections=3)) as harness:
        yield harness


def statuses(peer: Peer) -> list[int]:
    peer.receive()
    return [answer.status for answer in read_answers(bytes(peer.received))]


def test_beyond_the_limit_the_answer_is_503(harness: InProcess) -> None:
    served = [harness.connect(PART) for _ in range(3)]
    refused = harness.connect(GET)
    assert refused.is_let_go()
    assert statuses(refused) == [503]
    assert b"\r\nRetry-After: 5\r\n" in refused.received
    assert b"\r\nCache-Control: no-cache\r\n" in refused.received
    assert b"\r\nConnection: close\r\n" in refused.received
    assert refused.is_closed
    assert not refused.is_reset
    assert len(harness.service.peers) == 3
    for peer in served:
        peer.send(b"st: a\r\n\r\n")
        harness.settle(peer)
        assert statuses(peer) == [200]


@pytest.mark.parametrize("before", [b"", b"\r\n\r\n"], ids=["alone", "behind empty lines"])
def test_to_head_503_has_no_content(harness: InProcess, before: bytes) -> None:
    _ = [harness.connect(PART) for _ in range(3)]
    refused = harness.connect(before + GET.replace(b"GET", b"HEAD"))
    refused.receive()
    assert refused.received.startswith(b"HTTP/1.1 503 ")
    assert refused.received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("goes", [True, False])
def test_a_peer_that_cannot_be_told_is_closed(harness: InProcess, goes: bool) -> None:
    _ = [harness.connect(PART) for _ in range(3)]
    client, server = socket.socketpair()
    with client:
        if goes:
            client.close()
        else:
            server.setblocking(False)
            while True:
                try:
                    server.send(bytes(65536))
                except BlockingIOError:
                    break
        harness.door.admit(Arrival(server, server.fileno()))
        assert server.fileno() < 0


def test_it_is_told_once_a_minute(harness: InProcess, clock: HandClock) -> None:
    _ = [harness.connect(PART) for _ in range(3)]
    for _ in range(5):
        harness.connect(GET)
    (line,) = harness.reports
    assert "3 connections are open" in line
    clock.turn(5)
    harness.loop.run_batch(0)
    harness.connect(GET)
    assert len(harness.reports) == 1
    clock.turn(60)
    harness.loop.run_batch(0)
    _ = [harness.connect(PART) for _ in range(3)]
    harness.connect(GET)
    assert len(harness.reports) == 2


def test_the_connection_idle_for_longest_makes_room(harness: InProcess, clock: HandClock) -> None:
    peers = []
    for _ in range(3):
        peers.append(harness.connect(GET))
        clock.turn(2)
        harness.loop.run_batch(0)
    peers[0].send(GET)
    harness.settle(peers[0])
    newcomers = []
    for order in (1, 2, 0):
        assert not peers[order].is_let_go()
        newcomers.append(harness.connect(GET))
        assert statuses(newcomers[-1]) == [200]
        assert peers[order].is_let_go()
    assert [statuses(peer) for peer in peers] == [[200, 200], [200], [200]]
    assert not any(peer.is_let_go() for peer in newcomers)
    assert not harness.reports


def test_the_next_connection_that_makes_room_does_so_in_the_same_second(harness: InProcess) -> None:
    peers = [harness.connect(GET) for _ in range(50)]
    assert [statuses(peer) for peer in peers] == [[200]] * 50
    assert [peer.is_let_go() for peer in peers] == [True] * 47 + [False] * 3


def test_only_the_idle_make_room(harness: InProcess) -> None:
    busy = [harness.connect(PART) for _ in range(2)]
    idle = harness.connect(GET)
    assert statuses(harness.connect(GET)) == [200]
    assert idle.is_let_go()
    assert not any(peer.is_let_go() for peer in busy)


def test_a_connection_used_since_does_not_make_room(harness: InProcess, clock: HandClock) -> None:
    """What was found when room was needed last need not be so any more."""
    peers = [harness.connect(GET) for _ in range(3)]
    clock.turn(2)
    harness.loop.run_batch(0)
    newcomer = harness.connect(PART)
    assert peers[0].is_let_go()
    peers[1].send(PART)
    harness.settle(peers[1])
    assert statuses(harness.connect(PART)) == []
    assert [peer.is_let_go() for peer in peers] == [True, False, True]
    assert not newcomer.is_let_go()
    assert statuses(harness.connect(GET)) == [503]


def test_whose_next_request_is_here_already_does_not(harness: InProcess) -> None:
    peers = [harness.connect(GET) for _ in range(3)]
    for peer in peers:
        peer.send(GET)
    assert statuses(harness.connect(GET)) == [503]
    for peer in peers:
        harness.settle(peer)
        assert statuses(peer) == [200, 200]


def test_an_idle_peer_that_is_gone_makes_room(harness: InProcess) -> None:
    peers = [harness.connect(GET) for _ in range(3)]
    peers[0].socket.close()
    assert statuses(harness.connect(GET)) == [200]
    assert [peer.is_let_go() for peer in peers] == [True, False, False]


def test_where_none_is_idle_no_idle_connection_is_looked_for_twice_in_a_second(
    harness: InProcess, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []
    scan = Door._scan

    def count_and_scan(door: Door) -> None:
        scans.append(door)
        scan(door)

    monkeypatch.setattr(Door, "_scan", count_and_scan)
    _ = [harness.connect(PART) for _ in range(3)]
    for _ in range(100):
        assert statuses(harness.connect(GET)) == [503]
    assert len(scans) == 1
    clock.turn(1)
    harness.loop.run_batch(0)
    harness.connect(GET)
    assert len(scans) == 2


def test_a_flood_is_turned_away_at_a_bounded_cost(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans are paid for by closings: 64 connections are scanned for each that makes room."""
    seen = 0
    begin = ScanThrottle.begin

    def count_and_begin(throttle: ScanThrottle, connections: int) -> None:
        nonlocal seen
        seen += connections
        begin(throttle, connections)

    monkeypatch.setattr(ScanThrottle, "begin", count_and_begin)
    with InProcess(respond, clock=clock, capacity=Capacity(connections=300)) as harness:
        _ = [harness.connect(PART) for _ in range(299)]
        answered = [statuses(harness.connect(GET)) for _ in range(500)]
        assert [200] in answered
        assert [503] in answered
        assert len(harness.service.peers) == 300
    assert 0 < seen <= 500 * 64 + 300


# A known answer, without a connection.


class Counting:
    """A responder whose answers are of a given length; it counts what it was asked."""

    def __init__(self, octets: int) -> None:
        self.content = bytes(octets)
        self.asked = 0

    def __call__(self, _: Request) -> Response:
        self.asked += 1
        length = ((b"Content-Length", b"%d" % len(self.content)),)
        return Response(200, length, (self.content,), basis=PERMANENT)


def test_a_peer_of_one_known_answer_needs_no_connection(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, log = Counting(100), Log()
    with InProcess(site, clock=clock, log=log) as harness:
        made = []

        class Made(Http1Connection):
            def on_accepted(self, received: bytes, is_reported: bool) -> None:
                made.append(self)
                super().on_accepted(received, is_reported)

        monkeypatch.setattr(http1_stage, "Http1Connection", Made)
        first = harness.connect(address="192.0.2.1", received=LAST_GET)
        assert len(made) == 1
        others = [harness.connect(address="192.0.2.2", received=LAST_GET) for _ in range(3)]
        assert len(made) == 1
        assert site.asked == 1
        for peer in (first, *others):
            assert peer.is_let_go()
            assert statuses(peer) == [200]
            assert peer.is_closed
        assert log.peers == ["192.0.2.1"] + ["192.0.2.2"] * 3
        assert log.heads == [LAST_GET] * 4
        assert log.contents == [100] * 4
        # A peer that may ask for more is served as ever, and so is each where the answer is not known.
        assert statuses(harness.connect(received=GET)) == [200]
        assert len(harness.service.peers) == 1
        clock.turn(1)
        harness.loop.run_batch(0)
        assert statuses(harness.connect(received=LAST_GET)) == [200]
        # The next second changes nothing.
        assert len(made) == 2
        # A head with fields that have no say is known when it has come twice.
        for _ in range(4):
            peer = harness.connect(received=LAST_GET[:-2] + b"User-Agent: a\r\n\r\n")
            assert statuses(peer) == [200]
        assert len(made) == 4
        assert len(harness.service.peers) == 1


class Standing(Basis):
    """What an answer rests on, until the test ends it."""

    __slots__ = ("is_current",)

    def __init__(self) -> None:
        self.checked_second = -1
        self.is_current = True

    def stands(self, second: int) -> bool:  # noqa: ARG002 - it is asked each time
        return self.is_current


def test_an_answer_that_has_ended_is_not_given_without_a_connection(clock: HandClock) -> None:
    made: list[Standing] = []

    def respond_anew(_: Request) -> Response:
        made.append(Standing())
        content = b"%d" % len(made)
        return Response(200, ((b"Content-Length", b"1"),), (content,), basis=made[-1])

    with InProcess(respond_anew, clock=clock) as harness:

        def ask() -> bytes:
            peer = harness.connect(received=LAST_GET)
            peer.receive()
            return bytes(peer.received).partition(b"\r\n\r\n")[2]

        assert [ask(), ask()] == [b"1", b"1"]
        made[0].is_current = False
        assert [ask(), ask()] == [b"2", b"2"]


def test_a_peer_that_does_not_take_the_only_answer_at_once_gets_the_rest(clock: HandClock) -> None:
    site, log = Counting(16_000), Log()
    with InProcess(site, clock=clock, log=log) as harness:
        harness.connect(received=LAST_GET)
        peer = harness.connect(received=LAST_GET, buffer_octets=1)
        assert not peer.is_let_go()
        assert len(log.contents) == 1
        harness.settle(peer)
        (answer,) = read_answers(bytes(peer.received))
        assert answer.content == site.content
        assert peer.is_closed
        assert not peer.is_reset
        assert log.contents == [16_000] * 2
        assert site.asked == 1
        # And a peer that takes nothing is not waited for for ever.
        peer = harness.connect(received=LAST_GET, buffer_octets=1)
        for _ in range(5):
            clock.turn(20)
            harness.loop.run_batch(0)
        assert peer.is_let_go()
        assert log.contents[2] < 16_000


def test_a_peer_that_cannot_be_registered_is_closed_and_it_is_told(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no room to watch")

    log = Log()
    with InProcess(Counting(16_000), clock=clock, log=log) as harness:
        harness.connect(received=LAST_GET)
        monkeypatch.setattr(EventLoop, "add", register)
        peer = harness.connect(received=LAST_GET, buffer_octets=1)
        assert peer.is_let_go()
        assert len(harness.service.peers) == 0
        assert "no room to watch" in harness.reports[0]


def test_a_peer_that_is_gone_is_closed(clock: HandClock) -> None:
    with InProcess(Counting(100), clock=clock) as harness:
        harness.connect(received=LAST_GET)
        client, server = socket.socketpair()
        client.close()
        harness.door.admit(Arrival(server, server.fileno(), "", LAST_GET))
        assert server.fileno() < 0
        assert len(harness.service.peers) == 0


# Addresses.


def test_connections_of_one_address_are_limited() -> None:
    with InProcess(respond, capacity=Capacity(per_address=2)) as harness:
        peers = [harness.connect(GET, address="192.0.2.1") for _ in range(3)]
        assert [statuses(peer) for peer in peers] == [[200], [200], [503]]
        assert "192.0.2.1 has 2 connections open" in harness.reports[0]
        assert statuses(harness.connect(GET, address="192.0.2.2")) == [200]
        peers[0].socket.close()
        harness.loop.run_batch(0)
        assert statuses(harness.connect(LAST_GET, address="192.0.2.1")) == [200]
        assert statuses(harness.connect(GET, address="192.0.2.1")) == [200]
        assert statuses(harness.connect(GET, address="192.0.2.1")) == [503]


def test_addresses_are_forgotten_with_their_connections() -> None:
    with InProcess(respond, capacity=Capacity(per_address=2)) as harness:
        for number in range(100):
            harness.connect(LAST_GET, address=f"192.0.2.{number}")
        assert harness.service.addresses is not None
        assert len(harness.service.addresses) == 0


def test_peers_without_an_address_are_not_limited() -> None:
    with InProcess(respond, capacity=Capacity(per_address=1)) as harness:
        assert [statuses(harness.connect(GET)) for _ in range(3)] == [[200]] * 3


def test_addresses_are_counted() -> None:
    addresses = Addresses(2)
    assert [addresses.enter("a") for _ in range(3)] == [True, True, False]
    assert addresses.enter("b")
    assert len(addresses) == 2
    addresses.leave("a")
    addresses.leave("b")
    assert len(addresses) == 1
    assert addresses.enter("a")


# Descriptors.


def test_the_limit_of_descriptors_is_raised_and_some_are_left_for_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        connections = claim_descriptors()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert limit == min(hard, 1_048_576)
        assert 0.7 * limit < connections < limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
