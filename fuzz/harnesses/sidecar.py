"""Whatever stands beside a file as its coding, what is used is one stream that a strict client reads."""

import zlib

import brotli

from epollo.http.zstandard import WINDOW_OCTETS_LIMIT, parse_frame_header
from epollo.site.codings import CODINGS
from epollo.site.pieces import HeldContent
from epollo.site.sidecars import find_fault
from epollo.site.zstd import ZstdDecompressor

CONTENT = b"content, content, content\n"
TOKENS = (
    b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x04", bytes(6), b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\x00\x68",
    b"\x28\xb5\x2f\xfd\x00\x70", b"\x28\xb5\x2f\xfd\x20\x1a", b"\x50\x2a\x4d\x18\x01\x00\x00\x00",
    b"\x01\x00\x00", b"\xd1\x00\x00", b"\x11", b"\x3b", b"\x06", b"\x0b\x0c\x80", b"\x03", CONTENT,
    b"content, ", b"\x01\x1a\x00\xe5\xff",
)  # fmt: skip


def check(octets: bytes) -> None:
    """Read the octets as each of the codings."""
    for coding in CODINGS:
        fault = find_fault(coding, HeldContent(octets), HeldContent(CONTENT))
        if fault is not None:
            assert fault
            assert not fault.endswith((".", " "))
            continue
        STRICT[coding.name](octets)
        # Neither more nor less is the same file.
        assert find_fault(coding, HeldContent(octets + b"\0"), HeldContent(CONTENT)) is not None
        assert find_fault(coding, HeldContent(octets[:-1]), HeldContent(CONTENT)) is not None
        assert find_fault(coding, HeldContent(octets), HeldContent(CONTENT[:-1])) is not None


def _read_gzip(octets: bytes) -> None:
    member = zlib.decompressobj(wbits=31)
    assert member.decompress(octets) == CONTENT
    assert member.eof
    assert not member.unused_data


def _read_brotli(octets: bytes) -> None:
    assert brotli.decompress(octets) == CONTENT


def _read_zstd(octets: bytes) -> None:
    header = parse_frame_header(octets)
    assert header is not None
    assert header.window_octets <= WINDOW_OCTETS_LIMIT
    assert header.content_octets in {None, len(CONTENT)}
    assert not header.dictionary
    frame = ZstdDecompressor()
    assert frame.decompress(octets) == CONTENT
    assert frame.eof
    assert not frame.unused_data


STRICT = {b"gzip": _read_gzip, b"br": _read_brotli, b"zstd": _read_zstd}
