"""The background thread: what goes first, and how it ends."""

import os
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epollo.site.compressor import Compressor, Task
from epollo.site.file_task import FileTask
from epollo.site.pieces import PIECE_OCTETS, FileContent
from epollo.site.version import version_of

PIECES = 8


def ignore(*_: object) -> None:
    """Take what a compressor hands on, and do nothing."""


class HookedContent(FileContent):
    """A file that makes a call when its second piece is read."""

    def __init__(self, path: Path, hook: Callable[[], object]) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        super().__init__(descriptor, version_of(os.fstat(descriptor)))
        self._hook = hook

    def read(self, offset: int, octets: int) -> bytes:
        if offset == PIECE_OCTETS:
            hook, self._hook = self._hook, ignore
            hook()
        return super().read(offset, octets)


class Background:
    """A compressor whose calls are made here, and told by name in their order."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"content " * (PIECES * PIECE_OCTETS // 8))
        self._path = path
        self._calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.compressor = Compressor(self._calls.put, print)
        self.is_wanted = True
        self.told: list[str] = []

    def add_file(self, hook: Callable[[], object] = ignore) -> bool:
        return self.compressor.add_file(
            FileTask(
                HookedContent(self._path, hook),
                {},
                None,
                1_000_000,
                lambda: self.is_wanted,
                ignore,
                lambda coding, *_: self.told.append(f"file {coding.decode()}"),
                ignore,
                ignore,
            )
        )

    def add(self) -> bool:
        return self.compressor.add(
            Task(
                b"kept " * 1000,
                {},
                lambda: True,
                lambda made, _: self.told.append(f"kept {b' '.join(made).decode()}"),
                ignore,
            )
        )

    def tell(self, number: int) -> list[str]:
        """Return what the first ``number`` calls tell."""
        for _ in range(number):
            self._calls.get(timeout=60)()
        return self.told

    def is_silent(self) -> bool:
        """Return whether nothing more was handed on, once the thread has ended."""
        thread = self.compressor._thread
        assert thread is not None
        thread.join(60)
        assert not thread.is_alive()
        return self._calls.empty()


@pytest.fixture
def background(tmp_path: Path) -> Background:
    return Background(tmp_path / "file")


@pytest.fixture(autouse=True)
def closed(background: Background) -> Iterator[None]:
    yield
    background.compressor.close()


def test_a_file_gives_way_to_what_is_kept(background: Background) -> None:
    background.add_file(background.add)
    assert background.tell(4) == ["kept gzip br zstd", "file gzip", "file br", "file zstd"]


def test_files_are_coded_before_one_of_them_is_made_better(background: Background) -> None:
    background.add_file(background.add_file)
    assert background.tell(6) == ["file gzip", "file br", "file zstd"] * 2


def test_closing_ends_a_file_in_the_middle(background: Background) -> None:
    background.add_file(background.compressor.close)
    assert background.is_silent()


def test_what_is_not_wanted_any_more_is_given_up(background: Background) -> None:
    def lose_interest() -> None:
        background.is_wanted = False

    background.add_file(lose_interest)
    background.add()
    assert background.tell(1) == ["kept gzip br zstd"]


def test_few_files_wait(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epollo.site.compressor.FILE_TASKS_LIMIT", 0)
    assert not background.compressor.has_room_for_file()
    assert not background.add_file()
