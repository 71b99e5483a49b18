"""Lines that are not read wait, then are left out and counted; lines are whole, and in order."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.linux.nonblocking import open_nonblocking
from epollo.loop import EventLoop
from epollo.output import Output
from epollo.pollers import open_poller

WAITING_OCTETS = 64 * 1024


class Pipe:
    """An output over a pipe, and its other end."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        self.failures: list[OSError] = []
        self.output = Output(
            open_nonblocking(writing), lambda lines: b"(%d)\n" % lines, self.failures.append
        )
        os.close(writing)
        os.set_blocking(self.reading, False)

    def read(self) -> bytes:
        octets = b""
        try:
            while part := os.read(self.reading, 65536):
                octets += part
        except BlockingIOError:
            pass
        return octets

    def close(self) -> None:
        os.close(self.reading)
        self.output.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_a_line_is_written_at_once(pipe: Pipe) -> None:
    pipe.output.put(b"one\n")
    assert pipe.read() == b"one\n"


def test_lines_that_are_not_read_are_counted_in_their_place(pipe: Pipe) -> None:
    for number in range(20_000):
        pipe.output.put(b"%09d\n" % number)
    seen = pipe.read()
    pipe.output.put(b"last but one\n")
    seen += pipe.read()
    pipe.output.put(b"last\n")
    seen += pipe.read()
    lines = seen.splitlines()
    kept = len(lines) - 3
    assert kept > WAITING_OCTETS // 10
    assert lines[:kept] == [b"%09d" % number for number in range(kept)]
    assert lines[kept:] == [b"(%d)" % (20_000 - kept), b"last but one", b"last"]


def test_a_loop_writes_what_waits_when_it_is_read_again(pipe: Pipe) -> None:
    loop = EventLoop(open_poller("auto"), pytest.fail)
    pipe.output.attend(loop)
    for _ in range(20_000):
        pipe.output.put(b"123456789\n")
    seen = pipe.read()
    while not seen.endswith(b")\n"):
        # The deadline is the only event here: it ends the sleep.
        loop.run_batch()
        seen += pipe.read()
    assert seen.count(b"123456789\n") + int(seen.splitlines()[-1].strip(b"()")) == 20_000
    assert pipe.output.deadline == float("inf")
    pipe.output.attend(None)
    loop.close()


def test_what_waits_is_written_in_the_end_to_a_reader_that_reads() -> None:
    pipe = Pipe()
    for _ in range(7000):
        pipe.output.put(b"123456789\n")
    seen = pipe.read()
    pipe.output.close()
    seen += pipe.read()
    assert seen == b"123456789\n" * 7000
    os.close(pipe.reading)


def test_without_a_reader_lines_are_thrown_away_and_that_is_said_once(pipe: Pipe) -> None:
    os.close(pipe.reading)
    for _ in range(3):
        pipe.output.put(b"line\n")
    assert [type(failure) for failure in pipe.failures] == [BrokenPipeError]
    pipe.reading = os.open(os.devnull, os.O_RDONLY)


@given(
    st.lists(
        st.one_of(st.integers(1, 30_000), st.just(0)), min_size=1, max_size=30
    )  # a line of this length; 0 is a look by the reader
)
def test_no_line_is_torn_mixed_or_lost_uncounted(steps: list[int]) -> None:
    pipe = Pipe()
    seen = b""
    put = 0
    for step in steps:
        if step:
            pipe.output.put(b"%d " % put + b"x" * step + b"\n")
            put += 1
        else:
            seen += pipe.read()
    for _ in range(4):
        seen += pipe.read()
        pipe.output.on_deadline()
    seen += pipe.read()
    expected = 0
    assert not seen or seen.endswith(b"\n")
    for line in seen.splitlines():
        if line.startswith(b"("):
            expected += int(line.strip(b"()"))
        else:
            number, _, rest = line.partition(b" ")
            assert int(number) == expected
            assert set(rest) == {ord("x")}
            expected += 1
    assert expected == put
    pipe.close()
