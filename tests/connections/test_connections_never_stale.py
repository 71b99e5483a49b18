"""Octets that arrive after the poller has reported: their answer knows of what was written before them.

The file of the site is a value here, and a change of it is known once changes were looked for. Each test
writes, and then sends, when the poller has returned and nothing has been received yet.
"""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.in_process import InProcess, Peer
from connections.test_connections_listener import serve_until_answered
from connections.test_connections_preamble import BINARY, LINE, LOOPBACK
from epollo.connections.connection import Connection
from epollo.connections.http1 import REQUESTS_PER_TURN
from epollo.connections.networks import parse_networks
from epollo.connections.preamble import Proxies
from epollo.http.message import PERMANENT, Request, Response
from epollo.pollers import ERROR, HANGUP, POLLERS, Poller
from epollo.transports.listening import open_listening_socket, open_unix_socket

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_CONTENT = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
OLD, NEW = b"old", b"new"


class LatePoller:
    """A poller after whose next report something happens."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        self.close = poller.close
        self.after_report: Callable[[], object] | None = None

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        batch = list(self._poller.poll(timeout_seconds))
        if batch and self.after_report is not None:
            act, self.after_report = self.after_report, None
            act()
        return batch


class Page:
    """A site of one file, which answers with the content that it knows."""

    def __init__(self, poller_name: str) -> None:
        self.written = self.known = OLD
        self.looks = 0
        self.after_look: Callable[[], object] | None = None
        self.harness = InProcess(self.respond, poller_name=poller_name)
        self.poller = LatePoller(self.harness.loop._poller)
        self.harness.loop._poller = self.poller
        service = self.harness.service
        service.is_report_instant = poller_name == "epoll"
        service.look_for_changes = self.look

    def respond(self, _: Request) -> Response:
        fields = ((b"Content-Length", b"3"),)
        return Response(200, fields, (self.known,), basis=PERMANENT)

    def look(self) -> None:
        self.looks += 1
        self.known = self.written
        self.harness.service.forget()
        if self.after_look is not None:
            act, self.after_look = self.after_look, None
            act()

    def write_then_send(self, client: socket.socket, octets: bytes) -> Callable[[], None]:
        def act() -> None:
            self.written = NEW
            client.sendall(octets)

        return act

    def connect(self) -> Peer:
        """Return a peer that has been served, so that what it is answered is recalled."""
        peer = self.harness.connect(GET)
        self.harness.settle(peer)
        assert peer.received.endswith(OLD)
        peer.received.clear()
        self.looks = 0
        return peer

    def settle(self, peer: Peer) -> list[bytes]:
        """Return the contents that the peer gets from now on."""
        self.harness.settle(peer)
        return [part[:3] for part in bytes(peer.received).split(b"\r\n\r\n")[1:]]


@pytest.fixture(params=list(POLLERS))
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    page = Page(request.param)
    with page.harness:
        yield page
        assert not page.harness.reports


@pytest.fixture
def listening_tcp() -> Iterator[socket.socket]:
    with open_listening_socket("127.0.0.1", 0) as listening:
        yield listening


@pytest.fixture(params=["unix", "tcp without deferral"])
def listening_early(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A listener that is reported before anything was sent."""
    if request.param == "unix":
        with open_unix_socket(tmp_path / "socket") as listening:
            yield listening
    else:
        with open_listening_socket("127.0.0.1", 0) as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
            yield listening


def dial(listening: socket.socket, octets: bytes = b"") -> socket.socket:
    client = socket.socket(listening.family)
    client.connect(listening.getsockname())
    client.sendall(octets)
    return client


def test_connection_that_was_reported_before_it_sent(
    page: Page, listening_early: socket.socket
) -> None:
    page.harness.listen(listening_early)
    page.connect()
    with dial(listening_early) as client:
        page.poller.after_report = page.write_then_send(client, GET)
        assert serve_until_answered(page.harness, client).endswith(NEW)


def test_one_of_a_burst_that_sends_after_the_look(
    page: Page, listening_early: socket.socket
) -> None:
    listener = page.harness.listen(listening_early)
    page.connect()
    with dial(listening_early) as first, dial(listening_early) as late:
        listener._burst = 2
        page.after_look = page.write_then_send(late, GET)
        first.sendall(GET)
        serve_until_answered(page.harness, first)
        assert serve_until_answered(page.harness, late).endswith(NEW)


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["line", "binary"])
@pytest.mark.parametrize("octets_first", [0, 9, 1000], ids=["none", "some", "all"])
def test_request_behind_a_proxy_header(
    page: Page, listening_tcp: socket.socket, header: bytes, octets_first: int
) -> None:
    service = page.harness.service
    proxies = Proxies(service, parse_networks(LOOPBACK), page.harness.door.admit)
    page.harness.listen(listening_tcp, proxies.begin, needs_addresses=True)
    page.connect()
    with dial(listening_tcp, header[:octets_first]) as client:
        if 0 < octets_first < len(header):
            connections = len(service.peers)
            while len(service.peers) == connections:
                page.harness.loop.run_batch(1)
            client.sendall(header[octets_first : octets_first + 1])
            octets_first += 1
        page.poller.after_report = page.write_then_send(client, header[octets_first:] + GET)
        assert serve_until_answered(page.harness, client).endswith(NEW)


def test_second_of_two_pipelined_requests(page: Page) -> None:
    peer = page.connect()
    peer.send(GET)
    page.poller.after_report = page.write_then_send(peer.socket, GET)
    assert page.settle(peer)[1:] == [NEW]


def test_request_in_parts_that_is_received_whole(page: Page) -> None:
    """The kernel signals the change, which neither the report nor the octets tell of."""

    def write_then_send() -> None:
        page.harness.service.note_change()
        page.write_then_send(peer.socket, GET[9:])()

    peer = page.connect()
    peer.send(GET[:9])
    page.poller.after_report = write_then_send
    assert page.settle(peer) == [NEW]


def test_request_that_is_received_in_parts(page: Page) -> None:
    peer = page.connect()
    peer.send(GET[:9])
    assert page.settle(peer) == []
    peer.send(GET[9:12])
    page.poller.after_report = page.write_then_send(peer.socket, GET[12:])
    assert page.settle(peer) == [NEW]


def test_request_behind_half_an_empty_line(page: Page) -> None:
    peer = page.connect()
    peer.send(b"\r")
    assert page.settle(peer) == []
    peer.send(b"\n")
    page.poller.after_report = page.write_then_send(peer.socket, GET)
    assert page.settle(peer) == [NEW]


def test_content_of_a_request_whose_head_was_there(page: Page) -> None:
    peer = page.connect()
    peer.send(WITH_CONTENT)
    page.poller.after_report = page.write_then_send(peer.socket, b"hello")
    assert page.settle(peer) == [NEW]


def test_further_turn_in_the_batch_of_a_report(page: Page) -> None:
    """The first turn of the batch answers what is left, after a look; the further one receives anew."""
    peer = page.connect()
    peer.send(GET * (REQUESTS_PER_TURN + 1))
    page.harness.loop.run_batch(0)
    peer.send(GET[:9])
    page.after_look = page.write_then_send(peer.socket, GET[9:])
    assert page.settle(peer)[-1] == NEW


@pytest.mark.parametrize("events", [0, ERROR, HANGUP])
def test_report_of_something_else(page: Page, events: int) -> None:
    peer = page.connect()
    (connection,) = (one for one in page.harness.loop.handlers() if isinstance(one, Connection))
    page.write_then_send(peer.socket, GET)()
    connection.on_ready(events)
    peer.receive()
    assert peer.received.endswith(NEW)


def test_ordinary_requests_look_for_nothing(listening_tcp: socket.socket) -> None:
    page = Page("epoll")
    with page.harness:
        page.harness.listen(listening_tcp)
        peer = page.connect()
        for _ in range(3):
            peer.send(GET)
            page.settle(peer)
            with dial(listening_tcp, GET) as client:
                assert serve_until_answered(page.harness, client).endswith(OLD)
        assert page.looks == 0
