"""One inotify descriptor for several sites: each learns what concerns it, and only the last closes it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.budget import Budget
from epollo.quantities import MEBIBYTE
from epollo.site.catalogue import Catalogue
from epollo.site.events import Events
from site_grounds import TurnedClock, count_descriptors


class Shared:
    """Catalogues over one descriptor."""

    def __init__(self, *roots: Path, cache_octets: int = MEBIBYTE) -> None:
        self.events = Events()
        self.budget = Budget(cache_octets)
        self.clock = TurnedClock()
        self.catalogues = [
            Catalogue(
                root,
                self.clock,
                pytest.fail,
                budget=self.budget,
                kept_octets_limit=MEBIBYTE,
                events=self.events,
            )
            for root in roots
        ]

    def read(self, number: int, *names: str) -> bytes:
        self.events.on_ready(0)
        found = self.catalogues[number].find(tuple(name.encode() for name in names))
        return b"" if found.edition is None else found.edition.identity.read()

    def close(self) -> None:
        for catalogue in self.catalogues:
            catalogue.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    for name in ("a/file", "a/inner/file", "b/file"):
        (tmp_path / name).write_text("before")
    return tmp_path


@pytest.fixture
def shared(folder: Path) -> Iterator[Shared]:
    # Two of the same folder, and one within it.
    shared = Shared(folder / "a", folder / "a", folder / "a" / "inner", folder / "b")
    yield shared
    shared.close()


def test_each_site_sees_its_changes(shared: Shared, folder: Path) -> None:
    for number in range(4):
        assert shared.read(number, "file") == b"before"
    assert shared.read(0, "inner", "file") == b"before"
    (folder / "a" / "file").write_text("a")
    (folder / "a" / "inner" / "file").write_text("inner")
    assert [shared.read(number, "file") for number in range(4)] == [
        *(b"a", b"a", b"inner", b"before")
    ]
    assert shared.read(0, "inner", "file") == b"inner"


def test_a_site_that_forgets_a_folder_leaves_it_to_the_others(shared: Shared, folder: Path) -> None:
    first, second = shared.catalogues[:2]
    shared.read(0, "file")
    shared.read(1, "file")
    shared.catalogues.remove(first)
    first.close()
    (folder / "a" / "file").write_text("after")
    shared.events.on_ready(0)
    found = second.find((b"file",))
    assert found.edition is not None
    assert found.edition.identity.read() == b"after"


def test_lost_events_end_everything_everywhere(shared: Shared) -> None:
    found = [catalogue.find((b"file",)) for catalogue in shared.catalogues]
    shared.events.on_fault(ZeroDivisionError())
    assert [resource.is_current for resource in found] == [False] * 4


def test_the_last_site_closes_the_descriptor(folder: Path) -> None:
    before = count_descriptors()
    shared = Shared(folder / "a", folder / "b")
    shared.read(0, "file")
    shared.catalogues[0].close()
    os.fstat(shared.events.descriptor)
    shared.catalogues[1].close()
    assert count_descriptors() == before


def test_the_site_that_takes_most_gives_way(folder: Path) -> None:
    shared = Shared(folder / "a", folder / "b", cache_octets=100_000)
    try:
        small = shared.catalogues[1].find((b"file",))
        for number in range(40):
            (folder / "a" / f"{number}").write_bytes(bytes(5000))
            shared.read(0, f"{number}")
        assert small.is_current
        assert shared.budget.octets <= 100_000
    finally:
        shared.close()
