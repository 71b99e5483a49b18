"""No recalled answer outlives what it was made of: one folder, served with recall and without it.

Both run in this process under clocks that are turned alike, so that their answers are the same to the
last octet, Date included.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.in_process import FolderSite, InProcess, Peer
from epollo.http.message import Basis
from epollo.site.compressor import Compressor, Task
from epollo.site.file_task import FileTask
from epollo.site.folders import Folders
from epollo.site.resolve import Kind, Walk
from epollo.site.root import Root
from loop.hand_clock import HandClock
from site_grounds import Ground, PromptCompressor, replace, switch_link

STEPS = 1000
TEXT = b"All that is gold does not glitter, not all those who wander are lost. " * 20
NAMES = ("a.txt", "b.html", "folder/index.html", "folder/a.txt", "404.html", "index.html")
TARGETS = (
    *(f"/{name}" for name in NAMES),
    "/",
    "/folder",
    "/folder/",
    "/link",
    "/way/a.txt",
    "/nothing",
    "/a.txt?query",
    "/%61.txt",
    "/.hidden",
)
FIELDS = (
    "Accept-Encoding: br",
    "Accept-Encoding: gzip, zstd",
    "Range: bytes=0-3",
    "Range: bytes=0-1,5-6",
    "If-None-Match: *",
    "If-Modified-Since: Thu, 01 Jan 1970 00:30:00 GMT",
    "Cookie: user=1",
)


class LateCompressor(Compressor):
    """A compressor whose tasks are done when a test says so.

    It has room for all: where there is none, an answer that is recalled asks for no coding before its
    second ends, and one that is made anew does.
    """

    def __init__(self) -> None:
        super().__init__(lambda call: call(), print)
        self._prompt = PromptCompressor()
        self._late: list[Task] = []

    def has_room(self) -> bool:
        return True

    def add(self, task: Task) -> bool:
        self._late.append(task)
        return True

    def has_room_for_file(self) -> bool:
        return False

    def add_file(self, task: FileTask) -> bool:  # noqa: ARG002 - as of any compressor
        raise AssertionError("there is no room")

    def work(self) -> None:
        late, self._late = self._late, []
        for task in late:
            self._prompt.add(task)


class Side:
    """A server in this process."""

    def __init__(self, root: Path, stack: contextlib.ExitStack, *, has_recall: bool) -> None:
        self.clock = HandClock()
        self.compressor = LateCompressor()
        self.site = stack.enter_context(FolderSite(root, self.clock, self.compressor))
        self.way = stack.enter_context(
            InProcess(self.site.respond, clock=self.clock, has_recall=has_recall)
        )
        watch = self.site.catalogue.watch
        assert watch is not None
        self.way.loop.add_first(watch.descriptor, watch)
        self._peer: Peer | None = None

    def ask(self, octets: bytes) -> bytes:
        if self._peer is None or self._peer.is_closed:
            self._peer = self.way.connect()
        begin = len(self._peer.received)
        self._peer.send(octets)
        self.way.settle(self._peer)
        return bytes(self._peer.received[begin:])


def change(chance: random.Random, root: Path, sides: list[Side]) -> None:
    """Change something: a file, a folder, a link, the clock, what is coded."""
    path = root / chance.choice(NAMES)
    content = TEXT[chance.randrange(60) :][: chance.choice((0, 10, 500, 500))]

    def replace_as_it_was() -> None:
        if path.exists():
            times = path.stat()
            new = path.with_name("new")
            new.write_bytes(os.urandom(4).hex().encode() * (times.st_size // 8))
            os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
            new.replace(path)

    def swap_folders() -> None:
        (root / "folder").rename(root / "third")
        (root / "other").rename(root / "folder")
        (root / "third").rename(root / "other")

    def remake_folder() -> None:
        shutil.rmtree(root / "folder")
        (root / "folder").mkdir()

    def turn() -> None:
        seconds = chance.choice((1, 1, 1, 5, -1, -5))
        for side in sides:
            side.clock.jump(seconds)
            side.way.loop.run_batch(0)

    def code() -> None:
        for side in sides:
            side.compressor.work()

    chance.choice(
        (
            lambda: path.write_bytes(content),
            lambda: path.write_bytes(content),
            lambda: replace(path, content),
            lambda: path.unlink(missing_ok=True),
            lambda: path.with_name(path.name + ".gz").write_bytes(b"no coding"),
            lambda: switch_link(root / "link", chance.choice(("a.txt", "b.html", "nothing", ".."))),
            lambda: switch_link(root / "way", chance.choice(("folder", "other", "/etc", "."))),
            replace_as_it_was,
            swap_folders,
            remake_folder,
            turn,
            turn,
            code,
            code,
        )
    )()


def make_request(chance: random.Random) -> bytes:
    method = chance.choice(("GET",) * 6 + ("HEAD", "POST"))
    fields = [field for field in FIELDS if chance.random() < 0.1]
    line = f"{method} {chance.choice(TARGETS)} HTTP/1.1"
    return "\r\n".join((line, "Host: a", *fields, "\r\n")).encode()


@pytest.mark.parametrize("seed", range(6))
def test_answers_with_and_without_recall(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root = tmp_path / "root"
    for folder in ("folder", "other"):
        (root / folder).mkdir(parents=True)
        (root / folder / "a.txt").write_text(folder)
    for name in NAMES[:4]:
        (root / name).write_bytes(TEXT)
    with contextlib.ExitStack() as stack:
        sides = [Side(root, stack, has_recall=has_recall) for has_recall in (True, False)]
        asked: list[bytes] = []
        for _ in range(STEPS):
            if chance.random() < 0.15:
                change(chance, root, sides)
            if not asked or chance.random() < 0.3:
                asked.append(make_request(chance))
            octets = chance.choice(asked[-10:])
            recalled, made = [side.ask(octets) for side in sides]
            assert recalled == made, octets
        assert [side.way.reports for side in sides] == [[], []]


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codings are made when they are looked for first."""
    monkeypatch.setattr("epollo.site.demand._ASKED_MINIMUM", 1)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with Ground(tmp_path) as ground:
        yield ground


def is_true(basis: Basis | None, ground: Ground) -> bool:
    """Return whether an answer on this basis may be given again, as recall decides."""
    second = ground.clock.second
    return basis is not None and (basis.checked_second == second or basis.stands(second))


def test_an_answer_without_a_page_that_could_not_be_looked_for_is_not_given_again(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no descriptor to look for 404.html with, and so nothing would tell of its change."""
    (tmp_path / "404.html").write_text("page")
    walk: Callable[[Root, tuple[bytes, ...]], Walk] = Root.walk

    def walk_without_descriptors(root: Root, names: tuple[bytes, ...]) -> Walk:
        return Walk(Kind.UNAVAILABLE, -1, ()) if names == (b"404.html",) else walk(root, names)

    with monkeypatch.context() as patched:
        patched.setattr(Root, "walk", walk_without_descriptors)
        patched.setattr(Folders, "find", lambda *_: None)
        answer = ground.ask("/nothing")
    assert answer.status == 404
    assert not is_true(answer.basis, ground)
    assert ground.ask("/nothing").content == b"page"


class FullCompressor(Compressor):
    """A compressor without room."""

    def __init__(self) -> None:
        super().__init__(lambda call: call(), print)
        self.has_place = False
        self.tasks: list[Task] = []

    def has_room(self) -> bool:
        return self.has_place

    def add(self, task: Task) -> bool:
        self.tasks.append(task)
        return True


def test_an_answer_whose_codings_could_not_be_asked_for_is_made_anew(tmp_path: Path) -> None:
    """If it was recalled, nothing would ask for them until the file changes."""
    (tmp_path / "page.txt").write_bytes(TEXT)
    compressor = FullCompressor()
    with Ground(tmp_path, compressor=compressor) as ground:
        for fields in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
            answer = ground.ask("/page.txt", {"Accept-Encoding": "gzip", **fields})
            assert is_true(answer.basis, ground)
            ground.clock.turn()
            assert not is_true(answer.basis, ground)
            # What takes no coding waits for none.
            assert is_true(ground.ask("/page.txt", fields).basis, ground)
        compressor.has_place = True
        answer = ground.ask("/page.txt", {"Accept-Encoding": "gzip"})
        assert is_true(answer.basis, ground)
        assert len(compressor.tasks) == 1


def test_a_clock_that_is_set_back_to_the_second_of_a_change(ground: Ground, tmp_path: Path) -> None:
    """In this second the file may change again, and Last-Modified is the second before it."""
    page = tmp_path / "page.txt"
    page.write_text("page")
    second = ground.clock.second
    os.utime(page, (second, second))
    first = ground.ask("/page.txt").fields["last-modified"]
    ground.clock.turn()
    later = ground.ask("/page.txt")
    assert later.fields["last-modified"] > first
    ground.clock.turn(-1)
    assert not is_true(later.basis, ground)
    assert ground.ask("/page.txt").fields["last-modified"] == first
