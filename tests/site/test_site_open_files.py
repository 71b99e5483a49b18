"""What was promised of a large file: it holds until the content changes, and no longer."""

import errno
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from epollo.site.open_files import OpenFile, Promises
from epollo.site.promise import Promise
from epollo.site.resolve import walk
from epollo.site.watch import Dependent, Watch
from site_grounds import Ground, replace

OCTETS = 200_000
OLD = os.urandom(OCTETS)
LONG_AGO_NS = 10**18


class Opened:
    """A large file, opened and promised."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watch = Watch(_ignore, lambda _: None)
        path.write_bytes(OLD)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        self.reopen()

    def reopen(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        self.file = OpenFile(descriptor, Promise(descriptor, self.watch))

    def holds(self) -> bool:
        return self.file.may_send_on(7)

    def close(self) -> None:
        self.file.close()
        self.watch.close()


def _ignore(dependent: Dependent | None, /, **_: bool) -> None:
    pass


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path / "large")
    yield opened
    opened.close()


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Opened]:
    """The same without an event."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(INotify, "add_watch", refuse)
    opened = Opened(tmp_path / "large")
    yield opened
    opened.close()


def rewrite(path: Path, content: bytes = b"y" * OCTETS) -> None:
    """Write over a file in place and set its old time again (``rsync --inplace --times``)."""
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def append(path: Path, content: bytes = b"a line\n") -> None:
    with path.open("ab") as file:
        file.write(content)


def open_for_writing(path: Path) -> None:
    with path.open("r+b"):
        pass


def rename(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.with_name("moved").rename(path)


def link(path: Path) -> None:
    path.with_name("other").hardlink_to(path)
    path.with_name("other").unlink()


HARMLESS: list[Callable[[Path], object]] = [
    lambda path: path.chmod(0o600),
    lambda path: path.touch(),
    open_for_writing,
    rename,
    link,
    lambda path: os.setxattr(path, "user.a", b"b"),
    lambda path: os.chown(path, os.getuid(), os.getgid()),
    append,
    lambda path: path.read_bytes(),
]
NAMES = ["chmod", "touch", "open", "rename", "link", "xattr", "chown", "append", "read"]


@pytest.mark.parametrize("change", HARMLESS, ids=NAMES)
def test_what_leaves_the_content_alone_breaks_no_promise_and_hides_no_write(
    opened: Opened, change: Callable[[Path], object]
) -> None:
    for _ in range(3):
        change(opened.path)
        assert opened.holds()
    change(opened.path)
    opened.watch.on_ready(0)
    rewrite(opened.path)
    assert not opened.holds()
    assert not opened.holds()


@pytest.mark.parametrize("change", HARMLESS, ids=NAMES)
def test_a_write_between_two_harmless_changes_breaks_a_promise(
    opened: Opened, change: Callable[[Path], object]
) -> None:
    change(opened.path)
    rewrite(opened.path)
    change(opened.path)
    assert not opened.holds()


def test_a_file_that_is_deleted_or_replaced_has_its_content_still(opened: Opened) -> None:
    replace(opened.path, b"new")
    assert opened.holds()
    opened.reopen()
    opened.path.unlink()
    assert opened.holds()


def test_every_write_but_an_append_breaks_a_promise(opened: Opened) -> None:
    for content in (b"y", b"y" * 1000, b"y" * OCTETS):
        rewrite(opened.path, content)
        assert not opened.holds()
        opened.path.write_bytes(OLD)
        opened.reopen()
    os.truncate(opened.path, OCTETS - 1)
    assert not opened.holds()


def test_a_file_that_is_made_anew_and_longer_breaks_a_promise(opened: Opened) -> None:
    """Truncated and written between two looks: the file is only longer, but its samples tell."""
    opened.path.write_bytes(b"y" * (OCTETS + 1))
    assert not opened.holds()


def test_what_was_promised_of_a_file_that_keeps_growing(opened: Opened) -> None:
    for _ in range(200):
        append(opened.path)
        assert opened.holds()
        assert not opened.file.is_unchanged(7)
        opened.watch.on_ready(0)
        assert opened.holds()
    assert not opened.file.is_settled
    rewrite(opened.path)
    assert not opened.holds()


def test_a_log_that_another_process_appends_to(opened: Opened) -> None:
    """A look may come in the middle of an append, before its event."""
    script = "import sys\nwhile True:\n f = open(sys.argv[1], 'ab', 0); f.write(b'a line')"
    with subprocess.Popen([sys.executable, "-c", script, opened.path]) as process:
        try:
            while opened.path.stat().st_size == OCTETS:
                assert opened.holds()
            for _ in range(5000):
                opened.watch.on_ready(0)
                assert opened.holds()
        finally:
            process.kill()
    assert opened.path.stat().st_size > OCTETS


def test_events_that_were_lost(opened: Opened) -> None:
    opened.path.chmod(0o600)
    opened.watch.on_fault(RuntimeError())
    assert opened.holds()
    opened.file.may_send_on(7)
    opened.path.touch()
    opened.watch.on_fault(RuntimeError())
    assert opened.holds()


def test_without_events_lengths_times_and_rights_decide(unwatched: Opened) -> None:
    assert unwatched.holds()
    assert unwatched.file.checked_second == 0
    unwatched.path.chmod(0o600)
    assert unwatched.holds()
    append(unwatched.path)
    assert unwatched.holds()
    replace(unwatched.path, b"new")
    assert unwatched.holds()
    unwatched.path.write_bytes(OLD)
    unwatched.reopen()
    # Of a rename and a copy in place that sets the old time again the same is to be seen.
    rewrite(unwatched.path)
    assert not unwatched.holds()


def test_without_events_a_write_that_sets_the_old_time_again_breaks_a_promise(
    unwatched: Opened,
) -> None:
    """Its length, its modification time and its rights are as they were; only the inode's time is not."""
    seen = unwatched.file.promise.seen
    assert seen.modified_ns == LONG_AGO_NS
    while unwatched.path.stat().st_ctime_ns == seen.changed_ns:  # until the clock's next tick
        rewrite(unwatched.path)
    assert not unwatched.holds()


def test_without_events_other_rights_do_not_hide_a_write(unwatched: Opened) -> None:
    write_between_samples(unwatched.path)
    unwatched.path.chmod(0o600)
    assert unwatched.path.stat().st_mtime_ns != LONG_AGO_NS
    assert not unwatched.holds()


def write_between_samples(path: Path) -> None:
    """Write over one octet that no sample of the file has."""
    with path.open("r+b") as file:
        file.seek(5_000)
        file.write(b"y")


def write_at_begin(path: Path) -> None:
    """Write over the first octet."""
    with path.open("r+b") as file:
        file.write(bytes([OLD[0] ^ 1]))


TIMES = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")


def look_while(opened: Opened, change: Callable[[Path], None]) -> None:
    """Look once, while a change is under way that has no event before its end."""
    opened.path.touch()
    opened.watch.on_ready(0)
    change(opened.path)
    look_before_events(opened)


def look_before_events(opened: Opened) -> None:
    """Look once; the promise has to hold, as far as it can be seen."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Watch, "on_ready", lambda *_: None)
        assert opened.holds()
    notice = opened.file.promise.notice
    assert not notice.is_written


def test_the_event_of_an_append_whose_end_was_seen_already_breaks_nothing(opened: Opened) -> None:
    look_while(opened, append)
    opened.watch.on_ready(0)
    assert opened.file.promise.notice.is_written
    assert opened.file.promise.seen.octets > OCTETS
    assert opened.holds()


def test_the_event_of_another_write_whose_time_was_seen_already_breaks_a_promise(
    opened: Opened,
) -> None:
    look_while(opened, write_between_samples)
    assert not opened.holds()


def change_rights(path: Path) -> None:
    path.chmod(0o600)


@pytest.mark.parametrize("write", [write_between_samples, write_at_begin], ids=["between", "begin"])
def test_a_change_of_rights_does_not_explain_a_write_that_is_under_way(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    """The event of a write comes at its end, and its times with its begin."""
    change_rights(opened.path)
    opened.watch.on_ready(0)
    write(opened.path)
    monkeypatch.setattr(Watch, "on_ready", lambda *_: None)
    assert not opened.holds()


def test_a_new_time_does_not_explain_another_begin(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.path.touch()
    opened.watch.on_ready(0)
    write_at_begin(opened.path)
    monkeypatch.setattr(Watch, "on_ready", lambda *_: None)
    assert not opened.holds()


def test_a_write_that_is_under_way_at_two_looks_breaks_a_promise(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_while(opened, write_between_samples)
    monkeypatch.setattr(Watch, "on_ready", lambda *_: None)
    times = opened.path.stat()
    seen = opened.file.promise.seen
    with opened.path.open("r+b") as file, monkeypatch.context() as patched:
        file.write(b"y")
        file.flush()
        # The same write, whose times are those of its begin.
        status = os.stat_result([*times[:10]], {name: getattr(times, name) for name in TIMES})
        patched.setattr(os, "fstat", lambda _: status)
        assert opened.file.promise.seen is seen
        assert not opened.holds()


def test_a_write_after_an_append_breaks_a_promise(opened: Opened) -> None:
    append(opened.path)
    assert opened.holds()
    seen = opened.file.promise.seen
    while opened.path.stat().st_ctime_ns == seen.changed_ns:  # until the clock's next tick
        write_between_samples(opened.path)
    assert not opened.holds()


def test_an_event_asks_for_a_look(opened: Opened) -> None:
    assert opened.holds()
    assert opened.file.checked_second == 7
    opened.path.chmod(0o600)
    opened.watch.on_ready(0)
    assert opened.file.checked_second == 0


def test_a_file_that_was_copied_with_its_old_time_is_not_settled(opened: Opened) -> None:
    assert not opened.file.settle()
    assert opened.path.stat().st_mtime_ns == LONG_AGO_NS


def test_a_file_that_cannot_be_looked_at_breaks_its_promise(opened: Opened) -> None:
    opened.file.close()
    assert not opened.holds()


def test_a_promise_is_found_again_while_it_holds(opened: Opened) -> None:
    promises = Promises(opened.watch)
    descriptor = opened.file.descriptor
    first = promises.find(descriptor)
    opened.path.chmod(0o600)
    rename(opened.path)
    assert promises.find(descriptor) is first
    tags = {first.provisional_tag}
    for number in range(20):
        rewrite(opened.path, b"%d" % number * OCTETS)
        tags.add(promises.find(descriptor).provisional_tag)
    assert len(tags) == 21
    # Another date is another version, for a write through a mapping changes nothing else.
    before = promises.find(descriptor)
    opened.path.touch()
    assert promises.find(descriptor) is not before


def test_nothing_is_watched_when_nothing_rests_on_it(opened: Opened) -> None:
    promises = Promises(opened.watch)
    promises.find(opened.file.descriptor)
    opened.file.close()
    del opened.file
    promises.clear()
    opened.path.chmod(0o600)
    opened.watch.on_ready(0)
    append(opened.path)
    assert not select.select([opened.watch.descriptor], [], [], 0)[0]
    opened.reopen()


def test_a_log_that_grows_faster_than_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_bytes(OLD)

    def append_and_walk(*arguments: object, **options: object) -> object:
        if (b"log",) in arguments:  # and not a rule file
            append(log)
        return walk(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("epollo.site.root.walk", append_and_walk)
    with Ground(tmp_path, kept_octets_limit=1000) as ground:
        content = ground.get("/log")
        assert content == OLD + b"a line\n"
        assert ground.get("/log") == OLD + b"a line\n" * 3
