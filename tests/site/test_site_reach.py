"""How far a walk reaches: links into named folders, and nothing beside these; hidden names by pattern."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.site.candidates import Paths
from epollo.site.reach import parse_reach
from site_grounds import Ground, list_open_below, replace, switch_link


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "page").write_text("page")
    for name in ("store", "store/deep", "private", "store-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        (tmp_path / name / ".secret").write_text("secret")
    return root


@pytest.fixture
def ground(root: Path) -> Iterator[Ground]:
    reach = parse_reach("", os.fspath(root.parent / "store"))
    with Ground(root, paths=Paths(reach=reach)) as ground:
        yield ground


@pytest.mark.parametrize(
    ("target", "path", "content"),
    [
        ("{outside}/store/file", "/link", b"store"),
        ("{outside}/store", "/link/deep/file", b"store/deep"),
        ("{outside}/store/", "/link/file", b"store"),
        ("../store/deep", "/link/file", b"store/deep"),
        ("../store/deep/../file", "/link", b"store"),
        ("{outside}/store/deep/../../root/page", "/link", b"page"),
        ("{outside}/root/page", "/link", b"page"),
    ],
)
def test_a_link_leads_into_a_named_folder(
    ground: Ground, target: str, path: str, content: bytes
) -> None:
    (ground.root / "link").symlink_to(target.format(outside=ground.root.parent))
    assert ground.get(path) == content


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("{outside}/private/file", "/link"),
        ("{outside}/store-other/file", "/link"),
        ("../private/file", "/link"),
        ("..", "/link/private/file"),
        ("{outside}/store/../private/file", "/link"),
        ("{outside}/store/out/file", "/link"),
        ("{outside}/store/up/private/file", "/link"),
        ("{outside}/store/.secret", "/link"),
        ("{outside}/store", "/link/.secret"),
        ("{outside}/store", "/link/../private/file"),
        ("{outside}/store", "/link/%2e%2e/private/file"),
        ("/etc/passwd", "/link"),
        ("../../../../../../../../etc/passwd", "/link"),
        ("{outside}/store/loop", "/link"),
    ],
)
def test_a_link_leads_nowhere_else(ground: Ground, target: str, path: str) -> None:
    outside = ground.root.parent
    (outside / "store" / "out").symlink_to(outside / "private")
    (outside / "store" / "up").symlink_to("..")
    (outside / "store" / "loop").symlink_to("../store/loop")
    (ground.root / "link").symlink_to(target.format(outside=outside))
    assert ground.status(path) in {404, 400}
    assert not list_open_below(outside / "private")


def test_without_the_option_a_link_stays_inside(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "store")
    with Ground(root) as ground:
        assert ground.status("/link/file") == 404


def test_what_is_found_there_is_watched(ground: Ground) -> None:
    store = ground.root.parent / "store"
    switch_link(ground.root / "link", store / "file")
    (ground.root / "folder").symlink_to(store / "deep")
    assert (ground.get("/link"), ground.get("/folder/file")) == (b"store", b"store/deep")
    replace(store / "file", b"another")
    (store / "deep" / "file").write_text("edited")
    assert (ground.get("/link"), ground.get("/folder/file")) == (b"another", b"edited")
    switch_link(ground.root / "link", "page")
    assert ground.get("/link") == b"page"
    store.rename(store.with_name("gone"))
    assert ground.status("/folder/file") == 404


def test_hidden_names_are_shown_by_a_pattern(tmp_path: Path) -> None:
    for name in (
        ".zgroup",
        "a.zarr/.zattrs",
        ".git/config",
        ".zarr/file",
        "..zip",
        ".well-known/.zgroup",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "_headers").write_text("# nothing")
    (tmp_path / "link").symlink_to(".zgroup")
    (tmp_path / "other").symlink_to(".git/config")
    with Ground(tmp_path, paths=Paths(reach=parse_reach(".zgroup, .z*", ""))) as ground:
        for target in (
            "/.zgroup",
            "/a.zarr/.zattrs",
            "/.zarr/file",
            "/link",
            "/.well-known/.zgroup",
        ):
            assert ground.status(target) == 200, target
        for target in (
            "/.git/config",
            "/.zgroup/",
            "/other",
            "/_headers",
            "/..zip",
            "/.git/.zgroup",
        ):
            assert ground.status(target) == 404, target


@pytest.mark.parametrize(
    ("hidden", "folders"),
    [
        ("zgroup", ""),
        (".a/b", ""),
        (".a,b", ""),
        (" , ", ""),
        ("", "/nowhere/at/all"),
        ("", " "),
        ("", ","),
    ],
)
def test_what_cannot_be_named(hidden: str, folders: str) -> None:
    with pytest.raises(OperatorError):
        parse_reach(hidden, folders)
