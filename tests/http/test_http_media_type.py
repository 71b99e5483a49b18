"""Media types (RFC 9110 section 8.3.1)."""

import pytest

from epollo.http.media_type import has_charset, is_compressible, is_media_type


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (b"text/html", True),
        (b"text/html;charset=utf-8", True),
        (b'text/html ; charset="utf-8"; a=b', True),
        (b"text/html;", True),
        (b"application/vnd.a+json", True),
        (b"text", False),
        (b"/html", False),
        (b"text/", False),
        (b"text/html; charset", False),
        (b"text/html; charset=", False),
        (b"text/html\r\nA: b", False),
        (b"text /html", False),
        (b"", False),
    ],
)
def test_what_is_a_media_type(value: bytes, is_valid: bool) -> None:
    assert is_media_type(value) is is_valid


def test_what_says_its_charset() -> None:
    assert has_charset(b"text/html;Charset=a")
    assert has_charset(b"text/html; charset=a")
    assert not has_charset(b"text/html; xcharset=a")
    assert not has_charset(b"text/html")


def test_what_shrinks() -> None:
    for value in (b"text/x", b"a/b+json", b"image/x+xml; a=b", b"Application/JSON"):
        assert is_compressible(value)
    for value in (b"image/png", b"application/zip", b"application/octet-stream"):
        assert not is_compressible(value)
