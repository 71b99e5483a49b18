"""Entity tags: syntax, lists and the two comparisons."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.validators import EntityTag, is_listed, is_strong_match, parse_entity_tag

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
        (b"*", True),
        (b" *\t", True),
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
def test_lists_of_tags(value: bytes, tags: list[EntityTag] | bool | None) -> None:
    """``tags`` is True for any tag, None for no list."""
    named = [tag for tag in tags if isinstance(tag, EntityTag)] if isinstance(tags, list) else []
    for tag in (A, WEAK_A, B, EntityTag(b'""', is_weak=False), *named):
        for weakly in (True, False):
            expected = names_tag(named, tag, weakly=weakly) if isinstance(tags, list) else tags
            assert is_listed(value, tag, weakly=weakly) is expected
    assert is_listed(value, None, weakly=True) is (False if isinstance(tags, list) else tags)


def names_tag(tags: list[EntityTag], tag: EntityTag, *, weakly: bool) -> bool:
    """Compare one by one, as RFC 9110 section 8.8.3.2 says."""
    if weakly:
        return any(one.opaque == tag.opaque for one in tags)
    return any(is_strong_match(one, tag) for one in tags)


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
    assert is_listed(b, tag_a, weakly=False) is is_strong
    assert is_listed(b, tag_a, weakly=True) is is_weak


# Of so few octets that a tag is often the same as another, or like what stands between two others.
like_tags = st.builds(
    EntityTag, st.text("aW/,", max_size=3).map(lambda text: f'"{text}"'.encode()), st.booleans()
)


@given(
    st.lists(entity_tags | like_tags),
    entity_tags | like_tags,
    st.sampled_from([b",", b", ", b" ,\t", b",,", b", ,"]),
)
def test_a_tag_is_found_as_by_one_comparison_after_the_other(
    tags: list[EntityTag], other: EntityTag, separator: bytes
) -> None:
    assert all(parse_entity_tag(tag.format()) == tag for tag in tags)
    value = separator.join(tag.format() for tag in tags)
    for tag in (*tags, other):
        for weakly in (True, False):
            assert is_listed(value, tag, weakly=weakly) is names_tag(tags, tag, weakly=weakly)


@given(st.binary(max_size=60))
def test_any_octets_name_a_tag_or_are_no_list(value: bytes) -> None:
    assert is_listed(value, A, weakly=True) in {True, False, None}
    if parse_entity_tag(value) is not None:
        assert is_listed(value, parse_entity_tag(value), weakly=True)


@pytest.mark.parametrize(
    "value",
    [b'"' * 65_536, b'"a",' * 16_384 + b"!", b"," * 65_536 + b"!", b" " * 65_536 + b"!"],
)
def test_hostile_lists_take_linear_time(value: bytes) -> None:
    start_seconds = time.process_time()
    assert is_listed(value, A, weakly=True) is None
    assert time.process_time() - start_seconds < 0.5


@pytest.mark.parametrize("count", [3000])
def test_the_same_weak_tag_many_times_takes_linear_time(count: int) -> None:
    value = b",".join([b'W/"%b"' % (b"a" * 20)] * count)
    start_seconds = time.process_time()
    assert is_listed(value, EntityTag(b'"%b"' % (b"a" * 20), is_weak=False), weakly=False) is False
    assert time.process_time() - start_seconds < 0.1
