import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.connections.outbox import STEP_OCTETS, Outbox, VersionEndedError
from epollo.http.message import FileSegment, Segment

FILE_OCTETS = 3 * STEP_OCTETS + 17
Pair = tuple[socket.socket, socket.socket]


class OpenedFile:
    is_sealed = False

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.closed_times = 0
        self.unchanged_times = 10_000

    def fileno(self) -> int:
        return self.descriptor

    def is_settled(self) -> bool:
        return True

    def is_unchanged(self) -> bool:
        self.unchanged_times -= 1
        return self.unchanged_times >= 0

    def close(self) -> None:
        if not self.closed_times:
            os.close(self.descriptor)
        self.closed_times += 1


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OpenedFile]:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(FILE_OCTETS))
    file = OpenedFile(path)
    yield file
    if not file.closed_times:
        file.close()


def receive(far: socket.socket) -> bytes:
    parts = []
    try:
        while part := far.recv(1 << 20):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts)


def send_all(outbox: Outbox, pair: Pair) -> bytes:
    """Send everything, the other end taking all it gets."""
    received = b""
    for _ in range(10_000):
        if not outbox.octets:
            return received + receive(pair[1])
        with contextlib.suppress(BlockingIOError):
            outbox.send(pair[0])
        received += receive(pair[1])
    raise AssertionError("never done")


def test_octets_in_their_order(pair: Pair) -> None:
    outbox = Outbox()
    for segment in (b"one", b"", b"two", b"three"):
        outbox.put(segment)
    assert outbox.octets == 11
    outbox.send(pair[0])
    assert outbox.octets == 0
    assert receive(pair[1]) == b"onetwothree"


def test_without_what_was_sent_already(pair: Pair) -> None:
    outbox = Outbox()
    outbox.put(b"sent, not sent", 6)
    outbox.put(b"all sent", 8)
    assert outbox.octets == 8
    outbox.send(pair[0])
    assert receive(pair[1]) == b"not sent"


def test_more_segments_than_a_system_call_takes(pair: Pair) -> None:
    outbox = Outbox()
    parts = [b"%d," % number for number in range(5000)]
    for part in parts:
        outbox.put(part)
    assert send_all(outbox, pair) == b"".join(parts)


def test_a_peer_that_takes_nothing_now(pair: Pair) -> None:
    outbox = Outbox()
    content = os.urandom(4_000_000)
    outbox.put(content)
    outbox.send(pair[0])
    left_octets = outbox.octets
    assert 0 < left_octets < len(content)
    with pytest.raises(BlockingIOError):
        outbox.send(pair[0])
    assert outbox.octets == left_octets
    assert send_all(outbox, pair) == content


def test_one_step_of_a_file_at_a_time(pair: Pair, file: OpenedFile) -> None:
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * STEP_OCTETS)
    outbox = Outbox()
    outbox.put(b"head")
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    outbox.put(b"tail")
    before = outbox.octets
    outbox.send(pair[0])
    assert before - outbox.octets <= STEP_OCTETS + len(b"head")
    content = os.pread(file.fileno(), FILE_OCTETS, 0)
    assert send_all(outbox, pair) == b"head" + content + b"tail"
    assert file.closed_times == 1


def test_parts_of_one_file(pair: Pair, file: OpenedFile) -> None:
    content = os.pread(file.fileno(), FILE_OCTETS, 0)
    outbox = Outbox()
    outbox.put(FileSegment(file, 10, 20))
    outbox.put(b"--")
    outbox.put(FileSegment(file, FILE_OCTETS - 5, 5))
    assert send_all(outbox, pair) == content[10:30] + b"--" + content[-5:]
    assert file.closed_times == 1


@pytest.mark.parametrize("unchanged_times", [0, 1, 2, 3])
def test_a_file_that_changes(pair: Pair, file: OpenedFile, unchanged_times: int) -> None:
    file.unchanged_times = unchanged_times
    outbox = Outbox()
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    with pytest.raises(VersionEndedError):
        send_all(outbox, pair)
    outbox.close()
    assert file.closed_times == 1
    assert outbox.octets == 0


def test_a_file_that_is_shorter_than_it_was(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox()
    outbox.put(FileSegment(file, FILE_OCTETS - 10, 20))
    with pytest.raises(VersionEndedError):
        send_all(outbox, pair)


def test_a_peer_that_is_gone(pair: Pair) -> None:
    outbox = Outbox()
    outbox.put(b"octets")
    pair[1].close()
    with pytest.raises(BrokenPipeError):
        outbox.send(pair[0])


@given(st.lists(st.binary(max_size=300_000), max_size=20), st.integers(1, 4096))
def test_whatever_is_put_is_sent(segments: list[bytes], buffer_octets: int) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        outbox = Outbox()
        segment: Segment
        for segment in segments:
            outbox.put(segment)
        assert outbox.octets == sum(map(len, segments))
        assert send_all(outbox, (near, far)) == b"".join(segments)


def test_of_a_file_that_is_read_no_more_is_read_than_may_wait(
    pair: Pair, file: OpenedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenedFile, "is_settled", lambda _: False)
    outbox = Outbox()
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    before = outbox.octets
    for limit, octets in ((16 * 1024, 16 * 1024), (0, 128 * 1024), (256 * 1024, 128 * 1024)):
        outbox.send(pair[0], limit)
        assert len(receive(pair[1])) == octets
    assert outbox.octets == before - 272 * 1024
    outbox.close()
