"""Content codings undone as the strictest of the clients that offer them do it.

Facts about clients that offer all three codings: Chromium silently stops at the end of the first gzip
member and of the brotli stream. To curl, octets after them are an error. Some HTTP libraries stop after
the first Zstandard frame. RFC 1952 section 2.2 and RFC 8878 section 3.1 allow several.
Decision: coded content is one member, one stream, one frame, and nothing after it.
Consequence: a decoder is made once for each file, so that a file of very many empty members or frames
costs nothing.

Octets come and go in pieces, so that a file of any size takes little memory.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli

from epollo.annotations import Final, TypeAlias
from epollo.http.zstandard import (
    HEADER_OCTETS_LIMIT,
    WINDOW_OCTETS_LIMIT,
    parse_frame_header,
)
from epollo.site.pieces import PIECE_OCTETS
from epollo.site.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

Decode: TypeAlias = Callable[[Iterable[bytes]], Iterator[bytes]]
"""Takes coded octets in pieces, yields content in pieces; raises `UnreadableError`."""

_WINDOW_LOG_LIMIT: Final = WINDOW_OCTETS_LIMIT.bit_length() - 1
# The first octet of a stream with a "large window", which RFC 7932 section 9.1 does not know.
_BROTLI_LARGE_WINDOW: Final = 0x11
_MEBIBYTE: Final = 1024 * 1024


class UnreadableError(Exception):
    """Some client cannot read this; the text says why, with the file as its subject."""


NOT_DECODED: Final = "does not decode to the file beside it"


def decode_gzip(coded: Iterable[bytes]) -> Iterator[bytes]:
    """Undo gzip: one member (RFC 1952). Raises `UnreadableError`."""
    member = zlib.decompressobj(wbits=31)
    for piece in coded:
        rest, content = piece, b""
        while not member.eof and (rest or len(content) == PIECE_OCTETS):
            try:
                content = member.decompress(rest, PIECE_OCTETS)
            except zlib.error:
                raise UnreadableError(NOT_DECODED) from None
            rest = member.unconsumed_tail
            if content:
                yield content
        if rest or member.unused_data:
            raise UnreadableError("continues after its first gzip member, where browsers stop")
    if not member.eof:
        raise UnreadableError(NOT_DECODED)


def decode_brotli(coded: Iterable[bytes]) -> Iterator[bytes]:
    """Undo br: one stream (RFC 7932). Raises `UnreadableError`."""
    stream = brotli.Decompressor()
    is_begun = False
    for piece in coded:
        if not is_begun and piece[0] == _BROTLI_LARGE_WINDOW:
            raise UnreadableError(
                "is brotli with a large window, which no browser reads (RFC 7932)"
            )
        is_begun = True
        if stream.is_finished():
            raise UnreadableError(
                "continues after the end of its brotli stream, where browsers stop"
            )
        try:
            content: bytes = stream.process(piece, output_buffer_limit=PIECE_OCTETS)
            while content:
                yield content
                content = stream.process(b"", output_buffer_limit=PIECE_OCTETS)
        except brotli.error:
            # The library's word for octets after the end, too.
            raise UnreadableError(NOT_DECODED) from None
    if not stream.is_finished():
        raise UnreadableError(NOT_DECODED)


def decode_zstd(coded: Iterable[bytes]) -> Iterator[bytes]:
    """Undo zstd: one frame (RFC 8878) with a window that clients have (RFC 9659).

    Raises `UnreadableError`.
    """
    frame = ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG_LIMIT})
    is_begun = False
    for piece in coded:
        if not is_begun:
            _check_frame(piece[:HEADER_OCTETS_LIMIT])
            is_begun = True
        try:
            yield frame.decompress(piece, PIECE_OCTETS)
            while not frame.needs_input and not frame.eof:
                yield frame.decompress(b"", PIECE_OCTETS)
        except EOFError:
            # The frame has ended with an earlier piece.
            raise UnreadableError(_FRAMES) from None
        except ZstdError:
            raise UnreadableError(NOT_DECODED) from None
        if frame.eof and frame.unused_data:
            raise UnreadableError(_FRAMES)
    if not frame.eof:
        raise UnreadableError(NOT_DECODED)


_FRAMES: Final = "continues after its first zstd frame, where some clients stop"


def _check_frame(octets: bytes) -> None:
    header = parse_frame_header(octets)
    if header is None:
        raise UnreadableError("does not begin with a zstd frame that holds content")
    if header.dictionary:
        raise UnreadableError("needs a dictionary, which no browser has")
    if header.window_octets > WINDOW_OCTETS_LIMIT:
        window = header.window_octets / _MEBIBYTE
        raise UnreadableError(
            f"asks for a window of {window:.4g} MiB, and browsers have 8 (RFC 9659)"
        )
