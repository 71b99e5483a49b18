"""A page of a listing as HTML, in steps.

It needs no script: the order, the search and the pages are links and a form. Style and script are files
below a reserved path (`assets`), so that no policy of content (CSP) has to allow anything inline.
"""

from collections.abc import Iterator

from epollo.annotations import Final
from epollo.site.listing.assets import SCRIPT, STYLE
from epollo.site.listing.entries import Entry, Sort
from epollo.site.listing.html import Html, Pattern, join
from epollo.site.listing.page import (
    Crumb,
    Page,
    format_href,
    format_time,
    select_kind,
    show_name,
    show_size,
)
from epollo.site.listing.view import View, format_query

_STEP_ENTRIES: Final = 64

_HEAD: Final = Pattern(
    """<!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    {robots}
    <title>{title}</title>
    <link rel="stylesheet" href="{root}{style}">
    <script src="{root}{script}" defer></script>
    </head>
    <body>
    <header>
    <h1><nav aria-label="Path"><ol>{crumbs}</ol></nav></h1>
    <form role="search" action="./" method="get">{hidden}
    <input type="search" name="q" value="{search}" placeholder="Filter" aria-label="Filter by name"
     autocomplete="off" spellcheck="false"></form>
    </header>
    <main>
    <p id="summary" role="status">{summary}</p>
    <table>
    <thead><tr>{columns}</tr></thead>
    <tbody>"""
)
_ROBOTS: Final = Pattern('<meta name="robots" content="noindex, nofollow">')
_CRUMB: Final = Pattern('<li><a href="{href}">{name}</a></li>')
_HERE: Final = Pattern('<li aria-current="page">{name}</li>')
_HIDDEN: Final = Pattern('<input type="hidden" name="{name}" value="{value}">')
_COLUMN: Final = Pattern(
    '<th scope="col" class="{kind}" aria-sort="{direction}">'
    '<a href="{href}" rel="nofollow">{title}</a></th>'
)
_PARENT: Final = Pattern(
    '<tr class="parent"><td class="name" colspan="3"><a class="up" href="../">Parent folder</a></td></tr>'
)
_ROW_TEXT: Final = (
    '<tr><td class="name"><a class="{kind}" href="{href}">{name}</a></td>'
    '<td class="size">%s</td><td class="time">%s</td></tr>\n'
)
_SIZE_TEXT: Final = '<data value="{octets}">{size}</data>'
_TIME_TEXT: Final = '<time datetime="{time}">{shown}</time>'
_ROW: Final = Pattern(_ROW_TEXT % ("{size}", "{time}"))
_FILE_ROW: Final = Pattern(_ROW_TEXT % (_SIZE_TEXT, _TIME_TEXT))
_SIZE: Final = Pattern(_SIZE_TEXT)
_TIME: Final = Pattern(_TIME_TEXT)
_FOOT: Final = Pattern("</tbody></table>{empty}{pages}</main></body></html>")
_EMPTY: Final = Pattern('<p class="empty">{text}</p>')
_PAGES: Final = Pattern('<nav class="pages" aria-label="Pages">{links}</nav>')
_PAGE: Final = Pattern('<a href="{href}" rel="{relation}">{text}</a>')
_PAGE_HERE: Final = Pattern("<span>{text}</span>")

_TITLES: Final = {Sort.NAME: "Name", Sort.SIZE: "Size", Sort.TIME: "Modified (UTC)"}


def format_html(page: Page) -> Iterator[bytes]:
    """Yield a page as HTML, a piece a step."""
    view = page.view
    here = page.crumbs[-1].name if len(page.crumbs) > 1 else "Home"
    path = "".join(f"/{crumb.name}" for crumb in page.crumbs[1:]) or "/"
    yield _HEAD.fill(
        title=f"{here} - {path}" if len(page.crumbs) > 2 else here,
        # Another order shows the same entries: a crawler has no use for it.
        robots=Html() if view == View(page=view.page) else _ROBOTS.fill(),
        root=page.crumbs[0].href,
        style=STYLE.href,
        script=SCRIPT.href,
        crumbs=_format_crumbs(page.crumbs),
        hidden=_format_hidden(view),
        search=view.search,
        summary=summarize(page),
        columns=join([_format_column(view, sort) for sort in Sort]),
    ).encode()
    if len(page.crumbs) > 1:
        yield _PARENT.fill().encode()
    for start in range(0, len(page.entries), _STEP_ENTRIES):
        yield "".join(map(_format_row, page.entries[start : start + _STEP_ENTRIES])).encode()
    empty = Html()
    if not page.entries:
        text = "Nothing here has this in its name." if view.search else "This folder is empty."
        empty = _EMPTY.fill(text=text)
    yield _FOOT.fill(empty=empty, pages=_format_pages(page)).encode()


def summarize(page: Page) -> str:
    """Return in words how much there is."""
    files = page.total - page.folders
    parts = []
    if page.folders:
        parts.append(f"{page.folders:,} {'folder' if page.folders == 1 else 'folders'}")
    if files or not page.folders:
        size = f", {show_size(page.octets)}" if files else ""
        parts.append(f"{files:,} {'file' if files == 1 else 'files'}{size}")
    found = " found" if page.view.search else ""
    pages = f"; page {page.view.page:,} of {page.pages:,}" if page.pages > 1 else ""
    return ", ".join(parts) + found + pages


def _format_crumbs(crumbs: tuple[Crumb, ...]) -> Html:
    *ways, here = crumbs
    return join(
        [
            *(_CRUMB.fill(href=crumb.href, name=crumb.name) for crumb in ways),
            _HERE.fill(name=here.name),
        ]
    )


def _format_hidden(view: View) -> Html:
    """Have a search keep the order."""
    kept = {}
    if view.sort is not Sort.NAME or view.is_descending:
        kept["sort"] = view.sort.value
    if view.is_descending:
        kept["order"] = "desc"
    return join([_HIDDEN.fill(name=name, value=value) for name, value in kept.items()])


def _format_column(view: View, sort: Sort) -> Html:
    is_sorted = view.sort is sort
    # A second click turns the order; the first shows the largest and the latest on top.
    is_descending = not view.is_descending if is_sorted else sort is not Sort.NAME
    wanted = view._replace(sort=sort, is_descending=is_descending, page=1)
    direction = "descending" if view.is_descending else "ascending"
    return _COLUMN.fill(
        kind=sort.value,
        direction=direction if is_sorted else "none",
        href=format_query(wanted),
        title=_TITLES[sort],
    )


def _format_row(entry: Entry) -> Html:
    if not entry.is_folder and entry.modified_ns is not None:
        # Nearly all of a large folder are files, and are made in one go.
        instant = format_time(entry.modified_ns)
        return _FILE_ROW.fill(
            kind=select_kind(entry),
            href=format_href(entry),
            name=show_name(entry.name),
            octets=str(entry.octets),
            size=show_size(entry.octets),
            time=instant,
            shown=_show_time(instant),
        )
    size = time = Html()
    if not entry.is_folder:
        size = _SIZE.fill(octets=str(entry.octets), size=show_size(entry.octets))
    if entry.modified_ns is not None:
        instant = format_time(entry.modified_ns)
        time = _TIME.fill(time=instant, shown=_show_time(instant))
    return _ROW.fill(
        kind=select_kind(entry),
        href=format_href(entry),
        name=show_name(entry.name) + ("/" if entry.is_folder else ""),
        size=size,
        time=time,
    )


def _show_time(instant: str) -> str:
    return instant[:16].replace("T", " ")


def _format_pages(page: Page) -> Html:
    """Return links to the pages before and after, and to the first and the last."""
    if page.pages == 1:
        return Html()
    here = page.view.page
    pieces = []
    for text, relation, number in (
        ("First", "first", 1),
        ("Previous", "prev", here - 1),
        ("Next", "next", here + 1),
        ("Last", "last", page.pages),
    ):
        if number != here and 1 <= number <= page.pages:
            href = format_query(page.view._replace(page=number))
            pieces.append(_PAGE.fill(href=href, relation=relation, text=text))
        else:
            pieces.append(_PAGE_HERE.fill(text=text))
    return _PAGES.fill(links=join(pieces))
