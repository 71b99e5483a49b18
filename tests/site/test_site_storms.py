"""Storms of changes: what is read of them is bounded, and no change is hidden by them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epollo.site.events import Events
from epollo.site.promise import Promise
from epollo.site.resolve import Edge
from epollo.site.watch import Dependent, Interest, Notice, Watch
from site_grounds import Ground

STORM_SECONDS = 3


class Storm:
    """Two files whose content is written to in turn, so that the kernel joins no two events of it."""

    def __init__(self, folder: Path) -> None:
        self._files = [
            os.open(folder / name, os.O_WRONLY | os.O_CREAT) for name in ("one.log", "other.log")
        ]

    def rage(self, changes: int) -> None:
        for _ in range(changes // 2):
            for file in self._files:
                os.pwrite(file, b"x", 0)

    def close(self) -> None:
        for file in self._files:
            os.close(file)

    def __enter__(self) -> "Storm":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Rest:
    """Something that rests on names."""

    def __init__(self, *edges: Edge) -> None:
        self.edges = edges


class Watched:
    """A watch whose time is turned, and what it said."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.ended: list[Dependent | None] = []
        self.storms = 0
        self.watch = Watch(self._on_end, pytest.fail, Events(lambda: self.seconds))
        self.watch.call_in_storm(self._on_storm)

    def _on_end(self, dependent: Dependent | None, /, **_: bool) -> None:
        self.ended.append(dependent)

    def _on_storm(self) -> None:
        self.storms += 1

    def add(self, path: Path, interest: Interest = Interest.ALL) -> int:
        descriptor = os.open(path, os.O_PATH)
        try:
            return self.watch.add_folder(descriptor, interest)
        finally:
            os.close(descriptor)

    def depend(self, folder: Path, name: bytes = b"file") -> Rest:
        rest = Rest(Edge(self.add(folder), name))
        self.watch.depend(rest)
        return rest

    def drain(self) -> list[Dependent | None]:
        self.watch.on_ready(0)
        ended = list(self.ended)
        self.ended.clear()
        return ended


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.close()


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    storm = Storm(tmp_path)
    yield storm
    storm.close()


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    folder = tmp_path / "quiet"
    folder.mkdir()
    return folder


@pytest.fixture
def read_octets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much each read took that found events."""
    real_read = os.read
    lengths: list[int] = []

    def read(descriptor: int, limit: int) -> bytes:
        octets = real_read(descriptor, limit)
        lengths.append(len(octets))
        return octets

    monkeypatch.setattr(os, "read", read)
    return lengths


def test_a_turn_ends_while_changes_continue(
    watched: Watched, storm: Storm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watched.depend(tmp_path)
    real_read = os.read
    turns: list[int] = []

    def read(descriptor: int, limit: int) -> bytes:
        octets = real_read(descriptor, limit)
        if descriptor == watched.watch.descriptor:
            turns.append(len(octets))
            assert len(turns) < 10, "a storm keeps this turn"
            storm.rage(6000)
        return octets

    monkeypatch.setattr(os, "read", read)
    storm.rage(6000)
    watched.drain()
    assert turns


def test_a_storm_is_not_read_on(
    watched: Watched, storm: Storm, read_octets: list[int], tmp_path: Path
) -> None:
    watched.depend(tmp_path)
    storm.rage(100)
    assert watched.drain() == []
    assert watched.storms == 0
    storm.rage(6_000)
    watched.drain()
    assert watched.storms == 1
    assert watched.watch.is_blind
    read_octets.clear()
    for _ in range(10):
        storm.rage(6_000)
        watched.depend(tmp_path)
        watched.drain()
    assert read_octets == []
    assert watched.storms == 1


def test_what_rests_on_a_folder_in_a_storm_is_doubted_at_each_look(
    watched: Watched, storm: Storm, tmp_path: Path
) -> None:
    rest = watched.depend(tmp_path)
    storm.rage(12_000)
    assert watched.drain() == [rest]
    for _ in range(3):
        watched.watch.forget(rest)
        assert watched.drain() == []
        rest = watched.depend(tmp_path)
        assert watched.drain() == [rest]


def test_another_folder_is_watched_on(
    watched: Watched, storm: Storm, tmp_path: Path, quiet: Path
) -> None:
    """What was told of it stands behind the storm."""
    one, other = watched.depend(quiet, b"one"), watched.depend(quiet, b"other")
    rest = watched.depend(tmp_path)
    storm.rage(12_000)
    (quiet / "one").touch()
    assert set(watched.drain()) == {rest, one}
    (quiet / "other").touch()
    assert set(watched.drain()) == {rest, other}


def test_more_than_the_kernel_keeps_ends_everything(
    watched: Watched, storm: Storm, tmp_path: Path, quiet: Path
) -> None:
    watched.depend(tmp_path)
    watched.depend(quiet)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    storm.rage(limit + 1000)
    assert None in watched.drain()
    # The folder in the storm is not watched anew by that.
    watched.depend(tmp_path)
    storm.rage(limit + 1000)
    assert None not in watched.drain()
    assert watched.storms == 1


def test_many_changes_in_a_second_are_a_storm(
    watched: Watched, storm: Storm, tmp_path: Path
) -> None:
    watched.depend(tmp_path)
    for _ in range(10):
        storm.rage(1_500)
        watched.drain()
        watched.seconds += 1
    assert watched.storms == 0
    for _ in range(12):
        storm.rage(1_500)
        watched.drain()
    assert watched.storms == 1


def test_a_folder_is_watched_anew_when_the_storm_is_over(
    watched: Watched, storm: Storm, tmp_path: Path
) -> None:
    rest = watched.depend(tmp_path)
    storm.rage(12_000)
    watched.drain()
    watched.seconds += STORM_SECONDS
    assert watched.drain() == [rest]
    assert not watched.watch.is_blind
    one, other = watched.depend(tmp_path, b"one"), watched.depend(tmp_path, b"other")
    assert watched.drain() == []
    (tmp_path / "one").touch()
    assert set(watched.drain()) == {one}
    (tmp_path / "other").touch()
    assert set(watched.drain()) == {other}


def test_a_storm_in_many_folders(watched: Watched, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(20)]
    for folder in folders:
        folder.mkdir()
        watched.depend(folder)
    storms = [Storm(folder) for folder in folders]
    for _ in range(8):
        for _ in range(300):
            for storm in storms:
                storm.rage(2)
        watched.drain()
    before = watched.storms
    for storm in storms:
        storm.rage(1_000)
    watched.drain()
    for storm in storms:
        storm.close()
    assert watched.storms == before <= 8
    assert watched.watch.is_blind


def test_a_file_in_a_storm_is_compared(watched: Watched, tmp_path: Path) -> None:
    """A large file is watched itself where it has other names; its notice does not end."""
    files = [tmp_path / "a", tmp_path / "b"]
    notices = []
    for file in files:
        file.touch()
        notices.append(Notice(watched.add(file, Interest.FILE)))
        watched.watch.depend(notices[-1])
    descriptors = [os.open(file, os.O_WRONLY) for file in files]
    for _ in range(4_000):
        for descriptor in descriptors:
            os.pwrite(descriptor, b"x", 0)
    for descriptor in descriptors:
        os.close(descriptor)
    watched.drain()
    assert not any(notice.is_watched for notice in notices if not notice.is_written)
    watched.seconds += STORM_SECONDS
    watched.drain()
    assert not watched.watch.is_blind


@pytest.mark.parametrize("is_over", [False, True])
def test_a_file_that_is_written_in_its_storm_is_not_taken_for_renamed(
    watched: Watched, tmp_path: Path, *, is_over: bool
) -> None:
    """rsync changes the mode, writes in place and gives the old time: only an event would tell."""
    file = tmp_path / "large"
    file.write_bytes(b"a" * 100_000)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    with file.open("r+b", buffering=0) as writer, Storm(tmp_path) as storm:
        promise = Promise(writer.fileno(), watched.watch)
        for name in ("one.log", "other.log"):
            watched.watch.depend(Rest(Edge(watched.add(tmp_path / name, Interest.FILE), b"")))
        for _ in range(4_000):
            os.pwrite(writer.fileno(), b"a", 0)
            storm.rage(2)
        watched.drain()
        assert watched.watch.is_blind
        if is_over:
            watched.seconds += STORM_SECONDS
            watched.drain()
            assert not watched.watch.is_blind
        os.fchmod(writer.fileno(), 0o600)
        os.pwrite(writer.fileno(), b"b" * 100_000, 0)
        os.utime(file, (1_000_000_000, 1_000_000_000))
        assert not promise.holds(writer.fileno())


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_file_that_is_written_no_more_is_served_in_its_storm(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """As a log after a burst of lines. In the moment of the last write, another may have its time."""
    file = tmp_path / "large"
    file.write_bytes(b"a" * 100_000)
    with file.open("r+b", buffering=0) as writer, Storm(tmp_path) as storm:
        for name in ("large", "one.log", "other.log"):
            number = watched.add(tmp_path / name, Interest.FILE)
            watched.watch.depend(Rest(Edge(number, b"")))
        for _ in range(4_000):
            # One event stands for several of the same kind that follow each other (inotify(7)).
            os.pwrite(writer.fileno(), b"a", 0)
            storm.rage(2)
        watched.drain()
        assert watched.watch.is_blind
        now_ns = os.fstat(writer.fileno()).st_ctime_ns + seconds * 10**9
        monkeypatch.setattr("epollo.site.promise.time.time_ns", lambda: now_ns)
        promise = Promise(writer.fileno(), watched.watch)
        watched.drain()
        assert promise.notice.is_in_doubt
        for _ in range(3):
            assert promise.holds(writer.fileno()) is bool(seconds)
        os.pwrite(writer.fileno(), b"c", 50)
        assert not promise.holds(writer.fileno())


def test_a_listener_that_leaves_in_a_storm(storm: Storm, tmp_path: Path) -> None:
    events = Events(lambda: 0.0)
    watches = [Watch(lambda *_, **__: None, pytest.fail, events) for _ in range(2)]
    descriptor = os.open(tmp_path, os.O_PATH)
    for watch in watches:
        watch.depend(Rest(Edge(watch.add_folder(descriptor), b"file")))
    os.close(descriptor)
    storm.rage(12_000)
    events.on_ready(0)
    assert events.is_blind
    watches[0].close()
    events.on_ready(0)
    assert events.is_blind
    watches[1].close()
    assert not events.is_blind


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.txt").write_text("sub")
    (tmp_path / "page.txt").write_text("page")
    (tmp_path / "_headers").write_text("/*\n  X-A: 1\n")
    with Ground(tmp_path) as ground:
        yield ground


def test_every_change_is_in_the_next_answer(ground: Ground, storm: Storm) -> None:
    ground.get("/page.txt")
    storm.rage(12_000)
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: (ground.root / "page.txt").write_text("PAGE"), "PAGE"),
        (lambda: (ground.root / "page.txt").write_text("page"), "page"),
        (lambda: (ground.root / "other").write_text("other"), "page"),
        (lambda: (ground.root / "other").rename(ground.root / "page.txt"), "other"),
    ]
    for change, content in changes:
        change()
        storm.rage(200)
        assert ground.get("/page.txt") == content.encode()
        assert ground.get("/page.txt") == content.encode()
    (ground.root / "page.txt").unlink()
    assert ground.status("/page.txt") == 404
    (ground.root / "page.txt").write_text("again")
    assert ground.get("/page.txt") == b"again"
    (ground.root / "_headers").write_text("/*\n  X-A: 2\n")
    assert ground.ask("/page.txt").fields["x-a"] == "2"
    (ground.root / "_redirects").write_text("/page.txt /sub/page.txt 200!\n")
    assert ground.get("/page.txt") == b"sub"


def test_a_storm_ends_nothing_elsewhere(ground: Ground) -> None:
    storm = Storm(ground.root / "sub")
    ground.get("/sub/page.txt")
    basis = ground.ask("/page.txt").basis
    storm.rage(12_000)
    for number in range(3):
        storm.rage(200)
        (ground.root / "sub" / "page.txt").write_text(str(number))
        assert ground.get("/sub/page.txt") == str(number).encode()
        assert basis is not None
        assert basis.stands(ground.clock.second)
    storm.close()
