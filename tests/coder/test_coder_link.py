"""A worker beside a coder that code has broken into: it takes nothing that it did not ask for."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.coding import TEXT, Wanted, WantedFile, ignore
from epollo.coder.client import SharedCompressor
from epollo.coder.messages import Answer, Outcome, format_answer, parse_request
from epollo.coder.sockets import HELLO, MESSAGE_OCTETS
from epollo.http.message import FileSegment
from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.site.codings import CODINGS
from epollo.site.entity_tags import tag_content
from epollo.site.representation import KeptFile
from epollo.site.sealed import SealedOctets, seal
from site_grounds import count_descriptors

TAG = tag_content(b"").opaque
KEPT = os.urandom(100_000)


class Broken:
    """A coder that is this test, and a compressor that asks it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.loop = EventLoop(open_poller("auto"), self.lines.append)
        self.asked = 0
        self.silences = 0
        self.compressor = SharedCompressor(
            ignore, self.lines.append, self.loop, self._connect, self._note_silence
        )
        self.descriptors: list[int] = []
        self._kept_open: list[object] = []

    def _connect(self) -> None:
        self.asked += 1
        theirs, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._kept_open.append(self.socket)
        self.socket.settimeout(10)
        self.socket.send(HELLO)
        self.compressor.use(theirs.detach())

    def _note_silence(self) -> None:
        self.silences += 1

    def receive(self) -> int:
        """Return the number of the next request, and keep what came with it."""
        for _ in range(3):
            self.loop.run_batch(0.0)
        message, descriptors, _, _ = socket.recv_fds(self.socket, MESSAGE_OCTETS, 4)
        self.descriptors += descriptors
        return parse_request(message, has_descriptor=bool(descriptors)).number

    def answer(self, message: bytes, *descriptors: int) -> None:
        socket.send_fds(self.socket, [message], descriptors)
        for _ in range(3):
            self.loop.run_batch(0.0)

    def close(self) -> None:
        self.compressor.close()
        self.loop.close()
        for one in self._kept_open:
            assert isinstance(one, socket.socket)
            one.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


@pytest.fixture
def broken() -> Iterator[Broken]:
    broken = Broken()
    yield broken
    broken.close()


def answer_with(
    number: int,
    content: bytes | None = None,
    octets: int = 5,
    place: int = 0,
    tag: bytes = TAG,
    outcome: Outcome = Outcome.MADE,
) -> bytes:
    return format_answer(Answer(number, place, outcome, True, tag, octets, content))


def unsealed() -> int:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, b"12345")
    return descriptor


def pipe_end() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def socket_end() -> int:
    return socket.socket().detach()


def sealed() -> int:
    return seal([b"12345"]).take_descriptor()


def file() -> int:
    return os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)


HOSTILE: list[tuple[Callable[[int], bytes], list[Callable[[], int]]]] = [
    (lambda _: b"nothing", []),
    (lambda _: b"\xff" * 90, []),
    (lambda number: answer_with(number + 1, b"12345"), []),
    (lambda number: answer_with(number, b"1234"), []),
    (lambda number: answer_with(number, b"12345", place=200), []),
    (lambda number: answer_with(number, b"x" * len(TEXT), len(TEXT)), []),
    (lambda number: answer_with(number, b"12345", tag=b'"1234"\r\nSet-Cookie:'), []),
    (lambda number: answer_with(number, b"12345", tag=bytes(18)), []),
    (answer_with, [unsealed]),
    (answer_with, [pipe_end]),
    (answer_with, [socket_end]),
    (answer_with, [file]),
    (lambda number: answer_with(number, octets=6), [sealed]),
    (lambda number: answer_with(number, octets=2**63), [sealed]),
    (lambda number: answer_with(number + 1), [sealed, sealed, sealed, sealed]),
]
NAMES = [
    "short",
    "junk",
    "of what was not asked for",
    "a length that is not its own",
    "of no coding",
    "longer than the content",
    "a tag with a line of a head",
    "no tag",
    "a file that may be cut off",
    "a pipe",
    "a socket",
    "a file on disk",
    "a file of another length",
    "a file of a length that no file has",
    "many descriptors",
]


@pytest.mark.parametrize(("make", "opens"), HOSTILE, ids=NAMES)
def test_an_answer_that_is_none_ends_the_coder_for_this_worker(
    broken: Broken, make: Callable[[int], bytes], opens: list[Callable[[], int]]
) -> None:
    wanted = Wanted(TEXT)
    broken.compressor.add(wanted.task())
    number = broken.receive()
    sent = [one() for one in opens]
    before = count_descriptors()
    broken.answer(make(number), *sent)
    # Asked again, by another socket, and nothing of the answer is used or kept open.
    assert broken.asked == 2
    assert count_descriptors() == before + 1
    assert not wanted.is_done()
    assert not broken.lines
    number = broken.receive()
    for place, coding in enumerate(CODINGS):
        last = place == len(CODINGS) - 1
        message = Answer(number, place, Outcome.MADE, last, TAG, 5, coding.name.ljust(5))
        broken.answer(format_answer(message))
    assert wanted.is_done()
    for descriptor in sent:
        os.close(descriptor)


def test_content_that_is_shared_is_of_the_same_length(broken: Broken) -> None:
    given: list[SealedOctets] = []
    content = FileSegment(KeptFile(KEPT), 0, len(KEPT))
    broken.compressor.share(content, lambda: True, given.append)
    number = broken.receive()
    other = seal([KEPT[:-1]])
    broken.answer(answer_with(number, octets=len(KEPT) - 1, tag=b""), other.descriptor)
    assert not given
    number = broken.receive()
    same = seal([KEPT])
    broken.answer(answer_with(number, octets=len(KEPT), tag=b""), same.descriptor)
    assert [one.length for one in given] == [len(KEPT)]


def test_a_coding_of_a_file_that_was_not_asked_for_is_not_taken(
    broken: Broken, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    wanted = WantedFile(path, limit=100)
    broken.compressor.add_file(wanted.task)
    number = broken.receive()
    broken.answer(answer_with(number, b"x" * 101, 101))
    assert not wanted.made
    assert broken.asked == 2
    assert not broken.lines


def test_a_coder_that_says_nothing_is_told_of(broken: Broken) -> None:
    broken.compressor.add(Wanted(TEXT).task())
    broken.receive()
    while not broken.silences:
        broken.loop.run_batch()
