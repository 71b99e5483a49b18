"""Our reading of a request beside h11's and llhttp's.

We may refuse what they take; what we take must mean the same to all three, or a proxy that reads like
one of them would see another request than we do (RFC 9112 section 11).
"""

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader, Limits
from epollo.protocols.http1.head import _read_field_line
from epollo.site.policy import RELEVANT_FIELDS

Reading = tuple[bytes, bytes, list[tuple[bytes, bytes]]]


class Llhttp:
    """The callbacks of httptools, as one reading."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_message_complete(self) -> None:
        self.is_complete = True


def read_with_llhttp(octets: bytes) -> Reading | None:
    seen = Llhttp()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    return (parser.get_method(), seen.target, seen.fields) if seen.is_complete else None


def read_with_h11(octets: bytes) -> Reading | None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(octets)
    try:
        event = server.next_event()
        if not isinstance(event, h11.Request):
            return None
        if not isinstance(server.next_event(), h11.EndOfMessage):
            return None
    except h11.RemoteProtocolError:
        return None
    fields = [(bytes(name), bytes(value)) for name, value in event.headers]
    return bytes(event.method), bytes(event.target), fields


def read_with_epollo(octets: bytes) -> Reading | None:
    """Return our reading of a whole head without content, all fields included."""
    reader = HeadReader(Limits(), RELEVANT_FIELDS)
    reduced = reader.reduce(octets)
    if isinstance(reduced, Refusal):
        return None
    head = reader.read(reduced)
    if isinstance(head, Refusal) or head.content_length != 0:
        return None
    first, *lines = octets.split(b"\r\n")
    fields = [_read_field_line(line) for line in lines[:-2]]
    return head.request.method, first.split(b" ")[1], [field for field in fields if field]


TARGETS = st.one_of(
    st.sampled_from([b"/", b"/a?b=c", b"http://a/b?c", b"//a", b"/%2f", b"/\xc3\xa9", b"/..//"]),
    st.text('/?%:@ab0\\"<>{}|^`~;&=', max_size=8).map(lambda text: b"/" + text.encode()),
)
FIELD_LINES = st.one_of(
    st.sampled_from(
        [
            b"Connection: close",
            b"Connection: keep-alive, x",
            b"Content-Length: 0",
            b"content-length:00",
            b"Cookie: a=1; b=2",
            b"Cookie:",
            b"Range: bytes=0-",
            b'If-None-Match: "a", W/"b"',
            b"X-Empty:  ",
            b"!#$%&'*+-.^_`|~09azAZ:\t\xe9 \t",
            b"Upgrade: h2c",
        ]
    ),
    st.text('ab ,;="\\\t\xe9:', max_size=8).map(lambda text: b"X: " + text.encode("latin-1")),
)
VALID_HEADS = st.builds(
    lambda method, target, version, lines: b"\r\n".join(
        [b" ".join([method, target, version]), b"Host: a:80", *lines, b"", b""]
    ),
    st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"DELETE"]),
    TARGETS,
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]),
    st.lists(FIELD_LINES, max_size=5),
)
# Octets that one reader may overlook and another not, and lines that decide on framing.
HARMFUL = st.sampled_from(
    [
        *(b"%c" % octet for octet in b" \t\r\n\0\x0b\x0c\x1f\x7f\xa0\xff:,;\"'\\#%/0x"),
        b"\r\n",
        b"\r\n ",
        b"\r\nHost: b",
        b"\r\nContent-Length: 0",
        b"\r\nContent-Length: +0",
        b"\r\nTransfer-Encoding: chunked",
        b"",
    ]
)


@st.composite
def draw_heads(draw: st.DrawFn) -> bytes:
    """Return a valid head in which a few octets were put in or taken away."""
    octets = draw(VALID_HEADS)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(octets)))
        octets = octets[:place] + draw(HARMFUL) + octets[place + draw(st.integers(0, 1)) :]
    return octets


def is_one_head(octets: bytes) -> bool:
    return octets.find(b"\r\n\r\n") == len(octets) - 4


@settings(max_examples=800)
@given(draw_heads().filter(is_one_head))
def test_what_we_take_means_the_same_to_others(octets: bytes) -> None:
    ours = read_with_epollo(octets)
    if ours is None:
        return
    # What they do not take at all cannot be smuggled past them.
    for theirs in (read_with_h11(octets), read_with_llhttp(octets)):
        assert theirs is None or theirs == ours


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a%20b?c=d&e HTTP/1.1\r\nHost: a:80\r\nUser-Agent: x/1 (y; z)\r\nAccept: */*\r\n\r\n",
        b"HEAD http://a/b HTTP/1.1\r\nhost:a\r\nX:\t v \t\r\nCookie: a=1; b=2\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: [::1]:7890\r\nX-Empty:\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: \xe9\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_all_three_take_what_is_common(octets: bytes) -> None:
    ours = read_with_epollo(octets)
    assert ours is not None
    assert read_with_h11(octets) == ours
    assert read_with_llhttp(octets) == ours
