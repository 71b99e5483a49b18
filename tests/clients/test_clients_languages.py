"""The example site in its two languages: the same pages, one switch, on a phone as well."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from chromium import Chromium
from conftest import Serve, Server

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "example"
CHINESE = sorted(path.relative_to(EXAMPLE / "zh") for path in (EXAMPLE / "zh").rglob("*.html"))
ENGLISH = sorted(
    path.relative_to(EXAMPLE)
    for path in EXAMPLE.rglob("*.html")
    if path.name != "404.html" and "zh" not in path.relative_to(EXAMPLE).parts
)
PHONE = (
    "Emulation.setDeviceMetricsOverride",
    {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
)
DARK = (
    "Emulation.setEmulatedMedia",
    {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
)


class Outline(HTMLParser):
    """The elements of a page, without their words, and the languages that it says it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.alternates: dict[str, str] = {}
        self.switch = ""
        self.language = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = {name: value or "" for name, value in attributes}
        if tag == "html":
            self.language = named["lang"]
        if tag == "link" and named["rel"] == "alternate":
            self.alternates[named["hreflang"]] = named["href"]
        if tag == "a" and named.get("class") == "language":
            self.switch = named["href"]


def resolve(page: Path, href: str) -> Path:
    """Return the file that a link of a page leads to."""
    target = (EXAMPLE / page).parent / href
    return (target / "index.html" if href.endswith("/") or target.is_dir() else target).resolve()


def test_every_page_is_there_in_both_languages() -> None:
    assert ENGLISH == CHINESE
    assert len(ENGLISH) > 15


@pytest.mark.parametrize("path", ENGLISH, ids=str)
def test_a_page_has_the_same_form_in_both_languages_and_leads_to_the_other(path: Path) -> None:
    english = Outline((EXAMPLE / path).read_text())
    chinese = Outline((EXAMPLE / "zh" / path).read_text())
    assert english.tags == chinese.tags
    assert (english.language, chinese.language) == ("en", "zh-Hans")
    files = {"en": (EXAMPLE / path).resolve(), "zh": (EXAMPLE / "zh" / path).resolve()}
    for page, one, other in ((path, english, "zh"), (Path("zh") / path, chinese, "en")):
        assert resolve(page, one.switch) == files[other]
        for language, href in one.alternates.items():
            assert resolve(page, href) == files[language]


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(EXAMPLE, "--quiet")


def test_no_page_is_wider_than_a_phone(server: Server, browser: Chromium) -> None:
    widths = {}
    for path in [*ENGLISH, *(Path("zh") / path for path in CHINESE)]:
        page = browser.load(
            f"{server.url}/{path}",
            questions={"width": "document.documentElement.scrollWidth"},
            until="load",
            emulation=[PHONE, DARK],
        )
        assert page.faults == [], path
        widths[str(path)] = page.answers["width"]
    assert {path: width for path, width in widths.items() if width > 390} == {}


def test_the_footer_of_a_short_page_is_at_the_bottom(server: Server, browser: Chromium) -> None:
    tall = ("Emulation.setDeviceMetricsOverride", {**PHONE[1], "width": 1280, "height": 2000})
    gap = "innerHeight - document.querySelector('footer').getBoundingClientRect().bottom"
    page = browser.load(f"{server.url}/menu/", questions={"gap": gap}, emulation=[tall])
    assert abs(page.answers["gap"]) < 1


def test_no_media_type_is_broken_within_a_word(server: Server, browser: Chromium) -> None:
    """Each part between the marks at which a line may break stands on one line."""
    broken = """(() => {
      const parts = [];
      for (const cell of document.querySelectorAll("tr[data-type] output")) {
        for (const node of cell.childNodes) {
          if (node.nodeType !== Node.TEXT_NODE) continue;
          for (const word of node.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) parts.push(word[0]);
          }
        }
      }
      return [document.querySelectorAll(".is-right").length, parts];
    })()"""
    page = browser.load(f"{server.url}/files.html", questions={"broken": broken}, emulation=[PHONE])
    right, parts = page.answers["broken"]
    assert right > 20
    # "charset=utf-8" may be divided at its hyphen, as any word.
    assert [part for part in parts if "-" not in part] == []


def speaking(language: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what makes a tab one of a browser in a language."""
    agent = {"userAgent": "Chromium", "acceptLanguage": language}
    return [("Emulation.setUserAgentOverride", agent)]


def test_the_browsers_language_is_taken_at_first_and_then_the_one_that_was_chosen(
    server: Server, browser: Chromium
) -> None:
    def visit(path: str, language: str, then: str = "") -> Any:
        """Return which page is shown in the end in a frame that is sent to a page."""
        script = f"""(async () => {{
          const frame = document.createElement("iframe");
          const loaded = () => new Promise((done) => frame.addEventListener("load", done));
          let load = loaded();
          frame.src = {path!r};
          document.body.append(frame);
          await load;
          {then}
          // The script of the page has decided before its load; a frame that is led on loads again.
          await (await fetch("/robots.txt", {{ cache: "no-store" }})).text();
          while (frame.contentDocument.readyState !== "complete") await loaded();
          return frame.contentWindow.location.pathname;
        }})()"""
        page = browser.load(
            f"{server.url}/robots.txt",
            questions={"where": script},
            until="load",
            emulation=speaking(language),
        )
        assert page.faults == []
        return page.answers["where"]

    press = """load = loaded();
          frame.contentDocument.querySelector("a.language").click();
          await load;"""
    assert visit("/events.html", "en-GB") == "/events.html"
    assert visit("/events.html", "zh-CN") == "/zh/events.html"
    assert visit("/lesson/", "zh-CN") == "/zh/lesson/"
    # An address in Chinese is followed as it is.
    assert visit("/zh/events.html", "en-GB") == "/zh/events.html"
    assert visit("/events.html", "en-GB", press) == "/zh/events.html"
    # Chosen, it is remembered, whatever the browser's language is.
    assert visit("/polling.html", "en-GB") == "/zh/polling.html"
    assert visit("/zh/polling.html", "zh-CN", press) == "/polling.html"
    assert visit("/events.html", "zh-CN") == "/events.html"
