"""Whatever a head holds: whole, in parts, from memory, to h11 and to llhttp it means the same."""

from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import FRAMING_FIELDS, HeadReader, Limits
from epollo.protocols.http1.framing import Head
from epollo.protocols.http1.head import METHODS
from epollo.site.policy import RELEVANT_FIELDS
from properties.test_properties_differential import (
    read_with_epollo,
    read_with_h11,
    read_with_llhttp,
)

TOKENS = (
    b"GET ", b"HEAD ", b"OPTIONS * ", b"CONNECT a:1 ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: a\r\n",
    b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"Cookie: a\r\n", b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"\x00",
    b"http://a/", b"https://a:1?", b"%00", b"#", b"\xa0", b"\x0b", b"\r\n ",
)  # fmt: skip
LIMITS = Limits(request_line_octets=256, head_octets=1024, fields=12, content_octets=1024)


def check(octets: bytes) -> None:
    """Read the octets, to the first empty line, as a head."""
    end = octets.find(b"\r\n\r\n")
    head = octets[:end] + b"\r\n\r\n" if end >= 0 else octets + b"\r\n\r\n"
    if head.startswith(b"\r\n") or head.find(b"\r\n\r\n") != len(head) - 4:
        # Empty lines in front are taken away before heads are handed out.
        return
    if len(head) > LIMITS.head_octets:
        return
    reader = HeadReader(LIMITS, RELEVANT_FIELDS)
    outcome = _read(reader, head)
    # From memory, and by a reader that read something else before.
    assert _read(reader, head) == outcome
    reader.reduce(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a\r\n\r\n")
    assert _read(reader, head) == outcome
    _check_parts(head, outcome)
    if isinstance(outcome, Refusal):
        assert 400 <= outcome.status < 600
        return
    _check_meaning(outcome)
    ours = read_with_epollo(head)
    if ours is None or outcome.expects_continue:
        return
    for theirs in (read_with_h11(head), read_with_llhttp(head)):
        assert theirs is None or theirs == ours, "another reader sees another request"


def _read(reader: HeadReader, head: bytes) -> Head | Refusal:
    reduced = reader.reduce(head)
    if isinstance(reduced, Refusal):
        return reduced
    assert reader.reduce(reduced) == reduced
    return reader.read(reduced)


def _check_parts(head: bytes, outcome: Head | Refusal) -> None:
    """Judge the lines as they arrive, in steps, and come to the same verdict."""
    for step in (1, 7, len(head)):
        reader = HeadReader(LIMITS, RELEVANT_FIELDS)
        refusal, start, count = None, 0, 0
        for end in range(step, len(head) + step, step):
            refusal, start, count = reader.judge_lines(head[:end], start, count)
            if refusal is not None:
                assert refusal == outcome, "refused in parts, otherwise as a whole"
                break
        if refusal is None:
            assert not isinstance(HeadReader(LIMITS, RELEVANT_FIELDS).reduce(head), Refusal)


def _check_meaning(head: Head) -> None:
    request = head.request
    assert request.method in METHODS
    assert set(request.fields) <= RELEVANT_FIELDS | FRAMING_FIELDS
    assert head.minor_version == 0 or b"host" in request.fields
    assert b"content-length" not in request.fields or b"transfer-encoding" not in request.fields
    if b"transfer-encoding" in request.fields:
        assert head.content_length is None
    else:
        assert head.content_length == int(request.fields.get(b"content-length", b"0"))
    for value in request.fields.values():
        assert not {0, 0x0A, 0x0D, 0x7F}.intersection(value)
