"""Folders that are kept open: what is found in them ends with them, and they are bounded."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.folders import Folders
from epollo.site.resolve import Names
from epollo.site.root import Root
from site_grounds import Ground, count_descriptors, list_open_below, replace, switch_link


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "page.txt").write_bytes(b"content")
    return root


@pytest.fixture
def ground(root: Path) -> Iterator[Ground]:
    with Ground(root) as ground:
        yield ground


def folders_of(ground: Ground) -> Folders:
    return ground.catalogue._folders


def test_a_neighbour_is_found_without_a_walk(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.get("/folder/deep/page.txt")
    assert ground.status("/folder/deep/none.txt") == 404
    (root / "folder" / "deep" / "other.txt").write_bytes(b"other")
    monkeypatch.setattr("epollo.site.root.walk", lambda *_, **__: pytest.fail("a walk"))
    assert ground.get("/folder/deep/other.txt") == b"other"
    assert ground.status("/folder/deep/nothing.txt") == 404


@pytest.mark.parametrize("name", ["folder", "folder/deep"])
def test_a_folder_that_goes_and_one_that_takes_its_place(
    ground: Ground, root: Path, name: str
) -> None:
    for number in range(20):
        assert ground.get("/folder/deep/page.txt") == (b"%d" % number if number else b"content")
        assert ground.status("/folder/deep/nothing.txt") == 404
        (root / name).rename(root / f"former{number}")
        assert ground.status("/folder/deep/page.txt") == 404
        new = root / "new"
        (new if name == "folder/deep" else new / "deep").mkdir(parents=True)
        (new / ("" if name == "folder/deep" else "deep") / "page.txt").write_bytes(
            b"%d" % (number + 1)
        )
        new.rename(root / name)


def test_a_file_that_is_made_where_there_was_none(ground: Ground, root: Path) -> None:
    for number in range(20):
        assert ground.status(f"/folder/{number}.txt") == 404
        (root / "folder" / f"{number}.txt").write_bytes(b"%d" % number)
        assert ground.get(f"/folder/{number}.txt") == b"%d" % number
        (root / "folder" / f"{number}.txt").unlink()
        assert ground.status(f"/folder/{number}.txt") == 404


def test_a_link_on_the_way_that_is_switched(ground: Ground, root: Path) -> None:
    for number in range(4):
        (root / f"release{number}").mkdir()
        (root / f"release{number}" / "page.txt").write_bytes(b"%d" % number)
    for number in range(20):
        switch_link(root / "current", f"release{number % 4}")
        assert ground.get("/current/page.txt") == b"%d" % (number % 4)
        assert ground.get("/current/page.txt") == b"%d" % (number % 4)


def test_two_paths_to_one_folder(ground: Ground, root: Path) -> None:
    (root / "other").symlink_to("folder")
    for number in range(20):
        replace(root / "folder" / "deep" / "page.txt", b"%d" % number)
        assert ground.get("/folder/deep/page.txt") == b"%d" % number
        assert ground.get("/other/deep/page.txt") == b"%d" % number


def test_a_file_with_two_names_is_watched_itself(
    ground: Ground, root: Path, tmp_path: Path
) -> None:
    ground.get("/folder/deep/page.txt")
    other = tmp_path / "other.txt"
    other.write_bytes(b"0")
    (root / "folder" / "deep" / "linked.txt").hardlink_to(other)
    for number in range(20):
        other.write_bytes(b"%d" % number)
        assert ground.get("/folder/deep/linked.txt") == b"%d" % number


def test_a_change_of_which_no_event_tells_is_found_within_a_second(
    ground: Ground, root: Path
) -> None:
    """As on a system of files that reports nothing: the events are not read."""
    ground.get("/folder/deep/page.txt")
    (root / "folder").rename(root / "former")
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "page.txt").write_bytes(b"other")
    (root / "folder" / "deep" / "new.txt").write_bytes(b"new")
    ground.clock.turn()
    assert ground.ask("/folder/deep/new.txt", drain=False).content == b"new"
    assert ground.ask("/folder/deep/page.txt", drain=False).content == b"other"


def test_what_is_mounted_is_looked_for_at_once(ground: Ground, root: Path) -> None:
    ground.get("/folder/deep/page.txt")
    (root / "folder").rename(root / "former")
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "new.txt").write_bytes(b"new")
    ground.catalogue.look_anew()
    assert ground.ask("/folder/deep/new.txt", drain=False).content == b"new"


def test_what_is_written_to_while_it_is_read_is_read_again(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.get("/folder/deep/page.txt")
    page = root / "folder" / "deep" / "other.txt"
    page.write_bytes(b"short")

    def read(descriptor: int, octets: int) -> bytes:
        monkeypatch.undo()
        page.write_bytes(b"longer than before")
        return os.read(descriptor, octets)

    monkeypatch.setattr("epollo.site.representation.os.read", read)
    answer = ground.ask("/folder/deep/other.txt")
    assert answer.content == b"longer than before"
    assert answer.fields["content-length"] == "18"


def test_a_folder_on_another_device_is_not_kept(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mounted there could not be taken away."""
    monkeypatch.setattr("epollo.site.root.Root.device", property(lambda _: -1))
    for _ in range(2):
        ground.get("/folder/deep/page.txt")
        assert ground.status("/folder/deep/nothing.txt") == 404
    assert list_open_below(root / "folder") == []
    assert folders_of(ground).entries() == []


def test_descriptors_of_folders_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.folders._OPEN_LIMIT", 10)
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "page.txt").write_bytes(b"%d" % number)
    before = count_descriptors()
    with Ground(tmp_path) as ground:
        for _ in range(2):
            for number in range(50):
                assert ground.get(f"/{number}/page.txt") == b"%d" % number
                assert ground.status(f"/{number}/nothing.txt") == 404
        assert len(list_open_below(tmp_path)) <= 12
        # One that is not open any more is still known to have changed.
        for number in range(50):
            (tmp_path / str(number)).rename(tmp_path / f"former{number}")
            assert ground.status(f"/{number}/page.txt") == 404
    assert count_descriptors() == before


def test_a_folder_goes_with_the_last_that_was_found_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.folders._OPEN_LIMIT", 2)
    for number in range(200):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "page.txt").write_bytes(b"x" * 10_000)
    with Ground(tmp_path, cache_octets=100_000) as ground:
        for number in range(200):
            ground.get(f"/{number}/page.txt")
        folders = folders_of(ground).entries()
        watch = ground.catalogue.watch
        assert watch is not None
        assert len(folders) < 20
        assert len(watch._folders) < 30
        assert (
            sum(len(folder.members) for folder in folders)
            <= len(ground.catalogue.resources.files) + 2
        )


@pytest.mark.parametrize("name", ["_headers", "_redirects", ".hidden"])
def test_what_is_hidden_is_hidden_from_each_path_to_its_folder(
    ground: Ground, root: Path, name: str
) -> None:
    (root / name).write_bytes(b"# nothing\n")
    (root / "loop").symlink_to(".")
    (root / "page.txt").write_bytes(b"page")
    for folder in ("", "/loop"):
        assert ground.get(f"{folder}/page.txt") == b"page"
        assert ground.status(f"{folder}/{name}") == 404


def test_what_is_missing_in_a_folder_takes_a_look_at_the_folder_alone(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ground.catalogue._root.reports_every_name:
        pytest.skip("the file system of temporary files may not tell of each name")
    looked_at: list[Names] = []
    targets = [f"/folder/deep/{number}.txt" for number in range(5)]
    for target in targets:
        assert ground.status(target) == 404
    stat = Root.stat

    def look(root: Root, names: Names) -> os.stat_result:
        looked_at.append(names)
        return stat(root, names)

    monkeypatch.setattr(Root, "stat", look)
    ground.clock.turn()
    for target in targets:
        assert ground.status(target) == 404
    assert looked_at.count((b"folder", b"deep")) == 1
    assert not any(names[:2] == (b"folder", b"deep") and names[2:] for names in looked_at)


@pytest.mark.parametrize("name", ["folder", "folder/deep"])
def test_a_folder_that_was_replaced_without_an_event_has_what_was_missing(
    ground: Ground, root: Path, name: str
) -> None:
    """As where something is mounted over it on a system that tells of no mounts."""
    assert ground.status("/folder/deep/new.txt") == 404
    (root / name).rename(root / "former")
    (root / "folder" / "deep").mkdir(parents=True, exist_ok=True)
    (root / "folder" / "deep" / "new.txt").write_bytes(b"new")
    ground.clock.turn()
    assert ground.ask("/folder/deep/new.txt", drain=False).content == b"new"


@pytest.mark.parametrize("is_told", [False, True])
def test_a_name_of_which_no_event_tells_is_found_within_a_second(
    ground: Ground, root: Path, is_told: bool
) -> None:
    """As with one in another case where case does not count: the event has the name that was made."""
    os.utime(root / "folder" / "deep", (1_000_000_000, 1_000_000_000))
    ground.catalogue._root.reports_every_name = is_told
    for _ in range(3):
        for number in range(3):
            assert ground.status(f"/folder/deep/new{number}.txt") == 404
        ground.clock.turn()
    (root / "folder" / "deep" / "new2.txt").write_bytes(b"new")
    assert ground.ask("/folder/deep/new0.txt", drain=False).status == 404
    ground.clock.turn()
    assert ground.ask("/folder/deep/new1.txt", drain=False).status == 404
    assert ground.ask("/folder/deep/new2.txt", drain=False).content == b"new"


def test_a_folder_whose_time_is_now_tells_of_no_name(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made within one tick of the clock of a file system leaves the time as it is."""
    assert ground.status("/folder/deep/new.txt") == 404
    for age_seconds, status in ((10, 404), (0, 200)):
        changed_ns = (ground.clock.second - age_seconds) * 1_000_000_000
        times = (changed_ns, changed_ns)
        monkeypatch.setattr("epollo.site.folders._times_of", lambda _, times=times: times)
        ground.clock.turn()
        assert ground.status("/folder/deep/new.txt") == 404
        (root / "folder" / "deep" / "new.txt").write_bytes(b"new")
        ground.clock.turn()
        assert ground.ask("/folder/deep/new.txt", drain=False).status == status
        (root / "folder" / "deep" / "new.txt").unlink()
        assert ground.status("/folder/deep/new.txt") == 404
