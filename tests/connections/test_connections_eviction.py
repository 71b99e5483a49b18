"""Which address gives way where all connections are taken, and what an address counts as."""

import socket
import weakref
from collections.abc import Iterator

import pytest

from connections.in_process import GET, InProcess, Peer, respond
from connections.test_connections_door import PART, statuses
from epollo.connections.addresses import Addresses, ask_address, network_of, read_address
from epollo.connections.contract import Capacity
from epollo.connections.contract import Peer as Serving
from epollo.connections.eviction import Eviction
from epollo.http.message import PERMANENT, Request, Response
from loop.hand_clock import HandClock

A, B, C, D = (f"192.0.2.{number}" for number in range(1, 5))


@pytest.fixture
def harness(clock: HandClock) -> Iterator[InProcess]:
    with InProcess(respond, clock=clock, capacity=Capacity(connections=3)) as harness:
        harness.service.keeps_addresses = True
        yield harness


def is_served(harness: InProcess, peer: Peer) -> bool:
    peer.send(b"st: a\r\n\r\n")
    harness.settle(peer)
    return statuses(peer) == [200]


def test_the_address_that_has_most_gives_way_and_is_told(harness: InProcess) -> None:
    first, *others = [harness.connect(PART, address=A) for _ in range(3)]
    newcomer = harness.connect(PART, address=B)
    assert first.is_let_go()
    assert statuses(first) == [503]
    assert is_served(harness, newcomer)
    assert all(is_served(harness, other) for other in others)
    (report,) = harness.reports
    assert report.startswith(
        "closed a connection of an address that has 3, to make room for another"
    )


def test_the_address_that_has_most_gets_no_more(harness: InProcess) -> None:
    served = [harness.connect(PART, address=A) for _ in range(3)]
    refused = harness.connect(GET, address=A)
    assert statuses(refused) == [503]
    assert all(is_served(harness, peer) for peer in served)


def test_room_is_made_until_all_have_the_same(harness: InProcess, clock: HandClock) -> None:
    served = [harness.connect(PART, address=address) for address in (A, A, B)]
    third = harness.connect(PART, address=C)
    assert served[0].is_let_go()
    for seconds in (0, 2):
        clock.turn(seconds)
        harness.loop.run_batch(0)
        assert statuses(harness.connect(GET, address=D)) == [503]
    assert all(is_served(harness, peer) for peer in (*served[1:], third))


def test_an_address_of_ipv6_counts_as_its_64(harness: InProcess) -> None:
    served = [harness.connect(PART, address=f"2001:db8::{number:x}") for number in range(3)]
    assert statuses(harness.connect(GET, address="2001:db8::ffff:1")) == [503]
    newcomer = harness.connect(PART, address="2001:db8:0:1::1")
    assert served[0].is_let_go()
    assert is_served(harness, newcomer)


def test_a_peer_without_an_address_takes_the_room_of_none(harness: InProcess) -> None:
    served = [harness.connect(PART, address=A) for _ in range(3)]
    assert statuses(harness.connect(GET)) == [503]
    assert not any(peer.is_let_go() for peer in served)


def test_an_answer_under_way_gives_way_last(clock: HandClock) -> None:
    def respond_at_length(request: Request) -> Response:
        content = bytes(8_000_000)
        fields = ((b"Content-Length", b"%d" % len(content)),)
        return Response(200, fields, (content,), basis=PERMANENT)

    with InProcess(respond_at_length, clock=clock, capacity=Capacity(connections=3)) as harness:
        harness.service.keeps_addresses = True
        one = harness.connect(GET, address=A)
        other = harness.connect(GET, address=A)
        half = harness.connect(PART, address=A)
        harness.connect(PART, address=B)
        assert half.is_let_go()
        assert not one.is_let_go()
        harness.connect(PART, address=C)
        assert other.is_let_go()
        assert not one.is_let_go()


class Asked(Serving):
    """A peer that counts how often its address is asked for."""

    asked = 0
    given_way = 0

    def __init__(self, address: str) -> None:
        self._address = address

    def find_address(self) -> str:
        Asked.asked += 1
        return self._address

    def give_way(self) -> None:
        Asked.given_way += 1


def test_a_flood_of_one_address_costs_one_scan_a_second(
    harness: InProcess, clock: HandClock
) -> None:
    peers: dict[Serving, None] = dict.fromkeys(Asked(A) for _ in range(500))
    eviction = Eviction(peers, harness.loop)
    Asked.asked = Asked.given_way = 0
    for _ in range(1000):
        assert eviction.make_room(A) == 0
    assert Asked.asked == 500
    # Those of others pay for the scans that they cause, 64 for each.
    for number in range(100):
        assert eviction.make_room(f"198.51.100.{number}") > 0
    assert Asked.given_way == 100
    assert Asked.asked <= 500 + 100 * 64
    before = Asked.asked
    clock.turn(2)
    clock.read()
    assert eviction.make_room(A) == 0
    assert Asked.asked == before + 500


def test_a_peer_that_is_gone_is_not_held(harness: InProcess, clock: HandClock) -> None:
    peers: dict[Serving, None] = {Asked(A): None}
    references = [weakref.ref(peer) for peer in peers]
    eviction = Eviction(peers, harness.loop)
    assert eviction.make_room(B) == 0
    peers.clear()
    clock.turn(3)
    harness.loop.run_batch(0)
    assert references[0]() is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", b"\x20\x01\x0d\xb8\0\0\0\0"),
        ("2001:db8:0:0:ffff::", b"\x20\x01\x0d\xb8\0\0\0\0"),
        ("2001:db8:0:1::", b"\x20\x01\x0d\xb8\0\0\0\1"),
        ("fe80::1%eth0", b"\xfe\x80\0\0\0\0\0\0"),
        ("no:address", "no:address"),
        ("", ""),
    ],
)
def test_what_an_address_counts_as(address: str, network: str | bytes) -> None:
    assert network_of(address) == network


def test_addresses_of_one_64_are_counted_together() -> None:
    addresses = Addresses(2)
    assert addresses.enter("2001:db8::1")
    assert addresses.enter("2001:db8::2")
    assert not addresses.enter("2001:db8::3")
    assert addresses.enter("2001:db8:0:1::1")
    addresses.leave("2001:db8::1")
    assert addresses.enter("2001:db8::3")
    assert len(addresses) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_is_asked_for_an_address(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()[:2]):
            peer, _ = listening.accept()
            with peer:
                assert ask_address(peer.fileno()) == host
                assert peer.getpeername()[0] == host


def test_there_is_no_address_to_ask_for() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert ask_address(one.fileno()) == ""
    with socket.socket() as alone:
        assert ask_address(alone.fileno()) == ""
    assert read_address(("::ffff:192.0.2.1", 80, 0, 0)) == "192.0.2.1"
    assert read_address(b"/path") == ""
