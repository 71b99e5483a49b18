"""``_headers``: how it is read, what it makes of answers, and what it is refused."""

from pathlib import Path

import pytest

from epollo.site.rules.fields import PathFields, merge_fields
from parsed_rules import parse_headers
from site_grounds import Ground


def fields_of(text: str, path: str = "/page.html") -> PathFields:
    parsed = parse_headers(text.encode())
    assert not parsed.mistakes
    return merge_fields((rule, {}) for rule in parsed.rules)


def lines(text: str) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in fields_of(text).not_modified]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/*\n  X-A: b\n", [("X-A", "b")]),
        ("\ufeff/*\r\n\tX-A:b \r\n", [("X-A", "b")]),
        ("# comment\n/*\n\n  # another\n  X-A: b # no comment\n", [("X-A", "b # no comment")]),
        ("/*\nX-A: b:c", [("X-A", "b:c")]),
        # Once more in a block or in another: a list.
        ("/*\n  X-A: b\n  x-a: c\n", [("X-A", "b, c")]),
        ("/*\n  X-A: b\n/page.html\n  X-A: c\n", [("X-A", "b, c")]),
        # No lists: the later one counts.
        (
            "/*\n  X-Frame-Options: DENY\n/*\n  X-Frame-Options: SAMEORIGIN",
            [("X-Frame-Options", "SAMEORIGIN")],
        ),
        (
            "/*\n  Set-Cookie: a=b\n  Set-Cookie: c=d",
            [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")],
        ),
        # Removed.
        ("/*\n  X-A: b\n  X-B: c\n/page.html\n  ! x-a\n", [("X-B", "c")]),
        ("/*\n  X-A: b\n/page.html\n  X-A: c\n  ! X-A\n", [("X-A", "c")]),
        ("/*\n  !X-A\n/*\n  X-A: b", [("X-A", "b")]),
    ],
)
def test_what_a_file_says(text: str, expected: list[tuple[str, str]]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("X-A: b\n", 1, "below the path"),
        ("/*\n", 1, "no header stands below"),
        ("/*\n/a\n X-A: b", 1, "no header stands below"),
        ("/*\n  nonsense\n", 2, "not Name: value"),
        ("/*\n  X A: b\n", 2, "not Name: value"),
        ("/*\n  : b\n", 2, "not Name: value"),
        ("/*\n  ! X-A: b\n", 2, "not Name: value"),
        ("/*\n  X-A:\n", 2, "X-A has no value"),
        ("/*\n  X-A: b\x01c\n", 2, "control character"),
        (f"/*\n  X-A: {'b' * 16_384}\n", 2, "longer than 16 KiB"),
        (f"/{'a' * 16_384}\n  X-A: b\n", 1, "longer than 16 KiB"),
        ("/*\n  X-A: b\rX-B: c\n", 2, "control character"),
        ("/*/*\n  X-A: b\n", 1, "only one"),
        ("ftp://a/\n  X-A: b\n", 1, "begins with a slash"),
        ("https://a:80/\n  X-A: b\n", 1, "no port"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, reason: str) -> None:
    (mistake,) = parse_headers(text.encode()).mistakes
    assert mistake.line == line
    assert reason in mistake.reason
    assert not mistake.is_left_out


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Content-Length", "Transfer-Encoding", "Date", "content-range", "ETag",
        "Last-Modified", "Trailer", "Upgrade", "Keep-Alive", "TE", "Age", "Allow", "Accept-Ranges",
        "Server", "Location", "WWW-Authenticate", "Basic-Auth",
    ],
)  # fmt: skip
def test_fields_of_the_protocol_are_refused_alone(name: str) -> None:
    for line in (f"{name}: x", f"! {name}"):
        parsed = parse_headers(f"/*\n  {line}\n  X-A: b\n".encode())
        (mistake,) = parsed.mistakes
        assert (mistake.line, mistake.is_left_out) == (2, True)
        assert name in mistake.reason
        assert [rule.fields for rule in parsed.rules] == [((b"X-A", b"b"),)]


def ask(tmp_path: Path, text: str, target: str, **fields: str) -> dict[str, str]:
    (tmp_path / "_headers").write_text(text)
    (tmp_path / "page.html").write_text("page")
    (tmp_path / "data").write_text("data")
    with Ground(tmp_path) as ground:
        assert not ground.reports
        return ground.ask(target, fields).fields


def test_what_is_known_of_a_file_is_overridden(tmp_path: Path) -> None:
    text = (
        "/*\n  Cache-Control: max-age=5\n  Content-Type: text/plain\n"
        "  X-Content-Type-Options: nosniff\n"
    )
    fields = ask(tmp_path, text, "/page.html")
    assert fields["cache-control"] == "max-age=5"
    assert fields["content-type"] == "text/plain"
    assert fields["x-content-type-options"] == "nosniff"


def test_what_epollo_adds_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("")
    fields = ask(tmp_path, "/empty\n  ! Cache-Control\n  ! X-Content-Type-Options\n", "/page.html")
    assert {"cache-control", "x-content-type-options"} <= fields.keys()
    (tmp_path / "empty").write_text("")
    fields = ask(tmp_path, "/empty\n  ! Cache-Control\n  ! X-Content-Type-Options\n", "/empty")
    assert not {"cache-control", "x-content-type-options"} & fields.keys()


def test_vary_keeps_what_it_has_to_say(tmp_path: Path) -> None:
    text = "/*\n  Vary: Origin\n"
    assert ask(tmp_path, text, "/page.html")["vary"] == "Accept-Encoding, Origin"
    assert ask(tmp_path, text, "/data")["vary"] == "Origin"


def test_a_revalidation_tells_of_the_fields(tmp_path: Path) -> None:
    """A cache takes over what an answer 304 says (RFC 9111 section 4.3.4)."""
    tag = ask(tmp_path, "/*\n  X-A: b\n", "/page.html")["etag"]
    text = "/*\n  X-A: b\n  Cache-Control: max-age=5\n"
    with Ground(tmp_path) as ground:
        (tmp_path / "_headers").write_text(text)
        answer = ground.ask("/page.html", {"If-None-Match": tag})
    assert answer.status == 304
    assert (answer.fields["x-a"], answer.fields["cache-control"]) == ("b", "max-age=5")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/*\n  X-Frame-Options: DENY\n", ""),
        ("", "/*\n  X-Frame-Options: DENY\n"),
        ("/*\n  X-A: b\n  X-C: d\n", "/*\n  X-A: b\n"),
        ("/*\n  Content-Security-Policy: img-src b\n", "/*\n  Content-Security-Policy: img-src a\n"),
        ("/*\n  Content-Type: text/plain\n", "/*\n  Content-Type: text/css\n"),
        ("/*\n  Vary: Origin\n", ""),
    ],
)  # fmt: skip
def test_what_a_cache_has_with_other_fields_is_not_current(
    tmp_path: Path, before: str, after: str
) -> None:
    """No answer 304 takes a field away, and browsers leave some as they were."""
    tag = ask(tmp_path, before, "/page.html")["etag"]
    with Ground(tmp_path) as ground:
        for text, status in ((before, 304), (after, 200), (before, 304)):
            (tmp_path / "_headers").write_text(text)
            assert ground.ask("/page.html", {"If-None-Match": tag}).status == status
            assert ground.ask("/page.html", {"If-Match": tag}).status == (
                200 if status == 304 else 412
            )
        part = ground.ask("/page.html", {"If-Range": tag, "Range": "bytes=1-2"})
        assert (part.status, part.content, part.fields["etag"]) == (206, b"ag", tag)
        (tmp_path / "_headers").write_text(after)
        assert ground.ask("/page.html", {"If-Range": tag, "Range": "bytes=1-2"}).status == 200


def test_errors_and_redirects_inherit_nothing_of_the_file(tmp_path: Path) -> None:
    text = (
        "/*\n  X-A: b\n  Cache-Control: immutable\n  Content-Type: a/b\n  Expires: never\n"
        "  CDN-Cache-Control: max-age=9\n  Content-Disposition: attachment\n  Vary: Origin\n"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "_redirects").write_text("/old /new\n")
    for target in ("/nothing", "/folder", "/old"):
        fields = ask(tmp_path, text, target)
        assert (fields["x-a"], fields["cache-control"]) == ("b", "no-cache")
        assert fields["vary"] == "Origin"
        assert not {"expires", "cdn-cache-control", "content-disposition"} & fields.keys()
        assert fields["content-type"] == "text/html; charset=utf-8"


def test_a_value_may_have_what_was_captured(tmp_path: Path) -> None:
    text = "/:x\n  X-Path: :x\n/*\n  Link: </static/:splat>; rel=canonical, :other\n"
    fields = ask(tmp_path, text, "/page.html%0d%0aX-Injected:%20a")
    assert fields["x-path"] == "page.html%0D%0AX-Injected:%20a"
    assert "x-injected" not in fields
    assert ask(tmp_path, text, "/page.html")["link"] == "</static/page.html>; rel=canonical, :other"


def test_a_block_may_be_for_a_host(tmp_path: Path) -> None:
    text = "https://a.example/*\n  X-Robots-Tag: noindex\n"
    for host, is_met in (
        ("a.example", True), ("A.Example:80", True), ("b.example", False), ("[::1]:80", False)
    ):  # fmt: skip
        fields = ask(tmp_path, text, "/page.html", Host=host)
        assert ("x-robots-tag" in fields) is is_met, host
    fields = ask(tmp_path, text, "http://a.example/page.html", Host="b.example")
    assert "x-robots-tag" in fields
