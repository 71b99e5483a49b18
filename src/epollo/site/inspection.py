"""What the content of a file says beyond the extension of its name.

The name says what a file should be. Its content tells which charset it has, whether ``.ts`` is
TypeScript or a transport stream of MPEG, and whether SVG is compressed.
"""

from epollo.annotations import Final
from epollo.http.charset import UTF_8, find_declared_charset, is_announced_as_utf8
from epollo.http.content_coding import IDENTITY
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late
from epollo.site.media_types import SVG, TRANSPORT_STREAM, TYPESCRIPT, MediaType

HEAD_OCTETS: Final = 1024

_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_SYNC: Final = 0x47
# ISO/IEC 13818-1 has packets of 188 octets; recorders put a time stamp of four before each.
_PACKETS: Final = ((188, 0), (192, 4))
_NO_TEXT: Final = compile_late(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


class Inspected(NamedTuple):
    """The media type of a file, and the content coding that the file itself is in."""

    media_type: MediaType
    own_coding: bytes


def inspect(media_type: MediaType, head: bytes, content: bytes | None) -> Inspected:
    """Return what a file is whose name promises a media type.

    ``head`` is its first `HEAD_OCTETS`; ``content`` all of it, where that is at hand.
    """
    if media_type == SVG and head.startswith(_GZIP_MAGIC):
        # As ``.svgz``; it is sent so to every client, for there is no other representation of it.
        return Inspected(MediaType(SVG.value, is_compressible=False), b"gzip")
    if media_type == TYPESCRIPT and _is_transport_stream(head):
        return Inspected(TRANSPORT_STREAM, IDENTITY)
    value, parameter, _ = media_type.value.partition(UTF_8)
    if parameter and (content is None or not is_announced_as_utf8(value, (content,))):
        names_charset = (
            content is None or b"\0" in content or find_declared_charset(value, content) is not None
        )
        charset = b"" if names_charset else media_type.charset
        media_type = media_type._replace(value=value + charset)
    return Inspected(media_type, IDENTITY)


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) >= packet + at + 1
        and all(octet == _SYNC for octet in head[at::packet])
        and not _is_text(head)
        for packet, at in _PACKETS
    )


def _is_text(head: bytes) -> bool:
    if _NO_TEXT.search(head):
        return False
    try:
        # A character may be cut in two at the end.
        head[:-3].decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 6
    return True
