"""Listings that take longer than a turn: in slices, for all that wait, and true to each of them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.http.message import FileSegment, Later, Request, Response
from epollo.http.target import parse_target
from epollo.loop import Handler
from epollo.site.listing import builds, page
from epollo.site.listing.builds import BUILDS_LIMIT, SLICE_SECONDS, Build, Builds, Making
from epollo.site.listing.snapshot import Snapshot
from epollo.site.resolve import Kind
from site_grounds import Ground

FILES = 300


class HandTurned:
    """A loop of which a test turns each batch; each reading of the time ends a slice."""

    def __init__(self) -> None:
        self.again: dict[Handler, None] = {}

    def call_again(self, handler: Handler) -> None:
        self.again[handler] = None

    def turn(self) -> bool:
        """Take one batch; return whether there was anything to do."""
        again, self.again = self.again, {}
        for handler in again:
            handler.on_ready(0)
        return bool(again)

    def finish(self) -> int:
        """Take batches until nothing is left to do; return how many."""
        batches = 0
        while self.turn():
            batches += 1
        return batches


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> HandTurned:
    instants = iter(range(10_000_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(instants)))
    return HandTurned()


@pytest.fixture
def ground(tmp_path: Path, loop: HandTurned) -> Iterator[Ground]:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}").touch()
    (tmp_path / "a.txt").write_bytes(b"a")
    with Ground(tmp_path, listing="auto") as ground:
        ground.catalogue.listings.background = Builds(loop.call_again)
        yield ground
        ground.catalogue.listings.background.close()


def ask(ground: Ground, target: str = "/folder/?format=json") -> Response | Later:
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)
    parsed = parse_target(target.encode())
    assert parsed is not None
    response = ground.site.respond(Request(b"GET", parsed, {}))
    if isinstance(response, Later):
        response.begin("")
    return response


def wait_for(ground: Ground, target: str = "/folder/?format=json") -> Later:
    later = ask(ground, target)
    assert isinstance(later, Later)
    return later


def conclude(later: Later) -> Response:
    assert later.is_done
    response = later.conclude()
    assert isinstance(response, Response)
    return response


def content(response: Response) -> bytes:
    return b"".join(part for part in response.content if isinstance(part, bytes))


def test_a_large_folder_is_listed_in_slices(ground: Ground, loop: HandTurned) -> None:
    later = wait_for(ground)
    assert not later.is_done
    assert loop.finish() > FILES / 64
    response = conclude(later)
    assert (response.status, content(response).count(b'"name":')) == (200, FILES)
    # What was made is kept for the next request, which does not wait.
    assert isinstance(ask(ground), Response)


def test_the_page_of_all_is_made_in_slices(
    ground: Ground, loop: HandTurned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_ENTRIES", 64)
    later = wait_for(ground, "/folder/?sort=size")
    assert loop.finish() > FILES / 64 * 3
    (sent,) = conclude(later).content
    assert isinstance(sent, FileSegment)
    assert os.pread(sent.file.descriptor, sent.length, 0).count(b'<td class="name">') == FILES


def test_what_many_entries_take_is_given_back_in_slices(
    ground: Ground, loop: HandTurned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(builds, "_DISCARDED_AT_ONCE", 100)
    later = wait_for(ground)
    loop.finish()
    conclude(later)
    (tmp_path / "folder" / "new").touch()
    assert isinstance(ask(ground, "/a.txt"), Response)
    assert loop.finish() == FILES / 100
    assert ground.catalogue.listings.background is not None
    assert ground.catalogue.listings.background._discarded == []


def test_requests_for_the_same_share_a_build(ground: Ground, loop: HandTurned) -> None:
    first, second = wait_for(ground), wait_for(ground)
    other = wait_for(ground, "/folder/?sort=size")
    assert loop.finish()
    assert content(conclude(first)) == content(conclude(second))
    assert conclude(other).status == 200
    assert not loop.again


def test_a_request_after_a_change_does_not_get_what_was_begun_before(
    ground: Ground, loop: HandTurned, tmp_path: Path
) -> None:
    before = wait_for(ground)
    for _ in range(4):
        assert loop.turn()
    (tmp_path / "folder" / "new").touch()
    after = wait_for(ground)
    loop.finish()
    assert b'"new"' in content(conclude(after))
    response = conclude(before)
    assert response.status == 200
    # It answers a request of before the change, and no other.
    assert response.basis is None or not response.basis.stands(ground.clock.second)
    now = ask(ground)
    assert isinstance(now, Response)
    assert b'"new"' in content(now)


def test_what_is_being_made_when_events_are_lost_is_not_for_later_requests(
    ground: Ground, loop: HandTurned
) -> None:
    before = wait_for(ground)
    for _ in range(4):
        assert loop.turn()
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.note_loss()
    wait_for(ground)
    assert ground.catalogue.listings.background is not None
    assert len(ground.catalogue.listings.background) == 2
    loop.finish()
    assert conclude(before).status == 200


def test_what_is_being_read_when_events_are_lost_is_watched_no_more(
    ground: Ground, loop: HandTurned
) -> None:
    later = wait_for(ground)
    for _ in range(4):
        assert loop.turn()
    watch = ground.catalogue.watch
    assert watch is not None

    def list_snapshots() -> list[Snapshot]:
        found = (
            folder.select(name) for folder in watch._folders.values() for name in folder.dependents
        )
        return [one for some in found for one in some if isinstance(one, Snapshot)]

    assert list_snapshots()
    watch.note_loss()
    loop.finish()
    assert conclude(later).status == 200
    assert not list_snapshots()


def test_a_folder_is_read_once_at_a_time(
    ground: Ground, loop: HandTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    scandir = os.scandir

    def note_and_read(descriptor: int) -> object:
        reads.append(descriptor)
        return scandir(descriptor)

    monkeypatch.setattr(os, "scandir", note_and_read)
    waiting = [wait_for(ground, f"/folder/?format=json&q={number}") for number in range(9)]
    for _ in range(12):
        loop.turn()
    assert len(reads) == 1
    (tmp_path / "folder" / "new0").touch()
    later = [wait_for(ground, f"/folder/?format=json&q=new{number}") for number in range(9)]
    while len(reads) < 2:
        assert loop.turn()
    for _ in range(30):
        loop.turn()
    (tmp_path / "folder" / "new1").touch()
    latest = wait_for(ground, "/folder/?format=json&q=new")
    loop.finish()
    assert len(reads) == 3
    assert {conclude(one).status for one in waiting} == {200}
    assert b'"new0"' in content(conclude(later[0]))
    found = content(conclude(latest))
    assert found.count(b'"name":') == 2
    assert not ground.catalogue.listings._reading


def test_a_folder_that_changes_all_the_time_is_listed_all_the_same(
    ground: Ground, loop: HandTurned, tmp_path: Path
) -> None:
    later = wait_for(ground)
    number = 0
    while loop.turn():
        (tmp_path / "folder" / "log").write_bytes(b"%d" % number)
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        number += 1
    assert conclude(later).status == 200


def test_rules_that_change_meanwhile_hold_for_the_answer(
    ground: Ground, loop: HandTurned, tmp_path: Path
) -> None:
    later = wait_for(ground)
    (tmp_path / "_headers").write_bytes(b"/*\n  X-A: b\n")
    ground.ask("/a.txt")
    loop.finish()
    assert (b"X-A", b"b") in conclude(later).fields


def test_a_page_that_comes_meanwhile_is_the_answer(
    ground: Ground, loop: HandTurned, tmp_path: Path
) -> None:
    later = wait_for(ground)
    (tmp_path / "folder" / "index.html").write_bytes(b"page")
    ground.ask("/a.txt")
    loop.finish()
    assert content(conclude(later)) == b"page"


def test_a_folder_that_goes_away_meanwhile(
    ground: Ground, loop: HandTurned, tmp_path: Path
) -> None:
    later = wait_for(ground)
    (tmp_path / "folder").rename(tmp_path / "other")
    ground.ask("/a.txt")
    loop.finish()
    conclude(later)
    gone = ask(ground)
    assert isinstance(gone, Response)
    assert gone.status == 404


def test_small_folders_wait_for_nothing(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: 0.0)
        assert isinstance(ask(ground, "/small/"), Response)


def test_as_many_as_are_allowed(ground: Ground, loop: HandTurned) -> None:
    waiting = [wait_for(ground, f"/folder/?q={number}") for number in range(BUILDS_LIMIT)]
    (ground.root / "503.html").write_bytes(b"busy")
    refused = ask(ground, "/folder/?q=more")
    assert isinstance(refused, Response)
    assert (refused.status, refused.basis) == (503, None)
    assert (content(refused), dict(refused.fields)[b"Retry-After"]) == (b"busy", b"1")
    loop.finish()
    assert {conclude(later).status for later in waiting} == {200}


def test_builds_take_turns() -> None:
    loop = HandTurned()
    steps: list[str] = []

    def make(name: str, count: int) -> Making:
        for _ in range(count):
            steps.append(name)
            end = time.perf_counter() + SLICE_SECONDS
            while time.perf_counter() < end:
                pass
            yield None
        return Kind.MISSING

    builds = Builds(loop.call_again)
    for name, count in (("a", 3), ("b", 1), ("c", 2)):
        builds.add(Build(lambda _, name=name, count=count: make(name, count)))  # type: ignore[misc]
    assert len(builds) == 3
    loop.finish()
    assert (steps, len(builds)) == (list("abcaca"), 0)


def test_a_bug_in_one_build_ends_no_other(loop: HandTurned) -> None:
    def fail() -> Making:
        yield None
        raise ZeroDivisionError

    def succeed() -> Making:
        for _ in range(3):
            yield None
        return Kind.FORBIDDEN

    builds = Builds(loop.call_again)
    bad, good = Build(lambda _: fail()), Build(lambda _: succeed())
    waiting = Later(bad.wait, lambda: Response(503))
    waiting.begin("")
    builds.add(bad)
    builds.add(good)
    with pytest.raises(ZeroDivisionError):
        loop.finish()
    loop.finish()
    assert waiting.is_done
    assert (bad.outcome, good.outcome) == (Kind.UNAVAILABLE, Kind.FORBIDDEN)


def test_what_is_not_finished_leaves_nothing_open(ground: Ground, loop: HandTurned) -> None:
    wait_for(ground)
    loop.turn()
    assert ground.catalogue.listings.background is not None
    ground.catalogue.listings.background.close()
    assert ground.catalogue.watch is not None
    assert not any(
        name == b"/" for one in ground.catalogue.watch._folders.values() for name in one.dependents
    )
