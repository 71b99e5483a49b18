"""Codings of content that is kept: made once per version, from a sidecar file where one can be used."""

import gzip
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from epollo.site.codings import CODING_NAMES, CODINGS
from epollo.site.compressor import Compressor, Task
from epollo.site.entity_tags import tag_content
from epollo.site.kept_codings import KeptCodings
from epollo.site.media_types import UNKNOWN
from epollo.site.representation import read_edition
from epollo.site.resolve import Names
from epollo.site.resource import Resource
from epollo.site.root import Root
from epollo.site.sealed import Coded
from epollo.site.watch import Dependent, Watch

TEXT = b"text " * 100


class WaitingCompressor(Compressor):
    """A compressor that only takes tasks."""

    def __init__(self, *, room: int = 9) -> None:
        super().__init__(lambda call: call(), print)
        self._room = room
        self.tasks: list[Task] = []
        self.improved: list[Mapping[bytes, int]] = []

    def has_room(self) -> bool:
        return len(self.tasks) < self._room

    def add(self, task: Task) -> bool:
        self.tasks.append(task)
        return True

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:  # noqa: ARG002
        self.improved.append(limits)
        return True


class Kept:
    """A folder with a text, as a resource whose content is kept."""

    def __init__(self, folder: Path) -> None:
        self.grown: list[tuple[Names, int]] = []
        self.refused: list[tuple[bytes, str]] = []
        self.ended: list[Dependent | None] = []
        self.root = Root(folder, lambda: None)
        self.watch = Watch(self._on_end, print)
        self.root.begin_watch(self.watch)
        self.codings = KeptCodings(
            self.root,
            self.watch,
            grow=lambda names, octets: self.grown.append((names, octets)),
            refuse=lambda _, suffix, reason: self.refused.append((suffix, reason)),
            kept_octets_limit=1000,
        )
        found = self.root.walk((b"page.txt",))
        self.resource = Resource((b"page.txt",), found.kind, found.edges, 1, lambda _: True)
        self.edition = read_edition(found.descriptor, UNKNOWN, 1000)
        self.resource.edition = self.edition
        self.descriptor = found.descriptor

    def _on_end(self, dependent: Dependent | None, **_: bool) -> None:
        self.ended.append(dependent)

    def offer(self, compressor: Compressor, wanted: bytes = b"gzip") -> None:
        self.codings.offer(self.resource, self.edition, compressor, wanted)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "page.txt").write_bytes(TEXT)
    kept = Kept(tmp_path)
    yield kept
    os.close(kept.descriptor)
    kept.watch.close()
    kept.root.close()


def test_the_content_and_its_sidecar_files_are_handed_on(kept: Kept, tmp_path: Path) -> None:
    coded = gzip.compress(TEXT)
    (tmp_path / "page.txt.gz").write_bytes(coded)
    (tmp_path / "page.txt.br").write_bytes(b"")
    (tmp_path / "page.txt.zst").write_bytes(bytes(1001))
    compressor = WaitingCompressor()
    kept.offer(compressor)
    (task,) = compressor.tasks
    assert task.content == TEXT
    # One that is empty is none, and one that is too long is not read.
    assert dict(task.sidecars) == {b"gzip": coded}
    # It may be no coding of the content: then all are made.
    assert task.codings == CODINGS
    assert kept.resource.offered == CODING_NAMES


def test_only_the_coding_that_is_wanted_is_made(kept: Kept) -> None:
    compressor = WaitingCompressor()
    for wanted in (b"zstd", b"gzip"):
        kept.offer(compressor, wanted)
    assert [[coding.name for coding in task.codings] for task in compressor.tasks] == [
        [b"zstd"],
        [b"gzip"],
    ]
    assert kept.resource.offered == {b"zstd", b"gzip"}
    for task, length in zip(compressor.tasks, (7, 9), strict=True):
        task.done({}, {task.codings[0].name: length})
    assert dict(kept.resource.improvable) == {b"zstd": 7, b"gzip": 9}
    # As small as can be, all are made: one that was not wanted so far may be the smallest.
    kept.codings.improve(kept.resource, kept.edition)
    assert compressor.improved == [{b"zstd": 7, b"gzip": 9, b"br": len(TEXT)}]
    assert kept.resource.offered == CODING_NAMES


def test_without_room_no_file_is_looked_for(kept: Kept) -> None:
    before = kept.resource.edges
    kept.offer(WaitingCompressor(room=0))
    assert kept.resource.edges == before
    assert not kept.resource.offered


@pytest.mark.parametrize("is_there", [True, False])
def test_a_sidecar_that_comes_or_goes_ends_the_resource(
    kept: Kept, tmp_path: Path, is_there: bool
) -> None:
    sidecar = tmp_path / "page.txt.gz"
    if is_there:
        sidecar.write_bytes(b"coded")
    kept.offer(WaitingCompressor())
    kept.watch.on_ready(1)
    kept.ended.clear()
    if is_there:
        sidecar.unlink()
    else:
        sidecar.write_bytes(b"coded")
    kept.watch.on_ready(1)
    assert kept.resource in kept.ended


def test_a_coding_that_is_made_is_added(kept: Kept) -> None:
    compressor = WaitingCompressor()
    kept.offer(compressor)
    (task,) = compressor.tasks
    assert task.is_wanted()
    task.done({b"gzip": Coded(b"coded", tag_content(b"coded"))}, {b"gzip": 5})
    assert dict(kept.resource.improvable) == {b"gzip": 5}
    kept.codings.improve(kept.resource, kept.edition)
    assert compressor.improved == [{b"gzip": 5, b"br": len(TEXT), b"zstd": len(TEXT)}]
    task.done({b"gzip": Coded(b"better coded", tag_content(b"better coded"))}, {})
    assert not kept.resource.improvable
    assert kept.edition.representations[b"gzip"].read() == b"better coded"
    assert {names for names, _ in kept.grown} == {kept.resource.names}
    first_octets, second_octets = (octets for _, octets in kept.grown)
    # The first takes objects besides, and another in its place has them already.
    assert first_octets > 500
    assert second_octets == len(b"better ")
    task.refuse(b".br", "cannot be decoded")
    assert kept.refused == [(b".br", "cannot be decoded")]


def test_a_coding_of_what_has_ended_is_dropped(kept: Kept) -> None:
    compressor = WaitingCompressor()
    kept.offer(compressor)
    (task,) = compressor.tasks
    kept.resource.end()
    assert not task.is_wanted()
    task.done({b"gzip": Coded(b"coded", tag_content(b"coded"))}, {})
    assert b"gzip" not in kept.edition.representations
    assert not kept.grown
