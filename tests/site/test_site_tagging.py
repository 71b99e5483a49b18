"""Entity tags from the content of large files, made in the background."""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve, Server, receive_content, receive_head, rest
from epollo.site.cache import Cache
from epollo.site.entity_tags import tag_content
from epollo.site.tagging import Tagging
from site_grounds import Ground, count_descriptors

OLD, NEW = os.urandom(3_000_000), os.urandom(3_000_000)
OLD_TAG, NEW_TAG = (tag_content(content).format().decode() for content in (OLD, NEW))


class Tagged(Ground):
    """A site with a thread that makes tags; what the thread hands on waits until `tag` is called."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, kept_octets_limit=1000)
        self._calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.catalogue.tagging = Tagging(self._calls.put)
        self.large = root / "large.bin"
        self.large.write_bytes(OLD)

    def __enter__(self) -> "Tagged":
        return self

    def close(self) -> None:
        super().close()
        for thread in threading.enumerate():
            if thread.name == "tagging":
                thread.join(10)

    def tag(self) -> str:
        """Return the tag of the large file that is given out when its content was read."""
        self.ask("/large.bin")
        self.receive()()
        return self.shown()

    def receive(self) -> Callable[[], None]:
        return self._calls.get(timeout=10)

    def shown(self) -> str:
        return self.ask("/large.bin", method="HEAD").fields["etag"]


@pytest.fixture
def tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tagged]:
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", -(10**18))
    with Tagged(tmp_path) as tagged:
        yield tagged


def test_the_tag_is_that_of_the_content_wherever_it_is_served(tagged: Tagged) -> None:
    before = tagged.shown()
    assert tagged.tag() == OLD_TAG != before
    tagged.large.touch()
    assert tagged.tag() == OLD_TAG
    tagged.large.write_bytes(NEW)
    assert tagged.shown() not in {OLD_TAG, NEW_TAG}
    assert tagged.tag() == NEW_TAG


@pytest.mark.parametrize("names", [1, 2, 3])
def test_each_name_of_a_file_has_the_tag_however_many_other_files_are_known(
    tagged: Tagged, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    """Only of a file of very many names all files are looked at."""
    monkeypatch.setattr("epollo.site.resources._NAMES_LIMIT", 3)
    others = [f"/{number}.bin" for number in range(names - 1)]
    for other in others:
        (tagged.large.parent / other[1:]).hardlink_to(tagged.large)
    for other in others:
        tagged.ask(other)
    looks = 0
    entries = Cache.entries

    def count(cache: Cache[Any, Any]) -> list[Any]:
        nonlocal looks
        looks += 1
        return entries(cache)

    monkeypatch.setattr(Cache, "entries", count)
    assert tagged.tag() == OLD_TAG
    assert [tagged.ask(other, method="HEAD").fields["etag"] for other in others] == [
        OLD_TAG for _ in others
    ]
    assert looks == (names == 3)


@pytest.mark.parametrize("change", ["chmod", "rename", "link"])
def test_a_download_is_resumed_after_a_change_of_rights_or_names(
    tagged: Tagged, change: str
) -> None:
    def change_file() -> None:
        if change == "chmod":
            tagged.large.chmod(0o600)
            tagged.large.chmod(0o644)
        elif change == "rename":
            tagged.large.rename(tagged.root / "other")
            (tagged.root / "other").rename(tagged.large)
        else:
            (tagged.root / "other").hardlink_to(tagged.large)
            (tagged.root / "other").unlink()

    first = tagged.shown()
    change_file()
    assert_resumed(tagged, first)
    assert tagged.tag() == OLD_TAG
    for tag in (first, OLD_TAG):
        change_file()
        # Under the tag that the client has: it must not put together what has another one.
        assert_resumed(tagged, tag)


def assert_resumed(tagged: Tagged, tag: str) -> None:
    answer = tagged.ask("/large.bin", {"Range": "bytes=100-", "If-Range": tag})
    assert (answer.status, answer.fields["etag"], answer.content) == (206, tag, OLD[100:])
    answer = tagged.ask("/large.bin", {"Range": "bytes=100-", "If-Match": f'"x", {tag}'})
    assert (answer.status, answer.fields["etag"]) == (206, tag)
    answer = tagged.ask("/large.bin", {"If-None-Match": tag})
    assert (answer.status, answer.fields["etag"]) == (304, tag)


def test_a_file_that_changes_while_it_is_read_gets_no_tag_from_that(tagged: Tagged) -> None:
    first = tagged.shown()
    tagged.ask("/large.bin")
    call = tagged.receive()
    date_ns = tagged.large.stat().st_mtime_ns
    with tagged.large.open("r+b") as file:
        file.write(NEW)
    os.utime(tagged.large, ns=(date_ns, date_ns))
    call()
    assert tagged.shown() not in {first, OLD_TAG, NEW_TAG}
    assert tagged.tag() == NEW_TAG
    assert tagged.ask("/large.bin", {"If-None-Match": first}).status == 200
    assert tagged.ask("/large.bin", {"If-Match": first}).status == 412


def test_a_file_that_is_not_settled_is_not_read(
    tagged: Tagged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", 10**10)
    tagged.ask("/large.bin")
    assert "tagging" not in {thread.name for thread in threading.enumerate()}


def test_a_file_that_settles_while_its_answer_is_recalled_is_read(
    tagged: Tagged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", 10**10)
    tagged.ask("/large.bin")
    (resource,) = (one for one in tagged.catalogue.resources.list_all() if one.edition is not None)
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", -(10**18))
    assert tagged.catalogue.confirm(resource)
    # A recalled answer rests on the resource, and has that looked at once a second.
    tagged.clock.turn()
    assert tagged.catalogue.confirm(resource)
    tagged.receive()()
    assert tagged.shown() == OLD_TAG


def test_nothing_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", -(10**18))
    before = count_descriptors()
    with Tagged(tmp_path) as tagged:
        assert tagged.tag() == OLD_TAG
    with Tagged(tmp_path) as tagged:
        tagged.ask("/large.bin")
    # Its editions have the open file.
    del tagged
    assert count_descriptors() == before


def find_settled_file() -> Path:
    """Return a file of this machine that was written long ago, and is too large to be kept."""
    for path in Path(sys.base_prefix).rglob("*"):
        status = path.lstat()
        if (
            path.is_file()
            and not path.is_symlink()
            and 1_100_000 < status.st_size < 50_000_000
            and time.time() - status.st_ctime > 60
        ):
            return path
    pytest.skip("no large file here was written long ago")


def test_a_server_makes_the_tag_of_a_file_that_it_was_asked_for(serve: Serve) -> None:
    path = find_settled_file()
    server = serve(path.parent, "--quiet")
    first = receive_tag(server, path.name)
    expected = tag_content(path.read_bytes()).format()
    end = time.monotonic() + 30
    while (tag := receive_tag(server, path.name)) != expected and time.monotonic() < end:
        assert tag == first
        # The thread that makes the tag runs when nothing else wants to.
        rest(0.05)
    assert tag == expected


def receive_tag(server: Server, name: str) -> bytes:
    with server.connect() as peer:
        peer.sendall(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head, content = receive_head(peer)
        receive_content(peer, head, content)
    return next(line for line in head.split(b"\r\n") if line.startswith(b"ETag: "))[6:]
