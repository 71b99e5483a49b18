"""Preconditions in the order of RFC 9110 section 13.2.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.dates import format_date
from epollo.http.preconditions import (
    CONDITIONAL_FIELDS,
    Outcome,
    evaluate_if_range,
    evaluate_preconditions,
)
from epollo.http.validators import EntityTag

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED

TAG = EntityTag(b'"v1"', is_weak=False)
WEAK_TAG = EntityTag(b'"v1"', is_weak=True)
COMMA_TAG = EntityTag(b'"v,1"', is_weak=False)
MODIFIED_SECONDS = 784_111_777
NOW_SECONDS = 1_800_000_000

SAME = b"Sun, 06 Nov 1994 08:49:37 GMT"
SAME_RFC850 = b"Sunday, 06-Nov-94 08:49:37 GMT"
SAME_ASCTIME = b"Sun Nov  6 08:49:37 1994"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = b"Sun, 06 Nov 1994 08:49:38 GMT"
FUTURE = b"Fri, 01 Jan 2100 00:00:00 GMT"

MATCH, NONE_MATCH = b"if-match", b"if-none-match"
MODIFIED_SINCE, UNMODIFIED_SINCE = b"if-modified-since", b"if-unmodified-since"


def evaluate(
    fields: dict[bytes, bytes],
    method: bytes = b"GET",
    entity_tag: EntityTag | None = TAG,
    last_modified_seconds: int | None = MODIFIED_SECONDS,
) -> Outcome:
    return evaluate_preconditions(method, fields, entity_tag, last_modified_seconds, NOW_SECONDS)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, PROCEED),
        ({b"accept": b"*/*"}, PROCEED),
        # If-Match
        ({MATCH: b'"v1"'}, PROCEED),
        ({MATCH: b"*"}, PROCEED),
        ({MATCH: b'"v0", "v1"'}, PROCEED),
        ({MATCH: b'"v0"'}, FAILED),
        ({MATCH: b'W/"v1"'}, FAILED),
        ({MATCH: b""}, FAILED),
        ({MATCH: b"v1"}, FAILED),
        ({MATCH: b'"v1", *'}, FAILED),
        # If-Unmodified-Since
        ({UNMODIFIED_SINCE: SAME}, PROCEED),
        ({UNMODIFIED_SINCE: AFTER}, PROCEED),
        ({UNMODIFIED_SINCE: BEFORE}, FAILED),
        ({UNMODIFIED_SINCE: b"yesterday"}, PROCEED),
        ({UNMODIFIED_SINCE: b"0"}, PROCEED),
        ({UNMODIFIED_SINCE: BEFORE + b", " + BEFORE}, PROCEED),
        # If-Unmodified-Since counts only without If-Match.
        ({MATCH: b'"v1"', UNMODIFIED_SINCE: BEFORE}, PROCEED),
        ({MATCH: b'"v0"', UNMODIFIED_SINCE: AFTER}, FAILED),
        # If-None-Match
        ({NONE_MATCH: b'"v1"'}, NOT_MODIFIED),
        ({NONE_MATCH: b'W/"v1"'}, NOT_MODIFIED),
        ({NONE_MATCH: b"*"}, NOT_MODIFIED),
        ({NONE_MATCH: b'"v0", W/"v1"'}, NOT_MODIFIED),
        ({NONE_MATCH: b'"v0" ,, "v1",'}, NOT_MODIFIED),
        ({NONE_MATCH: b'"v0"'}, PROCEED),
        ({NONE_MATCH: b'"v0,"v1""'}, PROCEED),
        ({NONE_MATCH: b'"V1"'}, PROCEED),
        ({NONE_MATCH: b""}, PROCEED),
        ({NONE_MATCH: b"v1"}, PROCEED),
        ({NONE_MATCH: b'"v1'}, PROCEED),
        # If-Modified-Since
        ({MODIFIED_SINCE: SAME}, NOT_MODIFIED),
        ({MODIFIED_SINCE: SAME_RFC850}, NOT_MODIFIED),
        ({MODIFIED_SINCE: SAME_ASCTIME}, NOT_MODIFIED),
        # A file that was rolled back is another: exact matches only.
        ({MODIFIED_SINCE: AFTER}, PROCEED),
        ({MODIFIED_SINCE: FUTURE}, PROCEED),
        ({MODIFIED_SINCE: BEFORE}, PROCEED),
        ({MODIFIED_SINCE: b"tomorrow"}, PROCEED),
        ({MODIFIED_SINCE: AFTER + b", " + AFTER}, PROCEED),
        ({MODIFIED_SINCE: b""}, PROCEED),
        # If-Modified-Since counts only without If-None-Match, even an invalid one.
        ({NONE_MATCH: b'"v0"', MODIFIED_SINCE: SAME}, PROCEED),
        ({NONE_MATCH: b"v1", MODIFIED_SINCE: SAME}, PROCEED),
        ({NONE_MATCH: b"", MODIFIED_SINCE: SAME}, PROCEED),
        ({NONE_MATCH: b'"v1"', MODIFIED_SINCE: BEFORE}, NOT_MODIFIED),
        # What fails comes before what is not modified.
        ({MATCH: b'"v0"', NONE_MATCH: b'"v1"'}, FAILED),
        ({MATCH: b'"v1"', NONE_MATCH: b'"v1"'}, NOT_MODIFIED),
        ({MATCH: b"*", NONE_MATCH: b"*"}, NOT_MODIFIED),
        ({UNMODIFIED_SINCE: BEFORE, NONE_MATCH: b'"v1"'}, FAILED),
        ({UNMODIFIED_SINCE: SAME, MODIFIED_SINCE: SAME}, NOT_MODIFIED),
        ({UNMODIFIED_SINCE: BEFORE, MODIFIED_SINCE: SAME}, FAILED),
        # If-Range is no part of this.
        ({b"if-range": b'"v0"', b"range": b"bytes=0-0"}, PROCEED),
    ],
)
def test_reading(method: bytes, fields: dict[bytes, bytes], outcome: Outcome) -> None:
    assert evaluate(fields, method) is outcome


@pytest.mark.parametrize(
    ("method", "fields", "outcome"),
    [
        (b"PUT", {NONE_MATCH: b"*"}, FAILED),
        (b"DELETE", {NONE_MATCH: b'W/"v1"'}, FAILED),
        (b"POST", {NONE_MATCH: b'"v0"'}, PROCEED),
        (b"POST", {MODIFIED_SINCE: SAME}, PROCEED),
        (b"PUT", {MATCH: b'"v0"'}, FAILED),
        (b"PUT", {UNMODIFIED_SINCE: BEFORE}, FAILED),
        (b"get", {NONE_MATCH: b'"v1"'}, FAILED),
        # RFC 9110 section 13.2.1
        (b"OPTIONS", {MATCH: b'"v0"'}, PROCEED),
        (b"OPTIONS", {NONE_MATCH: b"*"}, PROCEED),
        (b"TRACE", {UNMODIFIED_SINCE: BEFORE}, PROCEED),
        (b"CONNECT", {MATCH: b'"v0"'}, PROCEED),
    ],
)
def test_other_methods(method: bytes, fields: dict[bytes, bytes], outcome: Outcome) -> None:
    assert evaluate(fields, method) is outcome


@pytest.mark.parametrize(
    ("entity_tag", "fields", "outcome"),
    [
        (WEAK_TAG, {MATCH: b'W/"v1"'}, FAILED),
        (WEAK_TAG, {MATCH: b'"v1"'}, FAILED),
        (WEAK_TAG, {NONE_MATCH: b'"v1"'}, NOT_MODIFIED),
        (WEAK_TAG, {NONE_MATCH: b'W/"v1"'}, NOT_MODIFIED),
        (COMMA_TAG, {NONE_MATCH: b'"v,1"'}, NOT_MODIFIED),
        (COMMA_TAG, {NONE_MATCH: b'"v", "1"'}, PROCEED),
        (COMMA_TAG, {MATCH: b'"a", "v,1"'}, PROCEED),
        (None, {MATCH: b"*"}, PROCEED),
        (None, {MATCH: b'"v1"'}, FAILED),
        (None, {NONE_MATCH: b"*"}, NOT_MODIFIED),
        (None, {NONE_MATCH: b'"v1"'}, PROCEED),
        (None, {NONE_MATCH: b'"v1"', MODIFIED_SINCE: SAME}, PROCEED),
    ],
)
def test_other_tags(
    entity_tag: EntityTag | None, fields: dict[bytes, bytes], outcome: Outcome
) -> None:
    assert evaluate(fields, entity_tag=entity_tag) is outcome


@pytest.mark.parametrize("fields", [{MODIFIED_SINCE: FUTURE}, {UNMODIFIED_SINCE: BEFORE}])
def test_dates_are_ignored_without_a_modification_date(fields: dict[bytes, bytes]) -> None:
    assert evaluate(fields, last_modified_seconds=None) is PROCEED


@given(
    st.dictionaries(
        st.sampled_from(sorted(CONDITIONAL_FIELDS)),
        st.sampled_from([b"*", b'"v1"', b'W/"v1"', b'"v0"', SAME, BEFORE, AFTER, b"", b"\xff"])
        | st.binary(max_size=20),
    ),
    st.sampled_from([b"GET", b"HEAD", b"PUT"]),
)
def test_the_rules_hold_whatever_is_sent(fields: dict[bytes, bytes], method: bytes) -> None:
    outcome = evaluate(fields, method)
    if not fields.keys() & (CONDITIONAL_FIELDS - {b"if-range"}):
        assert outcome is PROCEED
    if outcome is NOT_MODIFIED:
        assert method != b"PUT"
        assert fields.keys() & {NONE_MATCH, MODIFIED_SINCE}
    if MATCH in fields:
        without = {name: value for name, value in fields.items() if name != UNMODIFIED_SINCE}
        assert evaluate(without, method) is outcome
    if NONE_MATCH in fields:
        without = {name: value for name, value in fields.items() if name != MODIFIED_SINCE}
        assert evaluate(without, method) is outcome


@pytest.mark.parametrize(
    ("value", "entity_tag", "holds"),
    [
        (b'"v1"', TAG, True),
        (b'"v0"', TAG, False),
        (b'W/"v1"', TAG, False),
        (b'W/"v1"', WEAK_TAG, False),
        (b'"v1"', WEAK_TAG, False),
        (b'"v1"', None, False),
        (b'"v0", "v1"', TAG, False),
        (b'"v1', TAG, False),
        (b"*", TAG, False),
        (b"v1", TAG, False),
        (b"", TAG, False),
        (SAME, TAG, True),
        (SAME, None, True),
        (SAME_RFC850, TAG, True),
        (SAME_ASCTIME, TAG, True),
        (BEFORE, TAG, False),
        (AFTER, TAG, False),
        (FUTURE, TAG, False),
        (SAME + b" ", TAG, False),
    ],
)
def test_if_range(value: bytes, entity_tag: EntityTag | None, holds: bool) -> None:
    is_held = evaluate_if_range(value, entity_tag, MODIFIED_SECONDS, NOW_SECONDS, NOW_SECONDS)
    assert is_held is holds


@pytest.mark.parametrize(
    ("age_seconds", "holds"), [(-5, False), (0, False), (1, True), (2, True), (86_400, True)]
)
def test_if_range_takes_a_date_only_once_its_second_has_passed(
    age_seconds: int, holds: bool
) -> None:
    date_seconds = MODIFIED_SECONDS + age_seconds
    is_held = evaluate_if_range(SAME, TAG, MODIFIED_SECONDS, date_seconds, date_seconds)
    assert is_held is holds
    assert evaluate_if_range(b'"v1"', TAG, MODIFIED_SECONDS, date_seconds, date_seconds)


@pytest.mark.parametrize("value", [SAME, b"", b"nonsense"])
def test_if_range_takes_no_date_without_a_modification_date(value: bytes) -> None:
    assert not evaluate_if_range(value, TAG, None, NOW_SECONDS, NOW_SECONDS)


@given(st.integers(min_value=0, max_value=NOW_SECONDS - 1))
def test_the_date_that_was_sent_is_not_modified(seconds: int) -> None:
    fields = {MODIFIED_SINCE: format_date(seconds)}
    assert evaluate(fields, last_modified_seconds=seconds) is NOT_MODIFIED
    assert evaluate(fields, last_modified_seconds=seconds + 1) is PROCEED
    assert evaluate(fields, last_modified_seconds=seconds - 1) is PROCEED
    assert evaluate_if_range(format_date(seconds), None, seconds, NOW_SECONDS, NOW_SECONDS)
