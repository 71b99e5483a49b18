"""What a browser shows after files have changed that it has kept, with a profile that is kept too."""

import os
import time
from pathlib import Path

import pytest

from chromium import Chromium, Tab, find_chromium
from conftest import Serve, Server

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="Chromium is not installed (Debian: apt install chromium)"
)

AGE_SECONDS = 100 * 86_400
KEPT = "/assets/app-DRf8L97S.js"
PAGE = """<!doctype html><title>{number}</title><link rel=icon href="data:,">
<link rel=stylesheet href=/style.css><script src=/script.js></script>
<script src={kept}></script><img src=/picture.svg><a href=/other.html>other</a>
"""
OTHER = '<!doctype html><title>other</title><link rel=icon href="data:,"><a href=/>back</a>'
WHAT_IS_SHOWN = """({
  page: Number(document.title),
  script: window.number,
  style: parseInt(getComputedStyle(document.body).zIndex),
  picture: document.images[0].naturalWidth,
  kept: window.kept,
})"""


def write_site(root: Path, number: int) -> None:
    """Write a version of the site, whose files are a hundred days old; the kept one does not change."""
    for name, content in {
        "index.html": PAGE.format(number=number, kept=KEPT),
        "other.html": OTHER,
        "style.css": f"body {{ position: relative; z-index: {number} }}",
        "script.js": f"number = {number}",
        "picture.svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="{number}" height="9"/>',
    }.items():
        path = root / name
        path.write_text(content)
        changed = time.time() - AGE_SECONDS + number
        os.utime(path, (changed, changed))


def shown(number: int) -> dict[str, int]:
    return dict.fromkeys(("page", "script", "style", "picture"), number) | {"kept": 7}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "assets").mkdir(parents=True)
    kept = root / KEPT[1:]
    kept.write_text("kept = 7")
    os.utime(kept, (time.time() - AGE_SECONDS,) * 2)
    write_site(root, 1)
    return root


class Asked:
    """Which targets the server was asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._questions = 0

    def targets(self) -> list[str]:
        """Return the targets since the last time, in their order."""
        self._questions += 1
        last = f"/until/{self._questions}"
        self._server.exchange(f"GET {last} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        targets = []
        while (target := self._server.read_line().split()[1]) != last:
            targets.append(target)
        return targets


def test_what_has_changed_is_shown_and_what_cannot_change_is_not_asked_for(
    serve: Serve, root: Path, tmp_path: Path
) -> None:
    server = serve(root)
    asked = Asked(server)
    browser = Chromium(tmp_path / "profile")
    try:
        tab = Tab(browser)
        tab.visit(f"{server.url}/")
        assert tab.ask(WHAT_IS_SHOWN) == shown(1)
        assert asked.targets().count(KEPT) == 1
        # By a link, in the same tab.
        tab.follow("a")
        write_site(root, 2)
        tab.follow("a")
        assert tab.ask(WHAT_IS_SHOWN) == shown(2)
        # By reload.
        write_site(root, 3)
        tab.reload()
        assert tab.ask(WHAT_IS_SHOWN) == shown(3)
        # By address: in the same tab, and in another one.
        write_site(root, 4)
        tab.visit(f"{server.url}/")
        assert tab.ask(WHAT_IS_SHOWN) == shown(4)
        write_site(root, 5)
        other = Tab(browser)
        other.visit(f"{server.url}/")
        assert other.ask(WHAT_IS_SHOWN) == shown(5)
    finally:
        browser.close()
    # By address and by a link, in a browser that was started anew.
    write_site(root, 6)
    browser = Chromium(tmp_path / "profile")
    try:
        tab = Tab(browser)
        tab.visit(f"{server.url}/")
        assert tab.ask(WHAT_IS_SHOWN) == shown(6)
        tab.follow("a")
        write_site(root, 7)
        tab.follow("a")
        assert tab.ask(WHAT_IS_SHOWN) == shown(7)
    finally:
        browser.close()
    targets = asked.targets()
    assert targets.count("/") == 6
    assert KEPT not in targets


def test_without_the_header_the_old_page_is_shown(
    serve: Serve, root: Path, browser: Chromium
) -> None:
    """The test above sees what it is there to see."""
    server = serve(root, "--quiet", "--cache-control", "none")
    tab = Tab(browser)
    tab.visit(f"{server.url}/")
    tab.follow("a")
    write_site(root, 2)
    tab.follow("a")
    assert tab.ask(WHAT_IS_SHOWN) == shown(1)


def test_a_folder_that_becomes_a_file_is_shown(serve: Serve, root: Path, browser: Chromium) -> None:
    """A redirect is not used again unasked either."""
    folder = root / "thing.html"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>folder</title>")
    server = serve(root, "--quiet")
    tab = Tab(browser)
    tab.visit(f"{server.url}/thing.html")
    assert tab.ask("[location.pathname, document.title]") == ["/thing.html/", "folder"]
    folder.rename(root / "former")
    folder.write_text("<!doctype html><title>file</title>")
    tab.visit(f"{server.url}/thing.html")
    assert tab.ask("[location.pathname, document.title]") == ["/thing.html", "file"]


def test_a_fingerprint_that_was_none_is_asked_for_again(
    serve: Serve, root: Path, browser: Chromium
) -> None:
    """From the second content on that the server has seen; what was kept before is kept."""
    server = serve(root, "--quiet")
    server.get(KEPT)
    (root / KEPT[1:]).write_text("kept = 8")
    tab = Tab(browser)
    tab.visit(f"{server.url}/")
    assert tab.ask("kept") == 8
    (root / KEPT[1:]).write_text("kept = 9")
    tab.visit(f"{server.url}/")
    assert tab.ask("kept") == 9
    assert server.stderr.count(f"{KEPT[1:]} has changed") == 1
