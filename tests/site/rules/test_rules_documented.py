"""The examples of the two specifications, whole files at a time, with the results that these document.

Netlify: "Redirects and rewrites", "Redirect options", "Custom headers"; Cloudflare Pages: "Redirects",
"Headers". Where the two differ, a row says what the other one does. What their manuals leave open, the
programs decide by which they read the files: netlify/build (redirect-parser, headers-parser), and
pages-shared of cloudflare/workers-sdk.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from parsed_rules import parse_headers, parse_redirects
from site_grounds import Ground, write_names

HOST = {"Host": "site.example"}

NETLIFY_REDIRECTS = """\
# Redirects from what the browser requests to what we serve
/home              /
/blog/my-post.php  /blog/my-post
/news              /blog
/cuties            https://www.petsofnetlify.com
/authors/c%C3%A9line  /authors/about-c%C3%A9line

/my-redirect       /               302
/pass-through      /index.html     200
/ecommerce         /store-closed   404

/news/:month/:date/:year/:slug  /blog/:year/:month/:date/:slug
/archive/*         /old/:splat

/articles  id=:id  tag=:tag  /posts/:tag/:id  301
/articles  tag=:tag  /tags/:tag  301
/articles  /posts  301

http://blog.yoursite.example/*   https://www.yoursite.example/blog/:splat  301!
https://blog.yoursite.example/*  https://www.yoursite.example/blog/:splat  301!

/en/*  /en/404.html  404
/*     /404.html     404
"""
CLOUDFLARE_REDIRECTS = """\
/home301 / 301
/home302 / 302
/querystrings /?query=string 301
/twitch https://twitch.tv
/notrailing/ /nottrailing 301
/page/ /page2/#fragment 301
/blog/* https://blog.my.domain/:splat
/products/:code/:name /products?code=:code&name=:name
"""
CLOUDFLARE_HEADERS = """\
# This is a comment
/secure/page
  X-Frame-Options: DENY
  X-Content-Type-Options: nosniff
  Referrer-Policy: no-referrer

/static/*
  Access-Control-Allow-Origin: *
  X-Robots-Tag: nosnippet

https://myproject.pages.dev/*
  X-Robots-Tag: noindex
"""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    write_names(
        tmp_path,
        *("index.html", "404.html", "en/404.html", "store-closed.html", "blog/index.html"),
        *("home.txt", "secure/page", "static/image.jpg", "static/styles.css", "movies/alien"),
        "picture.jpg",
    )
    with Ground(tmp_path) as ground:
        yield ground


@pytest.mark.parametrize(
    ("target", "status", "outcome"),
    [
        ("/home", 301, "/"),
        ("/home/", 301, "/"),
        ("/home?utm=1", 301, "/?utm=1"),
        ("/Home", 404, "404.html"),
        ("/blog/my-post.php", 301, "/blog/my-post"),
        ("/news", 301, "/blog"),
        ("/cuties", 301, "https://www.petsofnetlify.com"),
        ("/authors/c%C3%A9line", 301, "/authors/about-c%C3%A9line"),
        ("/authors/c%c3%a9line", 301, "/authors/about-c%C3%A9line"),
        ("/my-redirect", 302, "/"),
        ("/pass-through", 200, "index.html"),
        ("/ecommerce", 404, "store-closed.html"),
        ("/news/02/12/2004/my-story", 301, "/blog/2004/02/12/my-story"),
        ("/archive/2004/01/my-story", 301, "/old/2004/01/my-story"),
        ("/articles?id=1&tag=a", 301, "/posts/a/1"),
        ("/articles?tag=a&id=1", 301, "/posts/a/1"),
        ("/articles?tag=a", 301, "/tags/a"),
        ("/articles", 301, "/posts"),
        ("/articles?other=1", 301, "/posts?other=1"),
        ("/en/nothing", 404, "en/404.html"),
        ("/nothing", 404, "404.html"),
        # Shadowing: what stands at a path goes before its rule.
        ("/home.txt", 200, "home.txt"),
        ("/blog/", 200, "blog/index.html"),
    ],
)
def test_redirects_of_netlify(ground: Ground, target: str, status: int, outcome: str) -> None:
    (ground.root / "_redirects").write_text(NETLIFY_REDIRECTS)
    assert ground.follow(target, HOST) == (status, outcome)
    assert not ground.reports


def test_redirects_of_a_domain_of_netlify(ground: Ground) -> None:
    (ground.root / "_redirects").write_text(NETLIFY_REDIRECTS)
    for target in ("/a/b", "/home", "/index.html"):
        expected = (301, f"https://www.yoursite.example/blog{target}")
        # The first line that matches counts, and /home has one before.
        expected = (301, "/") if target == "/home" else expected
        assert ground.follow(target, {"Host": "blog.yoursite.example"}) == expected


@pytest.mark.parametrize(
    ("target", "status", "outcome"),
    [
        ("/home301", 301, "/"),
        ("/home302", 302, "/"),
        ("/querystrings", 301, "/?query=string"),
        # There 302, which is what a line without a status means.
        ("/twitch", 301, "https://twitch.tv"),
        ("/notrailing/", 301, "/nottrailing"),
        ("/page/", 301, "/page2/#fragment"),
        ("/blog/a/b.html", 301, "https://blog.my.domain/a/b.html"),
        ("/products/123/shoe", 301, "/products?code=123&name=shoe"),
        ("/products/123/shoe/more", 404, "404.html"),
        # There the rule goes first, here what stands at the path.
        ("/blog/", 200, "blog/index.html"),
    ],
)
def test_redirects_of_cloudflare(ground: Ground, target: str, status: int, outcome: str) -> None:
    (ground.root / "_redirects").write_text(CLOUDFLARE_REDIRECTS)
    assert ground.follow(target, HOST) == (status, outcome)
    assert not ground.reports


def test_a_rule_that_adds_a_slash_is_left_out_alone() -> None:
    """Cloudflare documents it; to Netlify, and here, a slash at the end makes no other path."""
    parsed = parse_redirects(b"/a /b\n/trailing /trailing/ 301\n")
    (mistake,) = parsed.mistakes
    assert (mistake.line, mistake.is_left_out) == (2, True)
    assert "slash at its end makes no difference" in mistake.reason


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("custom.domain", "/secure/page",
         {"x-frame-options": "DENY", "referrer-policy": "no-referrer"}),
        ("custom.domain", "/static/image.jpg",
         {"access-control-allow-origin": "*", "x-robots-tag": "nosnippet"}),
        ("myproject.pages.dev", "/home.txt", {"x-robots-tag": "noindex"}),
        ("myproject.pages.dev:8080", "/secure/page",
         {"x-frame-options": "DENY", "referrer-policy": "no-referrer", "x-robots-tag": "noindex"}),
        ("myproject.pages.dev", "/static/styles.css",
         {"access-control-allow-origin": "*", "x-robots-tag": "nosnippet, noindex"}),
        ("custom.domain", "/home.txt", {}),
    ],
)  # fmt: skip
def test_headers_of_cloudflare(
    ground: Ground, host: str, target: str, expected: dict[str, str]
) -> None:
    (ground.root / "_headers").write_text(CLOUDFLARE_HEADERS)
    fields = ground.ask(target, {"Host": host}).fields
    named = {name for name, _ in (line.strip().lower().split(": ") for line in
             CLOUDFLARE_HEADERS.splitlines() if ": " in line and "//" not in line)}  # fmt: skip
    found = {name: value for name, value in fields.items() if name in named}
    assert found == {"x-content-type-options": "nosniff"} | expected
    assert not ground.reports


@pytest.mark.parametrize(
    ("text", "host", "target", "name", "value"),
    [
        # Cloudflare: detached, captured, for previews of every branch.
        ("/*\n  Content-Security-Policy: default-src 'self';\n/*.jpg\n  ! Content-Security-Policy\n",
         "a", "/picture.jpg", "content-security-policy", None),
        ("/*\n  Content-Security-Policy: default-src 'self';\n/*.jpg\n  ! Content-Security-Policy\n",
         "a", "/home.txt", "content-security-policy", "default-src 'self';"),
        ('/movies/:title\n  x-movie-name: You are watching ":title"\n',
         "a", "/movies/alien", "x-movie-name", 'You are watching "alien"'),
        ("https://:project.pages.dev/*\n  X-Robots-Tag: noindex\n",
         "mine.pages.dev", "/home.txt", "x-robots-tag", "noindex"),
        ("https://:project.pages.dev/*\n  X-Robots-Tag: noindex\n",
         "a.mine.pages.dev", "/home.txt", "x-robots-tag", None),
        ("https://:version.:project.pages.dev/*\n  X-Robots-Tag: noindex\n",
         "a.mine.pages.dev", "/home.txt", "x-robots-tag", "noindex"),
        # Netlify: several values of one header, a placeholder within the path.
        ("/*\n  cache-control: max-age=0\n  cache-control: no-cache\n cache-control: must-revalidate\n",
         "a", "/home.txt", "cache-control", "max-age=0, no-cache, must-revalidate"),
        ("/:folder/image.jpg\n  X-Frame-Options: DENY\n  X-XSS-Protection: 1; mode=block\n",
         "a", "/static/image.jpg", "x-xss-protection", "1; mode=block"),
        ("/static/*\n  X-A: b\n", "a", "/static/image.jpg", "x-a", "b"),
        ("/static/*\n  X-A: b\n", "a", "/home.txt", "x-a", None),
    ],
)  # fmt: skip
def test_headers_of_both(
    ground: Ground, text: str, host: str, target: str, name: str, value: str | None
) -> None:
    (ground.root / "_headers").write_text(text)
    assert ground.ask(target, {"Host": host}).fields.get(name) == value
    assert not ground.reports


def test_what_netlify_asks_of_its_own_servers_is_left_out() -> None:
    parsed = parse_headers(b"/something/*\n  Basic-Auth: someuser:somepassword\n  X-A: b\n")
    assert [one.is_left_out for one in parsed.mistakes] == [True]
    lines = (
        b"/api/*  https://api.example.com/:splat  200",
        b"/  /anz     302  Country=au,nz",
        b"/china/*  /china/zh-cn/:splat  302  Language=zh",
        b"/admin/*  200!  Role=admin",
        b"/*  /site/:splat  200!  Cookie=is_legacy",
        b"/search  https://api.mysearch.com  200!  signed=API_SIGNATURE_TOKEN",
    )
    for line in lines:
        (mistake,) = parse_redirects(b"/a /b\n" + line).mistakes
        assert (mistake.line, mistake.is_left_out) == (2, True), mistake


@pytest.mark.parametrize(
    ("lines", "target", "status", "outcome"),
    [
        # Comments, white space and line ends (both).
        ("/a /b 301 # why", "/a", 301, "/b"),
        ("/a /b # why", "/a", 301, "/b"),
        ("   /a\t \t/b   ", "/a", 301, "/b"),
        ("/a /b 302\r\n/c /d\r\n", "/c", 301, "/d"),
        ("\ufeff/a /b", "/a", 301, "/b"),
        ("\n\n# one\n  # two\n/a /b", "/a", 301, "/b"),
        # A # within a word is part of it (both).
        ("/a /b#c", "/a", 301, "/b#c"),
        ("/a /b##c-1 302", "/a", 302, "/b##c-1"),
        ("/a https://h.example/b##c 302", "/a", 302, "https://h.example/b##c"),
        ("/a https://h.example:1234/r?q=s#t", "/a", 301, "https://h.example:1234/r?q=s#t"),
        # A query that a target has goes before that of the request (Cloudflare).
        ("/a /b?sort=new", "/a?sort=old", 301, "/b?sort=new"),
        ("/a /b", "/a?sort=old", 301, "/b?sort=old"),
        # Parameters in any order, each of them; the order of lines decides (Netlify).
        ("/ p=news /news\n/ q=:x /about/:x", "/?q=1&p=news", 200, "index.html"),
        ("/x p=news /news\n/x q=:y /about/:y", "/x?q=1&p=news", 301, "/news?q=1"),
        ("/x p=news /news\n/x q=:y /about/:y", "/x?q=1", 301, "/about/1"),
        ("/x p=1 q=2 /y", "/x?q=2&p=1", 301, "/y"),
        ("/x p=1 q=2 /y", "/x?p=1", 404, "404.html"),
        ("/x p=:p q=:q /y?q=:q&p=:p", "/x?q=2&p=1", 301, "/y?q=2&p=1"),
        ("/x _e_=/about /y", "/x?_e_=/about", 301, "/y"),
        # A splat matches nothing, too, and the path without its slash (Netlify; Cloudflare: not that).
        ("/foo/* /2/:splat", "/foo/", 301, "/2/"),
        ("/foo/* /2/:splat", "/foo", 301, "/2/"),
        ("/foo/test/* /1/:splat\n/foo/* /2/:splat", "/foo/test/yes", 301, "/1/yes"),
        ("/foo/test/* /1/:splat\n/foo/* /2/:splat", "/foo/test/", 301, "/1/"),
        ("/foo/test/* /1/:splat\n/foo/* /2/:splat", "/foo/other", 301, "/2/other"),
        # It may stand anywhere, and is as long as it can be (Cloudflare).
        ("/a/*/z /1/:splat", "/a/b/z/z", 301, "/1/b/z"),
        ("/a/b*c /1/:splat", "/a/bxyc", 301, "/1/xy"),
        ("/*.php /:splat", "/old/page.php", 301, "/old/page"),
        ("/p/:code/:name/* /p?junk=:splat&name=:name&code=:code", "/p/ab_5/x/123abc@~!", 301,
         "/p?junk=123abc@~!&name=x&code=ab_5"),
        # A placeholder ends at a slash, not at a dot; it may be used twice in the target.
        ("/f/:file /g/:file", "/f/a.b.c", 301, "/g/a.b.c"),
        ("/f/:file /g/:file", "/f/", 404, "404.html"),
        ("/f/:a/:b /g/:b/:a/:b", "/f/1/2", 301, "/g/2/1/2"),
        ("/f/:a_1/x /g/:a_1", "/f/y/x", 301, "/g/y"),
        # Percent-encoding and other letters (both).
        ("/some%20page /other%20page", "/some%20page", 301, "/other%20page"),
        ("/caf\u00e9 /th\u00e9", "/caf%c3%a9", 301, "/th%C3%A9"),
        # The first of two lines counts (both); a rewrite is not followed by another (Cloudflare).
        ("/a /b 302\n/a /c", "/a", 302, "/b"),
        ("/a /b 200\n/b /index.html 200", "/a", 404, "404.html"),
        ("/a /b 200\n/b /index.html 200", "/b", 200, "index.html"),
        # Without a target, what is below a path is itself (Netlify).
        ("/en/* 200\n/* /index.html 200", "/en/nothing", 404, "en/404.html"),
        # A rule for the folder of Netlify's own functions is a rule like others here.
        ("/.netlify/x /y", "/.netlify/x", 301, "/y"),
    ],
)  # fmt: skip
def test_what_both_programs_make_of_lines(
    ground: Ground, lines: str, target: str, status: int, outcome: str
) -> None:
    (ground.root / "_redirects").write_bytes(lines.encode())
    assert ground.follow(target, HOST) == (status, outcome)
    assert not ground.reports


def test_a_host_decides_by_the_order_of_lines(ground: Ground) -> None:
    (ground.root / "_redirects").write_text(
        "https://one.example/home https://first.example/ 302\n/home https://second.example/ 302\n"
        "https://:sub.pages.:tld/m /5/:sub/:tld 302\nhttps://next.:sub.pages.:tld/m /6/:sub 302\n"
    )
    assert ground.follow("/home", {"Host": "two.example"}) == (302, "https://second.example/")
    assert ground.follow("/home", {"Host": "one.example"}) == (302, "https://first.example/")
    assert ground.follow("/m", {"Host": "my.pages.dev"}) == (302, "/5/my/dev")
    assert ground.follow("/m", {"Host": "next.my.pages.dev"}) == (302, "/6/my")
    assert not ground.reports


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/home.txt\n  X-A: b", "b"),
        ("   /home.txt\n      X-A         :     b   \n", "b"),
        ("/home.txt\n\nX-A: b\n\n", "b"),
        ("# one\n/home.txt\n  # two\n  X-A: b\n", "b"),
        ("/home.txt\r\n\tX-A: b\r\n", "b"),
        ("/home.txt\n  X-A: b: c:d", "b: c:d"),
        ("/home.txt\n  X-A: b # no comment", "b # no comment"),
        ("/home.txt\n  X-A: one\n  X-A: two", "one, two"),
        ("/home.txt\n  x-a: one\n/*\n  X-A: two", "one, two"),
        ("/*\n  X-A: one\n/home.txt\n  ! x-a", None),
        ("/*\n  X-A: one\n/home.txt\n  ! X-A\n  X-A: two", "two"),
        ("/*\n  X-A: one\n/home.txt\n  X-A: two\n  ! X-A", "two"),
        ("/home.txt\n  ! X-A\n/*\n  X-A: one", "one"),
        ("//home.txt\n  X-A: b", "b"),
        ("/:file\n  X-A: :file", "home.txt"),
        ("/:file\n  X-A: :file and :file", "home.txt and home.txt"),
        ("/h*\n  X-A: <:splat>; :other", "<ome.txt>; :other"),
        ("https://site.example\n  X-A: b", None),
        ("https://site.example/home.txt\n  X-A: b", "b"),
        ("http://SITE.example/*\n  X-A: b", "b"),
        ("https://other.example/*\n  X-A: b", None),
        # Netlify: a / at the end makes no difference; upper and lower case would not there.
        ("/home.txt/\n  X-A: b", "b"),
        ("/HOME.txt\n  X-A: b", None),
    ],
)  # fmt: skip
def test_what_both_programs_make_of_blocks(ground: Ground, text: str, value: str | None) -> None:
    (ground.root / "_headers").write_bytes(text.encode())
    answer = ground.ask("/home.txt", {"Host": "site.example"})
    assert answer.status == 200
    assert answer.fields.get("x-a") == value
    assert not ground.reports


@pytest.mark.parametrize(
    "text",
    [
        "X-A: b\n/a\n  X-B: c", "c\n/a\n  X-B: c", "/a\n  I am none!\n", "/a\n  :\n", "/a\n  X-A:\n",
        "/a\n  ! X-A: b\n", "/a\n  X A: b\n", "/a\n/b\n  X-B: c\n", "ftp://a.example/x\n  X-B: c\n",
    ],
)  # fmt: skip
def test_what_neither_program_takes_is_a_mistake(text: str) -> None:
    assert parse_headers(text.encode()).mistakes


def test_neither_number_nor_length_of_rules_is_limited_as_there(ground: Ground) -> None:
    """Cloudflare: 2,000 and 100 redirects, 100 blocks, lines of 2,000 characters; here 4 MiB."""
    long = "x" * 3000
    redirects = [f"/s{n} /t{n}" for n in range(2100)] + [
        f"/d{n}/* /e{n}/:splat" for n in range(150)
    ]
    (ground.root / "_redirects").write_text("\n".join([*redirects, f"/{long} /{long}/y"]))
    blocks = "".join(f"/b{n}\n  X-A: {n}\n" for n in range(150))
    (ground.root / "_headers").write_text(f"{blocks}/home.txt\n  X-Long: {long}\n")
    assert ground.follow("/s2099", HOST) == (301, "/t2099")
    assert ground.follow("/d149/a", HOST) == (301, "/e149/a")
    assert ground.follow(f"/{long}", HOST) == (301, f"/{long}/y")
    assert ground.ask("/home.txt").fields["x-long"] == long
    assert not ground.reports
