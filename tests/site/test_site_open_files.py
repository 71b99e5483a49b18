"""What was promised of a large file: it holds until the content changes, and no longer."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from epollo.site.open_files import OpenFile
from epollo.site.promise import Promise
from epollo.site.watch import Dependent, Watch
from site_grounds import replace

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


def _ignore(dependent: Dependent | None, /, *, is_written: bool = False) -> None:
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
