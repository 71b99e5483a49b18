"""Content codings of octets: br, zstd and gzip, made and undone (RFC 9110 section 8.4.1)."""

import gzip
import sys
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A coded representation is kept where it is this much shorter: less is not worth its memory.
_WORTHWHILE_SHARE: Final = 0.95


class Coding(NamedTuple):
    """A content coding: its name, the suffix of its sidecar files, and its efforts.

    ``quick`` and ``best`` return the coded octets. ``decode`` undoes them, giving up at a limit of
    octets; it raises an exception of its library where they are no such thing.
    """

    name: bytes
    suffix: bytes
    quick: Callable[[bytes], bytes]
    best: Callable[[bytes], bytes]
    decode: Callable[[bytes, int], bytes]


def _ungzip(octets: bytes, limit: int) -> bytes:
    """Undo gzip, of which a file may hold several members one after the other (RFC 1952 section 2.2)."""
    content = b""
    while octets:
        member = zlib.decompressobj(wbits=31)
        content += member.decompress(octets, limit + 1 - len(content))
        if len(content) > limit:
            break
        if not member.eof:
            raise EOFError("the last member is cut off")
        octets = member.unused_data
    return content


def _unbrotli(octets: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    content: bytes = decompressor.process(octets, output_buffer_limit=limit + 1)
    while len(content) <= limit and not decompressor.is_finished():
        more = decompressor.process(b"", output_buffer_limit=limit + 1 - len(content))
        if not more:
            raise EOFError("the stream is cut off")
        content += more
    return content


def _unzstd(octets: bytes, limit: int) -> bytes:
    content = b""
    while octets:
        frame = zstd.ZstdDecompressor()
        content += frame.decompress(octets, limit + 1 - len(content))
        if len(content) > limit:
            break
        if not frame.eof:
            raise EOFError("the last frame is cut off")
        octets = frame.unused_data
    return content


CODINGS: Final = (
    Coding(
        b"gzip",
        b".gz",
        lambda octets: gzip.compress(octets, 1, mtime=0),
        lambda octets: gzip.compress(octets, 9, mtime=0),
        _ungzip,
    ),
    Coding(
        b"br",
        b".br",
        lambda octets: brotli.compress(octets, quality=4),
        lambda octets: brotli.compress(octets, quality=11),
        _unbrotli,
    ),
    Coding(
        b"zstd",
        b".zst",
        lambda octets: zstd.compress(octets, 3),
        # Level 19 is the highest whose window every client has to accept (RFC 9659).
        lambda octets: zstd.compress(octets, 19),
        _unzstd,
    ),
)


def is_worthwhile(coded: bytes, content: bytes) -> bool:
    """Tell whether a coding saves enough to be kept."""
    return len(coded) < len(content) * _WORTHWHILE_SHARE


def decodes_to(coding: Coding, coded: bytes, content: bytes) -> bool:
    """Tell whether coded octets, found somewhere, are really a coding of this content."""
    try:
        return coding.decode(coded, len(content)) == content
    except (OSError, EOFError, ValueError, zlib.error, brotli.error, zstd.ZstdError):
        return False
