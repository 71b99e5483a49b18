import contextlib
import fcntl
import math
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from connections.in_process import GET, InProcess, respond
from epollo.connections.connection import Connection
from epollo.connections.contract import Peer
from epollo.connections.door import Arrival
from epollo.connections.listener import BURST, Listener
from epollo.errors import OperatorError
from epollo.http.message import Request, Response
from epollo.pollers import FD_SETSIZE
from epollo.transports.listening import open_listening_socket
from loop.hand_clock import HandClock


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def harness(request: pytest.FixtureRequest, clock: HandClock) -> Iterator[InProcess]:
    with InProcess(respond, poller_name=request.param, clock=clock) as harness:
        yield harness


def connect(listening: socket.socket, octets: bytes = GET) -> socket.socket:
    peer = socket.create_connection(listening.getsockname(), 10)
    peer.sendall(octets)
    return peer


def serve_until_answered(harness: InProcess, peer: socket.socket) -> bytes:
    """Turn the loop until the peer has an answer, or its end."""
    peer.setblocking(False)
    for _ in range(100_000):
        harness.loop.run_batch(0.01)
        try:
            return peer.recv(65536)
        except BlockingIOError:
            continue
    raise AssertionError("no answer")


def test_a_client_that_connects_is_answered(harness: InProcess, listening: socket.socket) -> None:
    listener = harness.listen(listening)
    with connect(listening) as peer:
        assert serve_until_answered(harness, peer).endswith(b"ok")
        peer.setblocking(True)
        peer.sendall(GET)
        assert serve_until_answered(harness, peer).endswith(b"ok")
        assert len(harness.service.peers) == 1
    listener.close()
    assert listening.fileno() == -1


def count_accepted(harness: InProcess) -> int:
    """Turn the loop once; return how many were let in."""
    before = len(harness.service.peers)
    harness.loop.run_batch(5)
    return len(harness.service.peers) - before


def test_a_crowd_is_let_in_by_bursts_that_double(
    clock: HandClock, listening: socket.socket
) -> None:
    with InProcess(respond, poller_name="epoll", clock=clock) as harness:
        harness.listen(listening)
        with contextlib.ExitStack() as open_peers:
            peers = [open_peers.enter_context(connect(listening)) for _ in range(80)]
            counts = [count_accepted(harness) for _ in range(7)]
            assert counts == [1, 2, 4, 8, 16, BURST, 80 - 31 - BURST]
            for peer in peers:
                assert peer.recv(65536).endswith(b"ok")
            # No client is lost, and one that comes alone is accepted alone.
            for peer in peers[:3]:
                peer.sendall(GET)
                assert count_accepted(harness) == 0
                assert peer.recv(65536).endswith(b"ok")
            for _ in range(3):
                with connect(listening) as peer:
                    assert serve_until_answered(harness, peer).endswith(b"ok")


class CountedSocket(socket.socket):
    """Counts the calls of accept, also those that find nothing."""

    accepts = 0

    def _accept(self) -> tuple[int, object]:
        self.accepts += 1
        return super()._accept()  # type: ignore[misc, no-any-return]


def test_of_those_that_come_one_at_a_time_few_have_an_accept_after_them_that_finds_nothing(
    clock: HandClock, listening: socket.socket
) -> None:
    with InProcess(respond, poller_name="epoll", clock=clock) as harness:
        counted = CountedSocket(fileno=os.dup(listening.fileno()))
        counted.setblocking(False)
        harness.listen(counted)
        for _ in range(30):
            with connect(listening) as peer:
                assert serve_until_answered(harness, peer).endswith(b"ok")
        assert 30 < counted.accepts <= 36
        # A crowd is let in soon all the same.
        with contextlib.ExitStack() as open_peers:
            for _ in range(20):
                open_peers.enter_context(connect(listening))
            for _ in range(9):
                harness.loop.run_batch(0)
            assert len(harness.service.peers) == 20
        counted.close()


def test_a_burst_is_answered_after_a_look_for_changes_and_received_from_before(
    harness: InProcess, listening: socket.socket
) -> None:
    """The peer that was admitted second may know of a change that came after the poller's report."""
    told: list[str] = []
    harness.service.look_for_changes = lambda: told.append("looked")

    def tell_and_respond(request: Request) -> Response:
        told.append("asked")
        return respond(request)

    harness.service.respond = tell_and_respond
    harness.service.recalls = dict.fromkeys(harness.service.recalls)
    harness.service.recalls_at_once = harness.service.recalls
    harness.service.is_report_instant = True
    listener = harness.listen(listening)
    with contextlib.ExitStack() as open_peers:
        for _ in range(3):
            peer = open_peers.enter_context(connect(listening))
            serve_until_answered(harness, peer)
        assert told == ["asked"] * 3
        told.clear()
        peers = [open_peers.enter_context(connect(listening)) for _ in range(3)]
        listener._burst = 2
        listener.on_ready(1)
        for peer in peers:
            serve_until_answered(harness, peer)
    assert told.count("asked") == 3
    assert told.index("looked") < told.index("asked", 1)


@pytest.mark.parametrize("is_instant", [True, False])
def test_one_that_comes_alone_is_admitted_after_a_look_where_a_report_may_lack_a_change(
    clock: HandClock, listening: socket.socket, *, is_instant: bool
) -> None:
    told: list[object] = []

    def admit(arrival: Arrival) -> None:
        told.append(arrival.received)
        arrival.transport.close()

    with InProcess(respond, poller_name="epoll", clock=clock) as harness:
        harness.service.look_for_changes = lambda: told.append("looked")
        harness.service.is_report_instant = is_instant
        harness.listen(listening, admit)
        with connect(listening):
            while GET not in told:
                harness.loop.run_batch(5)
    assert told == ([GET] if is_instant else ["looked", GET])


def test_a_fault_with_one_of_a_burst_is_not_the_others(
    clock: HandClock, listening: socket.socket
) -> None:
    admitted = []

    with InProcess(respond, poller_name="epoll", clock=clock) as harness:

        def fail_once(arrival: Arrival) -> None:
            admitted.append(arrival)
            if len(admitted) == 2:
                arrival.transport.close()
                raise RuntimeError("a bug")
            harness.door.admit(arrival)

        listener = harness.listen(listening, fail_once)
        with contextlib.ExitStack() as open_peers:
            peers = [open_peers.enter_context(connect(listening)) for _ in range(3)]
            listener.on_ready(1)
            listener.on_ready(1)
            answers = [serve_until_answered(harness, peer) for peer in peers]
        assert [answer.endswith(b"ok") for answer in answers] == [True, False, True]
        # What comes after the look that all of a burst have may be newer than it.
        assert not any(arrival.is_reported for arrival in admitted[1:])
        assert len(harness.reports) == 1
        assert "a bug" in harness.reports[0]


def test_a_peer_in_a_burst_that_sends_later(clock: HandClock, listening: socket.socket) -> None:
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
    with InProcess(respond, poller_name="epoll", clock=clock) as harness:
        harness.listen(listening)
        with contextlib.ExitStack() as open_peers:
            peers = [
                open_peers.enter_context(connect(listening, octets))
                for octets in (GET, GET, b"", GET[:9])
            ]
            peers[1].close()
            while len(harness.service.peers) < 3:
                harness.loop.run_batch(5)
            for peer, octets in ((peers[2], GET), (peers[3], GET[9:])):
                peer.sendall(octets)
                assert serve_until_answered(harness, peer).endswith(b"ok")


def test_a_socket_is_given_what_it_needs(listening: socket.socket) -> None:
    assert not listening.getblocking()
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_accepted_sockets_send_without_delay(harness: InProcess, listening: socket.socket) -> None:
    harness.listen(listening)
    with connect(listening) as peer:
        serve_until_answered(harness, peer)
        (connection,) = [
            handler for handler in harness.loop.handlers() if not isinstance(handler, Listener)
        ]
        accepted = socket.socket(fileno=os.dup(connection.descriptor))  # type: ignore[attr-defined]
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            flags = fcntl.fcntl(connection.descriptor, fcntl.F_GETFD)  # type: ignore[attr-defined]
            assert flags & fcntl.FD_CLOEXEC


def test_an_address_in_use(listening: socket.socket) -> None:
    with pytest.raises(OperatorError, match="it is in use by"):
        open_listening_socket(*listening.getsockname())


def test_no_client_there_after_all(harness: InProcess, listening: socket.socket) -> None:
    listener = harness.listen(listening)
    listener.on_ready(1)
    assert len(harness.service.peers) == 0
    assert not harness.reports


@pytest.fixture
def no_descriptors() -> Iterator[int]:
    """The number of descriptors that this process may have: all of them are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        limit = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_out_of_descriptors(
    harness: InProcess,
    listening: socket.socket,
    clock: HandClock,
    request: pytest.FixtureRequest,
) -> None:
    listener = harness.listen(listening)
    with connect(listening) as served:
        assert serve_until_answered(harness, served)
        # In the middle of a request: an idle connection would make room.
        served.setblocking(True)
        served.sendall(GET[:10])
        harness.loop.run_batch(0)
        with connect(listening) as waiting:
            soft = request.getfixturevalue("no_descriptors")
            for _ in range(10_000):
                harness.loop.run_batch(0.01)
                if harness.reports:
                    break
            (line,) = harness.reports
            assert "cannot accept" in line
            assert listener.deadline != math.inf
            served.sendall(GET[10:] + GET[:10])
            assert serve_until_answered(harness, served).endswith(b"ok")
            # No client is accepted, and nothing is tried, until the pause is over.
            for _ in range(100):
                harness.loop.run_batch(0)
            assert len(harness.reports) == 1
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            clock.turn(2)
            assert serve_until_answered(harness, waiting).endswith(b"ok")
            assert listener.deadline == math.inf


def test_an_idle_connection_makes_room_for_a_new_client(
    harness: InProcess, listening: socket.socket, request: pytest.FixtureRequest
) -> None:
    harness.listen(listening)
    with connect(listening) as idle:
        assert serve_until_answered(harness, idle)
        with connect(listening) as waiting:
            request.getfixturevalue("no_descriptors")
            assert serve_until_answered(harness, waiting).endswith(b"ok")
            assert idle.recv(1) == b""
            assert not harness.reports


def test_a_descriptor_that_select_cannot_watch(listening: socket.socket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FD_SETSIZE + 64)), hard))
    taken: list[int] = []
    try:
        with InProcess(respond, poller_name="select") as harness:
            harness.listen(listening)
            with connect(listening) as served:
                assert serve_until_answered(harness, served)
                while not taken or taken[-1] < FD_SETSIZE:
                    taken.append(os.dup(0))
                os.close(taken.pop())
                with connect(listening) as high:
                    for _ in range(10_000):
                        harness.loop.run_batch(0.01)
                        if harness.reports:
                            break
                    assert f"from {FD_SETSIZE} on" in harness.reports[0]
                    high.settimeout(10)
                    with contextlib.suppress(ConnectionResetError):
                        assert high.recv(1) == b""
                served.setblocking(True)
                served.sendall(GET)
                assert serve_until_answered(harness, served).endswith(b"ok")
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_fault_is_told_and_survived(harness: InProcess, listening: socket.socket) -> None:
    listener = harness.listen(listening)
    harness.loop.end_fault(listener, RuntimeError("a bug"))
    assert "a bug" in harness.reports[0]
    with connect(listening) as peer:
        assert serve_until_answered(harness, peer).endswith(b"ok")


def test_in_a_crowd_little_waits_in_the_kernel_for_each(
    harness: InProcess, listening: socket.socket
) -> None:
    listener = harness.listen(listening)

    def unsent_limit() -> int:
        return listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)

    before = unsent_limit()
    for connections, limit in (
        (0, before),
        (200, 128 * 1024),
        (200, 128 * 1024),
        (300, 64 * 1024),
        (0, before),
    ):
        harness.service.peers.update(dict.fromkeys(Peer() for _ in range(connections)))
        with connect(listening) as peer:
            assert serve_until_answered(harness, peer).endswith(b"ok")
            assert unsent_limit() == limit
        for other in [one for one in harness.service.peers if type(one) is Peer]:
            del harness.service.peers[other]
    listener.close()


def test_peers_that_connected_before_they_were_a_crowd_are_bounded_too(
    harness: InProcess, listening: socket.socket
) -> None:
    listener = harness.listen(listening)
    with contextlib.ExitStack() as clients:
        for _ in range(40):
            clients.enter_context(connect(listening, b"GET / HT"))
        harness.service.peers.update(dict.fromkeys(Peer() for _ in range(200)))

        def limits() -> list[int]:
            return [
                one._transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)  # type: ignore[attr-defined]
                for one in harness.service.peers
                if isinstance(one, Connection)
            ]

        while len(limits()) < 40:
            harness.loop.run_batch()
        assert limits() == [128 * 1024] * 40
        for other in [one for one in harness.service.peers if type(one) is Peer]:
            del harness.service.peers[other]
    listener.close()
