"""Listings as a client gets them: what is listed, when, and that no change is passed over."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from epollo.http.message import FileSegment, Request, Response
from epollo.http.target import parse_target
from epollo.site.candidates import Paths
from epollo.site.listing import content, page
from epollo.site.listing.assets import SCRIPT, STYLE
from epollo.site.listing.page import PAGE_ENTRIES
from epollo.site.reach import parse_reach
from site_grounds import Answer, Ground, PromptCompressor, replace, switch_link


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "b10.txt").write_bytes(b"0123456789")
    (root / "folder" / "b9.txt").write_bytes(b"012345678")
    (root / "a.txt").write_bytes(b"a")
    return root


@pytest.fixture
def ground(root: Path) -> Iterator[Ground]:
    with Ground(root, listing="auto") as ground:
        yield ground


def read(ground: Ground, path: str = "/folder/", query: str = "") -> dict[str, Any]:
    """Return a listing as JSON says it."""
    described: dict[str, Any] = json.loads(ground.get(f"{path}?format=json{query}"))
    return described


def sizes(ground: Ground, path: str = "/folder/") -> dict[str, int | None]:
    return {entry["name"]: entry["size"] for entry in read(ground, path)["entries"]}


def test_a_share_is_listed_and_a_site_is_not(ground: Ground, root: Path) -> None:
    assert ground.status("/") == 200
    assert ground.status("/folder/") == 200
    (root / "index.html").write_bytes(b"home")
    assert ground.get("/") == b"home"
    assert ground.status("/folder/") == 404
    (root / "index.html").unlink()
    assert ground.status("/folder/") == 200


@pytest.mark.parametrize(("choice", "status"), [("on", 200), ("off", 404), ("auto", 404)])
def test_the_choice_of_the_operator(root: Path, choice: str, status: int) -> None:
    (root / "index.html").write_bytes(b"home")
    with Ground(root, listing=choice) as ground:
        assert ground.get("/") == b"home"
        assert ground.status("/folder/") == status
        assert ground.status("/folder") == 301
        assert ground.status(f"/{STYLE.href}") == (404 if choice == "off" else 200)


def test_a_page_of_the_site_goes_before_a_listing(ground: Ground, root: Path) -> None:
    assert ground.status("/folder/") == 200
    (root / "folder" / "index.html").write_bytes(b"page")
    assert ground.get("/folder/") == b"page"
    assert ground.get("/folder/?format=json") == b"page"


def test_what_is_listed(ground: Ground, root: Path) -> None:
    folder = root / "folder"
    (folder / ".hidden").write_bytes(b"")
    (folder / ".git").mkdir()
    (root / ".well-known").mkdir()
    (root / "_headers").write_bytes(b"")
    (folder / "_headers").write_bytes(b"")
    os.mkfifo(folder / "fifo")
    (folder / "out.txt").symlink_to("/etc/passwd")
    (folder / "secret.txt").symlink_to(".hidden")
    (folder / "nowhere").symlink_to("nothing")
    (folder / "link.txt").symlink_to("../a.txt")
    (folder / "up").symlink_to("..")
    (folder / "deep" / "round").symlink_to("../../folder")
    (folder / "across").symlink_to("deep")
    assert [(one["name"], one["type"]) for one in read(ground)["entries"]] == [
        *(("across", "folder"), ("deep", "folder"), ("_headers", "file")),
        *(("b9.txt", "file"), ("b10.txt", "file"), ("link.txt", "file")),
    ]
    assert sizes(ground)["link.txt"] == 1
    assert set(sizes(ground, "/")) == {"folder", "a.txt"}
    assert sizes(ground, "/folder/deep/") == sizes(ground, "/folder/across/") == {}


def test_each_entry_leads_to_what_it_names(ground: Ground, root: Path) -> None:
    for name in (b"50% #1?&;:'\"<b>\\.txt", b"\xff\xfe", b"a\nb", b" ", "ä😀".encode()):
        (root / "folder" / os.fsdecode(name)).write_bytes(name)
    for entry in read(ground)["entries"]:
        if entry["type"] == "file" and not entry["name"].startswith("b"):
            content = ground.get(f"/folder/{entry['href']}")
            assert content.decode("utf-8", "replace") == entry["name"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_listed(ground: Ground, root: Path) -> None:
    (root / "folder" / "b9.txt").chmod(0)
    assert "b9.txt" not in sizes(ground)
    (root / "folder" / "b9.txt").chmod(0o644)
    assert "b9.txt" in sizes(ground)


class Kept:
    """An answer as recall keeps it."""

    def __init__(self, answer: Answer, ground: Ground) -> None:
        assert answer.basis is not None
        self._basis = self.basis = answer.basis
        self._clock = ground.clock
        self._is_released = False
        self._basis.hold(self)

    def release(self) -> None:
        self._is_released = True

    def may_be_given(self) -> bool:
        return self._basis.stands(self._clock.second) and not self._is_released


def write_in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


def switch_folder(root: Path) -> None:
    (root / "folder").rename(root / "former")
    (root / "folder").mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda root: (root / "folder" / "new.txt").write_bytes(b"new"),
    "a new folder": lambda root: (root / "folder" / "new").mkdir(),
    "a removed file": lambda root: (root / "folder" / "b9.txt").unlink(),
    "a renamed file": lambda root: (root / "folder" / "b9.txt").rename(root / "folder" / "c"),
    "a replaced file": lambda root: replace(root / "folder" / "b9.txt", b"12345"),
    "a longer file": lambda root: write_in_place(root / "folder" / "b9.txt", b"x" * 50),
    "another time": lambda root: os.utime(root / "folder" / "b9.txt", (1000, 1000)),
    "another time of a folder": lambda root: os.utime(root / "folder" / "deep", (1000, 1000)),
    "a name below a folder": lambda root: (root / "folder" / "deep" / "x").write_bytes(b""),
    "a write through another name": lambda root: write_in_place(root / "hard", b"x" * 50),
    "a write to what a link leads to": lambda root: write_in_place(root / "a.txt", b"x" * 50),
    "a link that is switched": lambda root: switch_link(root / "folder" / "link", "deep/o.txt"),
    "a link that leads nowhere now": lambda root: (root / "a.txt").unlink(),
    "another folder": switch_folder,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_in_the_next_answer(
    ground: Ground, root: Path, change: Callable[[Path], object]
) -> None:
    (root / "folder" / "link").symlink_to("../a.txt")
    (root / "folder" / "deep" / "o.txt").write_bytes(b"o" * 77)
    (root / "hard").hardlink_to(root / "folder" / "b9.txt")
    os.utime(root / "folder" / "deep", (2000, 2000))
    first = ground.ask("/folder/")
    again = ground.ask("/folder/")
    kept = Kept(again, ground)
    assert kept.may_be_given()
    assert first.fields["etag"] == again.fields["etag"]
    change(root)
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)
    assert not kept.may_be_given()
    assert ground.ask("/folder/").fields["etag"] != first.fields["etag"]


def test_a_subfolder_that_is_written_in_does_not_end_a_listing(ground: Ground, root: Path) -> None:
    """What happens to the files there changes nothing that is shown of it."""
    (root / "folder" / "deep" / "o.txt").write_bytes(b"o")
    ground.get("/folder/deep/o.txt")
    kept = Kept(ground.ask("/folder/"), ground)
    write_in_place(root / "folder" / "deep" / "o.txt", b"x")
    ground.get("/folder/deep/o.txt")
    assert kept.may_be_given()


def test_a_listing_is_made_once_per_version(
    ground: Ground, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query in ("", "?sort=size", "?q=b", "?format=json"):
        ground.get(f"/folder/{query}")
    monkeypatch.setattr(os, "scandir", None)
    for query in ("", "?sort=size", "?q=b", "?format=json", "?sort=name&page=9", "?q=9"):
        ground.get(f"/folder/{query}")


def test_what_no_event_tells_is_seen_when_it_is_looked_at(ground: Ground, root: Path) -> None:
    listing = ground.ask("/folder/")
    assert listing.basis is not None
    assert ground.catalogue.watch is not None
    # As on a network file system: the change comes from elsewhere, and no event does.
    for folder in ground.catalogue.watch._folders.values():
        folder.dependents.clear()
    write_in_place(root / "folder" / "b9.txt", b"x" * 50)
    ground.clock.turn()
    assert not listing.basis.stands(ground.clock.second)
    assert sizes(ground)["b9.txt"] == 50


def test_without_events_a_listing_lasts_a_second(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.watch.Watch", lambda *_: os.open("/nowhere", 0))
    with Ground(root, listing="auto") as ground:
        assert ground.catalogue.watch is None
        listing = ground.ask("/folder/")
        assert listing.basis is not None
        assert listing.basis.stands(ground.clock.second)
        ground.clock.turn()
        assert not listing.basis.stands(ground.clock.second)


def test_links_and_subfolders_beyond_the_limit_of_watches(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.listing.snapshot._WATCHED_ENTRIES_LIMIT", 3)
    for number in range(5):
        (root / "folder" / f"d{number}").mkdir()
    with Ground(root, listing="auto") as ground:
        # Subfolders have no time there, and all else is watched.
        listing = ground.ask("/folder/")
        times = [one["modified"] for one in read(ground)["entries"] if one["type"] == "folder"]
        assert times.count(None) == 3
        ground.clock.turn()
        assert listing.basis is not None
        assert listing.basis.stands(ground.clock.second)
        for number in range(5):
            (root / "folder" / f"link{number}").symlink_to("../a.txt")
        # What links lead to is not watched, so the listing leaves with the second.
        listing = ground.ask("/folder/")
        assert sizes(ground)["link4"] == 1
        assert listing.basis is not None
        assert listing.basis.stands(ground.clock.second)
        ground.clock.turn()
        assert not listing.basis.stands(ground.clock.second)


def test_nothing_is_watched_for_a_listing_that_has_ended(ground: Ground, root: Path) -> None:
    assert ground.catalogue.watch is not None
    ground.get("/a.txt")
    watched = len(ground.catalogue.watch._folders)
    ground.get("/folder/")
    assert len(ground.catalogue.watch._folders) > watched
    for path in sorted((root / "folder").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "folder").rmdir()
    assert ground.status("/folder/") == 404
    (root / "index.html").write_bytes(b"")
    ground.get("/")
    assert len(ground.catalogue.watch._folders) <= watched + 1


def test_what_is_no_folder_is_not_found(ground: Ground, root: Path) -> None:
    for path in ("/nothing/", "/a.txt/", "/.git/", "/folder/.hidden/", "/folder/deep/no/"):
        answer = ground.ask(path)
        assert answer.status == 404, path
        assert answer.basis is not None
    (root / "nothing").mkdir()
    assert ground.status("/nothing/") == 200


def test_validators_ranges_and_head(ground: Ground) -> None:
    get = ground.ask("/folder/")
    assert "last-modified" not in get.fields
    head = ground.ask("/folder/", method="HEAD")
    assert (head.fields, head.content) == (get.fields, b"")
    known = ground.ask("/folder/", {"If-None-Match": get.fields["etag"]})
    assert (known.status, known.fields["vary"]) == (304, "Accept, Accept-Encoding")
    part = ground.ask("/folder/", {"Range": "bytes=10-19"})
    assert (part.status, part.content) == (206, get.content[10:20])
    assert ground.ask("/folder/", method="POST").status == 405


def test_fields(ground: Ground) -> None:
    page = ground.ask("/folder/")
    assert page.fields["content-type"] == "text/html; charset=utf-8"
    assert page.fields["cache-control"] == "no-cache"
    assert "script-src 'self'" in page.fields["content-security-policy"]
    assert "unsafe-inline" not in page.fields["content-security-policy"]
    by_accept = ground.ask("/folder/", {"Accept": "application/json"})
    by_query = ground.ask("/folder/?format=json")
    assert by_accept.content == by_query.content
    assert by_accept.fields["content-type"] == "application/json"
    assert by_accept.fields["etag"] != page.fields["etag"]


def test_the_site_s_own_policy_of_content_counts(ground: Ground, root: Path) -> None:
    (root / "_headers").write_bytes(
        b"/*\n  Content-Security-Policy: default-src 'self'\n  X-A: b\n"
    )
    for target in ("/folder/", f"/{STYLE.href}"):
        answer = ground.ask(target)
        assert answer.fields["content-security-policy"] == "default-src 'self'"
        assert answer.fields["x-a"] == "b"
        (root / "_headers").write_bytes(b"/*\n  X-A: c\n")
        assert ground.ask(target).fields["x-a"] == "c"
        (root / "_headers").write_bytes(
            b"/*\n  Content-Security-Policy: default-src 'self'\n  X-A: b\n"
        )


def test_a_rule_of_the_site_goes_before_a_listing(ground: Ground, root: Path) -> None:
    (root / "_redirects").write_bytes(b"/folder/ /a.txt 302\n")
    assert ground.ask("/folder/").fields["location"] == "/a.txt"


def test_a_folder_beside_a_page_of_its_name_is_listed(ground: Ground, root: Path) -> None:
    """As browsers save pages, and wget does; only where nothing is listed a slash is one too many."""
    (root / "folder.html").write_text("page")
    assert [one["name"] for one in read(ground)["entries"]] == ["deep", "b9.txt", "b10.txt"]
    basis = ground.ask("/folder/").basis
    assert basis is not None
    assert ground.get("/folder") == b"page"
    assert ground.get("/folder/b9.txt") == b"012345678"
    shutil.rmtree(root / "folder")
    assert ground.ask("/folder/").fields["location"] == "/folder"
    (root / "folder").mkdir()
    assert read(ground)["entries"] == []
    (root / "index.html").write_text("a site now")
    assert ground.ask("/folder/").fields["location"] == "/folder"
    (root / "index.html").unlink()
    (root / "_redirects").write_text("/folder/ /elsewhere\n")
    assert ground.ask("/folder/").fields["location"] == "/folder"


def test_style_and_script_are_kept_by_clients(ground: Ground) -> None:
    for reference, media_type in ((STYLE, "text/css"), (SCRIPT, "text/javascript")):
        answer = ground.ask(f"/{reference.href}")
        assert answer.fields["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.fields["content-type"] == f"{media_type}; charset=utf-8"
        path = "/" + reference.href.partition("?")[0]
        for other in (path, f"{path}?", f"{path}?000000000000", "/.epollo/", "/.epollo/a"):
            assert ground.status(other) == 404


def test_codings(root: Path) -> None:
    compressor = PromptCompressor()
    with Ground(root, listing="auto", compressor=compressor) as ground:
        for target in ("/folder/", "/folder/?format=json", f"/{STYLE.href}"):
            plain = ground.ask(target)
            ground.ask(target, {"Accept-Encoding": "br"})
            coded = ground.ask(target, {"Accept-Encoding": "br"})
            assert coded.fields["content-encoding"] == "br"
            assert len(coded.content) < len(plain.content)
            assert coded.fields["etag"] != plain.fields["etag"]
    compressor.close()


def test_sort_and_search(ground: Ground) -> None:
    found = ground.get("/folder/?sort=size&order=desc").decode()
    assert re.findall(r'href="(b[^"]*)"', found) == ["b10.txt", "b9.txt"]
    assert [one["name"] for one in read(ground, query="&q=10")["entries"]] == ["b10.txt"]
    nothing = ground.ask("/folder/?q=%3Cscript%3E")
    assert (nothing.status, b"<script>" in nothing.content) == (200, False)


def test_a_large_folder_comes_in_pages(ground: Ground, root: Path) -> None:
    folder = root / "large"
    folder.mkdir()
    for number in range(PAGE_ENTRIES + 2):
        (folder / f"{number}").touch()
    names: list[str] = []
    target = "?format=json"
    while target:
        described = json.loads(ground.get(f"/large/{target}"))
        names += (one["name"] for one in described["entries"])
        target = described["next"]
    assert names == [str(number) for number in range(PAGE_ENTRIES + 2)]
    assert (described["page"], described["pages"]) == (2, 2)
    (folder / "0").unlink()
    assert ground.get("/large/?page=7") == ground.get("/large/?page=2")


@pytest.fixture
def five_a_page(monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    """A folder of a dozen files that has three pages."""
    monkeypatch.setattr(page, "PAGE_ENTRIES", 5)
    for number in range(12):
        (root / "large").mkdir(exist_ok=True)
        (root / "large" / f"{number}.txt").write_bytes(b"x" * number)
    return root / "large"


def list_names(answer: Answer) -> list[str]:
    return re.findall(r'href="([0-9]+\.txt)"', answer.content.decode())


def test_a_program_gets_all_and_a_browser_a_page(ground: Ground, five_a_page: Path) -> None:
    names = [f"{number}.txt" for number in range(12)]
    for fields in ({}, {"Accept": "*/*"}, {"Accept-Encoding": "gzip"}):
        whole = ground.ask("/large/", fields)
        assert list_names(whole) == names
        assert b"?page=" not in whole.content
        assert "Accept" in whole.fields["vary"].split(", ")
    browser = {"Accept": "text/html,*/*;q=0.8"}
    assert list_names(ground.ask("/large/", browser)) == names[:5]
    assert list_names(ground.ask("/large/?page=3", {"Accept": "*/*"})) == names[10:]
    assert ground.ask("/large/?page=all", browser).fields == whole.fields
    assert list_names(ground.ask("/large/?sort=size&order=desc")) == names[::-1]
    (five_a_page / "12.txt").touch()
    assert list_names(ground.ask("/large/"))[-1] == "12.txt"
    described = json.loads(ground.get("/large/?format=json&page=all"))
    assert len(described["entries"]) == 13
    assert [described[name] for name in ("page", "pages", "next")] == [1, 1, None]


def test_the_page_of_all_is_a_file_with_validators(ground: Ground, five_a_page: Path) -> None:
    first = ground.ask("/large/")
    assert first.is_kept
    assert ground.ask("/large/", {"If-None-Match": first.fields["etag"]}).status == 304
    part = ground.ask("/large/", {"Range": "bytes=10-19"})
    assert (part.status, part.content) == (206, first.content[10:20])
    (five_a_page / "0.txt").write_bytes(b"more")
    assert ground.ask("/large/").fields["etag"] != first.fields["etag"]


def test_one_page_is_made_once_for_programs_and_browsers(ground: Ground) -> None:
    ground.ask("/folder/", {"Accept": "text/html"})
    kept = len(ground.catalogue.listings._kept)
    ground.ask("/folder/")
    assert len(ground.catalogue.listings._kept) == kept


def test_more_than_a_page_of_all_may_have_come_in_pages(
    ground: Ground, five_a_page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "WHOLE_ENTRIES", 11)
    answer = ground.ask("/large/")
    assert (answer.status, len(list_names(answer))) == (200, 5)
    assert b'href="?page=2"' in answer.content


def test_pages_of_all_take_no_more_than_their_room(
    ground: Ground, five_a_page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way counts, also when the folder is another by now."""
    target = parse_target(b"/large/")
    assert target is not None
    under_way = ground.site.respond(Request(b"GET", target, {}))
    assert isinstance(under_way, Response)
    octets = sum(one.length for one in under_way.content if isinstance(one, FileSegment))
    monkeypatch.setattr(content, "LARGE_OCTETS_LIMIT", content._Share.taken + octets // 2)
    (five_a_page / "new.txt").touch()
    refused = ground.ask("/large/")
    assert (refused.status, refused.fields["retry-after"]) == (503, "1")
    assert ground.status("/large/?page=1") == 200
    del under_way
    assert ground.status("/large/") == 200
    before = content._Share.taken
    for one in five_a_page.iterdir():
        one.unlink()
    assert ground.status("/large/") == 200
    assert content._Share.taken < before


def test_a_cache_without_room_lists_all_the_same(root: Path) -> None:
    with Ground(root, listing="auto", cache_octets=100) as ground:
        first = ground.ask("/folder/")
        assert first.status == 200
        assert first.basis is None or not first.basis.stands(ground.clock.second)
        assert ground.ask("/folder/").fields == first.fields
        assert ground.catalogue.watch is not None
        assert not any(
            name == b"/"
            for one in ground.catalogue.watch._folders.values()
            for name in one.dependents
        )


def test_a_root_that_was_deleted_has_no_listing(ground: Ground, root: Path) -> None:
    assert ground.status("/") == 200
    shutil.rmtree(root)
    assert ground.status("/") == 404
    root.mkdir()
    assert ground.status("/") == 200


@pytest.mark.parametrize("path", ["//folder/", "/folder//", "/./folder/", "/folder/deep/../"])
def test_a_path_that_relative_references_do_not_suit_leads_to_the_plain_one(
    ground: Ground, path: str
) -> None:
    answer = ground.ask(f"{path}?sort=size")
    assert (answer.status, answer.fields["location"]) == (301, "/folder/?sort=size")


def test_hidden_names_that_are_served_are_listed(root: Path) -> None:
    (root / "folder" / ".zgroup").write_bytes(b"{}")
    (root / "folder" / ".secret").write_bytes(b"")
    (root / "folder" / "link").symlink_to(root.parent / "store")
    (root.parent / "store").mkdir()
    reach = parse_reach(".z*", str(root.parent / "store"))
    with Ground(root, listing="auto", paths=Paths(reach=reach)) as ground:
        assert set(sizes(ground)) == {"deep", "link", "b9.txt", "b10.txt", ".zgroup"}
        assert set(sizes(ground, "/folder/link/")) == set()
