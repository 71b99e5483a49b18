"""Entity tags: syntax, lists and the two comparisons."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.validators import (
    ANY,
    AnyEntityTag,
    EntityTag,
    is_strong_match,
    is_weak_match,
    parse_entity_tag,
    parse_entity_tags,
)

A = EntityTag(b'"a"', is_weak=False)
WEAK_A = EntityTag(b'"a"', is_weak=True)
B = EntityTag(b'"b"', is_weak=False)

entity_tags = st.builds(
    EntityTag, st.from_regex(rb'"[\x21\x23-\x7e\x80-\xff]{0,6}"', fullmatch=True), st.booleans()
)


@pytest.mark.parametrize(
    ("octets", "tag"),
    [
        (b'"a"', A),
        (b'W/"a"', WEAK_A),
        (b'""', EntityTag(b'""', is_weak=False)),
        (b'W/""', EntityTag(b'""', is_weak=True)),
        (b'"a,b"', EntityTag(b'"a,b"', is_weak=False)),
        (b'"\\"', EntityTag(b'"\\"', is_weak=False)),
        (b'"\x80\xff!#~"', EntityTag(b'"\x80\xff!#~"', is_weak=False)),
        (b'"W/"', EntityTag(b'"W/"', is_weak=False)),
        (b"", None),
        (b"a", None),
        (b"*", None),
        (b'"a', None),
        (b'a"', None),
        (b'"', None),
        (b'w/"a"', None),
        (b'W"a"', None),
        (b'W/a"', None),
        (b'W/ "a"', None),
        (b'"a b"', None),
        (b'"a"b"', None),
        (b'"a\x7f"', None),
        (b'"a\n"', None),
        (b'"a"\n', None),
        (b' "a"', None),
        (b'"a" ', None),
        (b'"a","b"', None),
        (b"'a'", None),
    ],
)
def test_one_tag(octets: bytes, tag: EntityTag | None) -> None:
    assert parse_entity_tag(octets) == tag


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (b"*", ANY),
        (b" *\t", ANY),
        (b'"a"', [A]),
        (b'W/"a"', [WEAK_A]),
        (b'"a", "b"', [A, B]),
        (b'"a","b"', [A, B]),
        (b'"a"\t,\t "b"', [A, B]),
        (b'W/"a", "b"', [WEAK_A, B]),
        (b' "a" ', [A]),
        (b',, "a",, ,"b", ', [A, B]),
        (b'"a,b", "b"', [EntityTag(b'"a,b"', is_weak=False), B]),
        (b'"a", "*"', [A, EntityTag(b'"*"', is_weak=False)]),
        # A backslash escapes nothing in an entity tag.
        (b'"\\", "b"', [EntityTag(b'"\\"', is_weak=False), B]),
        (b"", []),
        (b" , ,", []),
        (b'*, "a"', None),
        (b'"a", *', None),
        (b"**", None),
        (b'"a" "b"', None),
        (b'"a""b"', None),
        (b'"a"; "b"', None),
        (b'"a", b', None),
        (b'"a", "b', None),
        (b'"a", w/"b"', None),
        (b"a", None),
        (b'"a"\n', None),
        (b'"a", "b"\r', None),
    ],
)
def test_lists_of_tags(value: bytes, tags: AnyEntityTag | list[EntityTag] | None) -> None:
    assert parse_entity_tags(value) == tags


# The table of RFC 9110 section 8.8.3.2.
@pytest.mark.parametrize(
    ("a", "b", "is_strong", "is_weak"),
    [
        (b'W/"1"', b'W/"1"', False, True),
        (b'W/"1"', b'W/"2"', False, False),
        (b'W/"1"', b'"1"', False, True),
        (b'"1"', b'W/"1"', False, True),
        (b'"1"', b'"1"', True, True),
        (b'"1"', b'"2"', False, False),
    ],
)
def test_comparison(a: bytes, b: bytes, is_strong: bool, is_weak: bool) -> None:
    tag_a, tag_b = parse_entity_tag(a), parse_entity_tag(b)
    assert tag_a is not None
    assert tag_b is not None
    assert is_strong_match(tag_a, tag_b) is is_strong
    assert is_weak_match(tag_a, tag_b) is is_weak


@given(st.lists(entity_tags), st.sampled_from([b",", b", ", b" ,\t", b",,", b", ,"]))
def test_tags_are_read_back(tags: list[EntityTag], separator: bytes) -> None:
    assert all(parse_entity_tag(tag.format()) == tag for tag in tags)
    assert parse_entity_tags(separator.join(tag.format() for tag in tags)) == tags


@given(st.binary(max_size=60))
def test_any_octets_are_tags_or_none(value: bytes) -> None:
    tags = parse_entity_tags(value)
    if isinstance(tags, list):
        assert all(parse_entity_tag(tag.format()) == tag for tag in tags)
    else:
        assert tags in {ANY, None}


@pytest.mark.parametrize(
    "value",
    [b'"' * 65_536, b'"a",' * 16_384 + b"!", b"," * 65_536 + b"!", b" " * 65_536 + b"!"],
)
def test_hostile_lists_take_linear_time(value: bytes) -> None:
    start_seconds = time.process_time()
    assert parse_entity_tags(value) is None
    assert time.process_time() - start_seconds < 0.5
