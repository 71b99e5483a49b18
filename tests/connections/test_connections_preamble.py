"""Peers behind a proxy: the header names them, any other peer is closed, at any split."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from connections.in_process import GET, InProcess, respond
from connections.test_connections_listener import connect, serve_until_answered
from epollo.connections.connection import Connection
from epollo.connections.contract import Capacity
from epollo.connections.listener import Listener
from epollo.connections.networks import parse_networks
from epollo.connections.preamble import Preamble, Proxies
from loop.hand_clock import HandClock

LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n"
BINARY = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\0\x05\0\x50"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
LOOPBACK = "127.0.0.0/8,::1"


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def harness(request: pytest.FixtureRequest, clock: HandClock) -> Iterator[InProcess]:
    with InProcess(
        respond, poller_name=request.param, clock=clock, capacity=Capacity(per_address=2)
    ) as harness:
        yield harness


def listen(harness: InProcess, listening: socket.socket, networks: str = LOOPBACK) -> Listener:
    proxies = Proxies(harness.service, parse_networks(networks), harness.door.admit)
    return harness.listen(listening, proxies.begin, needs_addresses=True)


def turn(harness: InProcess) -> None:
    for _ in range(5):
        harness.loop.run_batch(0)


def send_apart(harness: InProcess, peer: socket.socket, octets: bytes, *splits: int) -> None:
    """Send octets in parts, and have each part received before the next one is sent."""
    for begin, end in zip((0, *splits), (*splits, len(octets)), strict=True):
        peer.sendall(octets[begin:end])
        turn(harness)


def peers(harness: InProcess) -> list[str | None]:
    return [one.address for one in harness.loop.handlers() if isinstance(one, Connection)]


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_the_address_of_the_header_is_the_peer(
    harness: InProcess, listening: socket.socket, header: bytes
) -> None:
    listener = listen(harness, listening)
    with connect(listening, header + GET) as peer:
        assert serve_until_answered(harness, peer).endswith(b"ok")
        assert peers(harness) == ["192.0.2.7"]
        peer.setblocking(True)
        peer.sendall(GET)
        assert serve_until_answered(harness, peer).endswith(b"ok")
    listener.close()


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_without_an_address_the_proxy_is_the_peer(
    harness: InProcess, listening: socket.socket, header: bytes
) -> None:
    listener = listen(harness, listening)
    with connect(listening, header + GET) as peer:
        assert serve_until_answered(harness, peer).endswith(b"ok")
        assert peers(harness) == ["127.0.0.1"]
    listener.close()


@pytest.mark.parametrize("header", [LINE, BINARY, LOCAL])
def test_any_split(harness: InProcess, listening: socket.socket, header: bytes) -> None:
    listener = listen(harness, listening)
    octets = header + GET
    for split in range(1, len(header) + 2):
        with connect(listening, b"") as peer:
            send_apart(harness, peer, octets, split)
            assert serve_until_answered(harness, peer).endswith(b"ok")
            assert len(peers(harness)) == 1
        turn(harness)
    assert len(harness.service.peers) == 0
    listener.close()


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_octet_by_octet(harness: InProcess, listening: socket.socket, header: bytes) -> None:
    listener = listen(harness, listening)
    octets = header + GET
    with connect(listening, b"") as peer:
        send_apart(harness, peer, octets, *range(1, len(octets)))
        assert serve_until_answered(harness, peer).endswith(b"ok")
    listener.close()


def is_closed(harness: InProcess, peer: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return serve_until_answered(harness, peer) == b""
    return True


@pytest.mark.parametrize("octets", [GET, b"PROXY TCP4 nonsense\r\n" + GET, b"\r\n" + GET])
def test_without_a_valid_header_a_connection_is_closed(
    harness: InProcess, listening: socket.socket, octets: bytes
) -> None:
    listener = listen(harness, listening)
    for _ in range(2):
        with connect(listening, octets) as peer:
            assert is_closed(harness, peer)
    (line,) = harness.reports
    assert "no valid PROXY header" in line
    assert len(harness.service.peers) == 0
    listener.close()


def test_a_proxy_that_is_not_trusted_is_closed_whatever_it_sends(
    harness: InProcess, listening: socket.socket
) -> None:
    listener = listen(harness, listening, "192.0.2.0/24,127.0.0.2")
    for _ in range(2):
        with connect(listening, LINE + GET) as peer:
            assert is_closed(harness, peer)
    (line,) = harness.reports
    assert "127.0.0.1" in line
    listener.close()


def test_the_address_of_the_header_is_limited(harness: InProcess, listening: socket.socket) -> None:
    listener = listen(harness, listening)
    with contextlib.ExitStack() as open_peers:
        for number in range(6):
            header = LINE.replace(b"192.0.2.7", b"192.0.2.%d" % (number // 2))
            peer = open_peers.enter_context(connect(listening, header + GET))
            assert serve_until_answered(harness, peer).endswith(b"ok")
        peer = open_peers.enter_context(connect(listening, LINE.replace(b".7", b".0") + GET))
        assert serve_until_answered(harness, peer).startswith(b"HTTP/1.1 503 ")
    listener.close()


def test_a_header_that_does_not_end(
    harness: InProcess, listening: socket.socket, clock: HandClock
) -> None:
    listener = listen(harness, listening)
    with connect(listening, LINE[:10]) as peer:
        peer.setblocking(False)
        for position in range(10, 21):
            turn(harness)
            clock.turn(0.9)
            peer.send(LINE[position : position + 1])
        clock.turn(2)
        turn(harness)
        assert is_closed(harness, peer)
    assert len(harness.service.peers) == 0
    listener.close()


@pytest.mark.parametrize("end", ["drain", "gone", "fault"])
def test_a_header_that_is_not_waited_for_any_more(
    harness: InProcess, listening: socket.socket, end: str
) -> None:
    listener = listen(harness, listening)
    with connect(listening, LINE[:10]) as peer:
        for _ in range(1000):
            harness.loop.run_batch(0.01)
            found = [one for one in harness.loop.handlers() if isinstance(one, Preamble)]
            if found:
                break
        (preamble,) = found
        assert len(harness.service.peers) == 1
        if end == "drain":
            preamble.on_drain()
        elif end == "fault":
            harness.loop.end_fault(preamble, RuntimeError("a bug"))
            assert "a bug" in harness.reports[0]
        else:
            peer.close()
            turn(harness)
        assert len(harness.service.peers) == 0
        preamble.close()
        assert len(harness.service.peers) == 0
    listener.close()
