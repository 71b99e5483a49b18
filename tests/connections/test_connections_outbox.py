import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.connections.outbox import Outbox, VersionEndedError
from epollo.http.message import FileSegment, Segment
from epollo.protocols.answer import STEP_OCTETS
from epollo.transports import PLAIN

FILE_OCTETS = 3 * STEP_OCTETS + 17
FILE = os.urandom(FILE_OCTETS)
Pair = tuple[socket.socket, socket.socket]


SECOND = 784_111_777


class OpenedFile:
    is_sealed = False

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.is_settled = True
        self.checked_second = 0
        self.closed_times = 0
        self.looks = 0
        self.unchanged_looks = 10_000

    def settle(self) -> bool:
        return self.is_settled

    def is_unchanged(self, second: int) -> bool:
        return self.may_send_on(second)

    def may_send_on(self, second: int) -> bool:
        self.checked_second = second
        self.looks += 1
        return self.looks <= self.unchanged_looks

    def map(self) -> None:
        pass

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
    path.write_bytes(FILE)
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


def send_all(outbox: Outbox, pair: Pair, connections: int = 0) -> bytes:
    """Send everything, the other end taking all it gets."""
    received = b""
    for _ in range(10_000):
        if not outbox.octets:
            return received + receive(pair[1])
        with contextlib.suppress(BlockingIOError):
            outbox.send(pair[0], SECOND, connections)
        received += receive(pair[1])
    raise AssertionError("never done")


def test_octets_in_their_order(pair: Pair) -> None:
    outbox = Outbox(PLAIN)
    for segment in (b"one", b"", b"two", b"three"):
        outbox.put(segment)
    assert outbox.octets == 11
    outbox.send(pair[0], SECOND)
    assert outbox.octets == 0
    assert receive(pair[1]) == b"onetwothree"


def test_without_what_was_sent_already(pair: Pair) -> None:
    outbox = Outbox(PLAIN)
    outbox.put(b"sent, not sent", 6)
    outbox.put(b"all sent", 8)
    assert outbox.octets == 8
    outbox.send(pair[0], SECOND)
    assert receive(pair[1]) == b"not sent"


def test_more_segments_than_a_system_call_takes(pair: Pair) -> None:
    outbox = Outbox(PLAIN)
    parts = [b"%d," % number for number in range(5000)]
    for part in parts:
        outbox.put(part)
    assert send_all(outbox, pair) == b"".join(parts)


def test_a_peer_that_takes_nothing_now(pair: Pair) -> None:
    outbox = Outbox(PLAIN)
    content = os.urandom(4_000_000)
    outbox.put(content)
    outbox.send(pair[0], SECOND)
    left_octets = outbox.octets
    assert 0 < left_octets < len(content)
    with pytest.raises(BlockingIOError):
        outbox.send(pair[0], SECOND)
    assert outbox.octets == left_octets
    assert send_all(outbox, pair) == content


def test_one_step_of_a_file_at_a_time(pair: Pair, file: OpenedFile) -> None:
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * STEP_OCTETS)
    outbox = Outbox(PLAIN)
    outbox.put(b"head")
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    outbox.put(b"tail")
    before = outbox.octets
    outbox.send(pair[0], SECOND)
    assert before - outbox.octets <= STEP_OCTETS + len(b"head")
    content = os.pread(file.descriptor, FILE_OCTETS, 0)
    assert send_all(outbox, pair) == b"head" + content + b"tail"
    assert file.closed_times == 1


def test_a_file_that_is_settled_when_octets_of_it_are_read_already(
    pair: Pair, file: OpenedFile
) -> None:
    file.is_settled = False
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    with contextlib.suppress(BlockingIOError):
        while outbox.octets:
            outbox.send(pair[0], SECOND)
    assert outbox.octets
    file.is_settled = True
    assert send_all(outbox, pair) == FILE


def test_parts_of_one_file(pair: Pair, file: OpenedFile) -> None:
    content = os.pread(file.descriptor, FILE_OCTETS, 0)
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, 10, 20))
    outbox.put(b"--")
    outbox.put(FileSegment(file, FILE_OCTETS - 5, 5))
    assert send_all(outbox, pair) == content[10:30] + b"--" + content[-5:]
    assert file.closed_times == 1


def test_a_file_is_looked_at_once_a_second_and_before_its_end(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    second = SECOND
    looks = []
    while outbox.octets > STEP_OCTETS:
        with contextlib.suppress(BlockingIOError):
            outbox.send(pair[0], second)
        receive(pair[1])
        looks.append((file.looks, second - SECOND + 1))
        second += len(looks) % 3 == 0
    assert len(looks) > 6
    assert all(times == seconds for times, seconds in looks)
    file.checked_second = second
    before = file.looks
    last_octets = outbox.octets
    outbox.send(pair[0], second)
    assert outbox.octets < last_octets
    assert file.looks == before + 1


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_file_that_is_read_is_looked_at_behind_each_part_unless_it_is_settled(
    pair: Pair, file: OpenedFile, is_settled: bool
) -> None:
    file.is_settled = is_settled
    outbox = Outbox(PLAIN._replace(sends_files=False))
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    assert send_all(outbox, pair) == FILE
    if is_settled:
        # For the second, and behind the last part.
        assert file.looks == 2
    else:
        assert file.looks > FILE_OCTETS // (128 * 1024)


@pytest.mark.parametrize("unchanged_looks", [0, 1])
def test_a_file_that_changes(pair: Pair, file: OpenedFile, unchanged_looks: int) -> None:
    file.unchanged_looks = unchanged_looks
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    with pytest.raises(VersionEndedError):
        send_all(outbox, pair)
    assert outbox.octets
    outbox.close()
    assert file.closed_times == 1
    assert outbox.octets == 0


def test_a_file_that_is_shorter_than_it_was(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, FILE_OCTETS - 10, 20))
    with pytest.raises(VersionEndedError):
        send_all(outbox, pair)


def test_a_peer_that_is_gone(pair: Pair) -> None:
    outbox = Outbox(PLAIN)
    outbox.put(b"octets")
    pair[1].close()
    with pytest.raises(BrokenPipeError):
        outbox.send(pair[0], SECOND)


@given(st.lists(st.binary(max_size=300_000), max_size=20), st.integers(1, 4096))
def test_whatever_is_put_is_sent(segments: list[bytes], buffer_octets: int) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        outbox = Outbox(PLAIN)
        segment: Segment
        for segment in segments:
            outbox.put(segment)
        assert outbox.octets == sum(map(len, segments))
        assert send_all(outbox, (near, far)) == b"".join(segments)


def test_of_a_file_that_is_read_no_more_is_read_than_may_wait(pair: Pair, file: OpenedFile) -> None:
    file.is_settled = False
    outbox = Outbox(PLAIN)
    outbox.put(FileSegment(file, 0, FILE_OCTETS))
    before = outbox.octets
    for connections, octets in ((1024, 16 * 1024), (1, 128 * 1024), (128, 128 * 1024)):
        outbox.send(pair[0], SECOND, connections)
        assert len(receive(pair[1])) == octets
    assert outbox.octets == before - 272 * 1024
    # Looked at after each reading, in whatever second.
    assert file.looks == 3
    outbox.close()


def put_parts(outbox: Outbox, file: OpenedFile, lengths: list[int]) -> bytes:
    """Put parts of a file, 50,000 octets apart, each behind a head; return what is to be sent."""
    expected = []
    for place, length in enumerate(lengths):
        outbox.put(b"--")
        outbox.put(FileSegment(file, 50_000 * place, length))
        expected += [b"--", os.pread(file.descriptor, length, 50_000 * place)]
    outbox.put(b"end")
    return b"".join([*expected, b"end"])


def test_short_parts_of_a_file_go_out_together(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox(PLAIN)
    expected = put_parts(outbox, file, [100] * 20)
    outbox.send(pair[0], SECOND)
    assert receive(pair[1]) == expected
    assert outbox.octets == 0
    # Looked at after the reading, once for all of them.
    assert file.looks == 1
    assert file.closed_times == 1


def test_many_short_parts_take_turns(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox(PLAIN)
    expected = put_parts(outbox, file, [100] * 100)
    outbox.send(pair[0], SECOND)
    received = receive(pair[1])
    assert 0 < len(received) < len(expected) / 2
    assert file.closed_times == 0
    assert received + send_all(outbox, pair) == expected
    assert file.closed_times == 1


@pytest.mark.parametrize(("connections", "octets"), [(1, 128 * 1024), (1024, 16 * 1024)])
def test_of_short_parts_no_more_is_read_than_may_wait(
    pair: Pair, file: OpenedFile, connections: int, octets: int
) -> None:
    outbox = Outbox(PLAIN)
    expected = put_parts(outbox, file, [8000] * 40)
    outbox.send(pair[0], SECOND, connections)
    received = receive(pair[1])
    assert octets - 8002 <= len(received) <= octets
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    with contextlib.suppress(BlockingIOError):
        while True:
            outbox.send(pair[0], SECOND, connections)
    # What waits here for a peer that takes nothing is within the bound as well.
    assert 0 < sum(len(one) for one in outbox._segments if isinstance(one, memoryview)) <= octets
    assert received + send_all(outbox, pair) == expected


@given(
    st.lists(st.sampled_from([0, 1, 100, 8000, 32_768, 32_769, 50_000]), max_size=20),
    st.booleans(),
    st.sampled_from([1, 500, 100_000]),
)
def test_whatever_parts_are_put_are_sent(
    lengths: list[int], is_settled: bool, connections: int
) -> None:
    near, far = socket.socketpair()
    with near, far, tempfile.TemporaryDirectory() as folder:
        near.setblocking(False)
        far.setblocking(False)
        path = Path(folder, "file")
        path.write_bytes(os.urandom(1_000_000))
        file = OpenedFile(path)
        file.is_settled = is_settled
        outbox = Outbox(PLAIN)
        expected = put_parts(outbox, file, lengths)
        assert send_all(outbox, (near, far), connections) == expected
        assert file.closed_times == bool(lengths)
        if not lengths:
            file.close()


@pytest.mark.parametrize("unchanged_looks", [0, 1])
def test_short_parts_of_a_file_that_changes(
    pair: Pair, file: OpenedFile, unchanged_looks: int
) -> None:
    file.unchanged_looks = unchanged_looks
    outbox = Outbox(PLAIN)
    expected = put_parts(outbox, file, [100] * 100)
    for _ in range(unchanged_looks):
        outbox.send(pair[0], SECOND)
    with pytest.raises(VersionEndedError):
        outbox.send(pair[0], SECOND)
    received = receive(pair[1])
    assert expected.startswith(received)
    assert bool(received) == bool(unchanged_looks)
    outbox.close()
    assert file.closed_times > 0


def test_a_short_part_that_is_not_there_any_more(pair: Pair, file: OpenedFile) -> None:
    outbox = Outbox(PLAIN)
    outbox.put(b"head")
    outbox.put(FileSegment(file, FILE_OCTETS - 10, 20))
    with pytest.raises(VersionEndedError):
        outbox.send(pair[0], SECOND)
    assert receive(pair[1]) == b""
    outbox.close()
    assert file.closed_times > 0
