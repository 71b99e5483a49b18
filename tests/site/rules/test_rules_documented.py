"""The examples of the two specifications, whole files at a time, with the results that these document.

Netlify: "Redirects and rewrites", "Redirect options", "Custom headers"; Cloudflare Pages: "Redirects",
"Headers". Where the two differ, a row says what the other one does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.rules.headers_file import parse_headers
from epollo.site.rules.redirects_file import parse_redirects
from site_grounds import Ground

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
    for name in (
        "index.html", "404.html", "en/404.html", "store-closed.html", "blog/index.html", "home.txt",
        "secure/page", "static/image.jpg", "static/styles.css", "movies/alien", "picture.jpg",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    with Ground(tmp_path) as ground:
        yield ground


def follow(ground: Ground, target: str, host: str = "site.example") -> tuple[int, str]:
    """Return the status, and where the answer leads or else its content."""
    answer = ground.ask(target, {"Host": host})
    return answer.status, answer.fields.get("location", answer.content.decode())


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
    assert follow(ground, target) == (status, outcome)
    assert not ground.reports


def test_redirects_of_a_domain_of_netlify(ground: Ground) -> None:
    (ground.root / "_redirects").write_text(NETLIFY_REDIRECTS)
    for target in ("/a/b", "/home", "/index.html"):
        expected = (301, f"https://www.yoursite.example/blog{target}")
        # The first line that matches counts, and /home has one before.
        expected = (301, "/") if target == "/home" else expected
        assert follow(ground, target, "blog.yoursite.example") == expected


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
    assert follow(ground, target) == (status, outcome)
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
