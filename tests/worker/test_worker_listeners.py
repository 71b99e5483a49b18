"""Which stages the arrivals of a worker's listeners pass."""

import socket
from collections.abc import Iterator

import pytest

from connections.in_process import GET, LAST_GET, InProcess
from epollo.connections.contract import Capacity
from epollo.http.message import PERMANENT, Request, Response
from epollo.settings import Settings
from epollo.transports.listening import open_listening_socket
from epollo.worker.listeners import Listeners
from loop.hand_clock import HandClock

PART = b"GET / HTTP/1.1\r\nHo"


def respond(_: Request) -> Response:
    return Response(200, ((b"Content-Length", b"2"),), (b"ok",), basis=PERMANENT)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with open_listening_socket("127.0.0.1", 0) as listening:
        yield listening


@pytest.mark.parametrize("per_address", [0, 1])
def test_a_client_of_one_known_answer_is_refused_at_the_limit_as_any_other(
    listening: socket.socket, per_address: int
) -> None:
    """If it did not take all of the answer at once, it would be a connection beyond the limit."""
    capacity = Capacity(connections=1, per_address=per_address)
    with InProcess(respond, clock=HandClock(), capacity=capacity) as harness:
        listeners = Listeners(Settings(), harness.service, None, None)
        listeners.listen([listening])

        def ask(octets: bytes) -> socket.socket:
            client = socket.create_connection(listening.getsockname(), 10)
            client.sendall(octets)
            return client

        def exchange(octets: bytes) -> bytes:
            with ask(octets) as client:
                client.setblocking(False)
                for _ in range(100_000):
                    harness.loop.run_batch(0.01)
                    try:
                        return client.recv(4096)
                    except BlockingIOError:
                        continue
            raise AssertionError("no answer")

        assert exchange(LAST_GET).startswith(b"HTTP/1.1 200 ")
        with ask(PART):
            while not harness.service.peers:
                harness.loop.run_batch(5)
            held = [*harness.service.peers]
            assert exchange(LAST_GET).startswith(b"HTTP/1.1 503 ")
            assert exchange(GET).startswith(b"HTTP/1.1 503 ")
            unknown = LAST_GET.replace(b" / ", b" /other ")
            assert exchange(unknown).startswith(b"HTTP/1.1 503 ")
            assert [*harness.service.peers] == held
        listeners.close()
