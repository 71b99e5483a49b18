"""The root: a path, and the folder that it leads to now."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.site.resolve import Kind
from epollo.site.root import Root
from epollo.site.watch import Dependent, Watch
from site_grounds import list_open_below, switch_link


class Followed:
    """A root, with or without a watch, and what it has told."""

    def __init__(self, path: Path, *, is_watched: bool) -> None:
        self.replacements = 0
        self.refusals: list[tuple[str, bool]] = []
        self.second = 100
        self.root = Root(path, self._on_replaced, self._on_out_of_reach)
        self.watch: Watch | None = None
        if is_watched:
            self.watch = Watch(self._on_end, print)
            self.root.begin_watch(self.watch)

    def _on_replaced(self) -> None:
        self.replacements += 1

    def _on_out_of_reach(self, reason: str, is_news: bool) -> None:
        self.refusals.append((reason, is_news))

    def _on_end(self, dependent: Dependent | None, **_: bool) -> None:
        if dependent is None or self.root.is_named_by(dependent):
            self.root.on_change()

    def look(self) -> None:
        """Learn of changes: by events where there is a watch, else by the next second."""
        if self.watch is None:
            self.second += 1
            self.root.follow(self.second)
        else:
            self.watch.on_ready(0)

    def read(self, *names: bytes) -> bytes | None:
        """Return the content of a file below the root; None where there is none."""
        found = self.root.walk(names)
        if found.descriptor < 0:
            return None
        try:
            return os.read(found.descriptor, 100) if found.kind is Kind.FILE else None
        finally:
            os.close(found.descriptor)

    def close(self) -> None:
        if self.watch is not None:
            self.watch.close()
        self.root.close()


@pytest.fixture(params=[True, False], ids=["watched", "blind"])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Followed]:
    make_folder(tmp_path / "above" / "root", "first")
    followed = Followed(tmp_path / "above" / "root", is_watched=request.param)
    yield followed
    followed.close()
    assert not list_open_below(tmp_path)


def make_folder(path: Path, content: str) -> None:
    path.mkdir(parents=True)
    (path / "page.txt").write_text(content)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=name):
        Root(tmp_path / name, lambda: None)
    assert not list_open_below(tmp_path)


def test_a_walk_and_a_look_below_the_root(followed: Followed) -> None:
    assert followed.read(b"page.txt") == b"first"
    assert followed.read(b"other.txt") is None
    assert followed.root.stat((b"page.txt",)).st_size == 5
    with pytest.raises(FileNotFoundError):
        followed.root.stat((b"other.txt",))
    with pytest.raises(ValueError, match="null"):
        followed.root.stat((b"a\0b",))


@pytest.mark.parametrize("replaced", ["root", "above"])
def test_a_folder_takes_the_place_of_the_root_or_of_one_above(
    followed: Followed, tmp_path: Path, replaced: str
) -> None:
    at = tmp_path / "above" / ("root" if replaced == "root" else "")
    for number in range(1, 4):
        at.rename(tmp_path / f"former {number}")
        make_folder(tmp_path / "above" / "root", f"{number}")
        followed.look()
        assert followed.replacements == number
        assert followed.read(b"page.txt") == b"%d" % number


def test_a_root_that_is_gone_is_served_until_it_comes_back(
    followed: Followed, tmp_path: Path
) -> None:
    root = tmp_path / "above" / "root"
    root.rename(tmp_path / "elsewhere")
    followed.look()
    assert followed.read(b"page.txt") == b"first"
    assert followed.replacements == 0
    make_folder(root, "second")
    followed.look()
    assert followed.read(b"page.txt") == b"second"
    assert followed.replacements == 1


def test_a_link_to_the_root_is_switched(tmp_path: Path) -> None:
    make_folder(tmp_path / "one", "one")
    make_folder(tmp_path / "two", "two")
    link = tmp_path / "current"
    link.symlink_to("one")
    followed = Followed(link, is_watched=True)
    try:
        for name in ("two", "one", "two"):
            switch_link(link, name)
            followed.look()
            assert followed.read(b"page.txt") == name.encode()
    finally:
        followed.close()


def test_one_look_a_second(tmp_path: Path) -> None:
    make_folder(tmp_path / "root", "first")
    followed = Followed(tmp_path / "root", is_watched=False)
    try:
        followed.root.follow(followed.second)
        (tmp_path / "root").rename(tmp_path / "former")
        make_folder(tmp_path / "root", "second")
        followed.root.follow(followed.second)
        assert followed.replacements == 0
        followed.root.look_anew()
        followed.root.follow(followed.second)
        assert followed.replacements == 1
    finally:
        followed.close()


def test_a_root_out_of_reach_is_told_of_at_each_look_and_is_news_once(
    followed: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str | bytes, shown: str) -> int:
        raise OperatorError("cannot read it", "root")

    with monkeypatch.context() as patched:
        patched.setattr("epollo.site.root.open_root", refuse)
        (tmp_path / "above" / "root").rename(tmp_path / "former")
        make_folder(tmp_path / "above" / "root", "second")
        followed.look()
        followed.root.look_anew()
        followed.root.follow(1)
    assert {reason for reason, _ in followed.refusals} == {"cannot read it"}
    assert [is_news for _, is_news in followed.refusals].count(True) == 1
    assert len(followed.refusals) > 1
    assert followed.read(b"page.txt") == b"first"
    followed.root.look_anew()
    followed.root.follow(2)
    assert followed.read(b"page.txt") == b"second"


def test_a_path_with_two_dots_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "root", "content")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    followed = Followed(Path("../root"), is_watched=True)
    try:
        monkeypatch.chdir("/")
        followed.look()
        assert followed.root.stat((b"page.txt",)).st_size == 7
        assert followed.replacements == 0
    finally:
        followed.close()


def test_a_root_is_followed_where_the_system_says_nothing_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look of each second outlasts a refusal of stat(2), also of the folders above the root."""

    def refuse(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    make_folder(tmp_path / "root", "first")
    followed = Followed(tmp_path / "root", is_watched=True)
    try:
        with monkeypatch.context() as refused:
            refused.setattr(os, "stat", refuse)
            refused.setattr(os, "fstat", refuse)
            followed.root.follow(101)
        followed.root.follow(102)
        assert followed.read(b"page.txt") == b"first"
        followed.root.on_change()
        make_folder(tmp_path / "next", "second")
        (tmp_path / "root").rename(tmp_path / "former")
        (tmp_path / "next").rename(tmp_path / "root")
        followed.look()
        assert followed.read(b"page.txt") == b"second"
    finally:
        followed.close()
