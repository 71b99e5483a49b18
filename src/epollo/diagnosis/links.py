"""The references that a page or a style sheet makes, each with its line."""

import re
from html.parser import HTMLParser
from typing import Final, NamedTuple
from urllib.parse import urljoin

_OF_LINK: Final = {
    "a": ("href",),
    "area": ("href",),
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
_NAVIGATED: Final = frozenset(("a", "area", "iframe"))
# Of <link>, what a browser fetches to show the page.
_FETCHED: Final = frozenset(("stylesheet", "icon", "preload", "modulepreload", "manifest"))
_CSS_URL: Final = re.compile(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^'")\s]+))\s*\)""")
_CANDIDATE: Final = re.compile(r"\s*,?\s*([^\s,][^\s]*)[^,]*")


class Reference(NamedTuple):
    """A URL that is referred to, made absolute, and the line where.

    ``is_navigation`` is whether a person goes there; else it is a part of the page. ``integrity`` are the
    hashes that the page has of it.
    """

    url: str
    line: int
    is_navigation: bool
    integrity: str = ""


class _Page(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.references: list[Reference] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "base" and values.get("href"):
            self._base = urljoin(self._base, values["href"])
            return
        relations = set((values.get("rel") or "").lower().split())
        if tag == "link" and not relations & _FETCHED:
            return
        integrity = (values.get("integrity") or "") if tag in {"link", "script"} else ""
        for name in _OF_LINK.get(tag, ()):
            value = (values.get(name) or "").strip()
            urls = _CANDIDATE.findall(value) if name == "srcset" else [value]
            for url in urls:
                self._add(url, is_navigation=tag in _NAVIGATED, integrity=integrity)

    def _add(self, url: str, *, is_navigation: bool, integrity: str) -> None:
        if url:
            line, _ = self.getpos()
            absolute = _join(self._base, url)
            self.references.append(Reference(absolute, line, is_navigation, integrity))


def list_references(text: str, base: str, *, is_css: bool = False) -> list[Reference]:
    """Return what a page or style sheet refers to; ``base`` is its own URL."""
    if is_css:
        return [
            Reference(
                _join(base, found[1] or found[2] or found[3] or ""),
                text.count("\n", 0, found.start()) + 1,
                is_navigation=False,
            )
            for found in _CSS_URL.finditer(text)
        ]
    page = _Page(base)
    page.feed(text)
    page.close()
    return page.references


def _join(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        # A host that is none, such as http://[.
        return url
