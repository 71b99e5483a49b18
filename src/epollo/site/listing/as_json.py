"""A page of a listing as JSON, in steps."""

import json
from collections.abc import Iterator

from epollo.annotations import Final
from epollo.site.listing.entries import Entry
from epollo.site.listing.page import Page, format_href, format_time
from epollo.site.listing.view import Form, format_query
from epollo.site.media_types import select_media_type

_STEP_ENTRIES: Final = 64


def format_json(page: Page) -> Iterator[bytes]:
    """Yield a page as JSON (RFC 8259), a piece a step; `docs/listings.md` describes the shape."""
    view = page.view
    number = max(1, view.page)
    following = view._replace(page=number + 1) if number < page.pages else None
    head = {
        "path": "/" + "".join(f"{name.decode('utf-8', 'replace')}/" for name in page.folder),
        "sort": view.sort.value,
        "order": "desc" if view.is_descending else "asc",
        "search": view.search,
        "page": number,
        "pages": page.pages,
        "next": None if following is None else format_query(following, Form.JSON),
        "folders": page.folders,
        "files": page.total - page.folders,
        "size": page.octets,
    }
    # What stands between the braces, and then one more member.
    yield _dump(head)[:-1] + b',"entries":['
    for start in range(0, len(page.entries), _STEP_ENTRIES):
        some = [_dump(_describe(one)) for one in page.entries[start : start + _STEP_ENTRIES]]
        yield (b",\n" if start else b"\n") + b",\n".join(some)
    yield b"\n]}\n"


def _describe(entry: Entry) -> dict[str, object]:
    described: dict[str, object] = {
        "name": entry.name.decode("utf-8", "replace"),
        "href": format_href(entry),
        "type": "folder" if entry.is_folder else "file",
        "size": None if entry.is_folder else entry.octets,
        "modified": None if entry.modified_ns is None else format_time(entry.modified_ns),
    }
    if not entry.is_folder:
        described["media_type"] = select_media_type(entry.name).value.decode("ascii")
    return described


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
