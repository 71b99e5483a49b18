"""Sidecar files: used where every client that offers the coding can read them, else one reason."""

import gzip
import random
import struct
import zlib

import brotli
import pytest

from epollo.site.codings import CODINGS
from epollo.site.pieces import PIECE_OCTETS, HeldContent
from epollo.site.sidecars import find_fault
from epollo.site.zstd import CompressionParameter, ZstdCompressor

BY_NAME = {coding.name: coding for coding in CODINGS}
TEXT = b"".join(b"line %d of a page\n" % number for number in range(3000))
HALF = len(TEXT) // 2
NOT_DECODED = "does not decode to the file beside it"
# RFC 8878 section 3.1.2: a magic number, a length, and what is skipped.
SKIPPABLE = b"\x50\x2a\x4d\x18" + struct.pack("<I", 5) + b"12345"
# How a stream with a window of 26 bits begins.
LARGE_WINDOW = bytes.fromhex("115a7cbb")


# As small as can be.
BROTLI: bytes = brotli.compress(TEXT)


def member(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def stream(content: bytes) -> bytes:
    """Return a brotli stream that is made in no time: as small as can be, it takes seconds."""
    coded: bytes = brotli.compress(content, quality=5)
    return coded


def frame(content: bytes, *, pledged: bool = True, **parameters: int) -> bytes:
    options = {getattr(CompressionParameter, name): value for name, value in parameters.items()}
    stream = ZstdCompressor(options=options)
    if pledged:
        stream.set_pledged_input_size(len(content))
    return stream.compress(content) + stream.flush()


def with_flags(flags: int, field: bytes = b"") -> bytes:
    """Return a gzip member with optional fields (RFC 1952 section 2.3.1)."""
    head = b"\x1f\x8b\x08" + bytes((flags,)) + bytes(5) + b"\xff" + field
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    whole = member(TEXT)
    return head + whole[10:]


def fault_of(coding: bytes, coded: bytes, content: bytes = TEXT) -> str | None:
    return find_fault(BY_NAME[coding], HeldContent(coded), HeldContent(content))


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        (b"gzip", member(TEXT)),
        (b"gzip", gzip.compress(TEXT, 0)),
        (b"gzip", with_flags(1)),
        (b"gzip", with_flags(2)),
        (b"gzip", with_flags(4, b"\x04\0abcd")),
        (b"gzip", with_flags(8, b"name\0")),
        (b"gzip", with_flags(16, b"comment\0")),
        (b"br", BROTLI),
        (b"br", brotli.compress(TEXT, quality=0, lgwin=10)),
        (b"br", brotli.compress(TEXT, quality=5, lgwin=24)),
        (b"zstd", frame(TEXT)),
        (b"zstd", frame(TEXT, pledged=False)),
        (b"zstd", frame(TEXT, checksum_flag=1)),
        (b"zstd", frame(TEXT, content_size_flag=0)),
        (b"zstd", frame(TEXT, pledged=False, window_log=23)),
    ],
)
def test_what_every_client_reads(coding: bytes, coded: bytes) -> None:
    assert fault_of(coding, coded) is None


@pytest.mark.parametrize(
    ("coding", "coded", "fault"),
    [
        (
            b"gzip",
            member(TEXT[:HALF]) + member(TEXT[HALF:]),
            "continues after its first gzip member",
        ),
        (b"gzip", member(b"") + member(TEXT), "continues after its first gzip member"),
        (b"gzip", member(TEXT) + member(b""), "continues after its first gzip member"),
        (b"gzip", member(TEXT) + bytes(512), "continues after its first gzip member"),
        (b"gzip", member(TEXT) + b"x", "continues after its first gzip member"),
        (b"gzip", member(TEXT)[:-1], NOT_DECODED),
        (b"gzip", member(TEXT)[:-8], NOT_DECODED),
        (b"gzip", member(TEXT)[:-8] + bytes(8), NOT_DECODED),
        (b"gzip", with_flags(0x20), NOT_DECODED),
        (b"gzip", zlib.compress(TEXT), NOT_DECODED),
        (b"gzip", zlib.compress(TEXT)[2:-4], NOT_DECODED),
        (b"gzip", TEXT, NOT_DECODED),
        (b"br", BROTLI[:-1], NOT_DECODED),
        (b"br", BROTLI + b"x", NOT_DECODED),
        (b"br", stream(TEXT[:HALF]) + stream(TEXT[HALF:]), NOT_DECODED),
        (b"br", LARGE_WINDOW, "is brotli with a large window"),
        (b"zstd", frame(TEXT, pledged=False, window_log=24), "asks for a window of 16 MiB"),
        (b"zstd", frame(b"", pledged=False, window_log=27), "asks for a window of 128 MiB"),
        (b"zstd", frame(TEXT[:HALF]) + frame(TEXT[HALF:]), "continues after its first zstd frame"),
        (b"zstd", frame(TEXT) + frame(TEXT, window_log=27), "continues after its first zstd frame"),
        (b"zstd", frame(b"") + frame(TEXT), "continues after its first zstd frame"),
        (b"zstd", frame(TEXT) + SKIPPABLE, "continues after its first zstd frame"),
        (b"zstd", frame(TEXT) + bytes(64), "continues after its first zstd frame"),
        (b"zstd", SKIPPABLE + frame(TEXT), "does not begin with a zstd frame"),
        (b"zstd", frame(TEXT)[:-1], NOT_DECODED),
        (b"zstd", frame(TEXT, checksum_flag=1)[:-1] + b"\xff", NOT_DECODED),
        (b"zstd", b"\x28\xb5\x2f\xfd\x01\x58\x07" + frame(TEXT)[6:], "needs a dictionary"),
        (b"zstd", TEXT, "does not begin with a zstd frame"),
        *((coding.name, b"", NOT_DECODED) for coding in CODINGS),
    ],
)
def test_what_some_client_cannot_read(coding: bytes, coded: bytes, fault: str) -> None:
    found = fault_of(coding, coded)
    assert found is not None
    assert found.startswith(fault)


def encode(coding: bytes, content: bytes) -> bytes:
    coded: bytes = {b"gzip": member, b"br": stream, b"zstd": frame}[coding](content)
    return coded


@pytest.mark.parametrize("coding", BY_NAME)
def test_other_content_of_any_length(coding: bytes) -> None:
    for other in (b"", TEXT[:-1], TEXT + b"x", b"x" + TEXT[1:], TEXT[:-1] + b"x"):
        assert fault_of(coding, encode(coding, other)) == NOT_DECODED
    assert fault_of(coding, encode(coding, b""), b"") is None


@pytest.mark.parametrize("coding", BY_NAME)
def test_a_window_of_one_segment_is_its_content(coding: bytes) -> None:
    """Content of more than 8 MiB in one segment asks for as large a window (RFC 8878 3.1.1.1.2)."""
    content = bytes(9 * 1024 * 1024)
    whole = encode(coding, content)
    assert fault_of(coding, whole, content) is None
    if coding == b"zstd":
        found = fault_of(coding, frame(content, window_log=24), content)
        assert found == "asks for a window of 9 MiB, and browsers have 8 (RFC 9659)"


class CountedContent(HeldContent):
    """Content that knows how much of it was read."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(octets)
        self.read_octets = 0

    def read(self, offset: int, octets: int) -> bytes:
        piece = super().read(offset, octets)[:octets]
        self.read_octets += len(piece)
        return piece


@pytest.mark.parametrize(
    ("coding", "empty"), [(b"gzip", member(b"")), (b"br", b"\x3b"), (b"zstd", frame(b""))]
)
def test_thousands_of_empty_streams_cost_one(coding: bytes, empty: bytes) -> None:
    coded = CountedContent(empty * 200_000 + encode(coding, TEXT))
    content = HeldContent(bytes(len(coded.octets)))
    assert find_fault(BY_NAME[coding], coded, content) is not None
    assert coded.read_octets <= PIECE_OCTETS


@pytest.mark.parametrize("coding", BY_NAME)
def test_a_bomb_is_undone_no_further_than_the_content(coding: bytes) -> None:
    bomb = encode(coding, bytes(50 * 1024 * 1024))
    content = CountedContent(bytes(100_000))
    assert find_fault(BY_NAME[coding], HeldContent(bomb), content) == NOT_DECODED
    assert content.read_octets <= len(content.octets)


@pytest.mark.parametrize("coding", BY_NAME)
def test_a_sidecar_far_longer_than_the_file_is_not_read(coding: bytes) -> None:
    coded = CountedContent(bytes(1_000_000))
    found = find_fault(BY_NAME[coding], coded, HeldContent(TEXT))
    assert found == "is more than twice as long as the file beside it"
    assert not coded.read_octets


@pytest.mark.parametrize("coding", BY_NAME)
def test_content_of_many_pieces(coding: bytes) -> None:
    content = random.Random(1).randbytes(3 * PIECE_OCTETS + 17) + bytes(2 * PIECE_OCTETS)
    coded = encode(coding, content)
    assert fault_of(coding, coded, content) is None
    assert fault_of(coding, coded, content[:-1]) == NOT_DECODED
    assert fault_of(coding, coded[:-1], content) == NOT_DECODED
    assert fault_of(coding, coded + b"x", content) is not None
