"""A coder and those that use it: real processes, real sockets."""

import os
import queue
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coder.coding import TEXT, Coding, Wanted, WantedFile, decode
from epollo.coder import child
from epollo.coder.messages import REQUESTS_LIMIT
from epollo.coder.sockets import HELLO
from epollo.errors import ExhaustedError
from epollo.http.message import FileSegment
from epollo.loop import EventLoop
from epollo.site.codings import CODINGS, LARGE_OCTETS
from epollo.site.entity_tags import tag_content
from epollo.site.pieces import PIECE_OCTETS
from epollo.site.representation import KeptFile
from epollo.site.sealed import KEPT_FILE_OCTETS, SealedOctets

NAMES = {coding.name for coding in CODINGS}
LONG = b"".join(b"%d and more of it\n" % (number * 7919 % 100_003) for number in range(60_000))


@pytest.fixture(scope="module")
def shared() -> Iterator[Coding]:
    coding = Coding()
    yield coding
    coding.close()


@pytest.fixture
def coding() -> Iterator[Coding]:
    coding = Coding()
    yield coding
    coding.close()


def inode(content: bytes | SealedOctets) -> int:
    assert isinstance(content, SealedOctets)
    return os.fstat(content.descriptor).st_ino


def test_codings_are_those_of_the_content(shared: Coding) -> None:
    wanted = Wanted(TEXT)
    assert shared.open_compressor().add(wanted.task())
    shared.await_true(wanted.is_done)
    assert wanted.decoded() == dict.fromkeys(NAMES, TEXT)
    for coded in wanted.made.values():
        assert isinstance(coded.content, bytes)
        assert coded.entity_tag == tag_content(coded.content)
    assert wanted.limits == {name: coded.length for name, coded in wanted.made.items()}


def test_many_are_answered_each_with_its_own(shared: Coding) -> None:
    compressor = shared.open_compressor()
    all_wanted = [Wanted(TEXT + b"%d" % number * 50) for number in range(4 * REQUESTS_LIMIT)]
    for wanted in all_wanted:
        assert compressor.add(wanted.task())
    shared.await_true(lambda: all(wanted.is_done() for wanted in all_wanted))
    for wanted in all_wanted:
        assert wanted.decoded() == dict.fromkeys(NAMES, wanted.content)
        assert wanted.done == 1


def test_what_does_not_shrink_has_no_coding(shared: Coding) -> None:
    noise = os.urandom(5000)
    wanted = Wanted(noise)
    shared.open_compressor().add(wanted.task())
    shared.await_true(wanted.is_done)
    assert not wanted.made
    assert wanted.limits == dict.fromkeys(NAMES, len(noise))


def test_two_workers_get_the_same_file_in_memory(shared: Coding) -> None:
    # Ten times what is kept as a file, of which each coding is more than that.
    first, second = Wanted(LONG), Wanted(FileSegment(KeptFile(LONG), 0, len(LONG)))
    for wanted in (first, second):
        shared.open_compressor().add(wanted.task())
        shared.await_true(wanted.is_done)
    assert first.decoded() == second.decoded() == dict.fromkeys(NAMES, LONG)
    for name in NAMES:
        assert first.made[name].length >= KEPT_FILE_OCTETS
        assert inode(first.made[name].content) == inode(second.made[name].content)
        assert first.made[name].entity_tag == second.made[name].entity_tag


def test_better_ones_are_made_if_they_are_shorter(shared: Coding) -> None:
    compressor = shared.open_compressor()
    content = LONG[:40_000]
    quick, best, in_vain = Wanted(content), Wanted(content), Wanted(content)
    compressor.add(quick.task())
    shared.await_true(quick.is_done)
    compressor.improve(best.task(), quick.limits)
    shared.await_true(best.is_done)
    assert best.decoded().get(b"br") == content
    for name, coded in best.made.items():
        assert coded.length < quick.made[name].length
    compressor.improve(in_vain.task(), {b"br": best.made[b"br"].length})
    shared.await_true(in_vain.is_done)
    assert not in_vain.made


def test_a_sidecar_that_can_be_used_is_not_made(shared: Coding) -> None:
    wanted, other = Wanted(TEXT), Wanted(TEXT)
    compressor = shared.open_compressor()
    compressor.add(other.task())
    shared.await_true(other.is_done)
    sidecar = other.made[b"gzip"].content
    assert isinstance(sidecar, bytes)
    all_of_them = {name: one.content for name, one in other.made.items()}
    compressor.add(wanted.task({b"gzip": sidecar, b"br": b"no brotli"}))
    shared.await_true(wanted.is_done)
    assert wanted.made[b"gzip"].content is sidecar
    assert wanted.decoded() == dict.fromkeys(NAMES, TEXT)
    # And where all can be used, no coder is asked.
    wanted = Wanted(TEXT)
    compressor.add(wanted.task({name: bytes(one) for name, one in all_of_them.items()}))  # type: ignore[arg-type]
    shared.await_true(wanted.is_done)
    assert set(wanted.made) == NAMES


@pytest.mark.parametrize("content", [LONG[:30_000], LONG, b"a" * LARGE_OCTETS], ids=len)
def test_a_file_that_is_not_kept(shared: Coding, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    wanted = WantedFile(path, b"text/plain")
    assert shared.open_compressor().add_file(wanted.task)
    # With those that are short, each is made better.
    times = len(NAMES) + (len(content) < PIECE_OCTETS)
    shared.await_true(lambda: set(wanted.made) == NAMES and wanted.times >= times)
    assert wanted.is_text
    assert wanted.decoded() == dict.fromkeys(NAMES, content)


def test_a_file_whose_codings_are_too_long_has_none(shared: Coding, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LONG[:50_000])
    wanted, small = WantedFile(path, limit=100), Wanted(TEXT)
    compressor = shared.open_compressor()
    assert compressor.add_file(wanted.task)
    compressor.add(small.task())
    shared.await_true(lambda: small.is_done() and not compressor._link._under_way)  # type: ignore[union-attr]
    assert not wanted.made


def test_a_file_that_changes_gets_no_coding_of_both(coding: Coding, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * LARGE_OCTETS)
    wanted = WantedFile(path)
    compressor = coding.open_compressor()
    assert compressor.add_file(wanted.task)
    with path.open("r+b") as file:
        # While it is read, or before; nothing tells which.
        for offset in range(0, LARGE_OCTETS, PIECE_OCTETS):
            file.seek(offset)
            file.write(b"CHANGED")
            file.flush()
            coding.loop.run_batch(0.0)
    content = path.read_bytes()
    after = Wanted(TEXT)
    compressor.add(after.task())
    coding.await_true(lambda: after.is_done() and not compressor._link._under_way)  # type: ignore[union-attr]
    assert not wanted.made or wanted.decoded() == dict.fromkeys(wanted.made, content)


def test_a_coder_that_dies_is_replaced_and_asked_again(coding: Coding) -> None:
    compressor, other = coding.open_compressor(), coding.open_compressor()
    first = Wanted(TEXT)
    compressor.add(first.task())
    coding.await_true(first.is_done)
    former = coding.coder_pid
    os.kill(former, signal.SIGSTOP)
    all_wanted = [Wanted(TEXT + b"%d" % number) for number in range(40)]
    for number, wanted in enumerate(all_wanted):
        (compressor if number % 2 else other).add(wanted.task())
    coding.loop.run_batch(0.0)
    os.kill(former, signal.SIGKILL)
    coding.await_true(lambda: all(wanted.is_done() for wanted in all_wanted))
    assert coding.coder_pid != former
    assert all(wanted.decoded() == dict.fromkeys(NAMES, wanted.content) for wanted in all_wanted)
    assert [line for line in coding.lines if "was ended by SIGKILL" in line]


def test_a_coder_that_is_stopped_is_killed_and_replaced(coding: Coding) -> None:
    compressor, other = coding.open_compressor(), coding.open_compressor()
    first = Wanted(TEXT)
    compressor.add(first.task())
    coding.await_true(first.is_done)
    former = coding.coder_pid
    os.kill(former, signal.SIGSTOP)
    wanted = [Wanted(TEXT + b"%d" % number) for number in range(40)]
    for one in wanted:
        compressor.add(one.task())
    # One that asks for it only now waits as well: its socket goes to what does not read.
    late = Wanted(TEXT + b"late")
    other.add(late.task())
    coding.await_true(lambda: late.is_done() and all(one.is_done() for one in wanted))
    assert coding.coder_pid != former
    (line,) = coding.lines
    assert re.match(r"the coder does not answer for \d+ s, and is killed; files are sent", line)


def test_a_coder_that_is_stopped_and_told_to_continue_is_kept(coding: Coding) -> None:
    compressor = coding.open_compressor()
    first, second = Wanted(TEXT), Wanted(LONG)
    compressor.add(first.task())
    coding.await_true(first.is_done)
    former = coding.coder_pid
    os.kill(former, signal.SIGSTOP)
    compressor.add(second.task())
    child = coding.supply._coder
    assert child is not None
    coding.await_true(lambda: child._idle_ticks >= 1)
    os.kill(former, signal.SIGCONT)
    coding.await_true(lambda: second.is_done() and child._asked_at is None)
    assert coding.coder_pid == former
    assert not coding.lines


def test_a_coder_that_does_not_end_when_it_is_killed_is_collected_later(
    coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that does not return, of a dead disk, keeps a process until it does."""
    monkeypatch.setattr("epollo.coder.child._END_SECONDS", 0.0)
    compressor = coding.open_compressor()
    first, second = Wanted(TEXT), Wanted(TEXT + b"second")
    compressor.add(first.task())
    coding.await_true(first.is_done)
    former = coding.coder_pid
    with monkeypatch.context() as patched:
        patched.setattr(os, "waitpid", lambda *_: (0, 0))
        os.kill(former, signal.SIGKILL)
        coding.await_true(lambda: bool(coding.lines))
    assert coding.lines[0].startswith("the coder does not end although it was killed; files")
    compressor.add(second.task())
    coding.await_true(lambda: second.is_done() and not Path(f"/proc/{former}").exists())


def test_where_children_were_ignored_a_coder_is_replaced(coding: Coding) -> None:
    """A program may have started this one with SIGCHLD ignored: its children would leave no status."""
    compressor = coding.open_compressor()
    first, second = Wanted(TEXT), Wanted(TEXT + b"second")
    former_action = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        compressor.add(first.task())
        coding.await_true(first.is_done)
        os.kill(coding.coder_pid, signal.SIGKILL)
        compressor.add(second.task())
        coding.await_true(second.is_done)
        coding.supply.close()
    finally:
        signal.signal(signal.SIGCHLD, former_action)
    assert coding.lines == [
        "the coder was ended by SIGKILL; files are sent as they are until another one codes them"
    ]


def test_one_that_floods_a_coder_with_sockets_has_one(coding: Coding) -> None:
    compressor = coding.open_compressor()
    wanted = Wanted(TEXT)
    compressor.add(wanted.task())
    coding.await_true(wanted.is_done)
    given: list[int] = []
    folder = Path(f"/proc/{coding.coder_pid}/fd")
    before = len(list(folder.iterdir()))
    number = coding.new_number()

    def take(descriptor: int | None) -> None:
        assert descriptor is not None
        given.append(descriptor)

    for count in range(1, 101):
        coding.supply.ask(take, number)
        coding.await_true(lambda: len(given) >= count)  # noqa: B023
    after = Wanted(TEXT + b"after")
    compressor.add(after.task())
    coding.await_true(after.is_done)
    assert len(list(folder.iterdir())) <= before + 2
    # The last of them is served, and the others were closed.
    ends = [socket.socket(fileno=descriptor) for descriptor in given]
    assert ends[0].recv(64) in {b"", HELLO}
    for end in ends:
        end.close()
    assert not coding.lines


_MUTE = """
import array, signal, socket
signal.alarm(60)
control = socket.socket(fileno=3)
_, (descriptor,), _, _ = socket.recv_fds(control, 64, 1)
client = socket.socket(fileno=descriptor)
client.send(b"hello")
control.recv(64)
"""


def start_mute_program(control: int, *_: object) -> int:
    """Start a coder that greets a client, and does nothing more."""
    moves = [(os.POSIX_SPAWN_DUP2, control, 3)]
    return os.posix_spawn(
        sys.executable, [sys.executable, "-c", _MUTE], os.environ, file_actions=moves
    )


def test_what_a_coder_dies_of_is_not_asked_for_for_ever(
    coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.coder.supply._FIRST_DELAY_SECONDS", 0.0)
    compressor = coding.open_compressor()
    wanted = Wanted(TEXT)
    with monkeypatch.context() as patched:
        patched.setattr("epollo.coder.child._start", start_mute_program)
        compressor.add(wanted.task())
        killed: list[int] = []

        def is_asked_another() -> bool:
            link, coder = compressor._link, coding.supply._coder
            is_asked = link is not None and bool(link._under_way)
            return is_asked and coder is not None and coder.pid not in killed

        for _ in range(2):
            coding.await_true(is_asked_another)
            killed.append(coding.coder_pid)
            os.kill(coding.coder_pid, signal.SIGKILL)
        coding.await_true(lambda: compressor._link is None)
    assert not any(compressor._waiting)
    # What comes after it is done all the same.
    after = Wanted(TEXT)
    compressor.add(after.task())
    coding.await_true(after.is_done)
    assert not wanted.is_done()


def test_where_coders_die_early_the_thread_codes(
    coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.coder.supply._FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(
        "epollo.coder.child._start", lambda *_: os.posix_spawn("/bin/false", ["false"], {})
    )
    compressor = coding.open_compressor()
    wanted = [Wanted(TEXT), Wanted(LONG)]
    for one in wanted:
        compressor.add(one.task())
    coding.await_true(lambda: all(one.is_done() for one in wanted))
    assert [one.decoded() for one in wanted] == [
        dict.fromkeys(NAMES, TEXT),
        dict.fromkeys(NAMES, LONG),
    ]
    assert coding.lines[-1] == "no coder is started any more; each process codes for itself"


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can be started."""

    def refuse(*_: object) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("epollo.coder.supply._FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr("epollo.coder.child._start", refuse)


@pytest.mark.usefixtures("no_process")
def test_where_no_process_can_be_started_the_thread_codes(coding: Coding) -> None:
    wanted = Wanted(TEXT)
    coding.open_compressor().add(wanted.task())
    coding.await_true(wanted.is_done)
    assert wanted.decoded() == dict.fromkeys(NAMES, TEXT)
    assert "cannot start a coder: Resource temporarily unavailable" in coding.lines[0]


def test_no_coder_is_started_that_could_not_be_heard(
    coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ExhaustedError("cannot watch one more connection or file (No space left on device)")

    started: list[object] = []
    compressor = coding.open_compressor()
    wanted = Wanted(TEXT)
    with monkeypatch.context() as patched:
        patched.setattr(EventLoop, "add", refuse)
        patched.setattr("epollo.coder.child._start", lambda *_: started.append(_))
        compressor.add(wanted.task())
    assert not started
    assert coding.lines[0].startswith("cannot start a coder: cannot watch one more")
    coding.await_true(wanted.is_done)


@pytest.fixture
def beside() -> Iterator[Coding]:
    """A parent that answers requests itself."""
    coding = Coding(beside=True)
    yield coding
    coding.close()


class Slowly:
    """Starts a coder once it may."""

    def __init__(self) -> None:
        self.may_start = threading.Event()
        self.pids: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._start = child._start

    def __call__(self, *arguments: Any) -> int:
        assert self.may_start.wait(60)
        pid = self._start(*arguments)
        self.pids.put(pid)
        return pid


def test_no_request_waits_until_a_coder_has_started(
    beside: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Slowly()
    monkeypatch.setattr("epollo.coder.child._start", start)
    wanted = Wanted(TEXT)
    compressor = beside.open_compressor()
    compressor.add(wanted.task())
    assert beside.coder_pid == 0
    beside.supply.look()
    start.may_start.set()
    beside.await_true(wanted.is_done)
    assert wanted.decoded() == dict.fromkeys(NAMES, TEXT)
    assert beside.coder_pid == start.pids.get()
    assert not beside.lines


def test_a_coder_that_is_not_wanted_by_the_time_it_runs_is_ended(
    beside: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Slowly()
    monkeypatch.setattr("epollo.coder.child._start", start)
    beside.open_compressor().add(Wanted(TEXT).task())
    coder = beside.supply._coder
    assert coder is not None
    beside.supply.close()
    start.may_start.set()
    beside.await_true(lambda: coder.pid > 0)
    assert coder.pid == start.pids.get()

    def is_collected() -> bool:
        try:
            os.kill(coder.pid, 0)
        except ProcessLookupError:
            return True
        return False

    beside.await_true(is_collected)
    assert not beside.lines


@pytest.mark.usefixtures("no_process")
def test_a_coder_that_cannot_start_beside_the_loop_is_told_of(beside: Coding) -> None:
    wanted = Wanted(TEXT)
    beside.open_compressor().add(wanted.task())
    beside.await_true(wanted.is_done)
    assert wanted.decoded() == dict.fromkeys(NAMES, TEXT)
    assert beside.lines[0].startswith("the coder cannot start: Resource temporarily unavailable; ")
    assert beside.lines[-1] == "no coder is started any more; each process codes for itself"


def test_what_is_not_wanted_any_more_is_not_asked_for(coding: Coding) -> None:
    compressor = coding.open_compressor()
    gone, there = Wanted(TEXT), Wanted(TEXT)
    gone.is_current = False
    compressor.add(gone.task())
    compressor.add(there.task())
    coding.await_true(there.is_done)
    assert not gone.is_done()


def test_few_wait(coding: Coding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epollo.coder.client.TASKS_LIMIT", 1)
    compressor = coding.open_compressor()
    monkeypatch.setattr(coding.supply, "ask", lambda *_: None)
    # Also of what is kept and large.
    assert compressor.add(Wanted(b"a" * LARGE_OCTETS).task())
    assert not compressor.has_room()
    assert not compressor.add(Wanted(TEXT).task())
    assert not compressor.improve(Wanted(TEXT).task(), {b"br": 9})


def test_closing_ends_the_process_and_starts_no_other(coding: Coding) -> None:
    compressor = coding.open_compressor()
    wanted = Wanted(TEXT)
    compressor.add(wanted.task())
    coding.await_true(wanted.is_done)
    pid = coding.coder_pid
    coding.supply.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    compressor.add(Wanted(TEXT).task())
    coding.supply.ask(lambda _: pytest.fail("nothing is given any more"), 7)
    for _ in range(3):
        coding.loop.run_batch(0.0)
    assert coding.supply._coder is None
    assert not coding.lines


def test_a_result_for_a_compressor_that_is_closed_is_dropped(coding: Coding) -> None:
    compressor = coding.open_compressor()
    wanted = Wanted(TEXT)
    compressor.add(wanted.task())
    compressor.close()
    after = Wanted(TEXT)
    coding.open_compressor().add(after.task())
    coding.await_true(after.is_done)
    assert not wanted.is_done()
    assert decode(b"br", after.made[b"br"]) == TEXT


def open_kept(content: bytes) -> FileSegment:
    return FileSegment(KeptFile(content), 0, len(content))


def test_content_that_is_kept_is_exchanged_for_the_file_of_another(shared: Coding) -> None:
    content = os.urandom(200_000)
    given: list[SealedOctets] = []
    mine = [open_kept(content) for _ in range(3)]
    for one in mine:
        before = len(given)
        shared.open_compressor().share(one, lambda: True, given.append)
        shared.await_true(lambda: len(given) > before)  # noqa: B023
    first = os.fstat(mine[0].file.descriptor).st_ino
    assert [inode(one) for one in given] == [first] * 3
    assert given[2].read(0, given[2].length) == content
    # The one that offered it first lets go of it: the others have it all the same.
    del mine[0], given[0]
    assert given[1].read(0, 9) == content[:9]


def test_other_content_is_never_exchanged(shared: Coding) -> None:
    compressor = shared.open_compressor()
    contents = [os.urandom(99_999) + bytes([number]) for number in range(6)]
    given: dict[int, SealedOctets] = {}
    kept = [open_kept(content) for content in contents]
    for number, one in enumerate(kept):
        compressor.share(one, lambda: True, partial(given.__setitem__, number))
    shared.await_true(lambda: len(given) == len(contents))
    for number, content in enumerate(contents):
        assert given[number].read(0, len(content)) == content


def test_what_is_not_kept_any_more_is_not_offered(shared: Coding) -> None:
    compressor = shared.open_compressor()
    compressor.share(open_kept(os.urandom(99_999)), lambda: False, lambda _: pytest.fail("used"))
    after = Wanted(TEXT)
    compressor.add(after.task())
    shared.await_true(after.is_done)
