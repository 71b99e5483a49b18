"""Request heads, judged whole and line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.target import Target, TargetForm
from epollo.protocols.contract import Refusal
from epollo.protocols.http1.framing import FRAMING_FIELDS, Head
from epollo.protocols.http1.head import METHODS, HeadReader, Limits
from epollo.site.policy import RELEVANT_FIELDS

LINE = b"GET /a?b HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def read(octets: bytes, reader: HeadReader | None = None) -> Head | Refusal:
    """Read a complete head as a connection does."""
    reader = reader or HeadReader(Limits(), RELEVANT_FIELDS)
    reduced = reader.reduce(octets)
    return reduced if isinstance(reduced, Refusal) else reader.read(reduced)


def accept(octets: bytes) -> Head:
    head = read(octets)
    assert isinstance(head, Head), head
    return head


def test_what_a_head_says() -> None:
    head = accept(LINE + HOST + b"ACCEPT-Encoding:\tgzip \r\n\r\n")
    assert head.request.method == b"GET"
    assert head.request.target == Target(TargetForm.ORIGIN, b"/a", b"b", None)
    assert head.request.fields == {b"host": b"a", b"accept-encoding": b"gzip"}
    assert head.minor_version == 1
    assert head.persists
    assert head.content_length == 0
    assert not head.expects_continue


def test_lines_of_one_name_are_one_list() -> None:
    head = accept(LINE + HOST + b'If-Match: "a"\r\nif-match:"b"\r\n\r\n')
    assert head.request.fields[b"if-match"] == b'"a", "b"'


def test_fields_that_no_answer_depends_on_are_left_out() -> None:
    one = HeadReader(Limits(), RELEVANT_FIELDS).reduce(
        LINE + HOST + b"Cookie: a=1\r\nUser-Agent: x\r\n\r\n"
    )
    other = HeadReader(Limits(), RELEVANT_FIELDS).reduce(
        LINE + b"Cookie: a=2\r\n" + HOST + b"Cookie: b\r\n\r\n"
    )
    assert one == other == LINE + HOST + b"\r\n"


def test_a_head_without_such_fields_is_its_own_reduction() -> None:
    octets = LINE + HOST + b"Range: bytes=0-1\r\n\r\n"
    assert HeadReader(Limits(), RELEVANT_FIELDS).reduce(octets) is octets


@pytest.mark.parametrize("method", sorted(METHODS - {b"CONNECT"}))
@pytest.mark.parametrize("minor_version", [0, 1, 9])
def test_methods_and_versions(method: bytes, minor_version: int) -> None:
    head = accept(b"%b / HTTP/1.%d\r\nHost: a\r\n\r\n" % (method, minor_version))
    assert head.request.method == method
    assert head.minor_version == minor_version


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1.1", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/1.\xb2", 400),
        (b"GET / HTTP/1.", 400),
        (b"GET / XTTP/1.1", 400),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"BREW / HTTP/2.0", 505),
        (b"BREW / HTTP/1.1", 501),
        (b"GETT / HTTP/1.1", 501),
        (b"get / HTTP/1.1", 501),
        (b"G\xcbT / HTTP/1.1", 400),
        (b"GET\x00 / HTTP/1.1", 400),
        (b"GET /\r/ HTTP/1.1", 400),
        (b"GET /\n HTTP/1.1", 400),
        (b"GET /# HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET a:80 HTTP/1.1", 400),
        (b"CONNECT / HTTP/1.1", 400),
        (b"CONNECT * HTTP/1.1", 400),
        (b"OPTIONS a:80 HTTP/1.1", 400),
    ],
)
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    assert read(line + b"\r\nHost: a\r\n\r\n") == Refusal(status)


@pytest.mark.parametrize(
    "line",
    [
        b" X: 1",
        b"\tX: 1",
        b"X : 1",
        b"X\t: 1",
        b"X",
        b": 1",
        b"X\x00: 1",
        b"X: \x00",
        b"X: \x7f",
        b"X: a\rb",
        b"X: a\nb",
        b"X: a\r",
        b"\rX: a",
        b"X\xc3\xa4: 1",
        b"(X): 1",
        b"X@: 1",
        b"Host: b",
        b"hOST: a",
        b"Content-Length: a",
        b"Content-Length: -0",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked;a=b",
        b"Transfer-Encoding: chunked,",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: chu\tnked",
    ],
)
def test_field_lines_that_are_refused(line: bytes) -> None:
    assert read(LINE + HOST + line + b"\r\n\r\n") == Refusal(400)
    assert read(LINE + line + b"\r\n" + HOST + b"\r\n") == Refusal(400)


@pytest.mark.parametrize("name", [*sorted(RELEVANT_FIELDS | FRAMING_FIELDS), b"cookie"])
@pytest.mark.parametrize("octet", [b"\x00", b"\r", b"\n", b"\x1f", b"\x7f"])
def test_no_control_in_any_field(name: bytes, octet: bytes) -> None:
    assert read(LINE + HOST + name + b": a" + octet + b"b\r\n\r\n") == Refusal(400)


def test_a_fault_is_a_fault_a_second_time() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    octets = LINE + HOST + b"X: 1\r\nX : 1\r\n\r\n"
    for _ in range(3):
        assert read(octets, reader) == Refusal(400)
        assert isinstance(read(LINE + HOST + b"X: 1\r\n\r\n", reader), Head)


@pytest.mark.parametrize(
    ("lines", "content_length"),
    [
        (b"", 0),
        (b"Content-Length: 0\r\n", 0),
        (b"Content-Length: 00012\r\n", 12),
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"Transfer-Encoding:\t CHUNKED \r\n", None),
    ],
)
def test_length_of_the_content(lines: bytes, content_length: int | None) -> None:
    assert accept(LINE + HOST + lines + b"\r\n").content_length == content_length


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"gzip, chunked", 501),
        (b"chunked, chunked", 501),
        (b"gzip,chunked", 501),
        (b"chunked, gzip", 400),
        (b"gzip", 400),
        (b"identity", 400),
        (b"", 400),
        (b"xchunked", 400),
        (b"chunked x", 400),
    ],
)
def test_codings_that_are_refused(value: bytes, status: int) -> None:
    octets = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %b\r\n\r\n" % value
    assert read(octets) == Refusal(status)


@pytest.mark.parametrize(
    ("minor_version", "connection", "persists"),
    [
        (1, None, True),
        (1, b"keep-alive", True),
        (1, b"close", False),
        (1, b"CLOSE", False),
        (1, b"a, close ,b", False),
        (1, b"keep-alive, close", False),
        (1, b"closed", True),
        (1, b"", True),
        (0, None, False),
        (0, b"keep-alive", True),
        (0, b"Keep-Alive, x", True),
        (0, b"close, keep-alive", False),
        (0, b"x", False),
    ],
)
def test_persistence(minor_version: int, connection: bytes | None, persists: bool) -> None:
    field = b"" if connection is None else b"Connection: %b\r\n" % connection
    octets = b"GET / HTTP/1.%d\r\nHost: a\r\n%b\r\n" % (minor_version, field)
    assert accept(octets).persists == persists


def test_expectations() -> None:
    expecting = LINE + HOST + b"Expect: 100-Continue\r\n\r\n"
    assert accept(expecting).expects_continue
    assert not accept(expecting.replace(b"1.1", b"1.0")).expects_continue
    assert read(LINE + HOST + b"Expect: tea\r\n\r\n") == Refusal(417)
    assert read(LINE + HOST + b"Expect: 100-continue, tea\r\n\r\n") == Refusal(417)


def test_limits_are_settings() -> None:
    reader = HeadReader(Limits(request_line_octets=20, fields=2), RELEVANT_FIELDS)
    assert isinstance(read(b"GET /123456 HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", reader), Head)
    assert read(b"GET /1234567 HTTP/1.1\r\nHost: a\r\n\r\n", reader) == Refusal(414)
    assert read(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 1\r\n\r\n", reader) == Refusal(431)


def test_memory_of_heads_is_bounded() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    for number in range(10_000):
        octets = b"GET /%d HTTP/1.1\r\nHost: %d\r\nX: %d\r\n\r\n" % (number, number, number)
        assert isinstance(read(octets, reader), Head)
    assert 512 <= len(reader._shapes) <= 1024


def test_of_long_heads_nothing_is_remembered() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    for octets in (512, 513):
        shape = b"GET  HTTP/1.1\r\nHost: a\r\nRange: "
        shape += b"a" * (octets - len(shape) - 4) + b"\r\n\r\n"
        for number in range(3):
            assert isinstance(read(shape.replace(b" ", b" /%d" % number, 1), reader), Head)
        assert (reader._shapes.get(shape) is not None) == (octets == 512)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Host: a",
                b"Host: b",
                b"X: 1",
                b"X : 1",
                b"Cookie: a",
                b"Content-Length: 0",
                b"Content-Length: x",
                b"Transfer-Encoding: chunked",
                b"Connection: close",
                b"Expect: x",
                b" folded",
                b"Cookie: \x00",
                b"Cookie: a\rb",
            ]
        ),
        st.binary(max_size=12).filter(lambda octets: b"\r\n" not in octets and octets != b""),
    ),
    max_size=8,
)
FIRST_LINES = st.sampled_from(
    [b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"BREW / HTTP/1.1", b"GET /long HTTP/1.1", b"x\x00"]
)


@given(FIRST_LINES, LINES, st.randoms(use_true_random=False))
def test_a_reader_that_knows_lines_reads_as_one_that_does_not(
    first: bytes, lines: list[bytes], chance: object
) -> None:
    octets = b"\r\n".join([first, *lines, b"", b""])
    knowing = HeadReader(Limits(fields=6), RELEVANT_FIELDS)
    read(octets, knowing)
    again = read(octets, knowing)
    assert again == read(octets, HeadReader(Limits(fields=6), RELEVANT_FIELDS))


OTHER_TARGETS = st.one_of(
    st.sampled_from(
        [b"/", b"/a?b", b"/a b", b"*", b"http://a/b", b"HTTPS://a/b", b"a:1", b"/a#b", b""]
    ),
    st.binary(max_size=20).map(lambda octets: b"/" + octets),
)


@given(
    st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"CONNECT", b"BREW"]),
    st.lists(OTHER_TARGETS, min_size=2, max_size=4),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"x"]),
    LINES,
)
def test_a_reader_that_knows_heads_with_other_targets_reads_as_one_that_does_not(
    method: bytes, targets: list[bytes], version: bytes, lines: list[bytes]
) -> None:
    limits = Limits(request_line_octets=25, fields=6)
    knowing = HeadReader(limits, RELEVANT_FIELDS)
    for target in targets:
        first = b"%b %b %b" % (method, target, version)
        octets = b"\r\n".join([first, b"Host: a", *lines, b"", b""])
        expected = read(octets, HeadReader(limits, RELEVANT_FIELDS))
        assert read(octets, knowing) == expected
        # As a connection does: what was stripped is judged when it is read.
        assert knowing.read(knowing.strip(octets), octets) == expected


@given(FIRST_LINES, LINES)
def test_what_is_refused_early_is_refused_whole(first: bytes, lines: list[bytes]) -> None:
    octets = b"\r\n".join([first, *lines, b"", b""])
    reader = HeadReader(Limits(request_line_octets=15, fields=6), RELEVANT_FIELDS)
    whole = read(octets, reader)
    start = count = 0
    for end in range(1, len(octets)):
        refusal, start, count = reader.judge_lines(octets[:end], start, count)
        if refusal is not None:
            assert refusal == whole
            break


def test_a_line_that_trickles_in_is_not_looked_through_again() -> None:
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    octets = LINE + HOST + b"X: \x00" + b"y" * 100
    refusal, start, count = reader.judge_lines(octets, 0, 0)
    assert refusal == Refusal(400)
    # What an earlier call was given is taken to be judged, but for a CR at its end.
    assert reader.judge_lines(octets, start, count, len(octets) - 50)[0] is None
    assert reader.judge_lines(octets + b"\rz", start, count, len(octets) + 1)[0] == Refusal(400)
    assert reader.judge_lines(octets + b"\x01", start, count, len(octets))[0] == Refusal(400)
    line = b"GET /\x00" + b"y" * 100
    assert reader.judge_lines(line, 0, 0)[0] == Refusal(400)
    assert reader.judge_lines(line, 0, 0, len(line) - 50)[0] is None


def test_where_an_answer_may_depend_on_cookies_they_stand_in_the_key() -> None:
    reader = HeadReader(Limits(), frozenset((b"cookie",)))
    one, other = (LINE + HOST + b"Cookie: a=%d\r\n\r\n" % number for number in range(2))
    assert reader.reduce(one) == one
    assert reader.reduce(other) == other


def test_other_fields_are_relied_on() -> None:
    """What was left out is kept from then on, and the other way round."""
    reader = HeadReader(Limits(), frozenset((b"range",)))
    head = b"GET / HTTP/1.1\r\nHost: a\r\nRange: b\r\nOrigin: c\r\nCookie: d\r\n\r\n"
    with_range = b"GET / HTTP/1.1\r\nHost: a\r\nRange: b\r\n\r\n"
    with_others = b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: c\r\nCookie: d\r\n\r\n"
    for _ in range(3):
        # Lines are recollected when they come again.
        assert reader.reduce(head) == with_range
    assert not reader.rely_on(frozenset((b"range",)))
    assert reader.rely_on(frozenset((b"origin", b"cookie")))
    for _ in range(3):
        assert reader.reduce(head) == with_others
    assert reader.rely_on(frozenset((b"range",)))
    assert reader.reduce(head) == with_range
