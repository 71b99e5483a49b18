"""Accept-Encoding by the letter of RFC 9110 section 12.5.3."""

import itertools
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.content_coding import parse_accept_encoding, select_coding

ALL = {b"identity": 100, b"gzip": 30, b"br": 20, b"zstd": 25}
GZIP = {b"identity": 100, b"gzip": 30}
PLAIN = {b"identity": 100}
# Compression does not pay for this one.
TINY = {b"identity": 10, b"gzip": 30}
ONLY_GZIP = {b"gzip": 30}


@pytest.mark.parametrize(
    ("value", "sizes", "coding"),
    [
        # No field, an empty field
        (None, ALL, b"identity"),
        (None, ONLY_GZIP, b"gzip"),
        (b"", ALL, b"identity"),
        (b"", ONLY_GZIP, None),
        (b" , ", ALL, b"identity"),
        # What clients send
        (b"gzip, deflate, br, zstd", ALL, b"br"),
        (b"gzip, deflate, br", ALL, b"br"),
        (b"gzip, deflate", ALL, b"gzip"),
        (b"gzip, deflate, br, zstd", GZIP, b"gzip"),
        (b"gzip, deflate, br, zstd", PLAIN, b"identity"),
        (b"gzip;q=1.0, deflate;q=0.8, *;q=0.1", ALL, b"gzip"),
        (b"identity", ALL, b"identity"),
        (b"identity, *;q=0", ALL, b"identity"),
        (b"deflate", ALL, b"identity"),
        # By weight, then by size
        (b"gzip;q=1, br;q=0.9", ALL, b"gzip"),
        (b"gzip;q=0.9, br;q=1", ALL, b"br"),
        (b"gzip;q=0.001, br;q=0.002", ALL, b"br"),
        (b"gzip;q=0.5, br;q=0.50", ALL, b"br"),
        (b"gzip, zstd", ALL, b"zstd"),
        (b"gzip", TINY, b"gzip"),
        (b"gzip, identity", TINY, b"identity"),
        (b"gzip, identity", GZIP, b"gzip"),
        (b"gzip;q=0.5, identity", GZIP, b"identity"),
        (b"gzip;q=0.5, identity;q=0.4", GZIP, b"gzip"),
        (b"gzip;q=0.5, identity;q=0.6", GZIP, b"identity"),
        (b"gzip;q=0.001", GZIP, b"gzip"),
        # A weight of zero is a refusal.
        (b"gzip;q=0", GZIP, b"identity"),
        (b"gzip;q=0.0", GZIP, b"identity"),
        (b"gzip;q=0.000", GZIP, b"identity"),
        (b"gzip; q=0", GZIP, b"identity"),
        (b"gzip ;\tq=0", GZIP, b"identity"),
        (b"gzip;Q=0", GZIP, b"identity"),
        (b"br;q=0, gzip", ALL, b"gzip"),
        (b"gzip;q=0, br;q=0, zstd;q=0", ALL, b"identity"),
        (b"identity;q=0", GZIP, None),
        (b"identity;q=0", PLAIN, None),
        (b"gzip, identity;q=0", GZIP, b"gzip"),
        (b"gzip, identity;q=0", PLAIN, None),
        (b"gzip;q=0, identity;q=0", GZIP, None),
        # Any other
        (b"*", ALL, b"br"),
        (b"*", GZIP, b"gzip"),
        (b"*", PLAIN, b"identity"),
        (b"*", TINY, b"identity"),
        (b"*;q=0", ALL, None),
        (b"*;q=0, gzip", ALL, b"gzip"),
        (b"*;q=0, gzip", PLAIN, None),
        (b"*;q=0, identity", ALL, b"identity"),
        (b"*;q=0, identity;q=0.1", ALL, b"identity"),
        (b"*;q=0, gzip;q=0", ALL, None),
        (b"br;q=0, *", ALL, b"zstd"),
        (b"gzip;q=0, *", GZIP, b"identity"),
        (b"gzip;q=0.1, *;q=0.5", ALL, b"br"),
        (b"gzip;q=0.1, *;q=0.5", GZIP, b"identity"),
        (b"identity;q=0, *", GZIP, b"gzip"),
        (b"identity;q=0, *;q=0.1", PLAIN, None),
        # Names
        (b"GZIP", GZIP, b"gzip"),
        (b"x-gzip", GZIP, b"gzip"),
        (b"X-GZip;q=0, *", GZIP, b"identity"),
        (b"Identity;q=0, gzip", GZIP, b"gzip"),
        (b"gzipped", GZIP, b"identity"),
        (b"xgzip", GZIP, b"identity"),
        (b"pack200-gzip, exi", GZIP, b"identity"),
        # Named twice: the lower weight
        (b"gzip;q=0, gzip", GZIP, b"identity"),
        (b"gzip, gzip;q=0", GZIP, b"identity"),
        (b"x-gzip;q=0.2, gzip, br;q=0.5", ALL, b"br"),
        (b"*;q=0.5, *;q=0", ALL, None),
        # Malformed elements are ignored, the others count.
        (b"gzip;q=2", GZIP, b"identity"),
        (b"gzip;q=1.001", GZIP, b"identity"),
        (b"gzip;q=", GZIP, b"identity"),
        (b"gzip;q", GZIP, b"identity"),
        (b"gzip;q=-1", GZIP, b"identity"),
        (b"gzip;q=a", GZIP, b"identity"),
        (b"gzip;q =1", GZIP, b"identity"),
        (b"gzip;q= 1", GZIP, b"identity"),
        (b"gzip;q=1;x=2", GZIP, b"identity"),
        (b"gzip;x=2", GZIP, b"identity"),
        (b"gzip;", GZIP, b"identity"),
        (b"gzip br", ALL, b"identity"),
        (b"gzip;q=0.5;", GZIP, b"identity"),
        (b";q=1", GZIP, b"identity"),
        (b'"gzip"', GZIP, b"identity"),
        (b'"a, gzip", br', ALL, b"br"),
        (b"gzip;q=9, br", ALL, b"br"),
        (b"\xff, gzip", GZIP, b"gzip"),
        (b"identity;q=0.0000", PLAIN, b"identity"),
        (b",, gzip ,", GZIP, b"gzip"),
        # Nothing at hand
        (b"gzip", {}, None),
        (None, {}, None),
    ],
)
def test_negotiation(value: bytes | None, sizes: Mapping[bytes, int], coding: bytes | None) -> None:
    assert select_coding(parse_accept_encoding(value), sizes) == coding


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"gzip, br", b"br,gzip"),
        (b"gzip, br", b"GZIP;q=1.000 ,, br;q=1"),
        (b"gzip, deflate", b"x-gzip"),
        (b"", b"deflate"),
        (b"*", b"*, br"),
    ],
)
def test_equal_preferences_are_equal_whatever_they_looked_like(one: bytes, other: bytes) -> None:
    assert parse_accept_encoding(one) == parse_accept_encoding(other)
    assert hash(parse_accept_encoding(one)) == hash(parse_accept_encoding(other))


def test_ties_do_not_depend_on_the_order_of_sizes() -> None:
    preference = parse_accept_encoding(b"gzip, br, zstd, identity")
    same = dict.fromkeys(ALL, 20)
    chosen = {
        select_coding(preference, {coding: same[coding] for coding in order})
        for order in itertools.permutations(same)
    }
    assert chosen == {b"identity"}


weights = st.sampled_from([None, b"0", b"0.3", b"0.7", b"1"])


@given(
    st.dictionaries(st.sampled_from([*ALL, b"*", b"deflate"]), weights),
    st.dictionaries(st.sampled_from(sorted(ALL)), st.integers(0, 5)),
)
def test_what_is_chosen_is_acceptable_and_none_is_better(
    named: dict[bytes, bytes | None], sizes: dict[bytes, int]
) -> None:
    def weigh(coding: bytes) -> float:
        """By the letter: below 0 is not acceptable, 0 is acceptable only."""
        entry = coding if coding in named else b"*"
        if entry not in named:
            return 0 if coding == b"identity" else -1
        weight = float(named[entry] or b"1")
        return weight if weight > 0 else -1

    value = b", ".join(
        coding if weight is None else b"%b;q=%b" % (coding, weight)
        for coding, weight in named.items()
    )
    chosen = select_coding(parse_accept_encoding(value), sizes)
    acceptable = [coding for coding in sizes if weigh(coding) >= 0]
    if chosen is None:
        assert not acceptable
    else:
        assert chosen in acceptable
        best = min((-weigh(coding), sizes[coding]) for coding in acceptable)
        assert (-weigh(chosen), sizes[chosen]) == best


@given(st.binary(max_size=60))
def test_any_octets_lead_to_a_coding_or_none(value: bytes) -> None:
    assert select_coding(parse_accept_encoding(value), ALL) in {*ALL, None}


@pytest.mark.parametrize("value", [b"gzip;q=0.5," * 6_000, b"a" * 65_536, b";" * 65_536])
def test_hostile_values_take_linear_time(value: bytes) -> None:
    start_seconds = time.process_time()
    assert len(parse_accept_encoding(value).weights) <= len(ALL)
    assert time.process_time() - start_seconds < 0.5
