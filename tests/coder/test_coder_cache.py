"""What a coder keeps: bounded, by content alone."""

from hypothesis import given
from hypothesis import strategies as st

from epollo.coder.cache import CodingCache, Key
from epollo.site.entity_tags import tag_content
from epollo.site.sealed import Coded, seal


def coded(octets: bytes) -> Coded:
    return Coded(octets, tag_content(octets))


def key(number: int) -> Key:
    return Key(b"%d" % number, 0, 1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000), st.booleans()), max_size=60))
def test_it_is_bounded_and_keeps_what_was_used_last(
    steps: list[tuple[int, int, bool]],
) -> None:
    cache = CodingCache(octets_limit=10_000, descriptors_limit=3)
    for number, length, is_sealed in steps:
        octets = b"x" * length
        made = Coded(seal((octets,)) if is_sealed else octets, tag_content(octets))
        cache.keep(key(number), made)
        assert cache.octets <= 10_000
        assert cache.descriptors <= 3
        assert cache.find(key(number), 1 << 20) is made
    if not steps:
        assert len(cache) == cache.octets == 0


def test_the_least_used_goes_first() -> None:
    cache = CodingCache(octets_limit=4_000)
    for number in range(3):
        cache.keep(key(number), coded(b"x" * 500))
    assert cache.find(key(0), 600) is not None
    cache.keep(key(3), coded(b"x" * 1_500))
    assert cache.find(key(1), 600) is None
    assert cache.find(key(0), 600) is not None


def test_what_is_too_long_for_one_limit_may_not_be_for_another() -> None:
    cache = CodingCache()
    cache.keep(key(0), 100)
    assert cache.find(key(0), 100) == 100
    assert cache.find(key(0), 50) == 100
    assert cache.find(key(0), 101) is None


def test_another_level_is_another_coding() -> None:
    cache = CodingCache()
    cache.keep(Key(b"a", 0, 1), coded(b"quick"))
    assert cache.find(Key(b"a", 0, 9), 100) is None
    assert cache.find(Key(b"a", 1, 1), 100) is None
