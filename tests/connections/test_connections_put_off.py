"""A head that comes late in a long batch is reduced once, and answered by what holds then."""

from collections.abc import Iterator

import pytest

from connections.in_process import InProcess, Peer
from epollo.http.message import PERMANENT, Request, Response
from epollo.loop.clock import SystemClock
from epollo.protocols.http1.head import HeadReader
from properties.answers import read_answers

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n"


class LateClock(SystemClock):
    """Finds each batch to have lasted as long as a test says."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def count_batch_seconds(self) -> float:
        return self.seconds


class CountingReader(HeadReader):
    """Counts the heads that it strips."""

    __slots__ = ("count",)
    count: int

    def strip(self, octets: bytes) -> bytes:
        self.count += 1
        return super().strip(octets)


def respond(request: Request) -> Response:
    content = request.target.path + b" " + request.fields.get(b"x", b"-")
    fields = ((b"Content-Length", b"%d" % len(content)),)
    return Response(200, fields, (content,), basis=PERMANENT)


@pytest.fixture
def clock() -> LateClock:
    return LateClock()


@pytest.fixture
def harness(clock: LateClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    monkeypatch.setattr("connections.in_process.HeadReader", CountingReader)
    with InProcess(respond, clock=clock) as harness:
        reader = harness.service.reader
        assert isinstance(reader, CountingReader)
        reader.count = 0
        yield harness
        assert not harness.reports


def put_off(harness: InProcess, clock: LateClock, peer: Peer, octets: bytes) -> None:
    """Have a request come in a batch that has lasted for long."""
    peer.send(octets)
    clock.seconds = 1.0
    harness.loop.run_batch(0.1)
    clock.seconds = 0.0
    peer.receive()
    assert not peer.received


def take(harness: InProcess, peer: Peer) -> list[bytes]:
    harness.settle(peer)
    octets = bytes(peer.received)
    peer.received.clear()
    return [answer.content for answer in read_answers(octets)]


def count(harness: InProcess) -> int:
    reader = harness.service.reader
    assert isinstance(reader, CountingReader)
    return reader.count


def test_a_head_that_is_put_off_is_reduced_once(harness: InProcess, clock: LateClock) -> None:
    peer = harness.connect()
    put_off(harness, clock, peer, GET % (b"one", b"1"))
    assert take(harness, peer) == [b"/one -"]
    assert count(harness) == 1
    # What was noted of one head is not taken for the next.
    put_off(harness, clock, peer, GET % (b"two", b"2"))
    peer.send(GET % (b"three", b"3"))
    assert take(harness, peer) == [b"/two -", b"/three -"]
    assert count(harness) == 3


def test_what_another_was_answered_meanwhile_is_recalled(
    harness: InProcess, clock: LateClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def respond_and_count(request: Request) -> Response:
        asked.append(request)
        return respond(request)

    monkeypatch.setattr(harness.service, "respond", respond_and_count)
    peers = [harness.connect() for _ in range(4)]
    for number, peer in enumerate(peers):
        peer.send(GET % (b"same", b"%d" % number))
    clock.seconds = 1.0
    harness.loop.run_batch(0.1)
    clock.seconds = 0.0
    assert [take(harness, peer) for peer in peers] == [[b"/same -"]] * 4
    assert len(asked) == 1


def test_what_was_noted_is_not_taken_for_another_head(harness: InProcess, clock: LateClock) -> None:
    peers = harness.connect(), harness.connect()
    bare = b"GET /bare HTTP/1.1\r\nHost: a\r\n\r\n"
    for peer in peers:
        peer.send(bare)
    clock.seconds = 1.0
    harness.loop.run_batch(0.1)
    clock.seconds = 0.0
    # The second is answered by the very octets of the first, before anything is reduced.
    assert [take(harness, peer) for peer in peers] == [[b"/bare -"]] * 2
    for peer in peers:
        peer.send(b"GET /other HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na" * 2)
        assert take(harness, peer) == [b"/other -"] * 2


def test_a_field_that_becomes_relevant_meanwhile_is_read(
    harness: InProcess, clock: LateClock
) -> None:
    peer = harness.connect()
    put_off(harness, clock, peer, GET % (b"one", b"1"))
    harness.service.rely_on(frozenset((b"x",)))
    assert take(harness, peer) == [b"/one 1"]
    # It holds for recall too.
    other = harness.connect()
    other.send(GET % (b"one", b"2"))
    assert take(harness, other) == [b"/one 2"]
