import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from measure import Idle
from servers import HOST, Order, choose_port, plan_floor, running
from wire import ask, read_answer
from workloads import WORKLOADS, Workload

BY_NAME = {workload.name: workload for workload in WORKLOADS}
REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module", name="scratch")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("floor")


@pytest.fixture(name="address")
def _address(scratch: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """A floor that sends 1,000 octets, or as many and in such a way as the test asks for."""
    workload, octets = getattr(request, "param", ("1k", 1_000))
    order = make_order(scratch, BY_NAME[workload], octets)
    with running(plan_floor(order), order, None):
        yield HOST, order.port


def make_order(scratch: Path, workload: Workload, octets: int) -> Order:
    return Order(
        site=scratch,
        scratch=scratch,
        port=choose_port(),
        workload=workload,
        answer_octets=octets,
    )


def test_pipelined_requests_are_all_answered(address: tuple[str, int]) -> None:
    answers = ask(address, REQUEST * 500, 500)
    assert {(answer.status, len(answer.content)) for answer in answers} == {(200, 1_000)}


def test_a_request_in_pieces_is_one_request(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as peer, peer.makefile("rb") as stream:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in REQUEST * 2:
            peer.sendall(bytes([octet]))
        assert [read_answer(stream).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("address", [("10m", 10 << 20)], indirect=True)
def test_a_large_answer_arrives_whole(address: tuple[str, int]) -> None:
    assert [len(answer.content) for answer in ask(address, REQUEST * 3, 3)] == [10 << 20] * 3


@pytest.mark.parametrize("address", [("new-connection", 10)], indirect=True)
def test_a_closing_floor_answers_once_and_closes(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as peer, peer.makefile("rb") as stream:
        peer.sendall(REQUEST)
        assert len(read_answer(stream).content) == 10
        assert stream.read() == b""


def test_idle_connections_are_held_until_closed(address: tuple[str, int]) -> None:
    idle = Idle(address, "/", 20, None)
    try:
        assert idle.said == "open"
        assert idle.count_alive() == 20
    finally:
        idle.close()


def test_idle_connections_that_cannot_be_opened_are_said() -> None:
    idle = Idle((HOST, choose_port()), "/", 3, None)
    idle.close()
    assert not idle.is_open
    assert "0 of 3" in idle.said
