"""A range that is cut out of a recalled whole is the one that the site answers with, octet for octet."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connections.in_process import FolderSite, InProcess
from epollo.connections.recall import Recall
from epollo.http.message import PERMANENT, FileSegment
from epollo.http.ranges import ByteRange, parse_range
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import cut_answer, split_range
from epollo.protocols.http1.part import _select_range
from loop.hand_clock import START_SECOND, HandClock

KEPT_OCTETS_LIMIT = 100_000
FILES = {
    "short.txt": 500,
    "joined.bin": 12_000,
    "long.bin": 30_000,
    "sealed.bin": 80_000,
    "read.bin": 150_000,
}
_cut = Recall._cut
LAST_MODIFIED = START_SECOND - 1000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts")
    for name, octets in {**FILES, "404.html": 200}.items():
        (root / name).write_bytes(os.urandom(octets))
        os.utime(root / name, (LAST_MODIFIED, LAST_MODIFIED))
    return root


class Side:
    """A server in this process, and what it sent to one client."""

    def __init__(self, root: Path, *, has_recall: bool) -> None:
        clock = HandClock()
        self.site = FolderSite(root, clock, kept_octets_limit=KEPT_OCTETS_LIMIT)
        self.count = 0

        def respond(request: object) -> object:
            self.count += 1
            return self.site.respond(request)  # type: ignore[arg-type]

        self.way = InProcess(respond, clock=clock, has_recall=has_recall)  # type: ignore[arg-type]
        self.peer = self.way.connect()

    def ask(self, request: bytes) -> bytes:
        if self.peer.is_closed:
            self.peer = self.way.connect()
        self.peer.received.clear()
        self.peer.send(request)
        self.way.settle(self.peer)
        return bytes(self.peer.received)

    def close(self) -> None:
        self.way.__exit__(None, None, None)
        self.site.__exit__(None, None, None)


@pytest.fixture(scope="module")
def sides(root: Path) -> Iterator[tuple[Side, Side]]:
    recalling, making = Side(root, has_recall=True), Side(root, has_recall=False)
    yield recalling, making
    assert not recalling.way.reports
    assert not making.way.reports
    recalling.close()
    making.close()


positions = st.one_of(st.integers(0, 600), st.integers(0, 160_000))
ranges = st.one_of(
    st.builds("bytes={}-{}".format, positions, positions),
    st.builds("bytes={}-".format, positions),
    st.builds("bytes=-{}".format, positions),
    st.builds("bytes={}-{}, {}-{}".format, positions, positions, positions, positions),
    st.sampled_from(
        ["bytes=0-0", "Bytes=0-4", "bytes=1-0", "lines=1-2", "bytes=", "bytes=a-b", "bytes= 0-4 "]
    ),
)
lines = st.one_of(
    st.builds("{}: {}".format, st.sampled_from(["Range", "Range", "range", "RANGE", "rAnge"]), ranges),
    st.sampled_from(
        [
            'If-Range: "x"', 'if-range: "x"', 'If-None-Match: "x"', "If-None-Match: *", 'If-Match: "x"',
            "If-Match: *", "If-Modified-Since: Sun, 06 Nov 1994 08:32:37 GMT", "Cookie: range: a",
            "Connection: close", "Accept-Encoding: gzip",
        ]
    ),
)  # fmt: skip
requests = st.builds(
    lambda method, name, lines: "\r\n".join(
        [f"{method} /{name} HTTP/1.1", "Host: a", *lines, "", ""]
    ).encode(),
    st.sampled_from(["GET", "GET", "GET", "HEAD"]),
    st.sampled_from([*FILES, "missing", "short.txt?range:"]),
    st.lists(lines, max_size=4),
)


@given(st.lists(requests, min_size=1, max_size=4))
@example(
    [b"GET /read.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-99999\r\n\r\n" % at for at in range(3)]
)
@example(
    [
        b"GET /short.txt HTTP/1.1\r\nHost: a\r\n%bRange: bytes=0-1\r\n\r\n" % more
        for more in (b"", b"Range: lines=1\r\n")
    ]
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_with_and_without_recall(sides: tuple[Side, Side], requests: list[bytes]) -> None:
    recalling, making = sides
    # From the third time on the rest of a request leads to the whole.
    for request in requests * 3:
        assert recalling.ask(request) == making.ask(request), request


@pytest.mark.parametrize(
    "more",
    [
        b"If-Range: a\r\n",
        b"range: bytes=0-0\r\n",
        b"X: 1\r\n" * 99,
        b"X: \0\r\n",
        b"Cookie: \0\r\n",
    ],
)
def test_what_is_known_of_a_rest_holds_for_one_more_line_at_most(root: Path, more: bytes) -> None:
    """A line more than the limit, one that is not valid, one that changes what the range means."""
    recalling, making = Side(root, has_recall=True), Side(root, has_recall=False)
    try:
        rest = b"GET /read.bin HTTP/1.1\r\nHost: a\r\n"
        for fields in (b"", b"", b"", more.removesuffix(b"X: 1\r\n"), more, more, more, b""):
            request = rest + fields + b"Range: bytes=1-9\r\n\r\n"
            assert recalling.ask(request) == making.ask(request)
            whole = rest + fields + b"\r\n"
            assert recalling.ask(whole) == making.ask(whole)
        recall = recalling.way.service.recalls[b"http"]
        assert recall is not None
        assert rest + b"\r\n" in recall.at_hand.young
    finally:
        recalling.close()
        making.close()


@pytest.mark.parametrize("name", FILES)
def test_ranges_that_differ_ask_the_site_once(root: Path, name: str) -> None:
    side = Side(root, has_recall=True)
    try:
        content = (root / name).read_bytes()
        for number in range(100):
            request = b"GET /%b HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n"
            answer = side.ask(request % (name.encode(), number, number + 300))
            assert answer.startswith(b"HTTP/1.1 206 ")
            assert answer.endswith(b"\r\n\r\n" + content[number : number + 301])
        # The range, and the whole that is made known by it.
        assert side.count == 2
    finally:
        side.close()


@pytest.mark.parametrize("settled_ns", [-(10**18), 10**10], ids=["settled", "unsettled"])
@pytest.mark.parametrize("name", FILES)
def test_a_range_is_of_the_version_that_stands(
    tmp_path: Path, name: str, settled_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", settled_ns)
    path = tmp_path / name
    side = None
    try:
        for number in range(6):
            (tmp_path / "new").write_bytes(b"%d" % number * FILES[name])
            os.utime(tmp_path / "new", (LAST_MODIFIED, LAST_MODIFIED))
            (tmp_path / "new").rename(path)
            if side is None:
                side = Side(tmp_path, has_recall=True)
            else:
                assert side.site.catalogue.watch is not None
                side.site.catalogue.watch.on_ready(0)
            for first, last in ((0, 99), (1, 99), (2, 99), (0, 400), (0, FILES[name] - 2)):
                request = b"GET /%b HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n"
                answer = side.ask(request % (name.encode(), first, last))
                assert answer.endswith(b"\r\n\r\n" + b"%d" % number * (last + 1 - first))
    finally:
        if side is not None:
            side.close()


@given(ranges, st.integers(0, 1000))
def test_a_range_is_selected_as_it_is_parsed(value: str, length: int) -> None:
    parsed = parse_range(value.encode(), length)
    is_one = isinstance(parsed, list) and len(parsed) == 1
    assert _select_range(value.encode(), length) == (parsed[0] if is_one else None)  # type: ignore[index]
    assert _select_range(b"bytes=1-2", 3) == ByteRange(1, 2)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            b"GET / HTTP/1.1\r\nRange: a\r\nHost: b\r\n\r\n",
            (b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", b"a"),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: b\r\nrANGE:\ta \r\n\r\n",
            (b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", b"a"),
        ),
        (b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nRange: a\r\nRange: b\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nRange: a\r\nIf-Range: b\r\n\r\n", None),
        (b"GET /range: HTTP/1.1\r\nRange: a\r\n\r\n", None),
        (b"", None),
    ],
)
def test_a_head_is_split_at_its_only_range(
    head: bytes, expected: tuple[bytes, bytes] | None
) -> None:
    assert split_range(head) == expected


@pytest.mark.parametrize(
    ("status", "method", "accepts"),
    [
        (404, b"GET", b"Accept-Ranges: bytes\r\n"),
        (200, b"HEAD", b"Accept-Ranges: bytes\r\n"),
        (200, b"GET", b""),
    ],
)
def test_what_has_no_ranges_is_not_cut(status: int, method: bytes, accepts: bytes) -> None:
    answer = Answer(
        status, b"Content-Type: a\r\nContent-Length: 4\r\n" + accepts, b"\r\n", (b"page",), persists=True,
        method=method, length=4, basis=PERMANENT,
    )  # fmt: skip
    assert cut_answer(answer, b"bytes=0-1") is None


def cut_short(recall: Recall, whole: Answer | None, value: bytes) -> Answer | None:
    """Find a part; then cut the file short that it is of."""
    answer = _cut(recall, whole, value)
    if answer is None:
        return None
    assert isinstance(answer.rest[0], FileSegment)
    os.truncate(f"/proc/self/fd/{answer.rest[0].file.descriptor}", 100)
    return answer


def test_a_file_that_is_cut_short_after_it_was_looked_at_ends_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was announced cannot be sent any more, so the connection is closed before it looks whole."""
    monkeypatch.setattr("epollo.site.promise._SETTLED_NS", -(10**18))
    path = tmp_path / "read.bin"
    path.write_bytes(bytes(150_000))
    os.utime(path, (LAST_MODIFIED, LAST_MODIFIED))
    for first, last in ((140_000, 149_999), (60_000, 149_999)):
        side = Side(tmp_path, has_recall=True)
        request = b"GET /read.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n"
        try:
            for more in (2, 1):
                assert len(side.ask(request % (first, last - more))) > last - first
            monkeypatch.setattr(Recall, "_cut", cut_short)
            received = side.ask(request % (first, last))
            assert side.peer.is_closed
            assert len(received) < last - first
        finally:
            monkeypatch.undo()
            monkeypatch.setattr("epollo.site.promise._SETTLED_NS", -(10**18))
            os.truncate(path, 150_000)
            side.close()
