"""Whatever a field holds, it is read as RFC 9110 says or not at all, and reads the same rewritten."""

import ipaddress
import re
import string

from epollo.http.dates import format_date, parse_date
from epollo.http.fields import is_host, is_token, parse_content_length
from epollo.http.grammar import FIELD_VALUE, QUOTED_STRING, parse_list, parse_weight
from epollo.http.preconditions import Outcome, evaluate_if_range, evaluate_preconditions
from epollo.http.validators import EntityTag, is_listed, is_strong_match, parse_entity_tag

TOKENS = (
    b'"', b'W/"', b'"a"', b'W/"a"', b"*", b",", b"[::1]", b":80", b"[v1.a]", b"%41", b"GMT", b"\\",
    b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994", b"Feb", b"Dec", b"23:59:60", b"65535", b"65536",
)  # fmt: skip
NOW_SECONDS = 784_111_777
TAG = EntityTag(b'"a"', is_weak=False)
_TCHARS = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())


def check(octets: bytes) -> None:
    """Read the octets as the value of every field that we read."""
    assert is_token(octets) == (bool(octets) and _TCHARS.issuperset(octets))
    _check_length(octets)
    _check_host(octets)
    _check_list(octets)
    _check_date(octets)
    _check_tags(octets)
    _check_preconditions(octets)


def _check_length(octets: bytes) -> None:
    length = parse_content_length(octets)
    is_number = octets.isdigit() and len(octets) <= 18
    assert length == (int(octets) if is_number else None)
    weight = parse_weight(octets)
    if weight is not None:
        assert 0 <= weight <= 1000
        assert abs(float(octets) * 1000 - weight) < 0.001


def _check_host(octets: bytes) -> None:
    if not octets or not is_host(octets):
        return
    text = octets.decode("ascii")
    assert not set(text) & set("/?#@\\ \t\r\n\0<>\"'{}|^`") - {"'"}
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, ""
    assert host
    assert not port or (port.isdigit() and int(port) <= 65535)
    if host.startswith("[") and not host.startswith(("[v", "[V")):
        assert ipaddress.IPv6Address(host[1:-1])
        assert "%" not in host


def _check_list(octets: bytes) -> None:
    elements = parse_list(octets)
    assert all(element and element == element.strip(b" \t") for element in elements)
    assert parse_list(b", ".join(elements)) == elements
    if b'"' not in octets:
        assert b"".join(elements) == b"".join(part.strip(b" \t") for part in octets.split(b","))
    if QUOTED_STRING.fullmatch(octets):
        assert elements == [octets]
    if FIELD_VALUE.fullmatch(octets):
        assert not {0, 0x0A, 0x0D, 0x7F}.intersection(octets)


def _check_date(octets: bytes) -> None:
    seconds = parse_date(octets, NOW_SECONDS)
    if seconds is not None:
        written = format_date(seconds)
        if seconds <= 253_402_300_799:
            # Else a leap second at the end of the year 9999, which four digits cannot write.
            assert parse_date(written, NOW_SECONDS) == seconds
        time_of_day = re.search(rb"[0-9]{2}:[0-9]{2}:[0-9]{2}", octets)
        assert time_of_day is not None
        # A leap second, and only that, is written as the second after it.
        assert time_of_day[0] in {written[17:25], b"23:59:60"}
        assert len(written) == len(b"Sun, 06 Nov 1994 08:49:37 GMT")


def _check_tags(octets: bytes) -> None:
    tag = parse_entity_tag(octets)
    if tag is not None:
        assert tag.format() == octets
        assert is_listed(octets, tag, weakly=True)
        assert is_listed(octets, tag, weakly=False) != tag.is_weak
        assert is_strong_match(tag, tag) != tag.is_weak
    outcome = is_listed(octets, TAG, weakly=True)
    if outcome is not None and octets.strip(b" \t") != b"*":
        # A list is none the less one with another tag behind it, and then names that.
        assert is_listed(octets + b"," + TAG.format(), TAG, weakly=True)


def _check_preconditions(octets: bytes) -> None:
    for name in (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"):
        for method in (b"GET", b"POST"):
            outcome = evaluate_preconditions(
                method, {name: octets}, TAG, NOW_SECONDS - 60, NOW_SECONDS
            )
            assert outcome is Outcome.PROCEED or (outcome is Outcome.NOT_MODIFIED) == (
                method == b"GET" and name in {b"if-none-match", b"if-modified-since"}
            )
    # A tag that another content has, or a weak one, never lets a part be joined to another whole.
    if evaluate_if_range(octets, TAG, NOW_SECONDS - 60, NOW_SECONDS, NOW_SECONDS):
        assert octets == b'"a"' or parse_date(octets, NOW_SECONDS) == NOW_SECONDS - 60
