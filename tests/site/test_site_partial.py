"""Answers 206: ranges of a content, in memory or in a file."""

import os
from email import message_from_bytes
from pathlib import Path

import pytest

from epollo.http.message import PERMANENT, FileSegment, Response, Segment
from epollo.http.ranges import ByteRange
from epollo.site.entity_tags import tag_content
from epollo.site.open_files import OpenFile
from epollo.site.partial import respond_in_part
from epollo.site.promise import Promise
from epollo.site.representation import KeptFile, Representation

CONTENT = bytes(range(256)) * 400
FIELDS = (
    (b"Content-Type", b"text/plain"),
    (b"Content-Length", b"%d" % len(CONTENT)),
    (b"ETag", b'"tag"'),
)


def make_content(form: str, path: Path) -> Segment:
    if form == "octets":
        return CONTENT
    if form == "kept file":
        return FileSegment(KeptFile(CONTENT), 0, len(CONTENT))
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    return FileSegment(OpenFile(descriptor, Promise(descriptor, None)), 0, len(CONTENT))


def respond(content: Segment, *ranges: ByteRange) -> Response:
    representation = Representation(content, len(CONTENT), tag_content(CONTENT).opaque)
    return respond_in_part(representation, content, list(ranges), FIELDS, PERMANENT)


def read(response: Response) -> bytes:
    return b"".join(
        segment
        if isinstance(segment, bytes)
        else os.pread(segment.file.descriptor, segment.length, segment.offset)
        for segment in response.content
    )


def close(content: Segment) -> None:
    if isinstance(content, FileSegment):
        content.file.close()


@pytest.mark.parametrize("form", ["octets", "kept file", "file"])
def test_one_range(form: str, tmp_path: Path) -> None:
    content = make_content(form, tmp_path / "file")
    response = respond(content, ByteRange(10, 19))
    assert (response.status, response.length, response.basis) == (206, 10, PERMANENT)
    assert read(response) == CONTENT[10:20]
    assert response.fields == (
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"10"),
        (b"ETag", b'"tag"'),
        (b"Content-Range", b"bytes 10-19/%d" % len(CONTENT)),
    )
    close(content)


@pytest.mark.parametrize("form", ["octets", "kept file", "file"])
def test_several_ranges(form: str, tmp_path: Path) -> None:
    content = make_content(form, tmp_path / "file")
    response = respond(content, ByteRange(0, 9), ByteRange(1000, 1004))
    octets = read(response)
    fields = dict(response.fields)
    assert int(fields[b"Content-Length"]) == response.length == len(octets)
    assert b"Content-Range" not in fields
    message = message_from_bytes(b"Content-Type: " + fields[b"Content-Type"] + b"\n\n" + octets)
    assert message.is_multipart()
    _, *parts = message.walk()
    assert [part["Content-Range"] for part in parts] == [
        f"bytes 0-9/{len(CONTENT)}",
        f"bytes 1000-1004/{len(CONTENT)}",
    ]
    assert {part.get_content_type() for part in parts} == {"text/plain"}
    close(content)


def test_the_same_ranges_have_the_same_octets() -> None:
    ranges = (ByteRange(0, 9), ByteRange(20, 29))
    assert respond(CONTENT, *ranges).content == respond(CONTENT, *ranges).content
    assert respond(CONTENT, *ranges).fields == respond(CONTENT, *ranges).fields


@pytest.mark.parametrize(("octets", "is_copied"), [(16 * 1024, True), (16 * 1024 + 1, False)])
def test_a_short_range_of_what_cannot_change_is_sent_with_its_head(
    octets: int, is_copied: bool, tmp_path: Path
) -> None:
    kept = respond(make_content("kept file", tmp_path / "file"), ByteRange(0, octets - 1))
    assert isinstance(kept.content[0], bytes) is is_copied
    content = make_content("file", tmp_path / "file")
    assert not isinstance(respond(content, ByteRange(0, octets - 1)).content[0], bytes)
    close(content)
