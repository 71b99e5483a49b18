"""Tokens, field values, quoted strings, weights and lists as rows of tables."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.grammar import FIELD_VALUE, QUOTED_STRING, TOKEN, parse_list, parse_weight

TCHARS = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("octet", range(256))
def test_a_token_of_one_octet_is_a_tchar(octet: int) -> None:
    assert (TOKEN.fullmatch(bytes([octet])) is not None) is (octet in TCHARS)


@pytest.mark.parametrize(
    ("octets", "is_valid"),
    [
        (b"GET", True),
        (b"x-gzip", True),
        (b"", False),
        (b"a b", False),
        (b"a ", False),
        (b"a\n", False),
        (b"a\xff", False),
        (b"a,", False),
    ],
)
def test_tokens(octets: bytes, is_valid: bool) -> None:
    assert (TOKEN.fullmatch(octets) is not None) is is_valid


@pytest.mark.parametrize(
    ("octets", "is_valid"),
    [
        (b"", True),
        (b"a", True),
        (b"a b\tc", True),
        (b"\x80\xff", True),
        (b"~!", True),
        (b" a", False),
        (b"a ", False),
        (b"\ta", False),
        (b"a\t", False),
        (b" ", False),
        (b"a\r\nb", False),
        (b"a\n", False),
        (b"a\0b", False),
        (b"a\x7fb", False),
        (b"a\x1bb", False),
    ],
)
def test_field_values(octets: bytes, is_valid: bool) -> None:
    assert (FIELD_VALUE.fullmatch(octets) is not None) is is_valid


@pytest.mark.parametrize(
    ("octets", "is_valid"),
    [
        (b'""', True),
        (b'"a, b"', True),
        (rb'"a\"b"', True),
        (rb'"\\"', True),
        (b'"\t \xff"', True),
        (b'"', False),
        (b'"a', False),
        (rb'"a\"', False),
        (b'"a"b"', False),
        (b'"\n"', False),
        (b'"\\\n"', False),
        (b'"\x7f"', False),
        (b"a", False),
    ],
)
def test_quoted_strings(octets: bytes, is_valid: bool) -> None:
    assert (QUOTED_STRING.fullmatch(octets) is not None) is is_valid


@pytest.mark.parametrize(
    ("octets", "weight"),
    [
        (b"0", 0),
        (b"0.", 0),
        (b"0.0", 0),
        (b"0.000", 0),
        (b"0.001", 1),
        (b"0.01", 10),
        (b"0.1", 100),
        (b"0.5", 500),
        (b"0.50", 500),
        (b"0.999", 999),
        (b"1", 1000),
        (b"1.", 1000),
        (b"1.0", 1000),
        (b"1.000", 1000),
        (b"1.001", None),
        (b"1.0000", None),
        (b"0.0000", None),
        (b"2", None),
        (b"-0", None),
        (b"-1", None),
        (b"+1", None),
        (b".5", None),
        (b"00", None),
        (b"01", None),
        (b"0,5", None),
        (b"0.5 ", None),
        (b" 0.5", None),
        (b"1e0", None),
        (b"0.5\n", None),
        (b"0.\xb2", None),
        (b"", None),
    ],
)
def test_weights(octets: bytes, weight: int | None) -> None:
    assert parse_weight(octets) == weight


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a,b", [b"a", b"b"]),
        (b"a , \tb", [b"a", b"b"]),
        (b" a ", [b"a"]),
        (b",", []),
        (b", ,a,, b,", [b"a", b"b"]),
        (b"a b", [b"a b"]),
        (b'"a,b"', [b'"a,b"']),
        (b'"a,b",c', [b'"a,b"', b"c"]),
        (b'x="a,b"; y, c', [b'x="a,b"; y', b"c"]),
        (rb'"a\",b", c', [rb'"a\",b"', b"c"]),
        (rb'"a\\",b', [rb'"a\\"', b"b"]),
        (b'a "', [b'a "']),
        (b'a, "b, c', [b"a", b'"b, c']),
        (b'a, "b, c\\', [b"a", b'"b, c\\']),
        (b"\\,b", [b"\\", b"b"]),
    ],
)
def test_lists(value: bytes, elements: list[bytes]) -> None:
    assert parse_list(value) == elements


@given(st.lists(st.from_regex(rb"[a-z]{1,5}|\"[a-z, ]{0,5}\"", fullmatch=True)))
def test_a_list_is_read_back(elements: list[bytes]) -> None:
    assert parse_list(b",\t , ".join(elements)) == elements


@given(st.binary(max_size=200))
def test_any_octets_are_a_list_of_stripped_elements(value: bytes) -> None:
    elements = parse_list(value)
    assert all(element and element.strip(b" \t") == element for element in elements)
    separators = b", \t"
    assert b"".join(elements).translate(None, separators) == value.translate(None, separators)


@pytest.mark.parametrize(
    "value",
    [b'"' * 65_536, b'\\"' * 32_768, b'"\\' * 32_768, b"," * 65_536, b" " * 65_536, b'",' * 32_768],
)
def test_hostile_lists_take_linear_time(value: bytes) -> None:
    start_seconds = time.process_time()
    parse_list(value)
    assert time.process_time() - start_seconds < 0.5
