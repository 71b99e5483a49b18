"""What ends all at once: none of it is given from then on, and it is released in slices."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from epollo.connections.recall import Recall
from epollo.http.message import AllOf, Basis
from epollo.loop import Handler
from epollo.protocols.answer import Answer as RecalledAnswer
from epollo.site import catalogue as catalogue_module
from epollo.site import rulebook as rulebook_module
from epollo.site.deferred_release import IMMEDIATE_LIMIT
from epollo.site.events import Events, Listener
from epollo.site.folders import Folders
from epollo.site.listing.snapshot import Snapshot
from epollo.site.resolve import RULE_FILES, Names
from epollo.site.resources import Resources
from epollo.site.root import Root
from epollo.site.watch import Watch
from site_grounds import Answer, Ground, list_open_below, switch_link

FILES = 600


class Later:
    """Calls that are made when a test says so."""

    def __init__(self) -> None:
        self.handlers: dict[Handler, None] = {}

    def call_again(self, handler: Handler) -> None:
        self.handlers[handler] = None

    def make_one(self) -> bool:
        """Make the calls of a batch; return whether there were any."""
        handlers, self.handlers = self.handlers, {}
        for handler in handlers:
            handler.on_ready(0)
        return bool(handlers)


class Kept:
    """An answer as recall keeps it."""

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self.is_released = False
        basis.hold(self)

    def release(self) -> None:
        self.is_released = True


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for release in ("a", "b"):
        folder = tmp_path / release / "folder"
        folder.mkdir(parents=True)
        for number in range(FILES):
            (folder / f"{number}.txt").write_text(f"{release} {number}")
    (tmp_path / "b" / "folder" / f"{FILES}.txt").write_text("new")
    switch_link(tmp_path / "current", "a")
    return tmp_path


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def ground(releases: Path, later: Later) -> Iterator[Ground]:
    with Ground(releases / "current", listing="on") as ground:
        ground.catalogue.deferred_release.call_again = later.call_again
        yield ground


@pytest.fixture
def recall(ground: Ground) -> Recall:
    recall = Recall(ground.clock)
    ground.catalogue.deferred_release.on_doubt = recall.doubt
    return recall


def ask_all(ground: Ground) -> list[Answer]:
    return [ground.ask(f"/folder/{number}.txt") for number in range(FILES)]


@dataclass
class Given:
    """An answer, as recall looks at it."""

    basis: Basis


def stands(basis: Basis | None, recall: Recall) -> bool:
    return basis is not None and recall.is_true(cast(RecalledAnswer, Given(basis)))


def watch_of(ground: Ground) -> Watch:
    watch = ground.catalogue.watch
    assert watch is not None
    return watch


def switch(ground: Ground, releases: Path) -> None:
    switch_link(releases / "current", "b")
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)


def test_one_mark_ends_the_listings_of_the_former_release(
    ground: Ground,
    releases: Path,
    later: Later,
    recall: Recall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask_all(ground)
    answer = ground.ask("/folder/")
    assert b"600.txt" not in answer.content
    assert answer.basis is not None
    assert stands(answer.basis, recall)
    kept = Kept(answer.basis)
    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "end", lambda _: pytest.fail("ended by itself"))
        switch(ground, releases)
        assert not stands(answer.basis, recall)
        assert b"600.txt" in ground.ask("/folder/").content
    while later.make_one():
        pass
    assert kept.is_released
    assert b"600.txt" in ground.ask("/folder/").content


def test_nothing_of_the_former_release_is_given(
    ground: Ground, releases: Path, later: Later, recall: Recall
) -> None:
    answers = ask_all(ground)
    basis = ground.ask(f"/folder/{FILES}.txt").basis
    assert basis is not None
    absence = Kept(basis)
    assert all(stands(answer.basis, recall) for answer in answers)
    assert stands(basis, recall)
    switch(ground, releases)
    assert len(ground.catalogue.deferred_release) > FILES
    assert not any(stands(answer.basis, recall) for answer in answers)
    assert not stands(absence.basis, recall)
    # Asked for before all is given back, while it is, and afterwards.
    for number in range(0, FILES, 3):
        assert ground.get(f"/folder/{number}.txt") == b"b %d" % number
    assert ground.get(f"/folder/{FILES}.txt") == b"new"
    while later.make_one():
        assert ground.get("/folder/1.txt") == b"b 1"
    assert not len(ground.catalogue.deferred_release)
    for number in range(FILES):
        assert ground.get(f"/folder/{number}.txt") == b"b %d" % number


def test_an_answer_that_rests_on_more_ends_at_once(
    ground: Ground, releases: Path, later: Later, recall: Recall
) -> None:
    """It was looked at in this second already, and has no mark of its own."""
    answers = ask_all(ground)
    first, second = answers[0].basis, answers[1].basis
    assert first is not None
    assert second is not None
    kept = Kept(AllOf(first, second))
    alone = Kept(first)
    assert stands(kept.basis, recall)
    assert kept.basis.checked_second == ground.clock.second
    switch(ground, releases)
    assert not stands(kept.basis, recall)
    assert not stands(alone.basis, recall)
    while later.make_one():
        pass
    assert kept.is_released
    assert alone.is_released


def test_what_is_given_back_releases_its_answers_and_its_room(
    ground: Ground, releases: Path, later: Later
) -> None:
    kept = [Kept(answer.basis) for answer in ask_all(ground) if answer.basis is not None]
    assert len(kept) == FILES
    octets = ground.catalogue.resources.files.octets
    switch(ground, releases)
    batches = 0
    while later.make_one():
        batches += 1
    assert batches
    assert all(answer.is_released for answer in kept)
    assert ground.catalogue.resources.files.octets < octets / 10
    assert ground.catalogue.resources.absences.octets < 20_000
    watch = ground.catalogue.watch
    assert watch is not None
    ask_all(ground)
    assert ground.catalogue.resources.files.octets == pytest.approx(octets, rel=0.01)


def test_a_folder_that_is_renamed(
    ground: Ground, releases: Path, later: Later, recall: Recall
) -> None:
    answers = ask_all(ground)
    (releases / "a" / "folder").rename(releases / "a" / "other")
    assert ground.status("/folder/1.txt") == 404
    assert len(ground.catalogue.deferred_release) > FILES / 2
    assert not any(stands(answer.basis, recall) for answer in answers)
    (releases / "a" / "other").rename(releases / "a" / "folder")
    for number in range(FILES):
        assert ground.get(f"/folder/{number}.txt") == b"a %d" % number
    while later.make_one():
        pass
    assert all(stands(ground.ask(f"/folder/{n}.txt").basis, recall) for n in range(FILES))


def test_what_is_looked_at_anew_stays_ended(
    ground: Ground, releases: Path, later: Later, recall: Recall
) -> None:
    answers = ask_all(ground)
    switch(ground, releases)
    ground.catalogue.look_anew()
    assert not any(stands(answer.basis, recall) for answer in answers)
    assert ground.get("/folder/1.txt") == b"b 1"
    while later.make_one():
        pass


def test_a_mount_elsewhere_ends_nothing(ground: Ground, recall: Recall) -> None:
    (ground.root / "_redirects").write_text("/old/* /new/:splat")
    ground.get("/folder/1.txt")
    answers = [*ask_all(ground), ground.ask("/old/1"), ground.ask("/nothing")]
    assert all(stands(answer.basis, recall) for answer in answers)
    ground.catalogue.look_anew()
    assert all(stands(answer.basis, recall) for answer in answers)


def test_a_mount_looks_at_nothing_until_it_is_asked_for(
    ground: Ground, releases: Path, recall: Recall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is known: then each answer is compared once, those of listings too."""
    answers = ask_all(ground)
    listing = ground.ask("/folder/")
    assert listing.status == 200
    (releases / "a" / "folder" / "1.txt").write_bytes(b"mounted")
    (releases / "a" / "folder" / "more.txt").write_bytes(b"mounted")
    looks: list[Names] = []
    stat = Root.stat

    def count(root: Root, names: Names) -> os.stat_result:
        looks.append(names)
        return stat(root, names)

    monkeypatch.setattr(Root, "stat", count)
    monkeypatch.setattr(Resources, "list_all", pytest.fail)
    ground.catalogue.look_anew()
    assert len(looks) <= len(RULE_FILES)
    assert [number for number, one in enumerate(answers) if not stands(one.basis, recall)] == [1]
    assert not stands(listing.basis, recall)
    looks.clear()
    assert stands(answers[2].basis, recall)
    assert not looks


def test_what_is_mounted_over_a_rule_file_is_in_force_at_once(
    ground: Ground, releases: Path, recall: Recall
) -> None:
    """The event of the change is not read, as there is none of a mount."""
    rules = releases / "a" / "_redirects"
    rules.write_text("/old /one")
    answer = ground.ask("/old")
    basis = ground.ask("/folder/1.txt").basis
    assert stands(answer.basis, recall)
    assert basis is not None
    page = Kept(basis)
    rules.rename(releases / "former")
    rules.write_text("/old /two")
    ground.catalogue.look_anew()
    assert not stands(answer.basis, recall)
    assert page.is_released
    assert ground.ask("/old", drain=False).fields["location"] == "/two"


@pytest.mark.parametrize("folders", [20, 600, 2500])
def test_a_renamed_folder_ends_all_folders_below_it_without_a_release_of_each(
    tmp_path: Path, folders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To stop watching a folder takes a system call: it is made later, and once for each."""
    later, removed = Later(), 0
    remove = Events.remove

    def count(events: Events, listener: Listener, number: int) -> None:
        nonlocal removed
        removed += 1
        remove(events, listener, number)

    monkeypatch.setattr(Events, "remove", count)
    for number in range(folders):
        folder = tmp_path / "root" / "docs" / str(number)
        folder.mkdir(parents=True)
        (folder / "page.txt").write_bytes(b"%d" % number)
    with Ground(tmp_path / "root") as ground:
        ground.catalogue.deferred_release.call_again = later.call_again
        recall = Recall(ground.clock)
        ground.catalogue.deferred_release.on_doubt = recall.doubt
        targets = [f"/docs/{number}/page.txt" for number in range(folders)]
        answers = [ground.ask(target, drain=False) for target in targets]
        watched = len(watch_of(ground)._folders)
        (tmp_path / "root" / "docs").rename(tmp_path / "former")
        watch_of(ground).on_ready(1)
        assert removed <= IMMEDIATE_LIMIT
        assert not any(stands(answer.basis, recall) for answer in answers)
        assert all(ground.status(target) == 404 for target in targets[:5])
        (tmp_path / "former").rename(tmp_path / "root" / "docs")
        assert all(ground.get(target) == b"%d" % n for n, target in enumerate(targets[:5]))
        batches = 0
        while later.make_one():
            batches += 1
        assert not len(ground.catalogue.deferred_release)
        assert len(watch_of(ground)._folders) < watched - folders + 20
        assert all(stands(ground.ask(target).basis, recall) for target in targets[:5])


def test_what_rests_on_one_name_is_marked_and_released_later(
    tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another device than that of the root, where no folder is kept."""
    monkeypatch.setattr(Folders, "find", lambda *_: None)
    folder = tmp_path / "root" / "docs"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number}.txt").write_bytes(b"%d" % number)
    with Ground(tmp_path / "root") as ground:
        ground.catalogue.deferred_release.call_again = later.call_again
        recall = Recall(ground.clock)
        bases = [ground.ask(f"/docs/{number}.txt", drain=False).basis for number in range(FILES)]
        kept = [Kept(basis) for basis in bases if basis is not None]
        folder.rename(tmp_path / "former")
        watch_of(ground).on_ready(1)
        assert not any(stands(basis, recall) for basis in bases)
        assert not any(one.is_released for one in kept)
        assert ground.status("/docs/1.txt") == 404
        (tmp_path / "former").rename(folder)
        assert ground.get("/docs/1.txt") == b"1"
        while later.make_one():
            pass
        assert all(one.is_released for one in kept)
        assert stands(ground.ask("/docs/1.txt").basis, recall)


def test_descriptors_are_given_back(ground: Ground, releases: Path, later: Later) -> None:
    ask_all(ground)
    switch(ground, releases)
    assert not list_open_below(releases / "a")
    while later.make_one():
        pass


def test_rules_end_the_answers_of_many_files_without_a_look_at_each(
    ground: Ground, recall: Recall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is given again, within the second of the edit or later; and what is made anew is kept."""
    for module in (catalogue_module, rulebook_module):
        monkeypatch.setattr(module, "RELEASED_AT_ONCE_LIMIT", 4)
    (ground.root / "_redirects").write_text("/old/* /new/:splat\n")
    targets = [f"/folder/{number}.txt" for number in range(6)] + [f"/old/{n}" for n in range(6)]

    def keep_all() -> None:
        for target in targets:
            answer = ground.ask(target)
            assert answer.basis is not None
            kept = RecalledAnswer(
                200, b"", b"", (), persists=True, method=b"GET", length=0,
                basis=answer.basis,
            )  # fmt: skip
            assert recall.keep(target.encode(), kept)

    def count_known() -> int:
        return sum(recall.find(target.encode()) is not None for target in targets)

    for version in range(3):
        keep_all()
        assert count_known() == len(targets)
        ground.clock.turn()
        assert count_known() == len(targets)
        (ground.root / "_redirects").write_text(f"/old/* /new{version}/:splat\n")
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        if version:
            ground.clock.turn()
        if version == 2:
            # What is looked at for another reason lets go of its answers, too.
            assert ground.status(targets[0]) == 200
        assert count_known() == 0
