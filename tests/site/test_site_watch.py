"""What ends a version: names in folders, and nothing else."""

import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epollo.site.resolve import Edge
from epollo.site.watch import Dependent, Interest, Watch
from site_grounds import Ground


class Rest:
    """Something that rests on names."""

    def __init__(self, *edges: Edge) -> None:
        self.edges = edges


class Watched:
    """A watch, and what it said."""

    def __init__(self) -> None:
        self.ended: list[Dependent | None] = []
        self.written: list[Dependent | None] = []
        self.of_many = 0
        self.reports: list[str] = []
        self.watch = Watch(self._on_end, self.reports.append)

    def _on_end(
        self, dependent: Dependent | None, /, *, is_written: bool = False, is_of_many: bool = False
    ) -> None:
        self.of_many += is_of_many
        self.ended.append(dependent)
        if is_written:
            self.written.append(dependent)

    def add(self, folder: Path, interest: Interest = Interest.ALL) -> int:
        descriptor = os.open(folder, os.O_PATH)
        try:
            return self.watch.add_folder(descriptor, interest)
        finally:
            os.close(descriptor)

    def depend(self, folder: Path, name: bytes, interest: Interest = Interest.ALL) -> Rest:
        rest = Rest(Edge(self.add(folder, interest), name))
        self.watch.depend(rest)
        return rest

    def drain(self) -> list[Dependent | None]:
        self.watch.on_ready(select.EPOLLIN)
        ended = list(self.ended)
        self.ended.clear()
        return ended

    def is_ready(self) -> bool:
        return bool(select.select([self.watch.descriptor], [], [], 0)[0])


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.close()


def test_a_write_is_told_from_other_changes(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    rest = watched.depend(tmp_path, b"file")

    def is_written_by(change: Callable[[], object]) -> bool:
        watched.written.clear()
        change()
        assert rest in watched.drain()
        return rest in watched.written

    assert not is_written_by(lambda: path.chmod(0o600))
    assert not is_written_by(lambda: os.utime(path))
    assert not is_written_by(lambda: path.rename(tmp_path / "other"))
    assert not is_written_by(lambda: (tmp_path / "other").rename(path))
    with path.open("r+b", buffering=0) as file:
        assert is_written_by(lambda: file.write(b"CONTENT"))
        assert is_written_by(lambda: os.truncate(path, 1))
    assert not is_written_by(path.unlink)


def test_only_the_name_that_changed_ends_something(watched: Watched, tmp_path: Path) -> None:
    a, b = (watched.depend(tmp_path, name) for name in (b"a", b"b"))
    (tmp_path / "a").touch()
    assert set(watched.drain()) == {a}
    (tmp_path / "b").mkdir()
    assert set(watched.drain()) == {b}
    (tmp_path / "c").touch()
    assert watched.drain() == []


@pytest.mark.parametrize("is_of_one_name", [True, False])
def test_how_much_ends_is_told(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_of_one_name: bool
) -> None:
    """What ends with a name, or with the folder itself; very much is everything."""
    monkeypatch.setattr("epollo.site.watch._MANY", 2)
    monkeypatch.setattr("epollo.site.watch._VERY_MANY", 3)
    folder = tmp_path / "folder"
    folder.mkdir()
    rests: list[Dependent | None] = []
    # Each change comes twice: there and back.
    for number, of_many in ((2, 0), (3, 6), (4, 0)):
        while len(rests) < number:
            name = b"name" if is_of_one_name else b"%d" % len(rests)
            rests.append(watched.depend(folder, name))
        if is_of_one_name:
            (folder / "name").mkdir()
            (folder / "name").rmdir()
            ended = watched.drain()
            assert len(ended) == 2 * number if number < 4 else ended == [None, None]
        else:
            folder.rename(tmp_path / "other")
            ended = watched.drain()
            (tmp_path / "other").rename(folder)
            watched.watch.on_ready(select.EPOLLIN)
            assert set(ended) == set(rests) if number < 4 else ended == [None]
        assert watched.of_many == of_many
        watched.of_many = 0
        watched.ended.clear()


def test_folder_that_goes_ends_everything_in_it(watched: Watched, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    rests = {watched.depend(folder, name) for name in (b"a", b"b")}
    folder.rename(tmp_path / "other")
    assert set(watched.drain()) == rests
    (tmp_path / "other").rmdir()
    assert set(watched.drain()) == rests
    folder.mkdir()
    again = watched.depend(folder, b"a")
    (folder / "a").touch()
    assert set(watched.drain()) == {again}


def test_folder_is_watched_once_and_until_nothing_depends_on_it(
    watched: Watched, tmp_path: Path
) -> None:
    a, b = watched.depend(tmp_path, b"a"), watched.depend(tmp_path, b"b")
    assert a.edges[0].folder == b.edges[0].folder
    watched.watch.forget(a)
    (tmp_path / "b").touch()
    assert set(watched.drain()) == {b}
    watched.watch.forget(b)
    watched.watch.forget(b)
    watched.drain()
    (tmp_path / "b").touch()
    assert not watched.is_ready()
    again = watched.depend(tmp_path, b"b")
    (tmp_path / "b").touch()
    assert set(watched.drain()) == {again}


def test_more_interest_in_a_folder_loses_none(watched: Watched, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").touch()
    itself = watched.depend(folder, b"", Interest.ITSELF)
    (folder / "b").touch()
    assert not watched.is_ready()
    name = watched.depend(folder, b"b", Interest.NAMES)
    (folder / "a").write_text("content")
    assert not watched.is_ready()
    content = watched.depend(folder, b"a")
    (folder / "a").write_text("more")
    assert set(watched.drain()) == {content}
    (folder / "b").unlink()
    assert set(watched.drain()) == {name}
    folder.rename(tmp_path / "other")
    assert set(watched.drain()) == {itself, name, content}


def test_names_that_are_not_utf_8(watched: Watched, tmp_path: Path) -> None:
    rest = watched.depend(tmp_path, b"\xff\n")
    (tmp_path / os.fsdecode(b"\xff\n")).touch()
    assert set(watched.drain()) == {rest}


def test_folders_that_may_not_be_watched_are_reported_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("inotify_simple.INotify.add_watch", refuse)
    for _ in range(3):
        watched.depend(tmp_path, b"a")
    assert watched.drain() == []
    assert len(watched.reports) == 1


def test_work_of_others_above_the_root_wakes_no_loop(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "root"
    root.mkdir(parents=True)
    (root / "page.txt").write_text("content")
    with Ground(root) as ground:
        ground.get("/page.txt")
        page = ground.catalogue.find((b"page.txt",))
        watch = ground.catalogue.watch
        assert watch is not None
        watch.on_ready(select.EPOLLIN)
        for folder in (tmp_path, tmp_path / "a"):
            (folder / "file").write_text("x")
            (folder / "file").unlink()
            (folder / "folder").mkdir()
        (tmp_path / "a" / "b" / "other").mkdir()
        (tmp_path / "a" / "b" / "file").touch()
        ready, _, _ = select.select([watch.descriptor], [], [], 0)
        # Right above the root names count, so that one that comes back is seen.
        assert ready
        watch.on_ready(select.EPOLLIN)
        assert page.is_current
        (tmp_path / "file").write_text("x")
        (tmp_path / "a" / "file").write_text("x")
        assert select.select([watch.descriptor], [], [], 0) == ([], [], [])


def test_root_given_as_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for content in ("one", "two"):
        if content == "one":
            root.mkdir()
            monkeypatch.chdir(root)
            ground = Ground(Path())
        else:
            root.rename(tmp_path / "old")
            root.mkdir()
        (root / "page.txt").write_text(content)
        assert ground.get("/page.txt") == content.encode()
    ground.close()
