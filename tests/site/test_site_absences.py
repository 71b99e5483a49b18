"""What is not there: kept at its size, for a folder that is missing once, for as long as it is so."""

from pathlib import Path

import pytest

from epollo.quantities import MEBIBYTE
from epollo.site.absences import select_missing
from epollo.site.resolve import Edge, Kind, Names
from site_grounds import Ground


def find(ground: Ground, path: str) -> Kind:
    return ground.catalogue.find(tuple(path.encode().split(b"/"))).kind


def learn(ground: Ground) -> None:
    """Have the catalogue learn of what was changed."""
    watch = ground.catalogue.watch
    assert watch is not None
    watch.on_ready(0)


def known(ground: Ground) -> list[bytes]:
    return sorted(b"/".join(one.names) for one in ground.catalogue.resources.absences.entries())


def test_a_folder_that_is_missing_answers_for_all_that_is_below_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with Ground(tmp_path) as ground:
        for number in range(1000):
            assert find(ground, f"gone/{number}/page.html") is Kind.MISSING
            assert find(ground, f"there/gone/{number}") is Kind.MISSING
        assert known(ground) == [b"gone", b"there/gone"]
        assert find(ground, "gone") is Kind.MISSING
        assert find(ground, "there/other") is Kind.MISSING
        assert known(ground) == [b"gone", b"there/gone", b"there/other"]


def test_what_appears_below_is_found(tmp_path: Path) -> None:
    with Ground(tmp_path) as ground:
        assert find(ground, "gone/deep/page.html") is Kind.MISSING
        (tmp_path / "gone").mkdir()
        learn(ground)
        assert find(ground, "gone/deep/page.html") is Kind.MISSING
        assert known(ground) == [b"gone/deep"]
        (tmp_path / "gone/deep").mkdir()
        (tmp_path / "gone/deep/page.html").write_bytes(b"here")
        learn(ground)
        assert find(ground, "gone/deep/page.html") is Kind.FILE
        assert find(ground, "gone/deep/other.html") is Kind.MISSING
        (tmp_path / "gone").rename(tmp_path / "moved")
        learn(ground)
        assert find(ground, "gone/deep/page.html") is Kind.MISSING
        assert find(ground, "moved/deep/page.html") is Kind.FILE


@pytest.mark.parametrize("name", ["file", "link", "folder"])
def test_what_stands_on_the_way_does_not_answer_for_what_is_below(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with Ground(tmp_path) as ground:
        assert find(ground, name) is not Kind.MISSING
        assert find(ground, f"{name}/page/more") is Kind.MISSING
        assert b"folder" not in known(ground) or name == "folder"
        assert find(ground, name) is not Kind.MISSING


def test_a_link_that_is_switched(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/page").write_bytes(b"new")
    (tmp_path / "link").symlink_to("old")
    with Ground(tmp_path) as ground:
        assert find(ground, "link/page") is Kind.MISSING
        assert find(ground, "link/other/page") is Kind.MISSING
        (tmp_path / "next").symlink_to("new")
        (tmp_path / "next").rename(tmp_path / "link")
        learn(ground)
        assert find(ground, "link/page") is Kind.FILE
        assert find(ground, "link/other/page") is Kind.MISSING


def test_thousands_of_names_are_kept_at_their_size(tmp_path: Path) -> None:
    with Ground(tmp_path, cache_octets=256 * MEBIBYTE) as ground:
        for number in range(10_000):
            assert find(ground, f"page{number}.html") is Kind.MISSING
        assert len(known(ground)) == 10_000


def test_they_take_a_small_part_of_what_is_kept(tmp_path: Path) -> None:
    with Ground(tmp_path, cache_octets=MEBIBYTE) as ground:
        for number in range(1000):
            assert find(ground, f"page{number}.html") is Kind.MISSING
        assert 10 < len(known(ground)) <= 128
        assert ground.catalogue.resources.absences.octets <= MEBIBYTE // 16


@pytest.mark.parametrize(
    ("edges", "missing"),
    [
        ((b"a",), (b"a",)),
        ((b"a", b"b"), (b"a", b"b")),
        ((b"a", b"b", b"c"), (b"a", b"b", b"c")),
        ((b"x",), (b"a", b"b", b"c")),
        ((b"a", b"x", b"c"), (b"a", b"b", b"c")),
        ((b"a", b"b", b"c", b"d"), (b"a", b"b", b"c")),
    ],
)
def test_which_names_are_missing(edges: Names, missing: Names) -> None:
    walked = tuple(Edge(1, name) for name in edges)
    assert select_missing((b"a", b"b", b"c"), walked, lambda _: True) == missing
    assert select_missing((b"a", b"b", b"c"), walked, lambda _: False) == (b"a", b"b", b"c")
