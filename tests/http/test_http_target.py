"""Request targets, and paths that try to get out."""

import posixpath
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.target import (
    HttpsTarget,
    Target,
    TargetForm,
    decode_path,
    encode_path,
    parse_target,
)

ORIGIN, ABSOLUTE = TargetForm.ORIGIN, TargetForm.ABSOLUTE
ASTERISK, AUTHORITY = TargetForm.ASTERISK, TargetForm.AUTHORITY

# Names as decode_path returns them, above all those that look like something else.
names = st.one_of(
    st.sampled_from([b"...", b"%2e", b"\\", b"a b", b"?", b"#", b"\r\n", b"..\\..", b"~", b";"]),
    st.binary(min_size=1, max_size=6),
).filter(lambda name: name not in {b".", b".."} and not set(name) & {0, 0x2F})


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/", (ORIGIN, b"/", None, None)),
        (b"/a/b.html", (ORIGIN, b"/a/b.html", None, None)),
        (b"/a?", (ORIGIN, b"/a", b"", None)),
        (b"/a?b=c&d", (ORIGIN, b"/a", b"b=c&d", None)),
        (b"/a?b?c/d", (ORIGIN, b"/a", b"b?c/d", None)),
        (b"/?", (ORIGIN, b"/", b"", None)),
        (b"//evil.example/a", (ORIGIN, b"//evil.example/a", None, None)),
        (b"/\\evil.example", (ORIGIN, b"/\\evil.example", None, None)),
        (b"/%41%zz", (ORIGIN, b"/%41%zz", None, None)),
        (b"/http://a/", (ORIGIN, b"/http://a/", None, None)),
        (b'/"<>[\\]^`{|}', (ORIGIN, b'/"<>[\\]^`{|}', None, None)),
        (b"/\xc3\xbc", (ORIGIN, b"/\xc3\xbc", None, None)),
        (b"/\xff?\x80", (ORIGIN, b"/\xff", b"\x80", None)),
        (b"/*", (ORIGIN, b"/*", None, None)),
        (b"*", (ASTERISK, b"", None, None)),
        (b"http://a", (ABSOLUTE, b"/", None, b"a")),
        (b"http://a/", (ABSOLUTE, b"/", None, b"a")),
        (b"http://a?b", (ABSOLUTE, b"/", b"b", b"a")),
        (b"http://a:80/b?c", (ABSOLUTE, b"/b", b"c", b"a:80")),
        (b"HTTPS://A.example/b", (ABSOLUTE, b"/b", None, b"A.example")),
        (b"http://[::1]:80//b", (ABSOLUTE, b"//b", None, b"[::1]:80")),
        (b"http://a:/", (ABSOLUTE, b"/", None, b"a:")),
        (b"a.example:443", (AUTHORITY, b"", None, b"a.example:443")),
        (b"[::1]:443", (AUTHORITY, b"", None, b"[::1]:443")),
    ],
)
def test_targets(
    target: bytes, parts: tuple[TargetForm, bytes, bytes | None, bytes | None]
) -> None:
    assert parse_target(target) == Target(*parts)
    is_https = target.lower().startswith(b"https:")
    assert type(parse_target(target)) is (HttpsTarget if is_https else Target)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"a",
        b"index.html",
        b"..",
        b"?a",
        b"#",
        b"**",
        b"*/",
        b"/a#b",
        b"/a?b#c",
        b"/a b",
        b"/a\tb",
        b"/a\n",
        b"/a\r",
        b"/\0",
        b"/\x7f",
        b"/a?\x1b",
        b"/a? ",
        b" /",
        b"http:/a",
        b"http:///a",
        b"http://",
        b"http://:80/",
        b"http://?a",
        b"http://user@a/",
        b"http://user:password@a/",
        b"http://a b/",
        b"http://a\\b/",
        b"http://a:65536/",
        b"http://a:b/",
        b"http://[::1/",
        b"http://a/#b",
        b"http://\xff/",
        b"httpx://a/",
        b"ftp://a/",
        b"file:///etc/passwd",
        b"javascript:alert(1)",
        b"a.example",
        b"a.example:",
        b"a.example:99999",
        b":80",
        b"user@a:80",
        b"a:80/b",
        b"\\a:80",
    ],
)
def test_no_targets(target: bytes) -> None:
    assert parse_target(target) is None


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_in_a_path(octet: int) -> None:
    target = parse_target(b"/a" + bytes([octet]))
    is_refused = octet <= 0x20 or octet in {0x7F, ord("#")}
    assert (target is None) is is_refused


@given(st.binary(max_size=40))
def test_any_octets_are_a_target_or_none(octets: bytes) -> None:
    target = parse_target(octets)
    if target is None:
        return
    assert target.path.startswith(b"/") is (target.form in {ORIGIN, ABSOLUTE})
    if target.form is ORIGIN:
        assert octets == target.path + (b"" if target.query is None else b"?" + target.query)


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"/", (b"",)),
        (b"/a", (b"a",)),
        (b"/a/", (b"a", b"")),
        (b"/a/b", (b"a", b"b")),
        (b"/index.html", (b"index.html",)),
        (b"/.well-known/x", (b".well-known", b"x")),
        (b"/.git/config", (b".git", b"config")),
        (b"/...", (b"...",)),
        (b"/..a/a../.a", (b"..a", b"a..", b".a")),
        (b"/a.", (b"a.",)),
        # Empty segments
        (b"//", (b"",)),
        (b"///", (b"",)),
        (b"//a", (b"a",)),
        (b"/a//b", (b"a", b"b")),
        (b"/a//", (b"a", b"")),
        (b"//evil.example/%2e%2e", (b"",)),
        # Dot segments
        (b"/.", (b"",)),
        (b"/./", (b"",)),
        (b"/./a", (b"a",)),
        (b"/a/.", (b"a", b"")),
        (b"/a/./b", (b"a", b"b")),
        (b"/a/..", (b"",)),
        (b"/a/../", (b"",)),
        (b"/a/../b", (b"b",)),
        (b"/a/b/..", (b"a", b"")),
        (b"/a/b/../c", (b"a", b"c")),
        (b"/a/b/../../c", (b"c",)),
        (b"/a//../b", (b"b",)),
        (b"/a/%2e", (b"a", b"")),
        (b"/a/%2E%2e/b", (b"b",)),
        (b"/a/.%2e/b", (b"b",)),
        (b"/a/%2e./b", (b"b",)),
        (b"/..", None),
        (b"/../", None),
        (b"/../etc/passwd", None),
        (b"/%2e%2e/etc/passwd", None),
        (b"/.%2E/etc/passwd", None),
        (b"//../a", None),
        (b"/./../a", None),
        (b"/a/../..", None),
        (b"/a/../../a", None),
        (b"/a/b/../../../a/b", None),
        # Percent-encoding, undone once
        (b"/%61", (b"a",)),
        (b"/a%20b", (b"a b",)),
        (b"/%C3%bc", (b"\xc3\xbc",)),
        (b"/\xc3\xbc", (b"\xc3\xbc",)),
        (b"/%ff", (b"\xff",)),
        (b"/%25", (b"%",)),
        (b"/100%25", (b"100%",)),
        (b"/%252e%252e/a", (b"%2e%2e", b"a")),
        (b"/%252f", (b"%2f",)),
        (b"/%2500", (b"%00",)),
        (b"/%3f%23", (b"?#",)),
        (b"/%5c..%5c", (b"\\..\\",)),
        (b"/..\\..\\a", (b"..\\..\\a",)),
        (b"/a+b", (b"a+b",)),
        (b"/%0d%0a", (b"\r\n",)),
        (b"/%2f", None),
        (b"/%2F", None),
        (b"/a%2fb", None),
        (b"/..%2f..%2fetc", None),
        (b"/%00", None),
        (b"/a%00.html", None),
        (b"/a\0", None),
        (b"/%", None),
        (b"/%4", None),
        (b"/%/", None),
        (b"/a%2/b", None),
        (b"/%zz", None),
        (b"/%u002e", None),
        (b"/%+1", None),
        (b"/% 1", None),
        (b"/%0x", None),
        (b"/%\xc2\xb2", None),
        (b"/a/%zz/../b", None),
        # What is no path
        (b"", None),
        (b"a", None),
        (b"..", None),
        (b"*", None),
    ],
)
def test_decoding(path: bytes, segments: tuple[bytes, ...] | None) -> None:
    assert decode_path(path) == segments


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        ((), b"/"),
        ((b"",), b"/"),
        ((b"a",), b"/a"),
        ((b"a", b""), b"/a/"),
        ((b"a", b"b"), b"/a/b"),
        ((b"a b",), b"/a%20b"),
        ((b"%2e",), b"/%252e"),
        ((b"?#",), b"/%3F%23"),
        ((b"\\evil.example", b""), b"/%5Cevil.example/"),
        ((b"\r\nSet-Cookie: a",), b"/%0D%0ASet-Cookie:%20a"),
        ((b"\"'<>",), b"/%22%27%3C%3E"),
        ((b"\xc3\xbc",), b"/%C3%BC"),
        ((b"\xff\x7f\t",), b"/%FF%7F%09"),
        ((b"-._~!$&()*+,;=:@",), b"/-._~!$&()*+,;=:@"),
        ((b"^`{|}[]",), b"/%5E%60%7B%7C%7D%5B%5D"),
        ((b"", b"evil.example"), b"/evil.example"),
        ((b"", b"", b"evil.example", b""), b"/evil.example/"),
        ((b"", b""), b"/"),
    ],
)
def test_encoding(segments: tuple[bytes, ...], path: bytes) -> None:
    assert encode_path(segments) == path


@given(st.lists(names, max_size=4), st.booleans())
def test_names_are_read_back(path_names: list[bytes], is_folder: bool) -> None:
    segments = (*path_names, b"") if is_folder or not path_names else tuple(path_names)
    path = encode_path(segments)
    assert decode_path(path) == segments
    target = parse_target(path)
    assert target is not None
    assert target.path == path
    assert not path.startswith(b"//")
    assert set(path) <= set(range(0x21, 0x7F)) - set(b"\\\"'<>?#")
    assert urlsplit(path).netloc == b""
    assert unquote_to_bytes(path) == b"/" + b"/".join(segments)


@given(
    st.lists(
        st.sampled_from([b"a", b"b", b"", b".", b"..", b"%2e", b".%2E", b"%2e%2e", b"%61", b"%2f"])
    )
)
def test_dot_segments_agree_with_posixpath_and_never_leave(raw_segments: list[bytes]) -> None:
    path = b"/" + b"/".join(raw_segments)
    segments = decode_path(path)
    decoded = [unquote_to_bytes(segment) for segment in raw_segments]
    depth = lowest = 0
    for name in decoded:
        depth += {b"..": -1, b".": 0, b"": 0}.get(name, 1)
        lowest = min(lowest, depth)
    if lowest < 0 or b"/" in decoded:
        assert segments is None
    else:
        expected = posixpath.normpath(b"/" + b"/".join(filter(None, decoded)))
        assert segments is not None
        assert posixpath.join(b"/", *segments).rstrip(b"/") == expected.rstrip(b"/")


@given(st.binary(max_size=40))
def test_any_path_is_names_or_none(octets: bytes) -> None:
    segments = decode_path(b"/" + octets)
    if segments is None:
        return
    assert segments
    assert all(segments[:-1])
    assert all(
        name not in {b".", b".."} and b"/" not in name and b"\0" not in name for name in segments
    )
    assert decode_path(encode_path(segments)) == segments
