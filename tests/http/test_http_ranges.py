"""Range sets as clients and enemies write them, and the framing of their parts."""

import time
from email import message_from_bytes
from email.message import Message
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.ranges import (
    UNSATISFIABLE,
    ByteRange,
    Unsatisfiable,
    format_content_range,
    format_multipart,
    parse_range,
    select_partial_fields,
)

Outcome = list[tuple[int, int]] | Unsatisfiable | None


def read(value: bytes, complete_length: int) -> Outcome:
    outcome = parse_range(value, complete_length)
    return [(first, last) for first, last in outcome] if isinstance(outcome, list) else outcome


# The content is ten octets long.
@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (b"bytes=0-0", [(0, 0)]),
        (b"bytes=0-4", [(0, 4)]),
        (b"bytes=9-9", [(9, 9)]),
        (b"bytes=0-9", [(0, 9)]),
        (b"bytes=0-10", [(0, 9)]),
        (b"bytes=5-999", [(5, 9)]),
        (b"bytes=5-", [(5, 9)]),
        (b"bytes=0-", [(0, 9)]),
        (b"bytes=9-", [(9, 9)]),
        (b"bytes=-1", [(9, 9)]),
        (b"bytes=-10", [(0, 9)]),
        (b"bytes=-99", [(0, 9)]),
        (b"bytes=00-04", [(0, 4)]),
        (b"bytes=007-", [(7, 9)]),
        (b"Bytes=0-4", [(0, 4)]),
        (b"BYTES=0-4", [(0, 4)]),
        # Numbers larger than any file.
        (b"bytes=0-18446744073709551616", [(0, 9)]),
        (b"bytes=-18446744073709551616", [(0, 9)]),
        (b"bytes=18446744073709551616-", UNSATISFIABLE),
        (b"bytes=0-" + b"9" * 100, [(0, 9)]),
        (b"bytes=" + b"9" * 100 + b"-", UNSATISFIABLE),
        (b"bytes=" + b"9" * 100 + b"-1" + b"0" * 99, None),
        (b"bytes=0-" + b"9" * 101, None),
        (b"bytes=" + b"9" * 100_000 + b"-", None),
        # Not in the content
        (b"bytes=10-", UNSATISFIABLE),
        (b"bytes=10-10", UNSATISFIABLE),
        (b"bytes=-0", UNSATISFIABLE),
        (b"bytes=-000", UNSATISFIABLE),
        (b"bytes=10-,-0,99-100", UNSATISFIABLE),
        # Not valid
        (b"", None),
        (b"bytes", None),
        (b"bytes=", None),
        (b"bytes=,", None),
        (b"bytes=-", None),
        (b"bytes=--1", None),
        (b"bytes=0", None),
        (b"bytes=4-3", None),
        (b"bytes=99-98", None),
        (b"bytes=0-4-", None),
        (b"bytes=0--4", None),
        (b"bytes=+0-4", None),
        (b"bytes=-+4", None),
        (b"bytes=a-b", None),
        (b"bytes=0x0-4", None),
        (b"bytes=0.0-4", None),
        (b"bytes=0 -4", None),
        (b"bytes=0- 4", None),
        (b"bytes=0-4;5-6", None),
        (b"bytes=0-4 5-6", None),
        (b"bytes=0-4\n", None),
        (b"bytes=0-4,x", None),
        (b"bytes=0-4,6-5", None),
        (b"bytes=10-,6-5", None),
        (b'bytes="0-4"', None),
        (b"bytes:0-4", None),
        (b"bytes 0-4", None),
        (b"bytes =0-4", None),
        (b" bytes=0-4", None),
        (b"byte=0-4", None),
        (b"bytess=0-4", None),
        (b"items=0-4", None),
        (b"none", None),
        (b"0-4", None),
        (b"=0-4", None),
        (b"bytes=\xb2-4", None),
        (b"bytes=\xd9\xa0-\xd9\xa4", None),
    ],
)
def test_one_range(value: bytes, outcome: Outcome) -> None:
    assert read(value, 10) == outcome


# The content is a hundred octets long.
@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (b"bytes=0-0,-1", [(0, 0), (99, 99)]),
        (b"bytes=0-4,10-14", [(0, 4), (10, 14)]),
        (b"bytes= 0-4 ,\t10-14", [(0, 4), (10, 14)]),
        (b"bytes=,0-4,, ,10-14,", [(0, 4), (10, 14)]),
        (b"bytes=10-14,0-4", [(10, 14), (0, 4)]),
        # What the content does not have is left out.
        (b"bytes=0-4,100-", [(0, 4)]),
        (b"bytes=200-300,0-4,-0", [(0, 4)]),
        # Neighbours and overlaps are joined.
        (b"bytes=0-4,5-9", [(0, 9)]),
        (b"bytes=5-9,0-4", [(0, 9)]),
        (b"bytes=0-4,6-9", [(0, 4), (6, 9)]),
        (b"bytes=0-9,5-14", [(0, 14)]),
        (b"bytes=0-9,2-3", [(0, 9)]),
        (b"bytes=2-3,0-9", [(0, 9)]),
        (b"bytes=0-9,0-9", [(0, 9)]),
        (b"bytes=0-4,10-14,5-9", [(0, 14)]),
        (b"bytes=50-54,0-4,10-14,5-9", [(50, 54), (0, 14)]),
        (b"bytes=0-4,50-54,5-9,55-59", [(0, 9), (50, 59)]),
        # More than two that overlap
        (b"bytes=0-9,1-2,3-4", None),
        (b"bytes=0-9,5-14,10-19", None),
        (b"bytes=0-0,0-0,0-0", None),
        (b"bytes=0-1,1-2,50-51,51-52", None),
        # More octets than the content has
        (b"bytes=0-,0-", None),
        (b"bytes=0-,-1", None),
        (b"bytes=0-59,40-", None),
        (b"bytes=0-49,50-", [(0, 99)]),
        (b"bytes=0-50,51-999", [(0, 99)]),
        (
            b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 32, 2)),
            [(n, n) for n in range(0, 32, 2)],
        ),
        (
            b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(98, 56, -2)),
            [(n, n) for n in range(98, 56, -2)],
        ),
        # More than 20 that begin before the one ahead
        (b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(98, 54, -2)), None),
        (b"bytes=" + b",".join([b"200-"] * 17), UNSATISFIABLE),
        (b"bytes=" + b",".join([b"200-"] * 200), UNSATISFIABLE),
        (b"bytes=" + b",".join([b"200-"] * 201), None),
        (b"bytes=" + b",".join([b"0-"] * 1300), None),
    ],
)
def test_sets_of_ranges(value: bytes, outcome: Outcome) -> None:
    assert read(value, 100) == outcome


def test_up_to_two_hundred_ranges() -> None:
    ranges = [(n, n + 1) for n in range(0, 804, 4)]
    specs = [b"%d-%d" % one for one in ranges]
    assert read(b"bytes=" + b",".join(specs[:200]), 1000) == ranges[:200]
    assert read(b"bytes=" + b",".join(specs[:201]), 1000) is None
    # What the content does not have counts as well: it is work.
    assert read(b"bytes=" + b",".join(specs[:201]), 100) is None
    # Two pairs that overlap are three ranges that do, or four.
    assert read(b"bytes=" + b",".join([*specs[:199], b"1-2"]), 1000) is not None
    assert read(b"bytes=" + b",".join([*specs[:198], b"1-2", b"401-402"]), 1000) is None
    assert read(b"bytes=" + b",".join([*specs[:198], b"1-2", b"0-0"]), 1000) is None


@pytest.mark.parametrize("value", [b"bytes=0-0", b"bytes=0-", b"bytes=-1", b"bytes=-0,5-"])
def test_an_empty_content_is_sent_whole(value: bytes) -> None:
    """No range of it can be named, and a client that asks for any has all of it."""
    assert parse_range(value, 0) is None


COMMON_FIELDS = (
    (b"Content-Length", b"3"),
    (b"ETag", b'"a"'),
    (b"Vary", b"Accept-Encoding"),
    (b"Cache-Control", b"no-cache"),
    (b"X-Content-Type-Options", b"nosniff"),
)


@pytest.mark.parametrize(
    "needed",
    [
        (b"Content-Range", b"bytes 0-2/9"),
        (b"Content-Type", b"multipart/byteranges; boundary=x"),
    ],
)
def test_what_a_client_knows_whose_if_range_matches(needed: tuple[bytes, bytes]) -> None:
    known = (
        (b"Content-Type", b"text/css"),
        (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (b"Accept-Ranges", b"bytes"),
        (b"Content-Encoding", b"br"),
    )
    whole = (*(field for field in known if field[0] != needed[0]), *COMMON_FIELDS, needed)
    assert select_partial_fields(whole) == (*COMMON_FIELDS, needed)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 120), st.integers(0, 120)).map(lambda p: b"%d-%d" % p),
            st.integers(0, 120).map(lambda first: b"%d-" % first),
            st.integers(0, 120).map(lambda length: b"-%d" % length),
            st.just(b""),
        ),
        max_size=40,
    ),
    st.integers(0, 100),
)
def test_ranges_are_disjoint_and_name_what_was_asked_for(
    specs: list[bytes], complete_length: int
) -> None:
    outcome = parse_range(b"bytes=" + b", ".join(specs), complete_length)
    if not isinstance(outcome, list):
        return
    octets = [octet for first, last in outcome for octet in range(first, last + 1)]
    assert len(octets) == len(set(octets)) <= complete_length
    assert 0 < len(outcome) <= 200
    assert all(0 <= first <= last < complete_length for first, last in outcome)
    asked = set()
    for spec in filter(None, specs):
        single = parse_range(b"bytes=" + spec, complete_length)
        if isinstance(single, list):
            asked |= set(range(single[0].first, single[0].last + 1))
    assert set(octets) == asked
    edges = {first for first, _ in outcome} & {last + 1 for _, last in outcome}
    assert not edges


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=2, max_size=30),
    st.integers(20, 64),
)
def test_sets_are_ignored_for_these_reasons_alone(
    pairs: list[tuple[int, int]], complete_length: int
) -> None:
    ranges = [(first, first + more) for first, more in pairs]
    outcome = read(b"bytes=" + b",".join(b"%d-%d" % one for one in ranges), complete_length)
    wanted = [
        set(range(first, min(last + 1, complete_length)))
        for first, last in ranges
        if first < complete_length
    ]
    if len(wanted) < 2:
        assert outcome is not None
        return
    overlapping = sum(
        any(one & other for place, other in enumerate(wanted) if place != own)
        for own, one in enumerate(wanted)
    )
    reversals = sum(min(one) < min(ahead) for ahead, one in pairwise(wanted))
    is_excessive = overlapping > 2 or reversals > 20 or sum(map(len, wanted)) > complete_length
    assert (outcome is None) == is_excessive
    if isinstance(outcome, list):
        # Each joined range stands where the first of its members stood.
        places = [
            min(place for place, one in enumerate(wanted) if one <= set(range(first, last + 1)))
            for first, last in outcome
        ]
        assert places == sorted(places)


@given(st.binary(max_size=60), st.integers(0, 50))
def test_any_octets_are_ranges_or_not(octets: bytes, complete_length: int) -> None:
    outcome = parse_range(b"bytes=" + octets, complete_length)
    assert outcome is None or outcome is UNSATISFIABLE or len(outcome) >= 1
    assert parse_range(octets, complete_length) is None or octets[:6].lower() == b"bytes="


@pytest.mark.parametrize(
    "value", [b"0-," * 20_000, b"0" * 65_536 + b"-", b"-" * 65_536, b"," * 65_536, b'"' * 65_536]
)
def test_hostile_sets_take_linear_time(value: bytes) -> None:
    start_seconds = time.process_time()
    assert parse_range(b"bytes=" + value, 1000) is None
    assert time.process_time() - start_seconds < 0.5


@pytest.mark.parametrize(
    ("byte_range", "complete_length", "value"),
    [
        (ByteRange(0, 0), 5, b"bytes 0-0/5"),
        (ByteRange(0, 4), 5, b"bytes 0-4/5"),
        (ByteRange(2**40, 2**41), 2**42, b"bytes 1099511627776-2199023255552/4398046511104"),
        (None, 5, b"bytes */5"),
        (None, 0, b"bytes */0"),
    ],
)
def test_content_range(byte_range: ByteRange | None, complete_length: int, value: bytes) -> None:
    assert format_content_range(byte_range, complete_length) == value


def test_multipart_octets() -> None:
    ranges = [ByteRange(0, 1), ByteRange(3, 3)]
    parts, closing = format_multipart(ranges, 5, b"text/plain", b"edge")
    assert parts == [
        (
            b"\r\n--edge\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/5\r\n\r\n",
            ranges[0],
        ),
        (
            b"\r\n--edge\r\nContent-Type: text/plain\r\nContent-Range: bytes 3-3/5\r\n\r\n",
            ranges[1],
        ),
    ]
    assert closing == b"\r\n--edge--\r\n"


def test_multipart_without_a_known_type() -> None:
    parts, _ = format_multipart([ByteRange(0, 1)], 5, None, b"edge")
    assert parts[0][0] == b"\r\n--edge\r\nContent-Range: bytes 0-1/5\r\n\r\n"


@given(st.binary(min_size=40, max_size=60), st.lists(st.integers(0, 39), min_size=2, max_size=4))
def test_multipart_is_read_by_another_parser(content: bytes, firsts: list[int]) -> None:
    ranges = [
        ByteRange(first, first + 5) for first in sorted(set(firsts)) if first + 5 < len(content)
    ]
    parts, closing = format_multipart(ranges, len(content), b"application/x-test", b"edge")
    octets = b"Content-Type: multipart/byteranges; boundary=edge\r\n\r\n"
    for head, (first, last) in parts:
        octets += head + content[first : last + 1].hex().encode()
    message = message_from_bytes(octets + closing)
    read_parts: list[Message] = [part for part in message.walk() if not part.is_multipart()]
    if not ranges:
        return
    assert [part["Content-Range"] for part in read_parts] == [
        f"bytes {first}-{last}/{len(content)}" for first, last in ranges
    ]
    assert [part.get_payload() for part in read_parts] == [
        content[first : last + 1].hex() for first, last in ranges
    ]
