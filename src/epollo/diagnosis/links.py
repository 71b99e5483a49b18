"""The references that a page or a style sheet makes, each with its line."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

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
# The kinds of <link> that a browser fetches to show the page.
_FETCHED: Final = frozenset(
    ("apple-touch-icon", "icon", "manifest", "modulepreload", "preload", "stylesheet")
)
# In these elements, what looks like a tag is text, or a script fills it in.
_INERT: Final = frozenset(("template", "textarea", "title"))
# The alternative that begins first counts: a comment, a URL, an imported sheet, or another string.
_IN_CSS: Final = re.compile(
    r"""/\*.*?(?:\*/|\Z)|url\(\s*(?:"([^"]*)"|'([^']*)'|([^'")\s]+))\s*\)"""
    r"""|@import\s+(?:"([^"]*)"|'([^']*)')|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""",
    re.DOTALL | re.IGNORECASE,
)
_PATH: Final = re.compile(r"[^?#]*")
_CANDIDATE: Final = re.compile(r"\s*,?\s*([^\s,][^\s]*)[^,]*")


class Reference(NamedTuple):
    """A URL that a page refers to, made absolute, and the line.

    ``is_navigation`` is whether a person goes there; else it is a part of the page. ``integrity`` are
    the hashes that the page demands.
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
        # Whether each element of `_INERT` that is open has content that the page does not show.
        self._inert: list[bool] = []
        self._is_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _INERT:
            self._inert.append("shadowrootmode" not in values)
        if any(self._inert):
            return
        if tag == "base" and values.get("href"):
            self._base = _join(self._base, values["href"] or "")
            return
        self._is_style = tag == "style"
        if values.get("style"):
            self._add_css(values["style"] or "")
        relations = set((values.get("rel") or "").lower().split())
        if tag == "link" and not relations & _FETCHED:
            return
        integrity = (values.get("integrity") or "") if tag in {"link", "script"} else ""
        for name in _OF_LINK.get(tag, ()):
            value = (values.get(name) or "").strip()
            urls = _CANDIDATE.findall(value) if name == "srcset" else [value]
            for url in urls:
                self._add(url, is_navigation=tag in _NAVIGATED, integrity=integrity)

    def handle_endtag(self, tag: str) -> None:
        if tag in _INERT and self._inert:
            self._inert.pop()
        elif tag == "style":
            self._is_style = False

    def handle_data(self, data: str) -> None:
        if self._is_style and not any(self._inert):
            self._add_css(data)

    def _add_css(self, text: str) -> None:
        line, _ = self.getpos()
        self.references += _list_in_css(text, self._base, line)

    def _add(self, url: str, *, is_navigation: bool, integrity: str) -> None:
        if url:
            line, _ = self.getpos()
            absolute = _join(self._base, url)
            self.references.append(Reference(absolute, line, is_navigation, integrity))


def list_references(text: str, base: str, *, is_css: bool = False) -> list[Reference]:
    """Return what a page or style sheet refers to; ``base`` is its own URL."""
    if is_css:
        return _list_in_css(text, base, 1)
    page = _Page(base)
    page.feed(text)
    page.close()
    return page.references


def _list_in_css(text: str, base: str, first: int) -> list[Reference]:
    """Return what CSS refers to; its first line has the number ``first``."""
    found = ((one, next(filter(None, one.groups()), "")) for one in _IN_CSS.finditer(text))
    return [
        Reference(_join(base, url), first + text.count("\n", 0, one.start()), is_navigation=False)
        for one, url in found
        if url
    ]


def _join(base: str, url: str) -> str:
    try:
        # A browser takes the one slash for the other (WHATWG URL, 4.4).
        return urljoin(base, _PATH.sub(lambda found: found[0].replace("\\", "/"), url, count=1))
    except ValueError:
        # It is no valid host, such as http://[.
        return url
