"""Which file a path means: clean URLs, pages of errors, and the page of a single-page app."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.candidates import Paths
from site_grounds import Ground, PromptCompressor, is_true, replace, write_names

BROWSER = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html,application/xhtml+xml"}
OLD_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = {"Sec-Fetch-Mode": "no-cors", "Accept": "*/*"}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    write_names(tmp_path, "index.html", "about.html", "both.html", "both/index.html", "v1.2.html")
    write_names(tmp_path, "folder/index.html", "folder/page.html", "file", "file.html")
    with Ground(tmp_path) as ground:
        yield ground


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/about", "about.html"),
        ("/about?query", "about.html"),
        ("/about.html", "about.html"),
        ("/folder/page", "folder/page.html"),
        ("/v1.2", "v1.2.html"),
        # A file goes before the page, the page before the folder.
        ("/file", "file"),
        ("/both", "both.html"),
        ("/both/", "both/index.html"),
        ("/index", "index.html"),
    ],
)
def test_a_page_needs_no_extension(ground: Ground, target: str, content: str) -> None:
    answer = ground.ask(target)
    assert (answer.status, answer.content) == (200, content.encode())
    if content.endswith(".html"):
        assert answer.fields["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/about/", "/about"),
        ("/about/?a=b", "/about?a=b"),
        ("/folder/page/", "/folder/page"),
        ("/folder", "/folder/"),
    ],
)
def test_a_slash_too_many_or_too_few_is_put_right(
    ground: Ground, target: str, location: str
) -> None:
    answer = ground.ask(target)
    assert (answer.status, answer.fields["location"]) == (301, location)


@pytest.mark.parametrize(
    "target", ["/about.html/", "/about/more", "/.html", "/folder/.html", "/nothing/"]
)
def test_what_means_no_page(ground: Ground, target: str) -> None:
    (ground.root / ".html").write_text("hidden")
    assert ground.status(target) == 404


def test_pages_need_their_extension_where_the_operator_says_so(tmp_path: Path) -> None:
    write_names(tmp_path, "about.html", "both.html", "both/index.html")
    with Ground(tmp_path, paths=Paths(has_clean_urls=False)) as ground:
        assert ground.status("/about") == 404
        assert ground.status("/about/") == 404
        assert ground.ask("/both").fields["location"] == "/both/"


def test_an_answer_rests_on_what_would_go_before_it(ground: Ground) -> None:
    """Also a redirect, which rests on the page that is not there."""
    answers = {target: ground.ask(target) for target in ("/about", "/folder", "/nothing/")}
    ground.clock.turn()
    assert all(is_true(answer.basis, ground) for answer in answers.values())
    for target, name in (
        ("/about", "about"),
        ("/folder", "folder.html"),
        ("/nothing/", "nothing.html"),
    ):
        write_names(ground.root, name)
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        assert not is_true(answers[target].basis, ground)
    assert ground.get("/about") == b"about"
    assert ground.get("/folder") == b"folder.html"
    assert ground.ask("/nothing/").fields["location"] == "/nothing"


def test_the_nearest_page_of_an_error_is_sent(ground: Ground) -> None:
    write_names(ground.root, "404.html", "folder/404.html", "folder/deep/other")
    for target, page in [
        ("/nothing", "404.html"),
        ("/folder/nothing", "folder/404.html"),
        ("/folder/nothing/", "folder/404.html"),
        ("/folder/deep/nothing", "folder/404.html"),
        ("/nowhere/nothing", "404.html"),
        ("/folder", None),
    ]:
        answer = ground.ask(target)
        if page is not None:
            assert (answer.status, answer.content) == (404, page.encode()), target
    (ground.root / "folder" / "404.html").unlink()
    assert ground.ask("/folder/nothing").content == b"404.html"


def test_an_error_rests_on_its_page_and_on_nearer_ones(ground: Ground) -> None:
    write_names(ground.root, "404.html", "folder/deep/other")
    for name in ("404.html", "folder/404.html", "folder/deep/404.html"):
        answer = ground.ask("/folder/deep/nothing")
        ground.clock.turn()
        assert is_true(answer.basis, ground)
        replace(ground.root / name, name.encode() * 2)
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        assert not is_true(answer.basis, ground), name
        assert ground.ask("/folder/deep/nothing").content == name.encode() * 2


def test_a_deep_path_asks_for_few_pages(ground: Ground) -> None:
    before = len(ground.catalogue.resources.absences)
    assert ground.status("/folder" + "/a" * 4000) == 404
    assert len(ground.catalogue.resources.absences) - before < 10
    deep = "a/" * 100
    write_names(ground.root, f"{deep}page", "a/404.html")
    before = len(ground.catalogue.resources.absences)
    assert ground.ask(f"/{deep}nothing").content == b"a/404.html"
    assert len(ground.catalogue.resources.absences) - before < 20


def test_a_page_of_an_error_comes_in_a_coding_and_without_validators(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("<p>lost</p>" * 500)
    (tmp_path / "_headers").write_text(
        "/*\n  X-A: b\n  Cache-Control: max-age=600\n  Vary: Origin\n"
    )
    with Ground(tmp_path, compressor=PromptCompressor()) as ground:
        for _ in range(2):
            answer = ground.ask("/assets/app-DRf8L97S.js", {"Accept-Encoding": "br"})
        assert answer.status == 404
        assert answer.fields["content-encoding"] == "br"
        assert answer.fields["vary"] == "Accept-Encoding, Origin"
        assert answer.fields["cache-control"] == "no-cache"
        assert answer.fields["x-a"] == "b"
        assert not {"etag", "last-modified", "accept-ranges"} & answer.fields.keys()


def test_pages_of_other_errors(ground: Ground) -> None:
    write_names(ground.root, "410.html", "folder/410.html", "secret")
    (ground.root / "_redirects").write_text("/folder/* /nowhere 410\n/away /nowhere 410\n")
    assert (ground.ask("/folder/x").status, ground.ask("/folder/x").content) == (
        410,
        b"folder/410.html",
    )
    assert (ground.ask("/away").status, ground.ask("/away").content) == (410, b"410.html")


def test_a_header_of_the_rules_is_there_once_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "_headers").write_text("/*\n  X-Content-Type-Options: nosniff\n  Allow-X: a\n")
    with Ground(tmp_path) as ground:
        assert ground.ask("/nothing").fields["x-content-type-options"] == "nosniff"
        (tmp_path / "404.html").write_text("lost")
        answer = ground.ask("/nothing")
    assert (answer.content, answer.fields["allow-x"]) == (b"lost", "a")
    assert answer.fields["x-content-type-options"] == "nosniff"


def test_a_page_of_a_method_that_is_not_allowed(ground: Ground) -> None:
    assert ground.ask("/folder/page", method="POST").content.startswith(b"<!doctype html>")
    write_names(ground.root, "405.html", "folder/405.html")
    (ground.root / "_headers").write_text("/folder/*\n  X-A: b\n")
    answer = ground.ask("/folder/page", method="POST")
    assert (answer.status, answer.content) == (405, b"folder/405.html")
    assert answer.fields["allow"] == "GET, HEAD, OPTIONS"
    assert (answer.fields["cache-control"], answer.fields["x-a"]) == ("no-cache", "b")
    assert ground.ask("/nothing", method="PUT").content == b"405.html"
    assert ground.ask("/%00", method="PUT").status == 405
    (ground.root / "405.html").unlink()
    assert ground.ask("/nothing", method="PUT").content.startswith(b"<!doctype html>")


def test_pages_of_what_a_file_cannot_give(ground: Ground) -> None:
    write_names(ground.root, "416.html", "412.html", "page.txt")
    answer = ground.ask("/page.txt", {"Range": "bytes=100-"})
    assert (answer.status, answer.content) == (416, b"416.html")
    assert answer.fields["content-range"] == "bytes */8"
    answer = ground.ask("/page.txt", {"If-Match": '"other"'})
    assert (answer.status, answer.content) == (412, b"412.html")
    assert answer.fields["cache-control"] == "no-cache"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Ground]:
    write_names(tmp_path, "index.html", "app.js", "404.html", ".env", "folder/page.html")
    with Ground(tmp_path, paths=Paths(is_app=True)) as ground:
        yield ground


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/deep/link", BROWSER),
        ("/deep/link/", BROWSER),
        ("/report.pdf", BROWSER),
        ("/deep/link?a=b", OLD_BROWSER),
        ("/", {}),
    ],
)
def test_a_navigation_gets_the_page_of_the_app(
    app: Ground, target: str, fields: dict[str, str]
) -> None:
    answer = app.ask(target, fields)
    assert (answer.status, answer.content) == (200, b"index.html")
    assert answer.fields["cache-control"] == "no-cache"
    if target != "/":
        assert answer.fields["vary"] == "Accept-Encoding, Sec-Fetch-Mode, Accept"
        again = app.ask(target, {**fields, "If-None-Match": answer.fields["etag"]})
        assert (again.status, again.fields["vary"]) == (304, answer.fields["vary"])


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/app-old.js", SCRIPT),
        ("/chunk", SCRIPT),
        ("/app.js.map", OLD_BROWSER),
        ("/picture.png", {"Accept": "image/avif,*/*"}),
        ("/api/users", {"Accept": "application/json"}),
        ("/deep/link", {"Accept": "text/html;q=0, */*"}),
        ("/api/users", {}),
    ],
)
def test_a_missing_part_is_missing_and_is_not_kept(
    app: Ground, target: str, fields: dict[str, str]
) -> None:
    answer = app.ask(target, fields)
    assert (answer.status, answer.content) == (404, b"404.html")
    assert answer.fields["cache-control"] == "no-store"
    assert "Sec-Fetch-Mode" in answer.fields["vary"]


def test_what_is_there_or_hidden_is_no_page_of_the_app(app: Ground) -> None:
    assert app.ask("/app.js", BROWSER).content == b"app.js"
    assert app.ask("/folder/page", BROWSER).content == b"folder/page.html"
    assert "Sec-Fetch-Mode" not in app.ask("/app.js", BROWSER).fields.get("vary", "")
    assert app.status("/.env") == 404
    assert app.ask("/.env", BROWSER).status == 404
    assert app.ask("/_headers", BROWSER).status == 404


def test_without_the_option_nothing_is_an_app(ground: Ground) -> None:
    assert ground.ask("/deep/link", BROWSER).status == 404
    assert ground.ask("/deep/link").fields["cache-control"] == "no-cache"
