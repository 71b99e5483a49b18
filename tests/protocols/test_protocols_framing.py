"""What concerns a whole head: Host, where the content ends, whether the connection persists."""

import pytest

from epollo.http.target import parse_target
from epollo.protocols.http1.framing import Head, RequestLine, conclude


def read(minor_version: int, **fields: str) -> Head | int:
    """Return what a head says of which the lines are valid; an underscore in a name is a dash."""
    target = parse_target(b"/")
    assert target is not None
    line = RequestLine(b"GET", target, minor_version)
    named = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    return conclude(line, named)


@pytest.mark.parametrize(
    ("minor_version", "fields", "status"),
    [
        # RFC 9112 section 3.2: HTTP/1.1 has Host.
        (1, {}, 400),
        # RFC 9112 section 6.1: both lengths, and chunked content of HTTP/1.0.
        (1, {"host": "a", "transfer_encoding": "chunked", "content_length": "1"}, 400),
        (0, {"transfer_encoding": "chunked"}, 400),
        # RFC 9112 section 6.3: without chunked as the last coding no end can be told.
        (1, {"host": "a", "transfer_encoding": "gzip"}, 400),
        (1, {"host": "a", "transfer_encoding": "chunked, gzip"}, 400),
        # RFC 9112 section 6.1: codings that are not known here.
        (1, {"host": "a", "transfer_encoding": "gzip, chunked"}, 501),
        (1, {"host": "a", "transfer_encoding": "gzip;q=1, chunked"}, 501),
        (1, {"host": "a", "transfer_encoding": "gzip q, chunked"}, 400),
        (1, {"host": "a", "transfer_encoding": ",".join(["a"] * 64 + ["chunked"])}, 400),
        # RFC 9110 section 10.1.1.
        (1, {"host": "a", "expect": "200-ok"}, 417),
        (1, {"host": "a", "expect": "100-continue, b"}, 417),
    ],
)
def test_a_fault_of_a_whole_head(minor_version: int, fields: dict[str, str], status: int) -> None:
    assert read(minor_version, **fields) == status


@pytest.mark.parametrize(
    ("fields", "length", "expects"),
    [
        ({}, 0, False),
        ({"content_length": "12"}, 12, False),
        ({"transfer_encoding": "Chunked"}, None, False),
        ({"content_length": "12", "expect": "100-Continue"}, 12, True),
        ({"expect": ""}, 0, False),
    ],
)
def test_where_the_content_ends(fields: dict[str, str], length: int | None, expects: bool) -> None:
    head = read(1, host="a", **fields)
    assert isinstance(head, Head)
    assert (head.content_length, head.expects_continue) == (length, expects)


def test_a_client_of_http_1_0_cannot_expect_anything() -> None:
    head = read(0, expect="100-continue")
    assert isinstance(head, Head)
    assert not head.expects_continue


@pytest.mark.parametrize(
    ("minor_version", "connection", "persists"),
    [
        # RFC 9112 section 9.3.
        (1, None, True),
        (1, "close", False),
        (1, "Upgrade, CLOSE", False),
        (1, "closed", True),
        (0, None, False),
        (0, "keep-alive", True),
        (0, "keep-alive, close", False),
    ],
)
def test_whether_a_connection_persists(
    minor_version: int, connection: str | None, persists: bool
) -> None:
    fields = {} if connection is None else {"connection": connection}
    head = read(minor_version, host="a", **fields)
    assert isinstance(head, Head)
    assert head.persists == persists
