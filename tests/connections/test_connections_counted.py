"""Connections that end after a number of requests."""

import pytest

from connections.in_process import GET, InProcess, Peer
from connections.test_connections_connection import FILE_GET, SmallSite
from epollo.connections.contract import Capacity
from epollo.protocols.answer import Answer
from epollo.protocols.http1.render import end_answer
from loop.hand_clock import HandClock
from properties.answers import read_answers

GET_1_0 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


@pytest.fixture
def small_site(tmp_path_factory: pytest.TempPathFactory) -> SmallSite:
    return SmallSite(tmp_path_factory.mktemp("site"))


def ends(peer: Peer) -> list[bool]:
    """Return for each answer whether it says that it is the last."""
    peer.receive()
    return [
        b"\r\nConnection: close\r\n" in part
        for part in bytes(peer.received).split(b"HTTP/1.1 200 ")[1:]
    ]


@pytest.mark.parametrize("has_recall", [True, False])
@pytest.mark.parametrize("request_octets", [GET, GET_1_0])
def test_one_after_the_other(
    small_site: SmallSite, clock: HandClock, has_recall: bool, request_octets: bytes
) -> None:
    with InProcess(
        small_site, clock=clock, has_recall=has_recall, capacity=Capacity(requests=3)
    ) as harness:
        peer = harness.connect(request_octets)
        for _ in range(2):
            peer.send(request_octets)
            harness.settle(peer)
        assert ends(peer) == [False, False, True]
        assert bytes(peer.received).count(b"Connection: ") == (1 if request_octets is GET else 3)
        assert [answer.content for answer in read_answers(bytes(peer.received))] == [b"small"] * 3
        assert peer.is_closed
        # It may have sent more before it knew.
        peer.send(request_octets)
        harness.settle(peer)
        assert not peer.is_reset
        assert len(ends(peer)) == 3
        clock.turn(4)
        harness.loop.run_batch(0)
        assert peer.is_let_go()


@pytest.mark.parametrize("limit", [1, 2, 5, 64, 65])
def test_pipelined(small_site: SmallSite, limit: int) -> None:
    with InProcess(small_site, capacity=Capacity(requests=limit)) as harness:
        peer = harness.connect(GET * 100)
        harness.settle(peer)
        assert ends(peer) == [False] * (limit - 1) + [True]
        assert not peer.is_reset
        assert peer.is_closed


def test_files_of_answers_that_are_not_sent_are_closed(small_site: SmallSite) -> None:
    with InProcess(small_site, capacity=Capacity(requests=2)) as harness:
        peer = harness.connect(GET + FILE_GET * 2)
        harness.settle(peer)
        assert ends(peer) == [False, True]
        assert all(file.descriptor < 0 for file in small_site.files)
        assert not harness.reports


def test_the_last_answer_is_made_once_and_leaves_the_other_as_it_is() -> None:
    answer = Answer(
        200, b"A: x\r\n", b"\r\n", (b"\r\n\r\ncontent",), persists=True, method=b"GET",
        length=11,
    )  # fmt: skip
    last = end_answer(answer)
    assert answer.persists
    assert not last.persists
    assert (last.fields, last.end) == (b"A: x\r\n", b"Connection: close\r\n\r\n")
    assert last.content == answer.content
    assert end_answer(last) is last
