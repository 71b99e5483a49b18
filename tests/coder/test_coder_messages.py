"""The messages: what is formatted is read, and of any octets nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.coder.messages import (
    Answer,
    Grade,
    MessageError,
    Outcome,
    Request,
    format_answer,
    format_request,
    parse_answer,
    parse_request,
)
from epollo.coder.sockets import INLINE_OCTETS_LIMIT
from epollo.site.codings import CODED_OCTETS_LIMIT, CODINGS, LARGE_OCTETS
from epollo.site.entity_tags import tag_content

NUMBERS = st.integers(0, 2**64 - 1)
LIMITS = st.lists(
    st.integers(0, CODED_OCTETS_LIMIT), min_size=len(CODINGS), max_size=len(CODINGS)
).map(tuple)


@given(
    NUMBERS,
    st.sampled_from((Grade.QUICK, Grade.LARGE, Grade.BEST)),
    LIMITS.filter(any),
    st.binary(max_size=100),
)
def test_a_request_is_read_as_it_was(
    number: int, grade: Grade, limits: tuple[int, ...], content: bytes
) -> None:
    request = Request(number, grade, len(content), limits, content)
    assert parse_request(format_request(request), has_descriptor=False) == request


@given(NUMBERS, LIMITS.filter(any), st.integers(0, CODED_OCTETS_LIMIT))
def test_a_request_with_a_descriptor_has_no_content(
    number: int, limits: tuple[int, ...], octets: int
) -> None:
    request = Request(number, Grade.LARGE, octets, limits, None)
    assert parse_request(format_request(request), has_descriptor=True) == request
    if octets:
        with pytest.raises(MessageError):
            parse_request(format_request(request), has_descriptor=False)


GOOD = Request(1, Grade.QUICK, 3, (1, 2, 3), b"abc")


@pytest.mark.parametrize(
    ("request_", "has_descriptor"),
    [
        (GOOD._replace(octets=4), False),
        (GOOD._replace(content=b""), False),
        (GOOD, True),
        (GOOD._replace(limits=(0, 0, 0)), False),
        (GOOD._replace(limits=(1, 2, CODED_OCTETS_LIMIT + 1)), False),
        (GOOD._replace(octets=CODED_OCTETS_LIMIT + 1, content=None), True),
        (GOOD._replace(grade=Grade.SHARE), False),
        (GOOD._replace(grade=Grade.SHARE, limits=(0, 0, 0)), False),
        (GOOD._replace(grade=Grade.SHARE, content=None), True),
        (GOOD._replace(octets=LARGE_OCTETS, content=None), True),
        (GOOD._replace(octets=LARGE_OCTETS, content=None, grade=Grade.BEST), True),
    ],
)
def test_what_asks_for_too_much_is_no_request(request_: Request, has_descriptor: bool) -> None:
    assert parse_request(format_request(GOOD), has_descriptor=False) == GOOD
    with pytest.raises(MessageError):
        parse_request(format_request(request_), has_descriptor=has_descriptor)


@given(st.binary(max_size=120), st.booleans())
def test_any_octets_are_a_request_or_none(message: bytes, has_descriptor: bool) -> None:
    try:
        request = parse_request(message, has_descriptor=has_descriptor)
    except MessageError:
        return
    assert format_request(request) == message
    assert (request.content is None) == has_descriptor


@given(
    NUMBERS,
    st.integers(0, len(CODINGS) - 1),
    st.booleans(),
    st.sampled_from((b"",)) | st.binary(max_size=99).map(lambda octets: tag_content(octets).opaque),
    st.binary(max_size=100),
)
def test_an_answer_is_read_as_it_was(
    number: int, place: int, is_last: bool, tag: bytes, content: bytes
) -> None:
    answer = Answer(number, place, Outcome.MADE, is_last, tag, len(content), content)
    assert parse_answer(format_answer(answer), has_descriptor=False) == answer


@given(st.binary(max_size=120), st.booleans())
def test_any_octets_are_an_answer_or_none(message: bytes, has_descriptor: bool) -> None:
    try:
        answer = parse_answer(message, has_descriptor=has_descriptor)
    except MessageError:
        return
    assert answer.place < len(CODINGS)
    assert answer.content is None or len(answer.content) == answer.octets <= INLINE_OCTETS_LIMIT
