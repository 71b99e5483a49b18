"""What an edit of a rule file costs, and that what was known before makes no other rules of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.site.rules import headers_file, redirects_file
from epollo.site.rules.index import RuleIndex
from epollo.site.rules.pattern import parse_pattern
from parsed_rules import parse_headers, parse_redirects

redirect_lines = st.sampled_from(
    (b"/a /b", b" /a /b ", b"/a/* /b/:splat 302!", b"/a id=:id /b/:id", b"# /a /b", b"", b"\t", b"/a",
     b"/a https://h.example/:splat", b"/c /d 299", b"/a /a", b"/x /y\r")
)  # fmt: skip
header_lines = st.sampled_from(
    (b"/a", b"/a/*", b" /b\r", b"https://h.example/a", b"/*/*", b"  X-A: b", b"X-A: c\r", b"  ! X-A",
     b"# X", b"", b"  Date: x", b"  no header", b"\xef\xbb\xbf/a", b"  Link: </a>; rel=preload")
)  # fmt: skip


@given(st.lists(redirect_lines, max_size=8), st.lists(redirect_lines, max_size=8))
def test_redirects_after_an_edit(before: list[bytes], after: list[bytes]) -> None:
    known = parse_redirects(b"\n".join(before)).known
    octets = b"\n".join(after)
    assert parse_redirects(octets, known) == parse_redirects(octets)


@given(st.lists(header_lines, max_size=8), st.lists(header_lines, max_size=8))
def test_headers_after_an_edit(before: list[bytes], after: list[bytes]) -> None:
    known = parse_headers(b"\n".join(before)).known
    octets = b"\n".join(after)
    assert parse_headers(octets, known) == parse_headers(octets)


def test_an_edit_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    redirects = b"".join(b"/a%d /b%d\n" % (n, n) for n in range(1000))
    headers = b"".join(b"/a%d\n  X-A: %d\n" % (n, n) for n in range(1000))
    known_redirects = parse_redirects(redirects).known
    known_headers = parse_headers(headers).known
    parsed: list[bytes] = []

    def note(text: bytes) -> object:
        parsed.append(text)
        return parse_pattern(text)

    monkeypatch.setattr(redirects_file, "parse_pattern", note)
    monkeypatch.setattr(headers_file, "parse_pattern", note)
    edited = parse_redirects(b"/new /place\n" + redirects, known_redirects)
    assert [rule.line for rule in edited.rules] == list(range(1, 1002))
    assert parsed == [b"/new"]
    parsed.clear()
    blocks = parse_headers(headers.replace(b"X-A: 7\n", b"X-A: 8\n  X-B: 9\n"), known_headers)
    assert [rule.line for rule in blocks.rules[6:10]] == [13, 15, 18, 20]
    assert parsed == [b"/a7"]


def test_a_path_sorts_only_what_it_comes_by() -> None:
    texts = [b"/s%d/page-%d/deep" % (n % 10, n) for n in range(1000)]
    index = RuleIndex([parse_pattern(text) for text in texts])
    assert index._anywhere.literals == {}
    assert index.find(b"", (b"s3", b"page-13", b"deep")) == [13]
    assert list(index._anywhere.literals) == [b"s3"]
    section = index._anywhere.literals[b"s3"]
    assert list(section.literals) == [b"page-13"]
    assert len(section.waiting_behind) == 99
    assert index.find(b"", (b"s3", b"page-13", b"deep")) == [13]
    assert index.find(b"", (b"s3", b"page-23", b"deep", b"")) == [23]
