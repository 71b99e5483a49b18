"""A second protocol on the same connections, over the same site, with the same back-pressure and log."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from connections import toy
from connections.in_process import FolderSite, InProcess, Log, Peer
from epollo.connections import refusing
from epollo.connections.door import Door
from loop.hand_clock import HandClock

LARGE_OCTETS = 3_000_000


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def harness(tmp_path: Path, log: Log) -> Iterator[InProcess]:
    (tmp_path / "page.txt").write_bytes(b"content")
    (tmp_path / "large.bin").write_bytes(b"x" * LARGE_OCTETS)
    clock = HandClock()
    with FolderSite(tmp_path, clock) as site, InProcess(site.respond, clock=clock, log=log) as made:
        service = made.service
        made.door = Door(service, partial(toy.serve, service), partial(refusing.turn_away, service))
        yield made


def received(harness: InProcess, peer: Peer) -> bytes:
    harness.settle(peer)
    return bytes(peer.received)


def test_an_answer(harness: InProcess, log: Log) -> None:
    peer = harness.connect(b"/page.txt\n")
    assert received(harness, peer) == b"200 7\ncontent"
    assert log.heads == [b"GET /page.txt HTTP/0.9\r\n\r\n"]
    assert log.contents == [7]


def test_two_at_once_and_in_pieces(harness: InProcess) -> None:
    peer = harness.connect(b"/page.txt\n/pa")
    assert received(harness, peer) == b"200 7\ncontent"
    peer.send(b"ge.txt\n")
    assert received(harness, peer) == b"200 7\ncontent" * 2


def test_a_large_file_that_is_not_taken_at_once(harness: InProcess, log: Log) -> None:
    peer = harness.connect(b"/large.bin\n/page.txt\n", buffer_octets=1)
    answers = received(harness, peer)
    assert answers == b"200 %d\n" % LARGE_OCTETS + b"x" * LARGE_OCTETS + b"200 7\ncontent"
    assert log.contents == [LARGE_OCTETS, 7]


def test_what_is_no_request_ends_the_connection(harness: InProcess) -> None:
    peer = harness.connect(b"nonsense\n")
    assert received(harness, peer) == b"400 0\n"
    assert peer.is_closed
