"""What is taken out of a head in one pass, beside the same line by line."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from epollo.http.preconditions import CONDITIONAL_FIELDS
from epollo.http.relevance import MARK_OCTETS, MARKS, WHOLE_ACCEPT
from epollo.protocols.contract import Refusal
from epollo.protocols.http1.framing import FRAMING_FIELDS
from epollo.protocols.http1.head import HeadReader, Limits
from epollo.protocols.http1.reduction import compile_irrelevant

LIMITS = Limits(request_line_octets=60, head_octets=600, fields=9)
NAMES = ["host", "range", "if-range", "if-match", "if", "cookie", "x", "accept", "accept-encoding"]
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t -~\x80-\xff]*")


def reduce_by_lines(octets: bytes, relevant: frozenset[bytes]) -> bytes | Refusal:
    """Reduce a whole head as a reader of parts judges it, one line after the other."""
    refusal, _, _ = HeadReader(LIMITS, relevant).judge_lines(octets, 0, 0)
    if refusal is not None:
        return refusal
    request_line, *lines = octets[:-4].split(b"\r\n")
    kept = [request_line]
    for line in lines:
        found = FIELD_LINE.fullmatch(line)
        assert found is not None
        name, _, value = line.lower().partition(b":")
        marks = MARKS.get(name)
        is_marked = marks is None or not set(marks).isdisjoint(value[: MARK_OCTETS + 1])
        if name in relevant | FRAMING_FIELDS and is_marked:
            kept.append(line)
    return b"\r\n".join(kept) + b"\r\n\r\n"


def is_whole(octets: bytes) -> bool:
    return octets.find(b"\r\n\r\n") == len(octets) - 4 and not octets.startswith(b"\r\n")


names = st.builds(
    lambda form, name: form(name).encode(),
    st.sampled_from((str, str.title, str.upper, str.swapcase)),
    st.one_of(
        st.sampled_from([*NAMES, "content-length", "connection", "cookie2", "range-", "a"]),
        st.text("!#~azAZ09-", min_size=1, max_size=4),
    ),
)
values = st.one_of(
    st.sampled_from([b"", b" a", b"\t", b" 1 ", b":", b" \xff", b"a: b", b" J", b"; xjson", b" h"]),
    st.binary(max_size=3),
)
field_lines = st.builds(lambda name, value: b"%b:%b" % (name, value), names, values)
lines = st.one_of(field_lines, field_lines, field_lines, st.binary(max_size=5))
heads = st.builds(
    lambda first, lines: b"\r\n".join([first, *lines, b"", b""]),
    st.sampled_from([b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"HEAD /\xff?x HTTP/1.1", b"X: y", b""]),
    st.lists(lines, max_size=12),
)
# Octets that a slip puts somewhere into a head, in the place of others.
slips = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 3),
        st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"\0", b" "]),
    ),
    max_size=3,
)
relevances = st.frozensets(st.sampled_from([name.encode() for name in NAMES]))


@given(relevances, heads, slips)
@example(frozenset(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\nX: y\r\nHost: a\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\nX: y\0\r\nHost: a\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\nX: y\r\n a\r\nHost: a\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\n" + b"x:\r\n" * 10 + b"\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\n" + b"x:\r\n" * 9 + b"\r\n", [])
@example(frozenset((b"if-range",)), b"GET / HTTP/1.1\r\nif: 1\r\nIf-Range: 2\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\nHost: a\r\r\nX: y\nZ: z\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\r\nX: y\nHost: a\r\n\r\n", [])
@example(frozenset(), b"GET / HTTP/1.1\r\nHost: a\r\r\nX: y\r\nY: y\n\r\n\r\n", [])
def test_one_pass_leaves_what_line_by_line_is_left(
    relevant: frozenset[bytes], octets: bytes, slips: list[tuple[float, int, bytes]]
) -> None:
    for place, count, other in slips:
        begin = int(place * len(octets))
        octets = octets[:begin] + other + octets[begin + count :]
    reader = HeadReader(LIMITS, relevant)
    left = reader.strip(octets)
    if not is_whole(octets) or len(octets) > LIMITS.head_octets:
        # What is left of anything but a head is no head, so it is never found among those.
        if is_whole(left):
            assert isinstance(reduce_by_lines(left, relevant), Refusal)
        return
    expected = reduce_by_lines(octets, relevant)
    assert reader.reduce(octets) == expected
    assert reader.reduce(octets) == expected
    if isinstance(expected, Refusal):
        assert not is_whole(left) or isinstance(reduce_by_lines(left, relevant), Refusal)
    else:
        assert left == expected
        assert reader.strip(left) is left


@pytest.mark.parametrize(
    "relevant",
    [
        FRAMING_FIELDS,
        FRAMING_FIELDS | CONDITIONAL_FIELDS,
        frozenset((b"a", b"ab", b"abc")),
        frozenset((b"if", b"if-x")),
    ],
)
def test_names_are_told_apart_in_either_case(relevant: frozenset[bytes]) -> None:
    irrelevant = compile_irrelevant(relevant)
    for name in relevant:
        for other in (name, name.upper(), name.title()):
            assert irrelevant.search(b"\r\n%b: a\r\n" % other) is None
        for other in (name + b"-", b"x" + name, name[:-1] + b"~", name + name):
            assert irrelevant.match(b"\r\n%b: a\r\n" % other) is not None


def test_a_value_without_the_mark_of_its_name_has_no_say() -> None:
    irrelevant = compile_irrelevant(frozenset((b"accept", b"accept-encoding")))
    for line in (
        b"Accept: application/json",
        b"ACCEPT:J",
        b"Accept: text/html, image/avif, image/webp, image/jxl",
        b"accept: */*;q=0.1, TEXT/HTML",
        b"accept:" + b"i" * MARK_OCTETS + b"J",
        b"accept-encoding: gzip",
    ):
        assert irrelevant.search(b"\r\n%b\r\n" % line) is None
    for line in (
        b"Accept: text/css, */*;q=0.1",
        b"Accept: image/avif, image/webp, image/png, text/html",
        b"accept:" + b"i" * (MARK_OCTETS + 1) + b"J",
        b"accept:",
        b"Accept-: json",
        b"accep: json",
    ):
        assert irrelevant.match(b"\r\n%b\r\n" % line) is not None


def test_a_field_may_count_whatever_its_value() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/*\r\n\r\n"
    for relevant in ({WHOLE_ACCEPT}, {WHOLE_ACCEPT, b"accept"}):
        reader = HeadReader(LIMITS, frozenset(relevant))
        assert reader.strip(head) == head
        assert reader.reduce(head) == head
        assert not reader.rely_on(frozenset(relevant))
        assert reader.rely_on(frozenset((b"accept",)))
        assert reader.reduce(head) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_lines_in_a_row_are_taken_out_together() -> None:
    irrelevant = compile_irrelevant(frozenset((b"host",)))
    octets = b"GET / HTTP/1.1\r\nA: 1\r\nB:\r\nHost: a\r\nC: \t\xff\r\n\r\n"
    assert irrelevant.findall(octets) == [b"\r\nA: 1\r\nB:", b"\r\nC: \t\xff"]


def test_a_head_of_the_longest_kind_takes_no_more_time_for_each_octet() -> None:
    """Lines that nearly match, short or long, are passed through once."""
    irrelevant = compile_irrelevant(FRAMING_FIELDS | {b"accept"})
    for octets in (
        b"\r\n" + b"a" * 1_000_000,
        b"\r\na:" + b"b" * 1_000_000 + b"\0",
        b"\r\n" * 500_000,
        b"\r\nhost" * 150_000,
        b"\r\naccept:" + b"i" * 1_000_000,
    ):
        assert irrelevant.sub(b"", octets) == octets
    # The last of them does not end.
    assert irrelevant.sub(b"", b"\r\na:b" * 200_000 + b"\0") == b"\r\na:b\0"


@given(st.binary(max_size=12), st.booleans())
@example(b"a=b; c=d", False)
@example(b"a\r\nX: y", True)
def test_a_head_with_a_blank_cookie_is_as_valid_as_one_with_it(
    value: bytes, has_more: bool
) -> None:
    rest = b"X: y\r\n" if has_more else b""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n%b\r\n" % (value, rest)
    if not is_whole(head):
        return
    reader = HeadReader(LIMITS, frozenset())
    blank = reader.blank(head)
    if blank:
        assert blank.count(b"\n") == head.count(b"\n")
        assert reader.reduce(blank) == reader.reduce(head)
    else:
        assert isinstance(reader.reduce(head), Refusal)
    assert HeadReader(LIMITS, frozenset((b"cookie",))).blank(head) == b""
