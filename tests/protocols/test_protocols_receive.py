"""One peer's side of HTTP/1: the same events however the octets are split."""

import itertools
import re
import sys
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from epollo.http.message import Request
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader, Http1, Limits, head
from epollo.site.policy import RELEVANT_FIELDS

LIMITS = Limits(request_line_octets=40, head_octets=200, fields=4, content_octets=30)


class Incoming(NamedTuple):
    """A request, and what the machine knows of how it may be answered."""

    request: Request
    minor_version: int
    persists: bool
    may_recall: bool


PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /a HTTP/1.0\r\n\r\n",
        b"HEAD ",
        b"HEAD / HTTP/1.1\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HE",
        b"AD",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        b"1\r\nx\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET /" + b"x" * 30,
        b"BREW / HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"Host: a\r\n",
        b"Host: b\r\n",
        b"Host : a\r\n",
        b"Cookie: 1\r\n",
        b"X: " + b"x" * 70,
        b" folded\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"\x00",
        b" ",
        b":",
        b"x",
    ]
)
OCTETS = st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=5)), max_size=12).map(
    b"".join
)


def list_events(octets: bytes, cuts: list[int]) -> list[Incoming | Refusal]:
    """Return what a connection would answer to, up to the last answer."""
    protocol = Http1(HeadReader(LIMITS, RELEVANT_FIELDS))
    events: list[Incoming | Refusal] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(octets)), len(octets)]
    for start, end in itertools.pairwise(edges):
        protocol.receive(octets[start:end])
        while (event := next_request(protocol)) is not None:
            events.append(event)
            if isinstance(event, Refusal) or not event.persists:
                return events
    return events


def next_request(protocol: Http1) -> Incoming | Refusal | None:
    while (query := protocol.next()) is not None:
        if isinstance(query, Refusal):
            return query
        reduced = protocol.reduce(query)
        if isinstance(reduced, Refusal):
            return reduced
        request = protocol.read(query, reduced)
        if isinstance(request, Refusal):
            return request
        if request is not None:
            return Incoming(request, protocol._minor_version, protocol._persists, protocol.is_whole)
    return None


@given(OCTETS, st.lists(st.integers(1, 300), max_size=30))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2, [28])
@example(b"\rHEAD ", [2])
@example(b"\r\n\rHEAD ", [3])
@example(b"HEAD\x00HEAD ", [4])
def test_any_split_gives_the_same_events(octets: bytes, cuts: list[int]) -> None:
    whole = list_events(octets, [])
    assert list_events(octets, cuts) == whole
    assert list_events(octets, list(range(1, len(octets)))) == whole


@given(st.binary(max_size=400), st.lists(st.integers(1, 400), max_size=30))
def test_any_octets_at_all(octets: bytes, cuts: list[int]) -> None:
    assert list_events(octets, cuts) == list_events(octets, [])


@given(OCTETS)
def test_a_refusal_asks_by_head_where_its_request_does(octets: bytes) -> None:
    """Only the octets that decide on the refusal say so."""
    events = list_events(octets, [])
    if not events or not isinstance(events[-1], Refusal):
        return
    counts = [len(list_events(octets[:end], [])) for end in range(len(octets) + 1)]
    refused = octets[counts.index(len(events) - 1) : counts.index(len(events))]
    is_head = refused.lstrip(b"\r\n").startswith(b"HEAD ")
    assert events[-1].is_head == is_head


@given(OCTETS)
def test_a_refusal_is_of_a_status_that_exists(octets: bytes) -> None:
    for event in list_events(octets, []):
        if isinstance(event, Refusal):
            assert event.status in {400, 414, 417, 431, 501, 505}
        else:
            assert event.request.method.isupper()


def test_between_requests() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    protocol = Http1(reader)
    told = [protocol.is_between]
    for octets in (
        b"\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
        b"x",
        b"x",
        b"G",
    ):
        protocol.receive(octets)
        next_request(protocol)
        told.append(protocol.is_between)
    assert told == [True, True, False, False, True, False]


def test_nothing_is_between_requests_behind_a_refused_head() -> None:
    protocol = Http1(HeadReader(Limits(), RELEVANT_FIELDS))
    protocol.receive(b"GET / HTTP/1.1\r\n\r\n")
    assert next_request(protocol) == Refusal(400)
    assert not protocol.is_between


def test_what_may_be_recalled() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    for octets, may_recall in (
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"HEAD / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", True),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
            False,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n", False),
        (b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ):
        protocol = Http1(reader)
        protocol.receive(octets)
        incoming = next_request(protocol)
        assert isinstance(incoming, Incoming)
        assert incoming.may_recall == may_recall, octets


def test_what_was_judged_of_one_head_is_forgotten_with_it() -> None:
    protocol = Http1(HeadReader(Limits(), RELEVANT_FIELDS))
    protocol.receive(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100)
    assert protocol.next() is None
    protocol.receive(b"\r\n\r\nGET /\x00")
    assert isinstance(protocol.next(), bytes)
    assert protocol.next() == Refusal(400)


@pytest.mark.parametrize("piece_octets", [1, 150, 1000])
def test_what_stands_behind_the_limit_of_a_head_does_not_count(piece_octets: int) -> None:
    protocol = Http1(HeadReader(LIMITS, RELEVANT_FIELDS))
    octets = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 172 + b"\x00"
    assert octets.index(b"\x00") == 200
    events = []
    for start in range(0, len(octets), piece_octets):
        protocol.receive(octets[start : start + piece_octets])
        events.append(protocol.next())
    assert next(event for event in events if event is not None) == Refusal(431)


class CountingPattern:
    """A pattern that counts the octets which it is given to search."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.octets = 0
        self._pattern = pattern

    def search(
        self, octets: bytes, begin: int = 0, end: int = sys.maxsize
    ) -> re.Match[bytes] | None:
        self.octets += max(0, min(len(octets), end) - begin)
        return self._pattern.search(octets, begin, end)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /" + b"a" * 7000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 90,
        b"\r\n" * 1000,
    ],
    ids=["target", "field", "fields", "empty lines"],
)
@pytest.mark.parametrize("piece_octets", [1, 7])
def test_each_octet_of_a_drip_is_judged_once(
    monkeypatch: pytest.MonkeyPatch, octets: bytes, piece_octets: int
) -> None:
    pattern = CountingPattern(head._FORBIDDEN)
    monkeypatch.setattr(head, "_FORBIDDEN", pattern)
    protocol = Http1(HeadReader(Limits(), RELEVANT_FIELDS))
    for start in range(0, len(octets), piece_octets):
        protocol.receive(octets[start : start + piece_octets])
        assert protocol.next() is None
    # The last of a piece may be a CR, and is looked at again with what follows it.
    assert pattern.octets <= 2 * len(octets) + 200
    # What is no octet of a head is found all the same.
    protocol.receive(b"\x00")
    assert protocol.next() == Refusal(400)
