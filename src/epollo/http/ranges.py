"""Parts of a content: Range, Content-Range and multipart/byteranges (RFC 9110 section 14).

A server may ignore any Range field (RFC 9110 section 14.2). This reader does so if a set asks for more
work than it saves (RFC 9110 section 17.15): more than 200 ranges, more than two that overlap, more than
20 that begin before the range ahead of them, more octets in all than the content has, or a position of
more than 100 digits. So an answer costs no more than the content and 200 part heads. Clients that
update a file by its differences (zsync) ask for dozens of ranges at once; 200 and 20 are the limits of
Apache httpd.
"""

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

from epollo.annotations import Final
from epollo.http.grammar import parse_list
from epollo.http.message import FieldLine
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

_RANGES_MAX: Final = 200
_OVERLAPPING_MAX: Final = 2
_REVERSALS_MAX: Final = 20

# ranges-specifier = range-unit "=" range-set                        RFC 9110 section 14.1.1
# Range units are case-insensitive (RFC 9110 section 14.1). White space before the first range is
# tolerated, as it is after a comma.
_BYTES: Final = compile_late(rb"[Bb][Yy][Tt][Ee][Ss]=")

# int-range    = first-pos "-" [ last-pos ]                          RFC 9110 section 14.1.1
# suffix-range = "-" suffix-length
# The bound on digits keeps ``int`` cheap: it takes time quadratic in their number.
_RANGE_SPEC: Final = compile_late(rb"([0-9]{0,100}+)-([0-9]{0,100}+)")


# Fields of the whole that RFC 9110 section 15.3.7 does not require beside Content-Range.
_KNOWN_BY_IF_RANGE: Final = frozenset(
    (b"Accept-Ranges", b"Content-Encoding", b"Content-Type", b"Last-Modified")
)


class ByteRange(NamedTuple):
    """The octets from ``first`` to ``last``, both included, counted from 0."""

    first: int
    last: int


class Unsatisfiable(Enum):
    """The type of ``UNSATISFIABLE``."""

    UNSATISFIABLE = 416


UNSATISFIABLE: Final = Unsatisfiable.UNSATISFIABLE
"""The set is valid, but names no octet of the content: answer 416 (RFC 9110 section 15.5.17)."""


def parse_range(value: bytes, complete_length: int) -> list[ByteRange] | Unsatisfiable | None:
    """Return the ranges that a Range field asks for, within a content of that many octets.

    There is at least one, and they are clamped to the content. Neighbours and overlaps are joined (RFC
    9110 section 15.3.7.2), else the order is the client's. ``UNSATISFIABLE`` if the content has none of
    them.

    None if the field is to be ignored: it has another unit, no valid set, or one that asks too much, or
    the content is empty. Content-Range cannot name the octets of an empty content, and 200 gives a
    client all of it.
    """
    unit = _BYTES.match(value)
    if unit is None or complete_length == 0:
        return None
    specs = parse_list(value[unit.end() :])
    if not 0 < len(specs) <= _RANGES_MAX:
        return None
    ranges = []
    for spec in specs:
        found = _RANGE_SPEC.fullmatch(spec)
        if found is None:
            return None
        resolved = _resolve_range(found[1], found[2], complete_length)
        if resolved is None:
            return None
        if resolved is not UNSATISFIABLE:
            ranges.append(resolved)
    if not ranges:
        return UNSATISFIABLE
    if len(ranges) == 1:
        return ranges
    if _is_excessive(ranges, complete_length):
        return None
    return _coalesce(ranges)


def format_content_range(byte_range: ByteRange | None, complete_length: int) -> bytes:
    """Return the value of Content-Range for a 206 or, with no range, for a 416.

    RFC 9110 section 14.4.
    """
    if byte_range is None:
        return b"bytes */%d" % complete_length
    return b"bytes %d-%d/%d" % (byte_range.first, byte_range.last, complete_length)


def select_partial_fields(fields: Sequence[FieldLine]) -> tuple[FieldLine, ...]:
    """Return the fields of a 206 that a client lacks whose If-Range matches.

    It has an answer with the others, which are not to be repeated (RFC 9110 section 15.3.7). Without
    Content-Range the parts are framed as Content-Type says.
    """
    is_multipart = all(name != b"Content-Range" for name, _ in fields)
    return tuple(
        (name, value)
        for name, value in fields
        if name not in _KNOWN_BY_IF_RANGE or (name == b"Content-Type" and is_multipart)
    )


def format_multipart(
    ranges: Sequence[ByteRange], complete_length: int, content_type: bytes | None, boundary: bytes
) -> tuple[list[tuple[bytes, ByteRange]], bytes]:
    """Return what frames the ranges as multipart/byteranges (RFC 9110 section 14.6).

    That is the head of each part, to be followed by the octets of its range, and what closes the
    last one. The caller chooses a ``boundary`` that the content does not hold (RFC 2046 section
    5.1.1), and sums the lengths. ``content_type`` is that of the whole content, None if unknown.
    """
    type_line = b"" if content_type is None else b"Content-Type: %b\r\n" % content_type
    # The CRLF before a delimiter belongs to it, not to the part (RFC 2046 section 5.1.1). Before the
    # first it makes an empty preamble, as RFC 9110 section 14.6 allows: zsync looks for it there.
    start = b"\r\n--%b\r\n%bContent-Range: " % (boundary, type_line)
    parts = [
        (
            b"%b%b\r\n\r\n" % (start, format_content_range(byte_range, complete_length)),
            byte_range,
        )
        for byte_range in ranges
    ]
    return parts, b"\r\n--%b--\r\n" % boundary


def _resolve_range(
    first_pos: bytes, last_pos: bytes, complete_length: int
) -> ByteRange | Unsatisfiable | None:
    """Return the octets that one range-spec names in the content, None if it is invalid."""
    last = complete_length - 1
    if first_pos:
        first = int(first_pos)
        if last_pos and int(last_pos) < first:
            return None
        if first > last:
            return UNSATISFIABLE
        return ByteRange(first, min(int(last_pos), last) if last_pos else last)
    if not last_pos:
        return None
    suffix_length = min(int(last_pos), complete_length)
    if suffix_length == 0:
        return UNSATISFIABLE
    return ByteRange(complete_length - suffix_length, last)


def _is_excessive(ranges: list[ByteRange], complete_length: int) -> bool:
    """Return whether the ranges, in the client's order, ask for more work than they save."""
    if sum(last - first + 1 for first, last in ranges) > complete_length:
        return True
    reversals = sum(one.first < ahead.first for ahead, one in pairwise(ranges))
    return reversals > _REVERSALS_MAX or _count_overlapping(ranges) > _OVERLAPPING_MAX


def _count_overlapping(ranges: list[ByteRange]) -> int:
    """Return how many of the ranges have an octet in common with another one."""
    ascending = sorted(ranges)
    count = 0
    furthest = -1
    for index, (first, last) in enumerate(ascending):
        has_later = index + 1 < len(ascending) and ascending[index + 1].first <= last
        count += first <= furthest or has_later
        furthest = max(furthest, last)
    return count


def _coalesce(ranges: list[ByteRange]) -> list[ByteRange]:
    """Join ranges that overlap or touch; the joined one stands where its first member stood."""
    # A place is the index that the client gave to a range.
    joined: list[tuple[int, ByteRange]] = []
    for (first, last), place in sorted(zip(ranges, range(len(ranges)), strict=True)):
        if joined and first <= joined[-1][1].last + 1:
            earlier, union = joined[-1]
            joined[-1] = min(earlier, place), ByteRange(union.first, max(union.last, last))
        else:
            joined.append((place, ByteRange(first, last)))
    return [union for _, union in sorted(joined)]
