"""``_redirects``: how it is read, where it leads, and what it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from parsed_rules import parse_headers, parse_redirects
from site_grounds import Ground, write_names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = ("index.html", "page.html", "404.html", "en/404.html", "blog/index.html", "app.js")
    write_names(tmp_path, *names)
    return tmp_path


@pytest.fixture
def ground(root: Path) -> Iterator[Ground]:
    with Ground(root) as ground:
        yield ground


def follow(ground: Ground, text: str, target: str, **fields: str) -> tuple[int, str]:
    """Return what `Ground.follow` does under these rules, which have no mistake."""
    (ground.root / "_redirects").write_text(text)
    found = ground.follow(target, fields)
    assert not ground.reports
    return found


@pytest.mark.parametrize(
    ("text", "target", "status", "outcome"),
    [
        # Netlify's documentation.
        ("/home /", "/home", 301, "/"),
        ("/blog/my-post.php /blog/my-post", "/blog/my-post.php", 301, "/blog/my-post"),
        ("/google https://www.google.com", "/google", 301, "https://www.google.com"),
        ("/my-redirect / 302", "/my-redirect", 302, "/"),
        ("/pass-through /index.html 200", "/pass-through", 200, "index.html"),
        ("/ecommerce /page 404", "/ecommerce", 404, "page.html"),
        ("/en/* /en/404.html 404", "/en/nothing", 404, "en/404.html"),
        ("/news/* /blog/:splat", "/news/2004/01/10/my-story", 301, "/blog/2004/01/10/my-story"),
        ("/news/:year/:month/:date/:slug /blog/:date/:month/:year/:slug", "/news/2004/02/12/story", 301,
         "/blog/12/02/2004/story"),
        ("/store id=:id /blog/:id 301", "/store?id=my-blog-post", 301, "/blog/my-blog-post"),
        ("/articles id=:id tag=:tag /posts/:tag/:id 301", "/articles?id=1&tag=a", 301, "/posts/a/1"),
        ("/* /index.html 200", "/deep/link", 200, "index.html"),
        ("/* /index.html 200", "/app.js", 200, "app.js"),
        ("/app.js /index.html 200!", "/app.js", 200, "index.html"),
        ("/blog /news 301!", "/blog", 301, "/news"),
        ("http://blog.example/* https://www.example/blog/:splat 301!", "http://blog.example/a", 301,
         "https://www.example/blog/a"),
        ("/path/* /otherpath/:splat 302", "/path/a?b=c", 302, "/otherpath/a?b=c"),
        ("/* page=:page /x?page=:page 301!", "/y?page=2&other=3", 301, "/x?page=2"),
        # Cloudflare's documentation.
        ("/home /contact 303", "/home", 303, "/contact"),
        ("/notrailing/ /nottrailing 301", "/notrailing/", 301, "/nottrailing"),
        ("/page/ /page2/#fragment 301!", "/page/", 301, "/page2/#fragment"),
        ("/blog/* https://blog.my.domain/:splat", "/blog/a/b", 301, "https://blog.my.domain/a/b"),
        ("/products/:code/:name /products?code=:code&name=:name", "/products/123/x", 301,
         "/products?code=123&name=x"),
        ("/a /b 307", "/a", 307, "/b"),
        ("/a /b 308", "/a", 308, "/b"),
        # Order, files, and what is between.
        ("/a /b\n/a /c", "/a", 301, "/b"),
        ("/a x=1 /b\n/a /c", "/a?x=2", 301, "/c?x=2"),
        ("/* /c 302\n/a /b", "/a", 302, "/c"),
        ("/page /other", "/page", 200, "page.html"),
        ("/page.html /other", "/page.html", 200, "page.html"),
        ("/blog /other", "/blog", 301, "/blog/"),
        ("/blog/ /other", "/blog/", 200, "blog/index.html"),
        ("/page /other 301!", "/page", 301, "/other"),
        # A rule that meets a file is not forced by a later one.
        ("/page /a\n/page /b 301!", "/page", 200, "page.html"),
        ("/gone /nothing 410", "/gone", 410, ""),
        ("/lost /nothing 404", "/lost", 404, "404.html"),
        ("/lost /nothing 200", "/lost", 404, "404.html"),
        ("/to-folder /blog 200", "/to-folder", 200, "blog/index.html"),
        ("/to-folder /blog/ 200", "/to-folder", 200, "blog/index.html"),
        ("/clean /page 200", "/clean", 200, "page.html"),
        ("/get/* /:splat 200", "/get/page.html", 200, "page.html"),
        ("/get/* /:splat 200", "/get/.git/config", 404, "404.html"),
        # Queries.
        ("/a /b", "/a?c=d", 301, "/b?c=d"),
        ("/a /b", "/a?", 301, "/b?"),
        ("/a /b?e=f", "/a?c=d", 301, "/b?e=f"),
        ("/a /b#c", "/a?d=e", 301, "/b?d=e#c"),
        ("/a id=:id /b/:id", "/a?id=1&c=d", 301, "/b/1?c=d"),
        ("/a id=1 /b", "/a?id=1", 301, "/b"),
        ("/a id=:id /b/:id", "/a?id=/../x%2f?<", 301, "/b/%2F..%2Fx%2f%3F%3C"),
        ("/a id=:id /b", "/a", 404, "404.html"),
        ("/a id= /b", "/a?id", 301, "/b"),
        # Nothing leads to itself.
        ("/* /x 301", "/x", 404, "404.html"),
        ("/* /x 301", "/x/", 404, "404.html"),
        ("/* /x 301", "/y", 301, "/x"),
        ("http://a.example/* https://a.example/:splat", "http://a.example/x", 404, "404.html"),
        ("http://a.example/* https://b.example/:splat", "http://a.example/x", 301, "https://b.example/x"),
        # Nothing leads to another host by the path that was asked for.
        ("/go/* /:splat", "/go//evil.example", 301, "/evil.example"),
        ("/go/* /:splat", "/go/%5cevil.example", 301, "/%5Cevil.example"),
        ("/go* /:splat", "/go/evil.example", 301, "/evil.example"),
        ("/:a/x/* /:splat/:a", "/evil.example/x/", 301, "/evil.example"),
        ("/go a=:a b=:b /:a/:b", "/go?a=&b=evil.example", 301, "/evil.example"),
        ("/go/:host https://:host/x", "/go/b.example", 301, "https://b.example/x"),
        ("/go/* /x/:splat", "/go/%0d%0aX-A:b", 301, "/x/%0D%0AX-A:b"),
        # White space, comments, line ends.
        ("# comment\n\n  /a\t/b  301 # comment\r\n", "/a", 301, "/b"),
        ("/a /b#c # comment", "/a", 301, "/b#c"),
        ("/a /caf\u00e9", "/a", 301, "/caf%C3%A9"),
    ],
)  # fmt: skip
def test_where_a_rule_leads(
    ground: Ground, text: str, target: str, status: int, outcome: str
) -> None:
    found = follow(ground, text, target)
    assert found == (status, outcome) or (outcome == "" and found[0] == status)


def test_a_folder_without_an_index_is_no_file(ground: Ground) -> None:
    (ground.root / "empty").mkdir()
    assert follow(ground, "/empty /page 302", "/empty") == (302, "/page")
    assert follow(ground, "/empty /page 302", "/empty/") == (302, "/page")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/a", "no target"),
        ("/a 301", "no target"),
        ("/a b 301", "no target"),
        ("a /b", "begins with a slash"),
        ("/a /b 30", "no status"),
        ("/a /b 301!!", "no status"),
        ("/a /b always", "no status"),
        ("/a /b 301 whatever", "not known"),
        ("/a /b 301 What=ever", "not known"),
        ("/a id /b", "no parameter"),
        ("/a =1 /b", "no parameter"),
        ("/a /b/:splat", "nothing captures :splat"),
        ("/a/* /b/:slug", "nothing captures :slug"),
        ("/:id id=:id /b/:id", "name of another"),
        ("/a //evil.example", "two slashes"),
        ("/a /\\evil.example", "two slashes"),
        ("/a* https://b.example:splat", "a slash before it"),
        ("/a/* https://:splat.b.example/", "a slash before it"),
        ("/a/:name https://b.example:name/", "a slash before it"),
        ("/a id=:id https://b.example:id?x", "a slash before it"),
        ("/a /b/%zz", "no valid path"),
        ("/a /../b", "no valid path"),
        ("/*/b/* /c", "only one"),
        ("/a 200", "no target"),
        ("/a/* 301", "no target"),
        ("/a/*b 200", "no target"),
        ("/c?this=rejected /d 301", "stands behind the path"),
        ("/a#b /c", "no #"),
        (f"/a /{'b' * 16_384}", "longer than 16 KiB"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, reason: str) -> None:
    parsed = parse_redirects(f"\n/x /y\n{line}\n/z /y".encode())
    (mistake,) = parsed.mistakes
    assert mistake.line == 3
    assert reason in mistake.reason
    assert not mistake.is_left_out
    assert [rule.line for rule in parsed.rules] == [2, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/api/* https://api.example/:splat 200", "asks no other server"),
        ("/a https://b.example/ 404", "asks no other server"),
        ("/ /anz 302 Country=au,nz", "country"),
        ("/ /china 302 Language=zh", "by language"),
        ("/admin/* /x 200! Role=admin", "roles"),
        ("/a /b 302 Cookie=is_legacy", "by cookie"),
        ("/a /b 200 Sign=KEY", "sign"),
        ("/a /a/", "leads to itself"),
        ("/a /a#b", "leads to itself"),
        ("/a /b 451", "status 451"),
        ("/a /b 500!", "status 500"),
    ],
)
def test_what_a_static_server_cannot_do_is_left_out_alone(line: str, reason: str) -> None:
    parsed = parse_redirects(f"/x /y\n{line}\n".encode())
    (mistake,) = parsed.mistakes
    assert (mistake.line, mistake.is_left_out) == (2, True)
    assert reason in mistake.reason
    assert len(parsed.rules) == 1


@pytest.mark.parametrize("rule", ["/app/* 200", "/app/* 200!", "http://site.example/app/* 200"])
def test_a_path_without_a_target_leads_to_itself_alone(ground: Ground, rule: str) -> None:
    """As Netlify's forward rules: a later rule is not asked for what is not there."""
    (ground.root / "app").mkdir()
    (ground.root / "app" / "page.html").write_text("in app")
    (ground.root / "app" / "sub").mkdir()
    (ground.root / "app" / "sub" / "index.html").write_text("in sub")
    text = f"{rule}\n/* /index.html 200\n"
    host = "site.example"
    assert follow(ground, text, "/app/page", Host=host) == (200, "in app")
    assert follow(ground, text, "/app/sub", Host=host) == (301, "/app/sub/")
    assert follow(ground, text, "/app/nothing", Host=host) == (404, "404.html")
    assert follow(ground, text, "/elsewhere", Host=host) == (200, "index.html")


def test_a_rule_may_be_for_an_address(ground: Ground) -> None:
    text = "http://[fe80::ab]/* /a/:splat\nhttp://127.0.0.1/x /y\n"
    assert follow(ground, text, "/x", Host="[FE80::AB]:8080") == (301, "/a/x")
    assert follow(ground, text, "/x", Host="127.0.0.1:80") == (301, "/y")
    assert follow(ground, text, "/x", Host="[fe80::ac]")[0] == 404


def test_a_file_in_another_encoding_is_told_in_one_line() -> None:
    for parse in (parse_redirects, parse_headers):
        for codec in ("utf-16", "utf-16-be"):
            octets = "\ufeff/a /b\n/c /d\n".encode(codec).removeprefix(b"\xff\xfe")
            (mistake,) = parse(octets).mistakes
            assert "UTF-8" in mistake.reason
            assert not mistake.is_left_out


def test_a_rule_may_be_for_a_host(ground: Ground) -> None:
    text = "https://old.example/* https://new.example/:splat 301!\n"
    assert follow(ground, text, "/page", Host="old.example") == (301, "https://new.example/page")
    assert follow(ground, text, "/page", Host="OLD.example:80") == (301, "https://new.example/page")
    assert follow(ground, text, "/page", Host="old.example.") == (301, "https://new.example/page")
    assert follow(ground, text, "/page", Host="new.example") == (200, "page.html")


def test_an_answer_by_a_rule_is_recalled_and_ends_with_what_goes_before(ground: Ground) -> None:
    (ground.root / "_redirects").write_text("/a /b\n/c /page 200\n")
    basis = ground.ask("/a").basis
    assert basis is not None
    ground.clock.turn()
    assert basis.stands(ground.clock.second)
    (ground.root / "a.html").write_text("before")
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)
    assert not basis.stands(ground.clock.second)
    assert ground.get("/a") == b"before"
