"""The access log: what a line looks like, when it is written, and what if it cannot be."""

import contextlib
import fcntl
import io
import json
import math
import os
import pty
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.access_log.batches import BatchedLog
from epollo.access_log.choice import open_log
from epollo.access_log.destination import Destination, open_destination
from epollo.access_log.formats import FORMATS, format_end
from epollo.access_log.terminal_log import TerminalLog
from epollo.errors import OperatorError
from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.protocols.answer import Answer
from epollo.settings import Settings
from epollo.terminal import report
from loop.hand_clock import HandClock

# 1994-11-06 08:49:37, the second at which the hand clock begins.
SECOND = 784_111_777
BROWSER = (
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nreferer:  http://r/ \r\n"
    b"User-Agent: Mozilla/5.0 (X11)\r\nReferer: second\r\n\r\n"
)


def format_line(name: str, head: bytes, status: int = 200, octets: int = 5) -> bytes:
    line_format = FORMATS[name]
    return b"".join(
        (
            line_format.format_begin("::1", "", SECOND),
            line_format.format_middle(head, status, octets),
            format_end(1234) if line_format.tells_seconds else b"",
        )
    )


# Lines.


@pytest.mark.parametrize(
    ("name", "subject", "begin"),
    [
        ("combined", "CN=a", b"::1 - CN=a [06/Nov/1994:08:49:37 +0000] "),
        (
            "common",
            'CN=a b"\\,O=\u00e4\n',
            rb"::1 - CN=a\x20b\x22\x5C,O=\xC3\xA4\x0A [06/Nov/1994:08:49:37 +0000] ",
        ),
        (
            "json",
            'CN=a b"\u00e4\n',
            rb'{"time":"1994-11-06T08:49:37Z","peer":"::1","subject":"CN=a b\"\u00e4\n",',
        ),
        ("json", "", b'{"time":"1994-11-06T08:49:37Z","peer":"::1",'),
    ],
)
def test_the_subject_of_a_certificate(name: str, subject: str, begin: bytes) -> None:
    assert FORMATS[name].format_begin("::1", subject, SECOND) == begin


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [
        ("common", BROWSER, rb'::1 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b=c HTTP/1.1" 200 5'),
        (
            "combined",
            BROWSER,
            (
                rb'::1 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b=c HTTP/1.1" 200 5 '
                rb'"http://r/" "Mozilla/5.0 (X11)"'
            ),
        ),
        (
            "combined",
            b"GET / HTTP/1.0\r\n\r\n",
            rb'::1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.0" 200 5 "-" "-"',
        ),
        (
            "combined",
            b'GET /"\\\xc3\xa4\x7f HTTP/1.1\r\nUser-Agent: \x1b[2J"\t\\\r\n\r\n',
            (
                rb'::1 - - [06/Nov/1994:08:49:37 +0000] "GET /\x22\x5C\xC3\xA4\x7F HTTP/1.1" 200 5 '
                rb'"-" "\x1B[2J\x22\x09\x5C"'
            ),
        ),
        ("common", b"", rb'::1 - - [06/Nov/1994:08:49:37 +0000] "-" 200 5'),
        (
            "common",
            b"\x16\x03\x01\n\rGET / HTTP/1.1",
            rb'::1 - - [06/Nov/1994:08:49:37 +0000] "\x16\x03\x01\x0A\x0DGET / HTTP/1.1" 200 5',
        ),
    ],
)
def test_a_line(name: str, head: bytes, line: bytes) -> None:
    assert format_line(name, head) == line + b"\n"


@pytest.mark.parametrize(
    ("head", "members"),
    [
        (
            BROWSER,
            {
                "method": "GET", "target": "/a?b=c", "protocol": "HTTP/1.1",
                "referer": "http://r/", "user_agent": "Mozilla/5.0 (X11)",
            },
        ),
        (
            b"HEAD /\xc3\xa4 HTTP/1.0\r\n\r\n",
            {
                "method": "HEAD", "target": "/\u00c3\u00a4", "protocol": "HTTP/1.0",
                "referer": None, "user_agent": None,
            },
        ),
        (
            b'nonsense"\r\nUser-Agent: \xff\r\n',
            {
                "method": None, "target": None, "protocol": None, "request": 'nonsense"',
                "referer": None, "user_agent": "\u00ff",
            },
        ),
        (
            b"",
            {
                "method": None, "target": None, "protocol": None, "request": None,
                "referer": None, "user_agent": None,
            },
        ),
    ],
)  # fmt: skip
def test_a_line_of_json(head: bytes, members: dict[str, str | None]) -> None:
    line = format_line("json", head, 404, 7)
    assert json.loads(line) == {
        "time": "1994-11-06T08:49:37Z", "peer": "::1", "status": 404, "octets": 7,
        "seconds": 0.001234, **members,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("microseconds", "end"),
    [(0, b"0.000000"), (-3, b"0.000000"), (999_999, b"0.999999"), (61_000_001, b"61.000001")],
)
def test_the_end_of_a_line_of_json(microseconds: int, end: bytes) -> None:
    assert format_end(microseconds) == end + b"}\n"


any_head = st.one_of(
    st.binary(max_size=300),
    st.builds(
        b"GET /%b HTTP/1.1\r\nReferer: %b\r\nUser-Agent:%b\r\n\r\n".__mod__,
        st.tuples(st.binary(), st.binary(), st.binary()),
    ),
)


@given(any_head, st.sampled_from(["common", "combined"]))
def test_any_octets_make_one_line_of_as_many_parts(head: bytes, name: str) -> None:
    line = format_line(name, head)
    assert re.fullmatch(rb"[\x20-\x7e]+\n", line)
    quoted = rb'"(?:[^"\\]|\\x[0-9A-F]{2})+"'
    more = rb" %b %b" % (quoted, quoted) if name == "combined" else b""
    assert re.fullmatch(rb"::1 - - \[[^]]+\] %b 200 5%b\n" % (quoted, more), line)


@given(any_head)
def test_any_octets_make_a_line_of_json_that_has_them(head: bytes) -> None:
    line = format_line("json", head)
    assert re.fullmatch(rb"[\x20-\x7e]+\n", line)
    members = json.loads(line)
    first = head.partition(b"\r\n")[0]
    parts = [members[name] for name in ("method", "target", "protocol")]
    shown = members.get("request") if None in parts else " ".join(parts)
    assert (shown or "").encode("iso-8859-1") == first


def test_a_line_is_bounded() -> None:
    head = b"GET /" + b'"' * 100_000 + b"\r\nUser-Agent: " + b"\\" * 100_000 + b"\r\n\r\n"
    for name in FORMATS:
        assert len(format_line(name, head)) < 100_000


# Batches.


class Written:
    """What a log has to do with: the loop's clock in hand, a file, what the operator is told."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path = path
        self.clock = HandClock()
        self.reports: list[str] = []
        self.loop = EventLoop(open_poller("auto"), self.reports.append, self.clock)
        if descriptor is None:
            descriptor = open_destination(str(path))
        self.destination = Destination(
            descriptor, lambda: open_destination(str(path)), self.reports.append
        )

    def begin(self, name: str = "common") -> BatchedLog:
        log = BatchedLog(FORMATS[name], self.destination)
        log.begin(self.loop)
        return log

    def turn(self, seconds: float) -> None:
        self.clock.turn(seconds)
        self.loop.run_batch(0)

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    written = Written(tmp_path / "access.log")
    yield written
    written.loop.close()


def make_answer(status: int = 200, length: int = 5) -> Answer:
    return Answer(
        status, b"", b"\r\n", (), persists=True, method=b"GET", length=length,
    )  # fmt: skip


def note(log: BatchedLog, target: int | str = "", peer: str | None = "::1") -> None:
    log.note(peer, f"GET /{target} HTTP/1.1\r\n\r\n".encode(), make_answer(), 5, 0.0)


def test_peers_of_one_address_are_told_apart_by_their_certificates(written: Written) -> None:
    log = written.begin()
    for subject in ("CN=a", "", "CN=b", "CN=a", ""):
        log.note("::1", b"GET / HTTP/1.1\r\n\r\n", make_answer(), 5, 0.0, subject=subject)
    log.flush()
    assert [line.split(" ")[2] for line in written.lines] == ["CN=a", "-", "CN=b", "CN=a", "-"]
    log.close()


def test_lines_are_written_within_a_second(written: Written) -> None:
    log = written.begin()
    written.turn(0.3)
    note(log, "a")
    note(log, "b")
    written.turn(0.2)
    assert written.lines == []
    written.turn(0.8)
    assert [line.split()[6] for line in written.lines] == ["/a", "/b"]
    log.close()


def test_the_loop_sleeps_until_the_lines_are_due_and_then_without_end(written: Written) -> None:
    log = written.begin()
    assert log.deadline == math.inf
    note(log)
    assert log.deadline <= written.clock.now + 1
    written.turn(1.2)
    assert len(written.lines) == 1
    assert log.deadline == math.inf
    # By now nothing is noted for any second.
    assert written.loop._timers.earliest == math.inf
    log.close()


def test_a_line_shows_the_second_of_its_answer(written: Written) -> None:
    log = written.begin()
    for _ in range(3):
        note(log)
        written.turn(1)
    note(log)
    log.close()
    assert [line.split()[3][-2:] for line in written.lines] == ["37", "38", "39", "40"]


def test_many_lines_are_written_before_the_second_is_over(written: Written) -> None:
    log = written.begin()
    for number in range(5000):
        note(log, number % 700, f"192.0.2.{number % 100}")
    assert 4000 < len(written.lines) < 5000
    log.close()
    found = [(line.split()[0], line.split()[6]) for line in written.lines]
    assert found == [(f"192.0.2.{number % 100}", f"/{number % 700}") for number in range(5000)]


def test_a_flood_of_targets_and_peers_takes_bounded_memory(written: Written) -> None:
    log = written.begin()
    for number in range(20_000):
        note(log, number, str(number))
    assert len(log._middles) <= 2 * 4096
    assert len(log._begins) <= 4096
    log.close()
    assert len(written.lines) == 20_000


def test_a_recalled_line_is_of_its_own_answer(written: Written) -> None:
    log = written.begin()
    head = b"GET / HTTP/1.1\r\n\r\n"
    shown = [(200, 5), (404, 5), (200, 4), (200, 5)]
    for status, octets in shown:
        log.note("::1", head, make_answer(status), octets, 0.0)
    log.close()
    assert [tuple(map(int, line.split()[-2:])) for line in written.lines] == shown


def test_json_tells_the_seconds_of_each_answer(written: Written) -> None:
    log = written.begin("json")
    for begun in (-1e6, 1e12):
        log.note("::1", b"", make_answer(), 5, begun)
    log.close()
    first, second = (json.loads(line)["seconds"] for line in written.lines)
    # The log reads the monotonic clock when the answer has been sent.
    assert first > 1e6
    assert second == 0


def test_a_peer_without_an_address(written: Written) -> None:
    log = written.begin()
    note(log, peer="")
    note(log, peer=None)
    log.close()
    assert [line.split()[0] for line in written.lines] == ["unix:", "unix:"]


def test_closing_gives_descriptors_back(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    written = Written(tmp_path / "log")
    written.begin().close()
    written.loop.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_bug_is_told_and_the_log_continues(written: Written) -> None:
    log = written.begin()
    written.loop.end_fault(log, RuntimeError("a bug"))
    log.on_ready(0)
    assert ["a bug" in line for line in written.reports] == [True]
    note(log)
    log.close()
    assert len(written.lines) == 1


# Rotation.


def test_a_rotated_log_is_opened_again(written: Written, tmp_path: Path) -> None:
    log = written.begin()
    note(log, "old")
    written.path.rename(tmp_path / "access.log.1")
    note(log, "old")
    log.reopen()
    note(log, "new")
    log.close()
    assert (tmp_path / "access.log.1").read_text().count("/old ") == 2
    assert [line.split()[6] for line in written.lines] == ["/new"]


@pytest.mark.parametrize("error", [OperatorError("Is a directory"), PermissionError(13, "Denied")])
def test_a_log_that_cannot_be_opened_again_stays_in_use(tmp_path: Path, error: Exception) -> None:
    def open_again() -> int:
        raise error

    reports: list[str] = []
    path = tmp_path / "log"
    destination = Destination(open_destination(str(path)), open_again, reports.append)
    destination.write(b"a\n")
    destination.reopen()
    destination.write(b"b\n")
    destination.close()
    assert path.read_bytes() == b"a\nb\n"
    (report,) = reports
    assert ("Denied" in report) == isinstance(error, OSError)


# Places that take nothing.


class Pipe:
    """A pipe of 4 KiB whose reader is the test."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, False)
        os.set_blocking(self.reading, False)
        self.reports: list[str] = []
        self.destination = Destination(writing, self.open_again, self.reports.append)
        self.writing = writing

    def open_again(self) -> int:
        raise OperatorError("not now")

    def is_unsettled(self) -> bool:
        return self.destination.is_unsettled

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.reading, 1 << 20)
        return b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    with contextlib.suppress(OSError):
        os.close(pipe.reading)


def make_lines(count: int, first: int = 0, octets: int = 100) -> bytes:
    return b"".join(b"%0*d\n" % (octets - 1, number) for number in range(first, first + count))


def test_lines_wait_for_a_reader_that_is_slow(pipe: Pipe) -> None:
    pipe.destination.write(make_lines(100))
    assert pipe.is_unsettled()
    seen = b""
    while octets := pipe.read():
        # What is written at once is whole lines, so that others may write between them.
        assert octets.endswith(b"\n")
        seen += octets
        pipe.destination.settle()
    assert seen == make_lines(100)
    assert not pipe.is_unsettled()
    pipe.destination.close()
    assert pipe.reports == []


def test_a_line_longer_than_a_pipe_stays_a_line(pipe: Pipe) -> None:
    lines = b"a\n" + b"x" * 20_000 + b"\nb\n"
    pipe.destination.write(lines)
    seen = b""
    while octets := pipe.read():
        seen += octets
        pipe.destination.write(b"")
    pipe.destination.close()
    assert seen == lines


def test_what_waits_is_bounded_and_what_is_dropped_counted(pipe: Pipe) -> None:
    per_write, writes = 1000, 20
    for number in range(writes):
        pipe.destination.write(make_lines(per_write, number * per_write))
    (report,) = pipe.reports
    assert "dropped" in report
    assert "read" in report
    assert len(pipe.destination._waiting) <= 1024 * 1024
    seen = b""
    while octets := pipe.read():
        seen += octets
        pipe.destination.write(b"")
    kept = seen.count(b"\n")
    assert seen == make_lines(kept)
    assert 10_000 < kept < per_write * writes
    # It is said once a second has passed without.
    pipe.destination.settle()
    assert len(pipe.reports) == 1
    assert pipe.is_unsettled()
    pipe.destination.settle()
    assert f"{per_write * writes - kept:,} lines were dropped" in pipe.reports[1]
    assert not pipe.is_unsettled()
    pipe.destination.write(b"more\n")
    assert pipe.read() == b"more\n"
    pipe.destination.close()
    assert len(pipe.reports) == 2


def test_the_pipe_has_no_reader_any_more(pipe: Pipe) -> None:
    os.close(pipe.reading)
    for _ in range(3):
        pipe.destination.write(make_lines(5))
        pipe.destination.settle()
    assert pipe.reports == ["lines of the access log are dropped: Broken pipe"]
    # There is nothing that could be tried again.
    assert not pipe.is_unsettled()
    pipe.destination.close()
    assert pipe.reports[1:] == ["the access log ends; 15 lines were dropped"]


def test_a_reader_that_never_comes_does_not_hold_up_the_end(pipe: Pipe) -> None:
    pipe.destination.write(make_lines(100))
    pipe.destination.close()
    written = len(pipe.read()) // 100
    assert pipe.reports == [f"the access log ends; {100 - written} lines were dropped"]


class FullDisk:
    """Takes as much as there is room, like a file on a disk that is full (write(2))."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, octets: bytes) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        count = self._write(descriptor, octets[: self.room])
        self.room -= count
        return count


def test_a_disk_that_is_full_for_a_while(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch, 250)
    destination = written.destination
    destination.write(make_lines(5))
    # Two lines and a half are there; the half will be a whole one, two are dropped.
    assert written.path.read_bytes() == make_lines(3)[:250]
    destination.write(make_lines(4, 5))
    destination.settle()
    assert written.reports == ["lines of the access log are dropped: No space left on device"]
    disk.room = 1 << 20
    destination.write(make_lines(1, 9))
    destination.settle()
    destination.settle()
    assert written.path.read_bytes() == make_lines(3) + make_lines(1, 9)
    assert written.reports[1:] == ["the access log is written again; 6 lines were dropped"]
    destination.close()
    assert len(written.reports) == 2


def test_a_line_that_is_half_written_is_not_continued_elsewhere(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, 150)
    written.destination.write(make_lines(2))
    written.path.rename(tmp_path / "full")
    written.destination.reopen()
    disk.room = 1000
    written.destination.write(make_lines(1, 2))
    written.destination.close()
    assert written.path.read_bytes() == make_lines(1, 2)
    assert written.reports[-1] == "the access log ends; 1 line was dropped"


def test_a_log_on_a_full_disk_comes_back_by_itself(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, 10)
    log = written.begin()
    note(log, "cut")
    note(log, "dropped")
    written.turn(1.5)
    disk.room = 1000
    for _ in range(3):
        written.turn(1.5)
    assert [line.split()[6] for line in written.lines] == ["/cut"]
    assert written.reports[1:] == ["the access log is written again; 1 line was dropped"]
    assert log.deadline == math.inf
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_dev_full() -> None:
    reports: list[str] = []
    destination = Destination(open_destination("/dev/full"), lambda: 0, reports.append)
    destination.write(make_lines(3))
    destination.close()
    assert reports == [
        "lines of the access log are dropped: No space left on device",
        "the access log ends; 3 lines were dropped",
    ]


# Which log.


@pytest.mark.parametrize("name", ["", "missing/log", "."])
def test_a_log_that_cannot_be_had_is_the_operators_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="access log"):
        open_destination(os.path.join(tmp_path, name))


def test_a_named_pipe_without_a_reader_does_not_stop_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OperatorError, match="fifo: it is a pipe that no program reads"):
        open_destination(str(tmp_path / "fifo"))


def test_a_log_is_appended_to_and_not_for_every_user(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for octets in (b"a\n", b"b\n"):
        descriptor = open_destination(str(path))
        os.write(descriptor, octets)
        os.close(descriptor)
    assert path.read_bytes() == b"a\nb\n"
    assert path.stat().st_mode & 0o007 == 0


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have another descriptor be stdout."""

    def replace(descriptor: int) -> None:
        stream = io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)

    return replace


@pytest.mark.parametrize(
    ("name", "is_quiet", "is_terminal", "kind"),
    [
        ("", False, False, "TerminalLog"),
        ("", True, True, "NoneType"),
        ("log", False, False, "BatchedLog"),
        ("log", True, True, "BatchedLog"),
        ("log", False, True, "TwoLogs"),
        ("-", False, True, "BatchedLog"),
    ],
)
def test_the_log_that_the_settings_ask_for(
    tmp_path: Path,
    stdout: Callable[[int], None],
    name: str,
    is_quiet: bool,
    is_terminal: bool,
    kind: str,
) -> None:
    reading, writing = pty.openpty() if is_terminal else os.pipe()
    stdout(writing)
    path = str(tmp_path / name) if name == "log" else name
    log = open_log(Settings(quiet=is_quiet, access_log=path), report)
    assert type(log).__name__ == kind
    if log is not None:
        # Only a log for programs shows addresses, which take memory.
        assert log.names_peers == (not isinstance(log, TerminalLog))
        loop = EventLoop(open_poller("auto"), print)
        log.begin(loop)
        log.note("::1", BROWSER, make_answer(), 5, 0.0)
        log.reopen()
        log.close()
        loop.close()
        os.set_blocking(reading, False)
        seen = b""
        with contextlib.suppress(BlockingIOError):
            seen = os.read(reading, 4096)
        assert (b"GET /a?b=c 200 5 " in seen) == (kind in {"TerminalLog", "TwoLogs"})
        assert (b'"GET /a?b=c HTTP/1.1" 200 5 "http://r/"' in seen) == (name == "-")
    os.close(reading)
    os.close(writing)


def test_writing_to_stdout_waits_for_no_reader_and_a_process_that_shares_it_may(
    stdout: Callable[[int], None],
) -> None:
    reading, writing = os.pipe()
    stdout(writing)
    descriptor = open_destination("-")
    assert not os.get_blocking(descriptor)
    assert os.get_blocking(writing)
    for open_one in (reading, writing, descriptor):
        os.close(open_one)


def test_a_file_that_is_stdout_is_continued(tmp_path: Path, stdout: Callable[[int], None]) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        stdout(file.fileno())
        file.write(b"first\n")
        descriptor = open_destination("-")
        os.write(descriptor, b"line\n")
        file.write(b"last\n")
        os.close(descriptor)
    assert (tmp_path / "out").read_bytes() == b"first\nline\nlast\n"
