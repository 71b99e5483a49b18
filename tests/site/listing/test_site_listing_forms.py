"""A page of a listing in its two forms: any name is shown and linked right, and none becomes markup."""

import json
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.target import decode_path, parse_target
from epollo.site.listing.as_html import format_html
from epollo.site.listing.as_json import format_json
from epollo.site.listing.entries import Entry, Sort
from epollo.site.listing.html import Html, Pattern
from epollo.site.listing.page import (
    PAGE_ENTRIES,
    Page,
    format_href,
    format_time,
    make_page,
    select_kind,
    show_name,
    show_size,
)
from epollo.site.listing.view import View

FIRST = View()

names = st.binary(min_size=1, max_size=30).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
)


class Links(HTMLParser):
    """The elements of a page, and the text and references of its links."""

    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: dict[str, int] = {}
        self.hrefs: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self._is_in_link = False
        self.feed(b"".join(format_html(page)).decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] = self.elements.get(tag, 0) + 1
        self.attributes += ((tag, name, value) for name, value in attrs)
        if tag == "a":
            self.hrefs.append(dict(attrs)["href"] or "")
            self.texts.append("")
            self._is_in_link = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._is_in_link = False

    def handle_data(self, data: str) -> None:
        if self._is_in_link:
            self.texts[-1] += data


def page_of(*entries: Entry, view: View = FIRST, folder: tuple[bytes, ...] = ()) -> Page:
    return make_page(folder, view, entries, sum(entry.octets for entry in entries))


def test_a_pattern_escapes_what_is_no_html() -> None:
    pattern = Pattern('<b title="{title}">{text}</b>')
    hostile = "\"'<i>&"
    assert pattern.fill(title=hostile, text=hostile) == (
        '<b title="&quot;&#x27;&lt;i&gt;&amp;">&quot;&#x27;&lt;i&gt;&amp;</b>'
    )
    assert pattern.fill(title="", text=Html("<i>")) == '<b title=""><i></b>'
    assert pattern.fill(title="{text}", text="{title}") == '<b title="{text}">{title}</b>'
    with pytest.raises(KeyError):
        pattern.fill(title="")


@given(st.lists(st.tuples(names, st.booleans()), max_size=5), st.lists(names, max_size=3))
def test_any_name_is_linked_right_and_none_becomes_markup(
    found: list[tuple[bytes, bool]], folder: list[bytes]
) -> None:
    entries = [Entry(name, is_folder, 1, 0) for name, is_folder in found]
    links = Links(page_of(*entries, folder=tuple(folder)))
    plain_folder = (b"f",) * len(folder)
    plain = Links(
        page_of(*(Entry(b"a", one.is_folder, 1, 0) for one in entries), folder=plain_folder)
    )
    assert links.elements == plain.elements
    # Where a browser goes from the folder, and what the server makes of it.
    for entry, href in zip(entries, links.hrefs[len(links.hrefs) - len(entries) :], strict=True):
        target = parse_target(urljoin("http://a/x/y/", href).removeprefix("http://a").encode())
        assert target is not None
        assert target.query is None
        expected = (entry.name, b"") if entry.is_folder else (entry.name,)
        assert decode_path(target.path) == (b"x", b"y", *expected)


@given(names, st.booleans())
def test_json_has_the_same_references_as_the_page(name: bytes, is_folder: bool) -> None:
    entry = Entry(name, is_folder, 5, 1_700_000_000_000_000_000)
    page = page_of(entry, folder=(b"a b", b"c"))
    read = json.loads(b"".join(format_json(page)))
    (described,) = read.pop("entries")
    assert described.pop("href") == Links(page).hrefs[-1]
    assert described.pop("name") == name.decode("utf-8", "replace")
    assert described.pop("modified") == "2023-11-14T22:13:20Z"
    assert described.pop("type") == ("folder" if is_folder else "file")
    assert described.pop("size") == (None if is_folder else 5)
    assert ("media_type" in described) is not is_folder
    assert read == {
        "path": "/a b/c/",
        "sort": "name",
        "order": "asc",
        "search": "",
        "page": 1,
        "pages": 1,
        "next": None,
        "folders": int(is_folder),
        "files": int(not is_folder),
        "size": 5,
    }


def test_no_style_and_no_script_is_inline() -> None:
    links = Links(page_of(Entry(b"a", False, 1, 0), folder=(b"f",), view=View(search="x")))
    assert "style" not in links.elements
    for tag, name, value in links.attributes:
        assert name != "style"
        assert not name.startswith("on")
        if tag == "script" and name == "src":
            assert value is not None
            assert value.startswith("../.epollo/listing.js?")
    assert ("script", "src") in {(tag, name) for tag, name, _ in links.attributes}


def test_columns_link_to_the_other_order() -> None:
    view = View(sort=Sort.SIZE, is_descending=True, search="a&b")
    links = Links(page_of(Entry(b"a&b", False, 1, 0), view=view))
    assert links.hrefs[:3] == [
        "?q=a%26b",
        "?q=a%26b&sort=size",
        "?q=a%26b&sort=time&order=desc",
    ]
    assert ("th", "aria-sort", "descending") in links.attributes


def test_the_entries_of_a_page_are_bounded_and_pages_lead_to_each_other() -> None:
    entries = [Entry(b"%d" % number, number < 7, 1, 0) for number in range(2 * PAGE_ENTRIES + 1)]
    first = page_of(*entries)
    assert (first.pages, len(first.entries), first.total) == (3, PAGE_ENTRIES, len(entries))
    assert (first.folders, first.octets) == (7, len(entries))
    second = page_of(*entries, view=View(page=2))
    assert second.entries[0] == entries[PAGE_ENTRIES]
    assert Links(second).hrefs[-4:] == ["./", "./", "?page=3", "?page=3"]
    assert json.loads(b"".join(format_json(second)))["next"] == "?page=3&format=json"
    last = page_of(*entries, view=View(page=900))
    assert (last.view.page, len(last.entries)) == (3, 1)
    assert json.loads(b"".join(format_json(last)))["next"] is None


def test_a_page_in_another_order_is_not_for_robots() -> None:
    assert ("meta", "name", "robots") not in Links(page_of(view=View(page=2))).attributes
    assert ("meta", "name", "robots") in Links(page_of(view=View(sort=Sort.TIME))).attributes


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (102_348, "99.9 KiB"),
        (102_400, "100 KiB"),
        (1_048_064, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2**63 - 1, "8.0 EiB"),
    ],
)
def test_sizes(octets: int, shown: str) -> None:
    assert show_size(octets) == shown


@pytest.mark.parametrize(
    ("modified_ns", "shown"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_999_999_999_999_999_999, "2033-05-18T03:33:19Z"),
        (10**30, "9999-01-01T00:00:00Z"),
        (-(10**30), "0001-01-01T00:00:00Z"),
    ],
)
def test_times(modified_ns: int, shown: str) -> None:
    assert format_time(modified_ns) == shown


def test_what_cannot_be_seen_is_shown_as_a_mark() -> None:
    assert (
        show_name("a\u202etxt.exe\n\x1b".encode() + b"\xff") == "a\ufffdtxt.exe\ufffd\ufffd\ufffd"
    )


@pytest.mark.parametrize(
    ("name", "href"),
    [
        ("a:b", "a%3Ab"),
        ("a&b;c", "a%26b%3Bc"),
        ("50% #1?.txt", "50%25%20%231%3F.txt"),
        ("-_.~!$()*+,=@", "-_.~!$()*+,=@"),
        ("javascript:alert(1)", "javascript%3Aalert(1)"),
        ("\\\\host", "%5C%5Chost"),
    ],
)
def test_references(name: str, href: str) -> None:
    assert format_href(Entry(name.encode(), False, 0, 0)) == href


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("a.png", "image"), ("a.mp3", "audio"), ("a.MKV", "video"), ("a.tar.gz", "archive")),
        *(("a.py", "code"), ("a.txt", "text"), ("a.pdf", "document"), ("a", "file")),
        *(("gz", "file"), ("a.woff2", "font")),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert select_kind(Entry(name.encode(), False, 0, 0)) == kind
    assert select_kind(Entry(name.encode(), True, 0, 0)) == "folder"
