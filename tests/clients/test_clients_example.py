"""The example site, whole, with the clients that people have."""

import hashlib
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import httpx
import pytest

from chromium import Chromium
from conftest import Serve, Server

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "example"
# A script makes the large file if it is wanted.
FILES = sorted(
    path for path in EXAMPLE.rglob("*") if path.is_file() and path.stat().st_size < 8 * 1024 * 1024
)
PAGES = [path for path in FILES if path.suffix == ".html" and path.name != "404.html"]


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(EXAMPLE, "--quiet")


def link(server: Server, path: Path) -> str:
    """Return the address of a file, every octet of its name that may be encoded being so."""
    name = path.relative_to(EXAMPLE).as_posix()
    return f"{server.url}/{urllib.parse.quote(name)}"


def page_link(server: Server, path: Path) -> str:
    """Return the address by which people know a page."""
    return link(server, path).removesuffix("index.html")


def test_there_is_a_site() -> None:
    assert len(FILES) > 20
    assert len(PAGES) > 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "flags", [[], ["--compressed"], ["--http1.0"], ["-Z", "-H", "Connection: close"]]
)
def test_curl(server: Server, tmp_path: Path, flags: list[str]) -> None:
    wishes = [
        f'url = "{link(server, path)}"\noutput = "{tmp_path / str(number)}"\n'
        for number, path in enumerate(FILES)
    ]
    result = subprocess.run(
        ["curl", "-q", "--no-progress-meter", "--fail", "--noproxy", "*", *flags,
         "--write-out", "%{http_code} %{size_download}\n", "--config", "-"],
        input="".join(wishes).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    assert {line.split()[0] for line in result.stdout.splitlines()} == {b"200"}
    for number, path in enumerate(FILES):
        assert (tmp_path / str(number)).read_bytes() == path.read_bytes(), path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_continues_where_it_was_interrupted(server: Server, tmp_path: Path) -> None:
    path = max(FILES, key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    (tmp_path / "part").write_bytes(content[:1000])
    subprocess.run(
        ["curl", "-q", "--silent", "--fail", "--noproxy", "*", "--continue-at", "-",
         "--output", str(tmp_path / "part"), link(server, path)],
        timeout=60,
        check=True,
    )  # fmt: skip
    assert (tmp_path / "part").read_bytes() == content


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_wget_follows_every_link(server: Server, tmp_path: Path) -> None:
    result = subprocess.run(
        ["wget", "--no-config", "--no-proxy", "--no-verbose", "--recursive", "--level=inf",
         "--page-requisites", "--no-host-directories", "--restrict-file-names=nocontrol",
         "--execute", "robots=off", "--directory-prefix", str(tmp_path), f"{server.url}/"],
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()
    fetched = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert fetched >= {path.relative_to(EXAMPLE) for path in PAGES}
    for name in fetched:
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_httpx(server: Server) -> None:
    with httpx.Client(trust_env=False) as client:
        for path in FILES:
            answer = client.get(link(server, path))
            assert answer.status_code == 200, path
            assert answer.content == path.read_bytes(), path
            # Another coding may have been made in the meantime, and has another entity tag.
            coding = answer.headers.get("Content-Encoding", "identity")
            again = client.get(
                link(server, path),
                headers={"Accept-Encoding": coding, "If-None-Match": answer.headers["ETag"]},
            )
            assert (again.status_code, again.content) == (304, b""), path
            head = client.head(link(server, path))
            assert head.headers["Content-Type"] == answer.headers["Content-Type"]
        missing = client.get(server.url + "/no-such-page")
        assert missing.status_code == 404
        assert missing.content == (EXAMPLE / "404.html").read_bytes()
        for page in PAGES:
            folder = page_link(server, page).removesuffix("/")
            if page.name == "index.html" and page.parent != EXAMPLE:
                moved = client.get(folder + "?a=b")
                assert moved.status_code == 301
                whole = client.get(folder, follow_redirects=True)
                assert whole.content == page.read_bytes()


def test_urllib(server: Server) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in FILES:
        with opener.open(link(server, path), timeout=10) as answer:
            received = hashlib.sha256(answer.read()).digest()
            assert answer.headers["Content-Length"] == str(path.stat().st_size)
        assert received == hashlib.sha256(path.read_bytes()).digest(), path


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(EXAMPLE).as_posix())
def test_chromium(server: Server, chromium: Chromium, path: Path) -> None:
    page = chromium.load(page_link(server, path))
    assert page.faults == []
    assert page.broken_pictures == []
    assert page.title
    assert page.statuses[page_link(server, path)] == 200
    # 304 and 206 are what a browser asks for; nothing is missing, nothing was moved.
    assert set(page.statuses.values()) <= {200, 206, 304}, page.statuses


def test_chromium_would_tell(serve: Serve, site: Path, chromium: Chromium) -> None:
    """The test above sees what it is there to see."""
    (site / "thrown.js").write_text("throw new Error('thrown')")
    (site / "logged.js").write_text("console.error('logged')")
    (site / "index.html").write_text(
        "<!doctype html><title>broken</title><link rel=icon href='data:,'>"
        "<script src=thrown.js></script><script src=logged.js></script>"
        "<script type=module src=missing.mjs></script><img src=missing.png>"
    )
    server = serve(site, "--quiet")
    page = chromium.load(server.url + "/")
    text = "\n".join(page.faults)
    for word in ("thrown", "logged", "missing.mjs", "missing.png"):
        assert word in text
    assert page.statuses[server.url + "/missing.mjs"] == 404
    assert page.broken_pictures == [server.url + "/missing.png"]


def test_chromium_shows_the_page_for_what_is_not_there(server: Server, chromium: Chromium) -> None:
    page = chromium.load(server.url + "/no/such/page")
    assert page.statuses[server.url + "/no/such/page"] == 404
    assert page.title
    # Its own stylesheet and pictures are found from wherever it is shown.
    assert [status for status in page.statuses.values() if status >= 400] == [404]
    assert page.broken_pictures == []
