"""Any octets: an answer or a close, never an exception; with recall and without, the same."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connections.in_process import FolderSite, InProcess
from loop.hand_clock import HandClock
from properties.answers import read_answers

PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
        b"GET /big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,5-90000\r\n\r\n",
        b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1-1\r\n\r\n",
        b"GET /folder?x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n",
        b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Range: bytes=\r\n",
        b"X: ",
        b"\r\n",
        b"\r",
        b"\n",
        b"\x00",
        b" ",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
)
PARTS = st.lists(
    st.one_of(st.lists(PIECES, max_size=5).map(b"".join), st.binary(max_size=10)), max_size=8
)
Ways = list[InProcess]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """One site behind every poller, with recall and without; for all of them it is the same second."""
    root = tmp_path_factory.mktemp("any") / "site"
    (root / "folder").mkdir(parents=True)
    (root / "index.html").write_bytes(b"index\n")
    (root / "folder" / "index.html").write_bytes(b"folder\n")
    (root / "big.bin").write_bytes(bytes(100_000))
    (root / "large.bin").write_bytes(bytes(300_000))
    clock = HandClock()
    with ExitStack() as stack:
        site = stack.enter_context(FolderSite(root, clock, kept_octets_limit=200_000))
        yield [
            stack.enter_context(
                InProcess(site.respond, poller_name=name, clock=clock, has_recall=has_recall)
            )
            for name in ("busy", "select", "poll", "epoll")
            for has_recall in (True, False)
        ]


@settings(max_examples=150)
@given(parts=PARTS)
def test_an_answer_or_a_close_and_the_same_over_every_way(ways: Ways, parts: list[bytes]) -> None:
    outcomes = []
    for way in ways:
        octets, is_closed = way.exchange(parts)
        outcomes.append((octets, is_closed))
        again, is_closed = way.exchange([b"".join(parts)])
        outcomes.append((again, is_closed))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    octets, is_closed = outcomes[0]
    answers = read_answers(octets)
    assert (bool(answers) and answers[-1].is_last) == is_closed


HEAD_PARTS = st.lists(
    st.sampled_from(
        [
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HEAD ",
            b"HE",
            b"AD ",
            b"/ HTTP/1.1\r\n",
            b"/ HTTP/2.0\r\n",
            b"Host: a\r\n",
            b"X : y\r\n",
            b"GET ",
            b"\r\n",
            b"\r",
            b"\n",
            b"\x00",
            b"0\r\n",
        ]
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(parts=HEAD_PARTS)
@example(parts=[b"\r", b"HEAD "])
def test_head_is_asked_or_not_the_same_over_every_way(ways: Ways, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    outcomes = set()
    for way in ways:
        for split in (parts, [whole], [whole[at : at + 1] for at in range(len(whole))]):
            received, is_closed = way.exchange(split)
            outcomes.add((received, is_closed))
    assert len(outcomes) == 1


@settings(max_examples=150)
@given(octets=st.binary(max_size=200))
def test_octets_of_chance(ways: Ways, octets: bytes) -> None:
    outcomes = set()
    for way in ways:
        received, is_closed = way.exchange([octets])
        outcomes.add((received, is_closed))
    ((received, is_closed),) = outcomes
    assert all(answer.is_last for answer in read_answers(received))
    assert bool(received) == is_closed


@settings(max_examples=60)
@given(parts=PARTS, cut=st.integers(0, 400))
def test_a_peer_that_goes_away_at_any_place(ways: Ways, parts: list[bytes], cut: int) -> None:
    octets = b"".join(parts)[:cut]
    for way in ways:
        peer = way.connect(octets)
        peer.socket.close()
        for _ in range(100):
            if peer.is_let_go():
                break
            way.loop.run_batch(0)
        way.forget_peers()
