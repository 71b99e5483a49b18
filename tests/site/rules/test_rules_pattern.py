"""Patterns: what they match and capture, and that many at once are the same as one after the other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.target import decode_path
from epollo.site.resolve import Names
from epollo.site.rules.index import RuleIndex
from epollo.site.rules.pattern import (
    Captures,
    PatternError,
    find_uncaptured,
    match_pattern,
    parse_pattern,
    substitute,
)


def match(pattern: str, path: str, host: str = "") -> Captures | None:
    names = decode_path(path.encode())
    assert names is not None
    return match_pattern(parse_pattern(pattern.encode()), host.encode(), names)


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        ("/", "/", {}),
        ("/about", "/about", {}),
        ("/about", "/about/", {}),
        ("/about/", "/about", {}),
        ("/about", "//about", {}),
        ("/about", "/%61bout", {}),
        ("/caf%C3%A9", "/caf\u00e9", {}),
        ("/caf\u00e9", "/caf%c3%a9", {}),
        ("/a b", "/a%20b", {}),
        # Splats.
        ("/*", "/", {"splat": ""}),
        ("/*", "/a/b", {"splat": "a/b"}),
        ("/*", "/a/b/", {"splat": "a/b/"}),
        ("/news/*", "/news", {"splat": ""}),
        ("/news/*", "/news/", {"splat": ""}),
        ("/news/*", "/news/2004/01/10/my-story", {"splat": "2004/01/10/my-story"}),
        ("/blog*", "/blog-old/a", {"splat": "-old/a"}),
        ("/*.jpg", "/a/b.jpg", {"splat": "a/b"}),
        ("/*.jpg", "/.jpg", {"splat": ""}),
        ("/a/*/b", "/a/x/y/b", {"splat": "x/y"}),
        ("/a/*/b", "/a/x/b/", {"splat": "x"}),
        ("/a-*-b.html", "/a-x/y-b.html", {"splat": "x/y"}),
        ("/*", "/a%20b/%3F", {"splat": "a%20b/%3F"}),
        # Placeholders.
        ("/:year/:slug", "/2004/story", {"year": "2004", "slug": "story"}),
        ("/news/:year/:date", "/news/2004/12", {"year": "2004", "date": "12"}),
        ("/posts/p-:id.html", "/posts/p-12.html", {"id": "12"}),
        ("/:a/*", "/x/y/z", {"a": "x", "splat": "y/z"}),
        ("/:a/*", "/x", {"a": "x", "splat": ""}),
        ("/:a", "/x%2Fy%25", None),
    ],
)
def test_what_is_captured(pattern: str, path: str, captures: dict[str, str] | None) -> None:
    if captures is None:
        assert decode_path(path.encode()) is None
        return
    expected = {name.encode(): value.encode() for name, value in captures.items()}
    assert match(pattern, path) == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/a"),
        ("/about", "/About"),
        ("/about", "/about/more"),
        ("/about", "/"),
        ("/news/*", "/newspaper"),
        ("/news/*", "/"),
        ("/blog*", "/a/blog"),
        ("/*.jpg", "/a.jpg/b"),
        ("/ab*ba", "/aba"),
        ("/:a", "/"),
        ("/:a", "/x/y"),
        ("/p-:id", "/p-"),
        ("/a%3Ab", "/aXb"),
    ],
)
def test_what_does_not_match(pattern: str, path: str) -> None:
    assert match(pattern, path) is None


@pytest.mark.parametrize(
    ("pattern", "host", "captures"),
    [
        ("https://example.com/*", "example.com", {"splat": "a"}),
        ("HTTP://Example.COM/*", "example.com", {"splat": "a"}),
        ("https://example.com/*", "www.example.com", None),
        ("https://:project.pages.dev/*", "x.pages.dev", {"project": "x", "splat": "a"}),
        ("https://:project.pages.dev/*", "x.y.pages.dev", None),
        ("https://example.com", "example.com", None),
        ("/*", "", {"splat": "a"}),
    ],
)
def test_a_pattern_may_name_a_host(
    pattern: str, host: str, captures: dict[str, str] | None
) -> None:
    expected = None
    if captures is not None:
        expected = {name.encode(): value.encode() for name, value in captures.items()}
    assert match(pattern, "/a", host) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("about", "begins with a slash"),
        ("*", "begins with a slash"),
        ("/a?b", r"no \?"),
        ("/a#b", "no #"),
        ("/*/b/*", r"only one \*"),
        ("/:a:b", "one placeholder"),
        ("/:a/:a", "name of another"),
        ("/:splat/*", "name of another"),
        ("/*/:a", "before that of the"),
        ("/:a*", "before that of the"),
        ("/%zz", "two digits"),
        ("/a/../b", "no segment"),
        ("/./b", "no segment"),
        ("https://example.com:8080/", "no port"),
        ("https://exa mple.com/", "no valid host"),
        ("https://*.example.com/", r"a host has no \*"),
        ("https://:project.example.*/", r"a host has no \*"),
        ("https://[::1]:80/", "no port"),
        ("https://[::1/", "no port|no valid host"),
        ("https:///a", "begins with a slash|no valid host"),
        ("ftp://example.com/", "begins with a slash"),
    ],
)
def test_what_is_no_pattern(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        parse_pattern(pattern.encode())


def test_what_was_captured_is_put_in() -> None:
    captures = {b"a": b"1", b"ab": b"2"}
    assert substitute(b"/:a/:ab/:abc/x:a-:ab", captures) == b"/1/2/:abc/x1-2"
    assert find_uncaptured(b"https://h:80/:a/:b", frozenset((b"a",))) == b"b"
    assert find_uncaptured(b"https://h:80/:a", frozenset((b"a",))) == b""


segments = st.sampled_from(("a", "b", "ab", "a.b", ":x", ":y", "a:x", ":x.b", "a%20b"))
ends = st.sampled_from(("", "", "/", "/*", "*", "/*.b", "/a*", "/*/b", "/a*b"))
hosts = st.sampled_from(("", "", "", "https://h", "https://i.h", "https://:p.h"))


def is_pattern(text: str) -> bool:
    try:
        parse_pattern(text.encode())
    except PatternError:
        return False
    return True


patterns = st.builds(
    lambda host, parts, end: host + "".join(f"/{part}" for part in parts) + (end or "/"),
    hosts,
    st.lists(segments, max_size=3),
    ends,
).filter(is_pattern)
paths = st.builds(
    lambda parts, end: "".join(f"/{part}" for part in parts) + end or "/",
    st.lists(st.sampled_from(("a", "b", "ab", "aab", "a.b", "x.b", "a%20b")), max_size=4),
    st.sampled_from(("", "/")),
)


@given(
    st.lists(patterns, max_size=12), st.lists(paths, max_size=6), st.sampled_from(("", "h", "i.h"))
)
def test_many_patterns_match_as_each_does(texts: list[str], targets: list[str], host: str) -> None:
    parsed = [parse_pattern(text.encode()) for text in texts]
    index = RuleIndex(parsed)
    for target in targets:
        names = decode_path(target.encode())
        assert names is not None
        expected = [
            number
            for number, pattern in enumerate(parsed)
            if match_pattern(pattern, host.encode(), names) is not None
        ]
        assert index.find(host.encode(), names) == expected


@given(patterns, paths, st.sampled_from(("", "h", "i.h")))
def test_a_pattern_is_an_expression(text: str, target: str, host: str) -> None:
    """An oracle that has nothing in common with either: a regular expression over the whole URL."""
    names = decode_path(target.encode())
    assert names is not None
    origin, _, path = text.replace("https://", "", 1).partition("/")
    if not text.startswith("https://"):
        origin, path = "", text[1:]
    escaped = re.escape(path.strip("/").replace("%20", " "))
    by_placeholder = re.sub(r":[a-z]\w*", "[^/]+", escaped)
    expression = by_placeholder.replace(r"\*", ".*")
    # A splat that is a segment of its own may be nothing, and so may the slash before it.
    expression = re.sub(
        r"(?:^|/)\.\*$", "(?:^.*|/.*)?" if expression == ".*" else "(?:/.*)?", expression
    )
    host_expression = re.sub(r":[a-z]\w*", "[^.]+", re.escape(origin)) if origin else ".*"
    subject = b"/".join(name for name in names if name).decode()
    is_expected = (
        re.fullmatch(expression, subject, re.DOTALL) is not None
        and re.fullmatch(host_expression, host) is not None
    )
    assert (match(text, target, host) is not None) == is_expected


def test_ten_thousand_patterns_cost_no_more_than_ten() -> None:
    """Counted in nodes that are looked at, not in time."""
    texts = [f"/section-{n % 97}/page-{n}/:x" for n in range(10_000)]
    index = RuleIndex([parse_pattern(text.encode()) for text in texts])
    names: Names = (b"section-%d" % (5_000 % 97), b"page-5000", b"y")
    assert index.find(b"", names) == [5_000]
    node = index._anywhere
    for name in names[:2]:
        behind: list[object] = []
        node.find_next(name, behind)  # type: ignore[arg-type]
        assert len(behind) == 1
        (node,) = behind  # type: ignore[assignment]
