"""Whatever a Range field says, what is sent are octets that it names, each once, and none beside them."""

from itertools import pairwise

from epollo.http.ranges import (
    UNSATISFIABLE,
    format_content_range,
    format_multipart,
    parse_range,
)

TOKENS = (b"bytes=", b"BYTES=", b"-", b",", b", ", b"0-", b"-1", b"0-0", b"9-3", b"99999999", b"\t")
LENGTHS = (0, 1, 2, 10, 255, 10**15)
_RANGES_MAX = 200


def check(octets: bytes) -> None:
    """Read the octets as the value of Range, for contents of several lengths."""
    named = _read_naively(octets)
    for length in LENGTHS:
        ranges = parse_range(octets, length)
        if ranges is None:
            continue
        assert named is not None, "taken, although it is no set of ranges"
        satisfiable = _resolve_naively(named, length)
        if ranges is UNSATISFIABLE:
            assert not satisfiable
            assert format_content_range(None, length) == b"bytes */%d" % length
            continue
        assert 0 < len(ranges) <= _RANGES_MAX
        for first, last in ranges:
            assert 0 <= first <= last < length
        assert sum(last - first + 1 for first, last in ranges) <= length
        # Neither overlapping nor touching: else they would have been joined.
        in_order = sorted(ranges)
        for one, other in pairwise(in_order):
            assert one.last + 1 < other.first
        ours = [(first, last) for first, last in in_order]
        assert ours == _join(satisfiable), "other octets than those that were asked for"
        parts, closing = format_multipart(ranges, length, b"text/plain", b"BOUNDARY")
        assert [byte_range for _, byte_range in parts] == ranges
        for head, (first, last) in parts:
            assert head == (
                b"\r\n--BOUNDARY\r\nContent-Type: text/plain\r\n"
                b"Content-Range: bytes %d-%d/%d\r\n\r\n" % (first, last, length)
            )
        assert closing == b"\r\n--BOUNDARY--\r\n"


def _read_naively(value: bytes) -> list[tuple[int | None, int | None]] | None:
    """Read RFC 9110 section 14.1.1 without patterns; None where it is no set of byte ranges."""
    unit, equals, rest = value.partition(b"=")
    if unit.lower() != b"bytes" or not equals:
        return None
    pairs: list[tuple[int | None, int | None]] = []
    for element in rest.split(b","):
        spec = element.strip(b" \t")
        if not spec:
            continue
        first, dash, last = spec.partition(b"-")
        digits = (first + last).decode("latin-1")
        if not dash or not digits.isascii() or not digits.isdigit():
            return None
        if first and last and int(last) < int(first):
            return None
        pairs.append((int(first) if first else None, int(last) if last else None))
    return pairs or None


def _resolve_naively(
    pairs: list[tuple[int | None, int | None]], length: int
) -> list[tuple[int, int]]:
    resolved = []
    for first, last in pairs:
        if first is None:
            assert last is not None
            begin, end = max(0, length - last), length - 1
        else:
            begin, end = first, length - 1 if last is None else min(last, length - 1)
        if begin <= end:
            resolved.append((begin, end))
    return resolved


def _join(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(pairs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined
