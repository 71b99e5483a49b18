"""Connections in process: what they owe, what they wait for, and that they leave nothing behind."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from connections.in_process import GET, LAST_GET, FolderSite, InProcess, Log, Peer
from epollo.connections.connection import Connection
from epollo.connections.contract import Timeouts
from epollo.connections.http1 import REQUESTS_PER_TURN
from epollo.http.message import PERMANENT, FileSegment, Later, Request, Response
from epollo.http.status import respond_plainly
from epollo.protocols.answer import Answer, count_content
from epollo.protocols.http1 import Limits
from loop.hand_clock import HandClock
from properties.answers import read_answers

BIG_GET = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
FILE_GET = b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n"
PART_GET = b"GET /part HTTP/1.1\r\nHost: a\r\n\r\n"
BIG_OCTETS = 3_000_000
PART_OCTETS = 100_000
FILE_OCTETS = 2_000_000
FILE = os.urandom(FILE_OCTETS)
TIMEOUTS = Timeouts(head=10, idle=75, send=30, linger=2)


class OpenedFile:
    """A file as the site hands it out; it may be said to have changed."""

    is_sealed = False

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.is_settled = True
        self.checked_second = 0
        self.has_changed = False

    def settle(self) -> bool:
        return self.is_settled

    def is_unchanged(self, second: int) -> bool:
        return self.may_send_on(second)

    def may_send_on(self, second: int) -> bool:
        self.checked_second = second
        return not self.has_changed

    def map(self) -> None:
        pass

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class SharedFile(OpenedFile):
    """One that several answers share."""

    def close(self) -> None:
        pass


class SmallSite:
    """A responder with an answer of each kind; it counts what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "file"
        self.files: list[OpenedFile] = []
        self.asked: list[bytes] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.target.path)
        if request.target.path == b"/fault":
            raise RuntimeError("a bug")
        if request.target.path == b"/file":
            if not self.path.exists():
                self.path.write_bytes(FILE)
            self.files.append(OpenedFile(self.path))
            segment = FileSegment(self.files[-1], 0, FILE_OCTETS)
            return Response(200, ((b"Content-Length", b"%d" % FILE_OCTETS),), (segment,))
        if request.target.path == b"/part":
            self.path.write_bytes(FILE)
            self.files.append(SharedFile(self.path))
            segment = FileSegment(self.files[-1], 0, PART_OCTETS)
            fields = ((b"Content-Length", b"%d" % PART_OCTETS),)
            return Response(200, fields, (segment,), basis=PERMANENT)
        content = b"x" * BIG_OCTETS if request.target.path == b"/big" else b"small"
        length = b"%d" % len(content)
        return Response(200, ((b"Content-Length", length),), (content,), basis=PERMANENT)


@pytest.fixture
def small_site(tmp_path: Path) -> SmallSite:
    return SmallSite(tmp_path)


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def poller_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["recall", "no-recall"])
def has_recall(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def harness(
    small_site: SmallSite, clock: HandClock, poller_name: str, has_recall: bool
) -> Iterator[InProcess]:
    with InProcess(
        small_site,
        poller_name=poller_name,
        clock=clock,
        has_recall=has_recall,
        timeouts=TIMEOUTS,
    ) as harness:
        yield harness
        assert not harness.reports


def statuses(peer: Peer) -> list[int]:
    return [answer.status for answer in read_answers(bytes(peer.received))]


def turn(harness: InProcess, clock: HandClock, seconds: float) -> None:
    """Let time go by; deadlines are coarse, so the batch after it is the one that sees them."""
    clock.turn(seconds)
    harness.loop.run_batch(0)


def fill(harness: InProcess, peer: Peer) -> None:
    """Turn the loop while the peer takes nothing, until nothing moves any more."""
    for _ in range(50):
        harness.loop.run_batch(0)


@pytest.fixture
def part_log() -> Log:
    return Log()


@pytest.fixture
def parts(small_site: SmallSite, clock: HandClock, part_log: Log) -> Iterator[InProcess]:
    """Knows a file of middle size by the octets of `PART_GET` as they came."""
    with InProcess(small_site, clock=clock, timeouts=TIMEOUTS, log=part_log) as harness:
        peer = harness.connect()
        for _ in range(3):
            peer.send(PART_GET)
            harness.settle(peer)
        recall = harness.service.recalls[b"http"]
        assert recall is not None
        assert PART_GET in recall.at_hand.young
        part_log.contents.clear()
        yield harness
        assert len(small_site.asked) == 1
        assert not harness.reports
    os.close(small_site.files[0].descriptor)


# Answers.


def test_an_answer_without_being_registered(harness: InProcess) -> None:
    peer = harness.connect(LAST_GET)
    assert peer.is_let_go()
    peer.receive()
    assert statuses(peer) == [200]
    assert harness.loop.handlers() == []
    assert len(harness.service.peers) == 0


def test_many_requests_on_one_connection(harness: InProcess) -> None:
    peer = harness.connect()
    for _ in range(5):
        peer.send(GET)
        harness.settle(peer)
    assert statuses(peer) == [200] * 5
    assert len(harness.service.peers) == 1


def test_pipelined_answers_come_in_one_piece(harness: InProcess) -> None:
    """One send for all of them: the first recv of the peer has them all."""
    peer = harness.connect(GET * 10)
    octets = peer.socket.recv(65536)
    assert len(read_answers(octets)) == 10


def test_a_fault_of_the_site_is_500_and_told(
    small_site: SmallSite, clock: HandClock, poller_name: str
) -> None:
    with InProcess(small_site, clock=clock, poller_name=poller_name) as harness:
        peer = harness.connect(b"GET /fault HTTP/1.1\r\nHost: a\r\n\r\n")
        harness.settle(peer)
        assert statuses(peer) == [500]
        assert b"\r\nCache-Control: no-cache\r\n" in peer.received
        assert peer.is_closed
        (line,) = harness.reports
        assert "a bug" in line
        assert "\n" not in line


def test_recall_asks_the_site_once_and_shows_another_date_in_each_second(
    small_site: SmallSite, clock: HandClock
) -> None:
    with InProcess(small_site, clock=clock, has_recall=True) as harness:
        peer = harness.connect(GET)
        for _ in range(5):
            peer.send(GET)
            harness.settle(peer)
        assert len(small_site.asked) == 1
        clock.turn(1)
        for _ in range(5):
            peer.send(GET)
            harness.settle(peer)
        assert len(small_site.asked) == 1
        dates = [line for line in bytes(peer.received).split(b"\r\n") if line.startswith(b"Date: ")]
        assert len(set(dates)) == 2
        harness.service.forget()
        peer.send(GET)
        harness.settle(peer)
        assert len(small_site.asked) == 2


def test_a_recalled_part_of_a_file_that_a_peer_takes_slowly(
    parts: InProcess, part_log: Log
) -> None:
    peer = parts.connect(buffer_octets=4096)
    for number in range(4):
        peer.send(PART_GET)
        parts.loop.run_batch(0)
        assert len(part_log.contents) == number
        parts.settle(peer)
    answers = read_answers(bytes(peer.received))
    assert [answer.content for answer in answers] == [FILE[:PART_OCTETS]] * 4
    assert part_log.contents == [PART_OCTETS] * 4


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EAGAIN])
def test_a_recalled_part_of_a_file_that_cannot_be_lent_now(
    parts: InProcess, part_log: Log, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    sendfile = os.sendfile
    refused: list[int] = []

    def refuse(out: int, file: int, offset: int, length: int) -> int:
        if error == errno.EAGAIN and len(refused) == 2:
            return sendfile(out, file, offset, length)
        refused.append(length)
        raise OSError(error, "refused")

    peer = parts.connect()
    monkeypatch.setattr(os, "sendfile", refuse)
    peer.send(PART_GET)
    fill(parts, peer)
    parts.settle(peer)
    assert refused == [PART_OCTETS] * 2
    (answer,) = read_answers(bytes(peer.received))
    assert answer.content == FILE[:PART_OCTETS]
    assert part_log.contents == [PART_OCTETS]


def test_a_recalled_part_of_a_file_whose_peer_is_lost(
    parts: InProcess, part_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> int:
        raise OSError(errno.EPIPE, "gone")

    peer = parts.connect()
    monkeypatch.setattr(os, "sendfile", fail)
    peer.send(PART_GET)
    parts.settle(peer)
    assert peer.is_closed
    assert peer.is_let_go()
    assert part_log.contents == [0]


def test_a_recalled_part_of_a_file_that_is_being_written_to(
    parts: InProcess, small_site: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read, for what is lent may change on its way."""
    monkeypatch.setattr(os, "sendfile", lambda *_: pytest.fail("lent"))
    small_site.files[0].is_settled = False
    peer = parts.connect()
    peer.send(PART_GET)
    parts.settle(peer)
    (answer,) = read_answers(bytes(peer.received))
    assert answer.content == FILE[:PART_OCTETS]


def test_a_recalled_file_that_cannot_be_looked_at_is_opened_anew(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a network file system that has lost it (ESTALE); it is no fault of ours."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 3000)
    os.utime(path, ns=(7, 7))
    fstat = os.fstat
    with (
        FolderSite(tmp_path, clock, kept_octets_limit=1000) as folder,
        InProcess(folder.respond, clock=clock, has_recall=True) as harness,
    ):
        peer = harness.connect(FILE_GET)
        harness.settle(peer)
        edition = folder.catalogue.find((b"file",)).edition
        assert edition is not None
        lost = edition.file
        assert lost is not None

        def look(descriptor: int) -> os.stat_result:
            if descriptor == lost.descriptor:
                raise OSError(errno.ESTALE, "stale file handle")
            return fstat(descriptor)

        monkeypatch.setattr(os, "fstat", look)
        peer.send(FILE_GET * 2)
        harness.settle(peer)
        assert statuses(peer) == [200] * 3
        assert not peer.is_closed
        assert not harness.reports


@pytest.mark.parametrize("times", [1, 3], ids=["alone", "pipelined"])
def test_a_recalled_file_whose_change_was_not_reported(
    tmp_path: Path, clock: HandClock, times: int
) -> None:
    """Asked for within the second, after a change that no event told of: answered anew, not cut."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 3000)
    os.utime(path, ns=(7, 7))
    asked = []
    with FolderSite(tmp_path, clock, kept_octets_limit=1000) as folder:

        def respond(request: Request) -> Response | Later:
            asked.append(request.target.path)
            return folder.respond(request)

        with InProcess(respond, clock=clock, has_recall=True) as harness:
            peer = harness.connect()
            for _ in range(4):
                peer.send(FILE_GET * times)
                harness.settle(peer)
            assert len(asked) == 1
            path.write_bytes(b"b" * 3001)
            os.utime(path, ns=(7, 7))
            for _ in range(2):
                peer.send(FILE_GET * times)
                harness.settle(peer)
            contents = [answer.content for answer in read_answers(bytes(peer.received))]
            assert contents == [b"a" * 3000] * 4 * times + [b"b" * 3001] * 2 * times
            assert len(asked) == 2


@pytest.mark.parametrize(
    "request_octets",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 4096),
    ],
    ids=["content", "long"],
)
def test_what_is_not_recalled(
    small_site: SmallSite, clock: HandClock, request_octets: bytes
) -> None:
    with InProcess(small_site, clock=clock, has_recall=True) as harness:
        peer = harness.connect(request_octets)
        peer.send(request_octets)
        harness.settle(peer)
        assert len(small_site.asked) == 2


def with_cookie(value: bytes, fields: int = 0) -> bytes:
    more = b"".join(b"X: %d\r\n" % number for number in range(fields))
    return b"GET / HTTP/1.1\r\nHost: a\r\n%bCookie: %b\r\nAccept: */*\r\n\r\n" % (more, value)


def test_requests_that_differ_by_a_cookie_are_known_by_what_they_are_reduced_to(
    small_site: SmallSite, clock: HandClock
) -> None:
    with InProcess(small_site, clock=clock, has_recall=True) as harness:
        recall = harness.service.recalls[b"http"]
        assert recall is not None
        peer = harness.connect(with_cookie(b"user=0"))
        for number in range(1, 10):
            peer.send(with_cookie(b"user=%d" % number))
            harness.settle(peer)
        assert statuses(peer) == [200] * 10
        assert len(small_site.asked) == 1
        assert list(recall.known) == [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
        assert list(recall.at_hand.young) == [with_cookie(b"")]
        assert len(recall) == 2


@pytest.mark.parametrize(
    "octets",
    [
        with_cookie(b"user=\x00"),
        with_cookie(b"user=\rx"),
        with_cookie(b"user\nHost: b"),
        with_cookie(b"user\r\nHost: b"),
        with_cookie(b"user\r\n y"),
        b"\r\n" + with_cookie(b"user\r\n y"),
    ],
)
def test_what_is_no_cookie_is_refused_where_the_rest_is_known_too(
    small_site: SmallSite, clock: HandClock, octets: bytes, has_recall: bool
) -> None:
    with InProcess(small_site, clock=clock, has_recall=has_recall) as harness:
        peer = harness.connect(with_cookie(b"user=0"))
        for number in range(1, 5):
            peer.send(with_cookie(b"user=%d" % number))
            harness.settle(peer)
        peer.send(octets)
        harness.settle(peer)
        assert statuses(peer) == [200] * 5 + [400]
        assert peer.is_closed


def test_limits_hold_where_the_rest_is_known_too(
    small_site: SmallSite, clock: HandClock, has_recall: bool
) -> None:
    limits = Limits(head_octets=300, fields=5)
    with InProcess(small_site, clock=clock, has_recall=has_recall, limits=limits) as harness:
        for fields, long in ((2, b"x" * 300), (3, b"x")):
            peer = harness.connect(with_cookie(b"user=0", 2))
            for number in range(1, 5):
                peer.send(with_cookie(b"user=%d" % number, 2))
                harness.settle(peer)
            peer.send(with_cookie(long, fields))
            harness.settle(peer)
            assert statuses(peer) == [200] * 5 + [431]


# Turns.


def test_more_requests_than_a_turn_answers(harness: InProcess) -> None:
    count = REQUESTS_PER_TURN * 3 + 1
    peer = harness.connect(GET * count)
    other = harness.connect(GET)
    other.receive()
    assert statuses(other) == [200]
    peer.receive()
    assert len(statuses(peer)) == REQUESTS_PER_TURN
    for turns in (2, 3):
        harness.loop.run_batch(0)
        peer.receive()
        assert len(statuses(peer)) >= REQUESTS_PER_TURN * turns
    harness.settle(peer)
    assert statuses(peer) == [200] * count
    peer.send(GET)
    harness.settle(peer)
    assert statuses(peer) == [200] * (count + 1)


def test_exactly_as_many_requests_as_a_turn_answers(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(GET * REQUESTS_PER_TURN)
    harness.settle(peer)
    assert statuses(peer) == [200] * REQUESTS_PER_TURN
    turn(harness, clock, 60)
    assert not peer.is_let_go()
    turn(harness, clock, 20)
    turn(harness, clock, 2)
    assert peer.is_let_go()


def test_the_last_request_of_many(harness: InProcess) -> None:
    peer = harness.connect(GET * (REQUESTS_PER_TURN + 5) + LAST_GET + GET * 5)
    harness.settle(peer)
    assert statuses(peer) == [200] * (REQUESTS_PER_TURN + 6)
    assert peer.is_closed


def test_half_close_behind_many_requests(harness: InProcess) -> None:
    peer = harness.connect()
    peer.send(GET * (REQUESTS_PER_TURN * 2 + 5))
    peer.half_close()
    harness.settle(peer)
    assert statuses(peer) == [200] * (REQUESTS_PER_TURN * 2 + 5)
    assert peer.is_closed
    assert peer.is_let_go()


# Back-pressure.


def test_a_peer_that_does_not_read_is_not_read_from(harness: InProcess) -> None:
    peer = harness.connect(BIG_GET)
    fill(harness, peer)
    peer.send(GET * 100)
    fill(harness, peer)
    assert peer.unread_octets() == len(GET) * 100
    harness.settle(peer)
    assert statuses(peer) == [200] * 101
    assert len(peer.received) > BIG_OCTETS


def test_what_is_owed_is_bounded(harness: InProcess, small_site: SmallSite) -> None:
    """A turn ends with the first answer that takes what is owed over the mark."""
    peer = harness.connect(BIG_GET * 4)
    fill(harness, peer)
    assert len(small_site.asked) == 1
    harness.settle(peer)
    assert statuses(peer) == [200] * 4


def test_others_are_served_meanwhile(harness: InProcess) -> None:
    slow = harness.connect(BIG_GET)
    for _ in range(5):
        quick = harness.connect(LAST_GET)
        harness.settle(quick)
        assert statuses(quick) == [200]
    harness.settle(slow)
    assert statuses(slow) == [200]


def test_a_tiny_buffer(harness: InProcess) -> None:
    peer = harness.connect(buffer_octets=1)
    peer.send(GET * 200)
    harness.settle(peer)
    assert statuses(peer) == [200] * 200


def test_half_close_is_no_reason_to_owe_less(harness: InProcess) -> None:
    peer = harness.connect(BIG_GET)
    peer.half_close()
    harness.settle(peer)
    assert statuses(peer) == [200]
    assert peer.is_let_go()


# Files.


def test_a_file_is_sent_in_steps(harness: InProcess, small_site: SmallSite) -> None:
    peer = harness.connect(GET + FILE_GET + GET)
    harness.settle(peer)
    first, second, third = read_answers(bytes(peer.received))
    assert second.content == small_site.path.read_bytes()
    assert first.content == third.content == b"small"
    assert [file.descriptor for file in small_site.files] == [-1]


def test_head_of_a_file_leaves_no_descriptor(harness: InProcess, small_site: SmallSite) -> None:
    peer = harness.connect(b"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n")
    harness.settle(peer)
    (answer,) = read_answers(bytes(peer.received), ("HEAD",))
    assert answer.value(b"content-length") == b"%d" % FILE_OCTETS
    assert [file.descriptor for file in small_site.files] == [-1]


def test_a_file_that_changes_while_it_is_sent_cuts_the_connection(
    harness: InProcess, small_site: SmallSite
) -> None:
    peer = harness.connect(FILE_GET)
    small_site.files[0].has_changed = True
    harness.settle(peer)
    assert peer.is_closed
    assert peer.is_let_go()
    assert len(peer.received) < FILE_OCTETS
    assert [file.descriptor for file in small_site.files] == [-1]


def test_a_file_that_is_truncated_while_it_is_sent(
    harness: InProcess, small_site: SmallSite
) -> None:
    peer = harness.connect(FILE_GET)
    os.truncate(small_site.path, 1000)
    harness.settle(peer)
    assert peer.is_let_go()
    assert len(peer.received) < FILE_OCTETS
    assert [file.descriptor for file in small_site.files] == [-1]


def test_a_peer_that_goes_away_within_a_file(harness: InProcess, small_site: SmallSite) -> None:
    peer = harness.connect(FILE_GET + FILE_GET)
    peer.socket.close()
    fill(harness, peer)
    assert peer.is_let_go()
    assert {file.descriptor for file in small_site.files} == {-1}
    assert harness.loop.handlers() == []
    assert len(harness.service.peers) == 0


def test_a_peer_that_has_taken_all_when_its_pace_is_checked_has_the_rest_answered(
    clock: HandClock,
) -> None:
    """The deadline of the pace comes in the batch in which more requests are to be answered."""

    def respond(_: Request) -> Response:
        return Response(200, ((b"Content-Length", b"20000"),), (bytes(20_000),), basis=PERMANENT)

    with InProcess(respond, clock=clock) as harness:
        peer = harness.connect(GET * 40, buffer_octets=1)
        (connection,) = harness.loop.handlers()
        assert isinstance(connection, Connection)
        while connection._outbox is not None and connection._outbox.octets > 4000:
            peer.receive()
            harness.loop.run_batch(0)
        peer.receive()
        clock.turn(10)
        harness.settle(peer)
        assert statuses(peer) == [200] * 40
        assert not peer.is_let_go()


# Peers that go away.


def test_a_peer_that_closes(harness: InProcess) -> None:
    peer = harness.connect(GET)
    peer.receive()
    peer.socket.close()
    fill(harness, peer)
    assert peer.is_let_go()
    assert harness.loop.handlers() == []
    assert len(harness.service.peers) == 0


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"GET / HT", GET[:-1]], ids=len)
def test_a_peer_that_half_closes_without_a_whole_request(harness: InProcess, octets: bytes) -> None:
    peer = harness.connect(octets)
    peer.half_close()
    harness.settle(peer)
    assert peer.is_let_go()
    assert not peer.received


def test_a_peer_that_goes_away_unread(harness: InProcess) -> None:
    """Closing with octets unread resets the connection: the answer cannot be sent."""
    peer = harness.connect()
    peer.send(GET * 3)
    peer.socket.close()
    fill(harness, peer)
    assert peer.is_let_go()
    assert len(harness.service.peers) == 0


def test_a_peer_that_resets_within_an_answer(harness: InProcess) -> None:
    peer = harness.connect(BIG_GET)
    peer.socket.recv(1000)
    peer.socket.close()
    fill(harness, peer)
    assert peer.is_let_go()
    assert harness.loop.handlers() == []


# Deadlines.


def test_a_peer_that_says_nothing_is_closed_silently(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect()
    turn(harness, clock, 9)
    assert not peer.is_let_go()
    turn(harness, clock, 2)
    assert peer.is_let_go()
    peer.receive()
    assert not peer.received


def test_a_request_that_does_not_end_is_408(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(b"GET / HTTP/1.1\r\n")
    turn(harness, clock, 11)
    peer.receive()
    assert statuses(peer) == [408]
    assert peer.is_closed
    turn(harness, clock, 3)
    assert peer.is_let_go()


@pytest.mark.parametrize(
    ("octets", "is_head"),
    [
        (b"HEAD ", True),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n", True),
        (b"\r\n\r\nHEAD / HT", True),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET /", True),
        (b"HEAD", False),
        (b"HEADER / HTTP/1.1", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nHEAD /", False),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /", False),
    ],
)
@pytest.mark.parametrize("step", [1, 4, 100])
def test_a_head_only_answers_head_at_the_deadline(
    harness: InProcess, clock: HandClock, octets: bytes, is_head: bool, step: int
) -> None:
    peer = harness.connect()
    for begin in range(0, len(octets), step):
        peer.send(octets[begin : begin + step])
        harness.settle(peer)
    del peer.received[:]
    turn(harness, clock, 11)
    peer.receive()
    assert peer.received.startswith(b"HTTP/1.1 408 ")
    assert peer.received.endswith(b"\r\n\r\n") == is_head


def test_a_drip_does_not_extend_the_time_of_a_request(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(9):
        peer.send(b"x")
        turn(harness, clock, 1)
        assert not peer.receive()
    peer.send(b"x")
    turn(harness, clock, 2)
    peer.receive()
    assert statuses(peer) == [408]


def test_a_drip_of_content_does_not_extend_it_either(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    for _ in range(11):
        peer.send(b"x")
        turn(harness, clock, 1)
    peer.receive()
    assert statuses(peer) == [408]


@pytest.mark.parametrize("first", [b"", GET], ids=["new", "idle"])
@pytest.mark.parametrize("drip", [[b"\r\n"], [b"\r\n\r\n"], [b"\r", b"\n"]], ids=len)
def test_a_drip_of_empty_lines_does_not_extend_anything(
    harness: InProcess, clock: HandClock, first: bytes, drip: list[bytes]
) -> None:
    peer = harness.connect(first)
    for count in range(80):
        peer.send(drip[count % len(drip)])
        turn(harness, clock, 1)
    assert peer.is_let_go()


@pytest.mark.parametrize("first", [b"", GET], ids=["new", "idle"])
def test_half_an_empty_line_is_no_request(
    harness: InProcess, clock: HandClock, first: bytes
) -> None:
    """It gets no 408, which a client would take for the answer to what it asks next."""
    peer = harness.connect(first)
    for octets in (b"\r", b"\n", b"\r"):
        peer.send(octets)
        harness.settle(peer)
    before = bytes(peer.received)
    for _ in range(77):
        turn(harness, clock, 1)
    peer.receive()
    assert bytes(peer.received) == before
    assert peer.is_let_go()


def test_what_follows_half_an_empty_line(harness: InProcess) -> None:
    peer = harness.connect(GET)
    for octets in (b"\r", b"\n" + GET, GET + b"\r", b"\n\r", b"\n", GET):
        peer.send(octets)
        harness.settle(peer)
    assert statuses(peer) == [200] * 4
    # As known as the request is, it does not begin with a CR.
    for octets in (b"\r", GET):
        peer.send(octets)
        harness.settle(peer)
    assert statuses(peer) == [200] * 4 + [400]


def test_a_peer_that_waits_behind_half_an_empty_line_is_idle(harness: InProcess) -> None:
    peer = harness.connect(GET + b"\r")
    (connection,) = [one for one in harness.loop.handlers() if isinstance(one, Connection)]
    assert connection.is_idle
    connection.on_drain()
    assert peer.is_let_go()


def test_the_next_request_has_its_own_time(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(b"GET / HTTP/1.1\r\n")
    turn(harness, clock, 9)
    peer.send(b"Host: a\r\n\r\nGET / HTTP/1.1\r\n")
    harness.loop.run_batch(0)
    turn(harness, clock, 9)
    peer.send(b"Host: a\r\n\r\n")
    harness.settle(peer)
    assert statuses(peer) == [200, 200]


def test_an_idle_connection_is_closed_silently(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(GET)
    harness.settle(peer)
    for _ in range(7):
        turn(harness, clock, 10)
        assert not peer.is_let_go()
    turn(harness, clock, 6)
    turn(harness, clock, 1)
    assert peer.is_let_go()
    peer.receive()
    assert statuses(peer) == [200]


def test_a_connection_in_use_is_not_idle(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(GET)
    for _ in range(5):
        turn(harness, clock, 60)
        peer.send(GET)
        harness.settle(peer)
    assert statuses(peer) == [200] * 6


@pytest.mark.parametrize("first", [GET, BIG_GET], ids=["small", "big"])
def test_an_idle_timeout_that_is_shorter_than_the_others(
    small_site: SmallSite, clock: HandClock, first: bytes
) -> None:
    timeouts = Timeouts(head=60, idle=2, send=60)
    with InProcess(small_site, clock=clock, timeouts=timeouts) as harness:
        peer = harness.connect()
        peer.send(first)
        harness.settle(peer)
        for _ in range(4):
            turn(harness, clock, 1)
        assert peer.is_let_go()


def test_a_peer_that_takes_nothing_is_closed(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(BIG_GET)
    turn(harness, clock, 29)
    assert not peer.is_let_go()
    turn(harness, clock, 3)
    assert peer.is_let_go()


def test_a_peer_that_takes_a_little_is_not(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(BIG_GET)
    for _ in range(4):
        peer.received += peer.socket.recv(256 * 1024)
        harness.loop.run_batch(0)
        turn(harness, clock, 20)
        assert not peer.is_let_go()
    harness.settle(peer)
    assert statuses(peer) == [200]


def test_the_time_to_take_an_answer_is_not_idle_time(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(BIG_GET)
    turn(harness, clock, 20)
    harness.settle(peer)
    turn(harness, clock, 30)
    assert not peer.is_let_go()


# The end.


def test_a_refused_peer_may_finish_sending(harness: InProcess, clock: HandClock) -> None:
    """Closing with octets unread would reset the connection (RFC 9112 section 9.6)."""
    peer = harness.connect(b"nonsense\r\n\r\n")
    peer.receive()
    assert statuses(peer) == [400]
    assert peer.is_closed
    assert not peer.is_let_go()
    for _ in range(10):
        peer.socket.send(GET)
        harness.settle(peer)
    assert statuses(peer) == [400]
    peer.half_close()
    fill(harness, peer)
    assert peer.is_let_go()
    assert not peer.is_reset


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=["two lengths", "no such coding", "no host", "too large", "expecting"],
)
def test_a_peer_whose_whole_head_is_refused_may_finish_sending(
    harness: InProcess, head: bytes
) -> None:
    peer = harness.connect(head)
    assert not peer.is_let_go()
    peer.socket.send(b"the content that it announced")
    harness.settle(peer)
    assert len(statuses(peer)) == 1
    assert peer.is_closed
    assert not peer.is_reset


def test_lingering_is_bounded(harness: InProcess, clock: HandClock) -> None:
    peer = harness.connect(b"nonsense\r\n\r\n")
    turn(harness, clock, 1)
    peer.socket.send(b"more")
    turn(harness, clock, 1)
    assert not peer.unread_octets()
    turn(harness, clock, 1)
    turn(harness, clock, 1)
    assert peer.is_let_go()


LAST_BIG_GET = b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_a_peer_that_has_not_taken_all_of_the_last_answer_may_still_send(
    small_site: SmallSite, clock: HandClock
) -> None:
    """What reaches a closed socket resets it, and the rest of the answer with it."""
    with InProcess(small_site, clock=clock, timeouts=TIMEOUTS) as harness:
        peer = harness.connect(LAST_BIG_GET, buffer_octets=2 * BIG_OCTETS)
        for _ in range(8):
            turn(harness, clock, 9)
            assert not peer.is_let_go()
            peer.socket.send(b"\r\n")
            harness.loop.run_batch(0)
            assert peer.socket.recv(100_000)
        peer.receive()
        assert peer.is_closed
        assert not peer.is_reset
        peer.socket.close()
        harness.loop.run_batch(0)
        assert peer.is_let_go()


def test_a_peer_that_never_takes_the_last_answer_is_closed(
    small_site: SmallSite, clock: HandClock
) -> None:
    with InProcess(small_site, clock=clock, timeouts=TIMEOUTS) as harness:
        peer = harness.connect(LAST_BIG_GET, buffer_octets=2 * BIG_OCTETS)
        for seconds in (9, 9, 9):
            turn(harness, clock, seconds)
            assert not peer.is_let_go()
        turn(harness, clock, 9)
        assert peer.is_let_go()


def test_a_peer_that_has_taken_the_last_answer_is_let_go_soon(
    small_site: SmallSite, clock: HandClock
) -> None:
    """Though it keeps its end open, as it may: nothing is owed to it."""
    with InProcess(small_site, clock=clock, timeouts=TIMEOUTS) as harness:
        peer = harness.connect(LAST_BIG_GET, buffer_octets=2 * BIG_OCTETS)
        peer.receive()
        assert not peer.is_let_go()
        for _ in range(3):
            turn(harness, clock, 1)
        assert peer.is_let_go()


def test_a_drained_service_closes_idle_peers(harness: InProcess) -> None:
    idle, silent = harness.connect(GET), harness.connect()
    harness.service.drain()
    for handler in harness.loop.handlers():
        handler.on_drain()  # type: ignore[attr-defined]
    assert idle.is_let_go()
    assert silent.is_let_go()


def test_a_drained_service_answers_a_last_time(harness: InProcess) -> None:
    peer = harness.connect(GET + GET[:-1])
    harness.service.drain()
    for handler in harness.loop.handlers():
        handler.on_drain()  # type: ignore[attr-defined]
    peer.send(GET[-1:])
    harness.settle(peer)
    first, last = read_answers(bytes(peer.received))
    assert not first.is_last
    assert last.is_last
    assert peer.is_closed


@pytest.mark.parametrize("request_octets", [BIG_GET, FILE_GET], ids=["big", "file"])
def test_a_drained_service_finishes_what_is_being_sent(
    harness: InProcess, request_octets: bytes
) -> None:
    peer = harness.connect(request_octets)
    harness.service.drain()
    for handler in harness.loop.handlers():
        handler.on_drain()  # type: ignore[attr-defined]
    harness.settle(peer)
    assert statuses(peer) == [200]
    assert peer.is_closed
    peer.half_close()
    fill(harness, peer)
    assert peer.is_let_go()


def test_a_drained_service_finishes_with_a_peer_that_sent_half_an_empty_line(
    small_site: SmallSite, clock: HandClock
) -> None:
    count = REQUESTS_PER_TURN - 1
    with InProcess(small_site, clock=clock, timeouts=TIMEOUTS) as harness:
        peer = harness.connect(GET * count + b"\r", buffer_octets=1)
        harness.service.drain()
        for handler in harness.loop.handlers():
            handler.on_drain()  # type: ignore[attr-defined]
        harness.settle(peer)
        assert statuses(peer) == [200] * count
        assert peer.is_closed


def test_closing_twice_is_closing_once(harness: InProcess) -> None:
    harness.connect(GET)
    (handler,) = harness.loop.handlers()
    handler.close()
    handler.close()
    assert len(harness.service.peers) == 0


# The access log.


def test_every_answer_is_noted_when_it_has_been_sent(
    small_site: SmallSite, clock: HandClock, has_recall: bool
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, has_recall=has_recall, log=log) as harness:
        peer = harness.connect(GET)
        peer.send(GET)
        harness.settle(peer)
        assert log.noted == [(b"/", 200)] * 2
        peer.send(BIG_GET + GET)
        harness.loop.run_batch(0)
        assert log.noted == [(b"/", 200)] * 2
        harness.settle(peer)
        assert log.noted[2:] == [(b"/big", 200), (b"/", 200)]
        peer.send(b"nonsense\r\n")
        harness.settle(peer)
        assert log.noted[4:] == [(b"-", 400)]


def test_an_answer_that_was_not_taken_is_noted_once(
    small_site: SmallSite, clock: HandClock
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect(FILE_GET)
        peer.socket.close()
        fill(harness, peer)
        assert log.noted == [(b"/file", 200)]


def test_a_download_that_is_cut_is_noted_with_what_was_sent(
    small_site: SmallSite, clock: HandClock
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect(BIG_GET, buffer_octets=64 * 1024)
        fill(harness, peer)
        assert log.noted == []
        for _ in range(3):
            clock.turn(TIMEOUTS.send + 2)
            harness.loop.run_batch(0)
        assert peer.is_let_go()
        peer.receive()
        head, _, content = bytes(peer.received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert 0 < len(content) < BIG_OCTETS
        assert log.noted == [(b"/big", 200)]
        assert log.contents == [len(content)]


def test_a_file_that_ends_early_is_noted_with_what_was_sent(
    small_site: SmallSite, clock: HandClock
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect(FILE_GET, buffer_octets=64 * 1024)
        peer.receive()
        small_site.files[0].has_changed = True
        harness.settle(peer)
        content = bytes(peer.received).partition(b"\r\n\r\n")[2]
        assert log.contents == [len(content)]
        assert len(content) < FILE_OCTETS


def test_nothing_was_sent_to_a_peer_that_is_gone(small_site: SmallSite, clock: HandClock) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        for request in (GET, GET, BIG_GET):
            peer = harness.connect()
            peer.send(request)
            peer.socket.close()
            fill(harness, peer)
            assert peer.is_let_go()
        assert log.contents == [0, 0, 0]


def test_the_head_is_noted_as_it_came(
    small_site: SmallSite, clock: HandClock, has_recall: bool
) -> None:
    log = Log()
    browser = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n"
    with InProcess(small_site, clock=clock, has_recall=has_recall, log=log) as harness:
        peer = harness.connect(browser)
        for octets in (browser, browser, GET + browser, browser[:9], browser[9:]):
            peer.send(octets)
            harness.settle(peer)
        assert log.heads == [browser] * 3 + [GET, browser, browser]


@pytest.mark.parametrize(
    ("parts", "head"),
    [
        # Content is read past, and its head is kept until then.
        ((b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", b"a", b"bc"), 0),
        ((b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"?\r\n"), 0),
        ((b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n",), 0),
        # A head that is none.
        ((b"nonsense\r\n",), 0),
        ((b"GET /\0",), 0),
        ((b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",), 0),
        ((b"\r\n\r\n", b"nonsense\r\n"), 1),
    ],
)
def test_the_head_of_any_request_is_noted(
    small_site: SmallSite, clock: HandClock, parts: tuple[bytes, ...], head: int
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect()
        for part in parts:
            peer.send(part)
            harness.settle(peer)
        assert log.heads == [parts[head]]


def test_what_came_of_a_head_until_its_deadline_is_noted(
    small_site: SmallSite, clock: HandClock
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect(b"GET /slow HT")
        begun = clock.now
        clock.turn(TIMEOUTS.head + 2)
        harness.loop.run_batch(0)
        peer.receive()
        assert (log.noted, log.heads) == ([(b"-", 408)], [b"GET /slow HT"])
        assert log.instants == [clock.now]
        assert clock.now > begun


def test_the_time_counts_from_when_the_head_was_received(
    small_site: SmallSite, clock: HandClock
) -> None:
    log = Log()
    with InProcess(small_site, clock=clock, log=log) as harness:
        peer = harness.connect(BIG_GET)
        begun = clock.now
        clock.turn(3)
        harness.settle(peer)
        assert log.instants == [begun]
        assert log.contents == [BIG_OCTETS]


@pytest.mark.parametrize(
    ("unsent_octets", "contents"),
    [(0, [5, 50, 0]), (20, [5, 50, 0]), (21, [5, 49, 0]), (70, [5, 0, 0]),
     (80, [5, 0, 0]), (81, [4, 0, 0]), (95, [0, 0, 0]), (200, [0, 0, 0])],
)  # fmt: skip
def test_content_that_was_sent_is_counted_from_the_end(
    unsent_octets: int, contents: list[int]
) -> None:
    def answer(head_octets: int, length: int) -> Answer:
        return Answer(
            200, bytes(head_octets), b"", (bytes(length),), persists=True, method=b"GET",
            length=length,
        )  # fmt: skip

    answers = [
        answer(10, 5), answer(10, 50), answer(20, 0)
    ]  # fmt: skip
    exchanges = [(GET, one) for one in answers]
    assert count_content(exchanges, unsent_octets, lambda one: len(one.fields)) == contents


# The real site.


def test_descriptors_are_as_before(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(1_000_000))
    with (
        FolderSite(tmp_path, clock, kept_octets_limit=1000) as site,
        InProcess(site.respond, clock=clock) as harness,
    ):
        before: set[str] = set()
        # The first answer opens the file for all that follow.
        for ending in (b"", b"", b"Range: bytes=0-1,5-600000\r\n"):
            peer = harness.connect(b"GET /big.bin HTTP/1.1\r\nHost: a\r\n" + ending + b"\r\n")
            peer.socket.close()
            fill(harness, peer)
            assert peer.is_let_go()
            before = before or set(os.listdir("/proc/self/fd"))
        assert set(os.listdir("/proc/self/fd")) == before


def test_a_peer_over_tcp_that_resets(small_site: SmallSite, clock: HandClock) -> None:
    with InProcess(small_site, clock=clock) as harness:
        peer = harness.connect(BIG_GET)
        peer.socket.shutdown(socket.SHUT_RDWR)
        fill(harness, peer)
        assert peer.is_let_go()
        assert respond_plainly(400).status == 400
