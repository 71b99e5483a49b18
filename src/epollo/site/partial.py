"""Answers 206: one range of a content, or several as multipart/byteranges (RFC 9110 section 14)."""

import os

from epollo.annotations import Final
from epollo.http.message import Basis, FieldLine, FileSegment, Response, Segment
from epollo.http.ranges import ByteRange, format_content_range, format_multipart
from epollo.site.blake2 import blake2b
from epollo.site.representation import KeptFile, Representation

# Content up to this length is copied and sent together with its head: the copy costs less than another
# system call, and the answer may be recalled.
_COPIED_OCTETS: Final = 16 * 1024


def respond_in_part(
    representation: Representation,
    content: Segment,
    ranges: list[ByteRange],
    fields: tuple[FieldLine, ...],
    basis: Basis | None,
) -> Response:
    """Return the answer with these ranges of a content.

    ``fields`` are those of the answer with the whole of it, Content-Type and Content-Length first.
    """
    content_type, _, *others = fields
    if len(ranges) == 1:
        length = ranges[0].last - ranges[0].first + 1
        content_range = format_content_range(ranges[0], representation.length)
        return Response(
            206,
            (content_type, _measure(length), *others, (b"Content-Range", content_range)),
            (_cut(content, ranges[0]),),
            basis=basis,
        )
    # Made from a hash of the content, so that the content cannot hold it (RFC 2046 section 5.1.1)
    # and the same request gets the same octets.
    boundary = blake2b(representation.tag, digest_size=15).hexdigest().encode()
    parts, closing = format_multipart(ranges, representation.length, content_type[1], boundary)
    segments: list[Segment] = []
    for part_head, byte_range in parts:
        segments += (part_head, _slice(content, byte_range))
    response = Response(206, (), (*segments, closing), basis=basis)
    response.fields = (
        (b"Content-Type", b"multipart/byteranges; boundary=%b" % boundary),
        _measure(response.length),
        *others,
    )
    return response


def _measure(length: int) -> FieldLine:
    return (b"Content-Length", b"%d" % length)


def _cut(whole: Segment, byte_range: ByteRange) -> Segment:
    """Return one range of a content, as octets where that is short and cannot change."""
    part = _slice(whole, byte_range)
    if (
        isinstance(part, FileSegment)
        and isinstance(part.file, KeptFile)
        and part.length <= _COPIED_OCTETS
    ):
        return os.pread(part.file.descriptor, part.length, part.offset)
    return part


def _slice(whole: Segment, byte_range: ByteRange) -> Segment:
    """Return a range of a content; what is in a file is read when it is sent."""
    first, last = byte_range
    if isinstance(whole, bytes):
        return whole[first : last + 1]
    return FileSegment(whole.file, first, last - first + 1)
