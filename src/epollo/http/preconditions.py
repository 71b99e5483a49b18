"""Preconditions: whether a request still means what its sender believes (RFC 9110 section 13).

They are for a request whose answer would be 2xx without them, and whose target has a current
representation (RFC 9110 section 13.2.1); the caller sees to both.

Decision: a date in If-Modified-Since has to be that of the file (RFC 9110 section 13.1.3 grants this).
With "not later than", a file that is rolled back would be 304 without end.

Two cases that the RFC leaves open: a field value that is no list of entity tags names no tag. So an
invalid If-Match fails (a client that wants to be safe is not overruled), an invalid If-None-Match
lets the request proceed (a client is never told to keep what it may not have).
"""

from collections.abc import Mapping
from enum import Enum, auto

from epollo.annotations import Final
from epollo.http.dates import parse_date
from epollo.http.validators import (
    EntityTag,
    is_listed,
    is_strong_match,
    parse_entity_tag,
)

CONDITIONAL_FIELDS: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"}
)
"""The fields of RFC 9110 section 13.1: without any of them there is nothing to evaluate."""

# RFC 9110 section 13.2.1: methods that select no representation ignore preconditions.
_UNCONDITIONAL_METHODS: Final = frozenset({b"CONNECT", b"OPTIONS", b"TRACE"})


class Outcome(Enum):
    """What preconditions say about a request."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    """Answer 304 (RFC 9110 section 15.4.5)."""
    FAILED = auto()
    """Answer 412 (RFC 9110 section 15.5.13)."""


def evaluate_preconditions(
    method: bytes,
    fields: Mapping[bytes, bytes],
    entity_tag: EntityTag | None,
    last_modified_seconds: int | None,
    now_seconds: int,
) -> Outcome:
    """Evaluate the preconditions in the order of RFC 9110 section 13.2.2, If-Range excepted.

    ``entity_tag`` and ``last_modified_seconds`` are those of the selected representation, None
    if it has none. Instants are seconds since 1970.
    """
    if method in _UNCONDITIONAL_METHODS:
        return Outcome.PROCEED
    is_read = method in (b"GET", b"HEAD")

    if (value := fields.get(b"if-match")) is not None:
        if not _is_match(value, entity_tag):
            return Outcome.FAILED
    elif (value := fields.get(b"if-unmodified-since")) is not None and _is_later(
        last_modified_seconds, parse_date(value, now_seconds)
    ):
        return Outcome.FAILED

    if (value := fields.get(b"if-none-match")) is not None:
        if not _is_none_match(value, entity_tag):
            return Outcome.NOT_MODIFIED if is_read else Outcome.FAILED
    elif is_read and _is_last_modified(
        fields.get(b"if-modified-since"), last_modified_seconds, now_seconds
    ):
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def evaluate_if_range(
    value: bytes,
    entity_tag: EntityTag | None,
    last_modified_seconds: int | None,
    now_seconds: int,
    date_seconds: int,
) -> bool:
    """Return whether the Range field beside this If-Range holds (RFC 9110 section 13.1.5).

    An entity tag must match strongly. A date must be exactly Last-Modified, and at least one second
    before
    ``date_seconds``, the Date of the answer: a file that changed in this very second may change again
    in it and keep its date (RFC 9110 section 8.8.2.2). Until that second has passed, the caller gives
    out an earlier date, so that the date which a client holds is strong later, too.
    """
    # RFC 9110 section 13.1.5: a DQUOTE among the first three octets tells a tag from a date.
    if b'"' in value[:3]:
        presented = parse_entity_tag(value)
        return (
            presented is not None
            and entity_tag is not None
            and is_strong_match(presented, entity_tag)
        )
    return (
        last_modified_seconds is not None
        and last_modified_seconds <= date_seconds - 1
        and parse_date(value, now_seconds) == last_modified_seconds
    )


def _is_match(value: bytes, entity_tag: EntityTag | None) -> bool:
    """Evaluate If-Match: strong comparison (RFC 9110 section 13.1.1)."""
    return is_listed(value, entity_tag, weakly=False) or False


def _is_none_match(value: bytes, entity_tag: EntityTag | None) -> bool:
    """Evaluate If-None-Match: weak comparison (RFC 9110 section 13.1.2)."""
    if entity_tag is not None and value == entity_tag.opaque:
        # What a browser sends back needs no parsing.
        return False
    return not is_listed(value, entity_tag, weakly=True)


def _is_later(last_modified_seconds: int | None, date_seconds: int | None) -> bool:
    """Return whether a modification came after a date; never so where one of them is unknown."""
    return (
        last_modified_seconds is not None
        and date_seconds is not None
        and last_modified_seconds > date_seconds
    )


def _is_last_modified(
    value: bytes | None, last_modified_seconds: int | None, now_seconds: int
) -> bool:
    """Return whether If-Modified-Since names the date of the last modification, and no other.

    By RFC 9110 section 13.1.3 a later date means "not modified", too; but it mentions servers that
    accept only exact matches. If a file is rolled back or restored from a backup, its date is earlier
    than the one that a client holds. Caches send the Last-Modified that they were given.
    """
    return (
        value is not None
        and last_modified_seconds is not None
        and parse_date(value, now_seconds) == last_modified_seconds
    )
