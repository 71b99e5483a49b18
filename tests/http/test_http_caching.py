"""Values of Cache-Control (RFC 9111 section 5.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.caching import IMMUTABLE, NO_CACHE, is_cache_control, make_private
from epollo.http.grammar import FIELD_VALUE


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (NO_CACHE, True),
        (IMMUTABLE, True),
        (b"max-age=60", True),
        (b"public,max-age=60 ,, must-revalidate", True),
        (b'private="set-cookie, x-y", no-cache="a"', True),
        (b"x-extension=1a", True),
        (b"", False),
        (b" ", False),
        (b",", False),
        (b"no cache", False),
        (b"max-age:60", False),
        (b"max-age=", False),
        (b"=60", False),
        (b"max-age = 60", False),
        (b'private="set-cookie', False),
        (b"max-age=60;public", False),
        (b"no-cache\r\nX: y", False),
        (b"no-cache\n", False),
        (b"no-\0cache", False),
        (b"no-cache\x7f", False),
        (b"f\xfcr-immer", False),
    ],
)
def test_value(value: bytes, is_valid: bool) -> None:
    assert is_cache_control(value) is is_valid


@given(st.binary(max_size=60))
def test_nothing_valid_can_end_its_line(value: bytes) -> None:
    if is_cache_control(value):
        assert FIELD_VALUE.fullmatch(value.strip(b" \t"))


@pytest.mark.parametrize(
    ("value", "private"),
    [
        (b"no-cache", b"private, no-cache"),
        (b"public, max-age=31536000, immutable", b"private, max-age=31536000, immutable"),
        (b"PUBLIC, s-maxage=9, must-revalidate, max-age=1", b"private, must-revalidate, max-age=1"),
        (b'no-store, private="x, y"', b"private, no-store"),
        (b"private", b"private"),
    ],
)
def test_no_shared_cache_keeps_what_is_private(value: bytes, private: bytes) -> None:
    assert make_private(((b"A", b"b"), (b"Cache-Control", value))) == (
        (b"A", b"b"),
        (b"Cache-Control", private),
    )


def test_an_answer_that_says_nothing_of_caches_is_private_too() -> None:
    assert make_private(()) == ((b"Cache-Control", b"private"),)
