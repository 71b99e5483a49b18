"""A change that was complete before a request was sent is in its answer."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server, managed_servers, receive_content, receive_head
from site_grounds import replace, switch_link

ROUNDS = 100

Ask = Callable[[str], tuple[int, bytes]]
"""From a target to status and content."""


def exchange(peer: socket.socket, target: str) -> tuple[int, bytes]:
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, rest = receive_head(peer)
    return int(head[9:12]), receive_content(peer, head, rest)


@pytest.fixture(params=["epoll", "busy"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["busy", "epoll"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for each poller; the busy one ends before the tests that start their own begin."""
    root = tmp_path_factory.mktemp("top") / "site"
    root.mkdir()
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(root, "--quiet", "--poller", request.param, "--keep-size", "100000")


@pytest.fixture
def root(server: Server) -> Iterator[Path]:
    """The root of the server, empty before and after the test."""
    yield server.root
    for path in server.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture(params=["kept", "new"])
def ask(request: pytest.FixtureRequest, server: Server) -> Iterator[Ask]:
    """Ask on one connection that is kept, or on a new one each time."""
    if request.param == "new":

        def ask_anew(target: str) -> tuple[int, bytes]:
            with server.connect() as own:
                return exchange(own, target)

        yield ask_anew
        return
    with server.connect() as peer:
        yield lambda target: exchange(peer, target)


def test_write_in_place(ask: Ask, root: Path) -> None:
    page = root / "page.txt"
    for number in range(ROUNDS):
        page.write_bytes(b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)


def test_append_and_truncate(ask: Ask, root: Path) -> None:
    log = root / "log.txt"
    log.write_bytes(b"")
    for number in range(ROUNDS):
        with log.open("ab") as file:
            file.write(b"x")
        assert ask("/log.txt") == (200, b"x" * (number % 10 + 1))
        if number % 10 == 9:
            os.truncate(log, 0)
            assert ask("/log.txt") == (200, b"")


@pytest.mark.parametrize("octets", [6, 200_000], ids=["kept", "not kept"])
def test_write_through_another_name(ask: Ask, root: Path, tmp_path: Path, octets: int) -> None:
    (root / "folder").mkdir()
    page = root / "page.txt"
    page.write_bytes(b"")
    others = (root / "other.txt", root / "folder" / "other.txt", tmp_path / "outside.txt")
    for other in others:
        other.hardlink_to(page)
    for number in range(ROUNDS):
        content = (b"%06d" % number) * (octets // 6)
        others[number % 3].write_bytes(content)
        assert ask("/page.txt") == (200, content)


def test_atomic_replacement(ask: Ask, root: Path) -> None:
    page = root / "page.txt"
    for number in range(ROUNDS):
        replace(page, b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)


def test_replacement_of_a_large_file(ask: Ask, root: Path) -> None:
    large = root / "large.bin"
    for number in range(ROUNDS // 3):
        replace(large, b"%06d" % number * 40_000)
        assert ask("/large.bin") == (200, b"%06d" % number * 40_000)


def test_create_and_delete(ask: Ask, root: Path) -> None:
    page = root / "page.txt"
    for number in range(ROUNDS):
        assert ask("/page.txt")[0] == 404
        page.write_bytes(b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)
        page.unlink()


def test_rename_of_a_file(ask: Ask, root: Path) -> None:
    here, there = root / "here.txt", root / "there.txt"
    here.write_bytes(b"content")
    for _ in range(ROUNDS):
        assert (ask("/here.txt")[0], ask("/there.txt")[0]) == (200, 404)
        here.rename(there)
        assert (ask("/here.txt")[0], ask("/there.txt")[0]) == (404, 200)
        there.rename(here)


def test_rename_of_a_folder_above(ask: Ask, root: Path) -> None:
    here, there = root / "here", root / "there"
    (here / "a" / "b").mkdir(parents=True)
    (here / "a" / "b" / "page.txt").write_bytes(b"content")
    for _ in range(ROUNDS):
        assert (ask("/here/a/b/page.txt")[0], ask("/there/a/b/page.txt")[0]) == (200, 404)
        here.rename(there)
        assert (ask("/here/a/b/page.txt")[0], ask("/there/a/b/page.txt")[0]) == (404, 200)
        there.rename(here)


def test_replaced_folder(ask: Ask, root: Path) -> None:
    folder, new, old = root / "folder", root / "new", root / "old"
    folder.mkdir()
    for number in range(ROUNDS):
        new.mkdir()
        (new / "index.html").write_bytes(b"%06d" % number)
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)
        assert ask("/folder/") == (200, b"%06d" % number)


def test_folder_removed_and_made_again(ask: Ask, root: Path) -> None:
    # A file system may give the new folder the number of the old one.
    folder = root / "folder"
    for number in range(ROUNDS):
        folder.mkdir()
        (folder / "page.txt").write_bytes(b"%06d" % number)
        assert ask("/folder/page.txt") == (200, b"%06d" % number)
        shutil.rmtree(folder)
        assert ask("/folder/page.txt")[0] == 404


def test_nested_folder_created_with_content(ask: Ask, root: Path) -> None:
    for number in range(ROUNDS):
        target = f"/{number}/b/c/page.txt"
        assert ask(target)[0] == 404
        path = root / target[1:]
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%06d" % number)
        assert ask(target) == (200, b"%06d" % number)


def test_switched_link_to_a_file(ask: Ask, root: Path) -> None:
    for name in ("a", "b"):
        (root / name).write_text(name)
    link = root / "page.txt"
    for number in range(ROUNDS):
        name = "ab"[number % 2]
        switch_link(link, name)
        assert ask("/page.txt") == (200, name.encode())


def test_switched_link_to_a_folder(ask: Ask, root: Path) -> None:
    for name in ("a", "b"):
        (root / name).mkdir()
        (root / name / "page.txt").write_text(name)
    link = root / "current"
    for number in range(ROUNDS):
        name = "ab"[number % 2]
        switch_link(link, name)
        assert ask("/current/page.txt") == (200, name.encode())


def test_target_of_a_link_changes(ask: Ask, root: Path) -> None:
    (root / "data").mkdir()
    (root / "link").symlink_to("data")
    (root / "page.txt").symlink_to("link/page.txt")
    for number in range(ROUNDS):
        replace(root / "data" / "page.txt", b"%06d" % number)
        assert ask("/page.txt") == (200, b"%06d" % number)


def test_file_becomes_a_folder(ask: Ask, root: Path) -> None:
    path = root / "thing"
    for number in range(ROUNDS // 2):
        path.write_bytes(b"%06d" % number)
        assert ask("/thing") == (200, b"%06d" % number)
        path.unlink()
        path.mkdir()
        assert ask("/thing")[0] == 301
        (path / "index.html").write_bytes(b"index")
        assert ask("/thing/") == (200, b"index")
        shutil.rmtree(path)


def test_own_page_for_404_comes_and_goes(ask: Ask, root: Path) -> None:
    page = root / "404.html"
    for number in range(ROUNDS // 2):
        assert ask("/nothing") != (404, b"%06d" % number)
        page.write_bytes(b"%06d" % number)
        assert ask("/nothing") == (404, b"%06d" % number)
        page.unlink()


def test_root_is_a_link_that_is_switched(serve: Serve, poller: str, tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "page.txt").write_text(name)
    current = tmp_path / "current"
    current.symlink_to("releases/1")
    server = serve(current, "--quiet", "--poller", poller)
    with server.connect() as peer:
        for number in range(ROUNDS):
            name = "12"[number % 2]
            switch_link(current, f"releases/{name}")
            assert exchange(peer, "/page.txt") == (200, name.encode())


@pytest.mark.parametrize("is_relative", [False, True])
def test_link_above_the_root_is_switched(
    serve: Serve, poller: str, tmp_path: Path, is_relative: bool
) -> None:
    for name in ("1", "2"):
        public = tmp_path / "releases" / name / "build" / "public"
        public.mkdir(parents=True)
        (public / "page.txt").write_text(name)
    current = tmp_path / "current"
    current.symlink_to("releases/1" if is_relative else tmp_path / "releases" / "1")
    server = serve(current / "build" / "public", "--quiet", "--poller", poller)
    with server.connect() as peer:
        for number in range(ROUNDS):
            name = "12"[number % 2]
            switch_link(current, f"releases/{name}")
            assert exchange(peer, "/page.txt") == (200, name.encode())


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_root_or_a_folder_above_it_is_replaced(
    serve: Serve, poller: str, tmp_path: Path, depth: int
) -> None:
    below = Path(*("a", "b")[:depth])

    def build(name: str, content: str) -> Path:
        (tmp_path / name / below).mkdir(parents=True)
        (tmp_path / name / below / "page.txt").write_text(content)
        return tmp_path / name

    top = build("site", "start")
    server = serve(top / below, "--quiet", "--poller", poller)
    with server.connect() as peer:
        for number in range(ROUNDS // 3):
            new = build("new", f"moved {number}")
            top.rename(tmp_path / "old")
            new.rename(top)
            assert exchange(peer, "/page.txt") == (200, f"moved {number}".encode())
            shutil.rmtree(tmp_path / "old")
            assert exchange(peer, "/page.txt") == (200, f"moved {number}".encode())
            shutil.rmtree(top)
            build("site", f"built {number}")
            assert exchange(peer, "/page.txt") == (200, f"built {number}".encode())


def test_root_is_gone_for_a_while(serve: Serve, poller: str, tmp_path: Path) -> None:
    root = tmp_path / "a" / "site"
    root.mkdir(parents=True)
    (root / "page.txt").write_text("start")
    server = serve(root, "--quiet", "--poller", poller)
    with server.connect() as peer:
        assert exchange(peer, "/page.txt") == (200, b"start")
        for number in range(ROUNDS // 10):
            shutil.rmtree(tmp_path / "a")
            assert exchange(peer, "/page.txt")[0] == 404
            (tmp_path / "a").mkdir()
            assert exchange(peer, "/page.txt")[0] == 404
            root.mkdir()
            assert exchange(peer, "/page.txt")[0] == 404
            (root / "page.txt").write_text(str(number))
            assert exchange(peer, "/page.txt") == (200, str(number).encode())
