import pytest

from epollo.http.zstandard import (
    HEADER_OCTETS_LIMIT,
    WINDOW_OCTETS_LIMIT,
    FrameHeader,
    parse_frame_header,
)

MAGIC = b"\x28\xb5\x2f\xfd"
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        # A window alone: 2 ** (10 + exponent), and eighths of it (RFC 8878 section 3.1.1.1.2).
        (b"\x00\x00", FrameHeader(1024, 0, None)),
        (b"\x00\x01", FrameHeader(1152, 0, None)),
        (b"\x00\x68", FrameHeader(8 * MIB, 0, None)),
        (b"\x00\x69", FrameHeader(9 * MIB, 0, None)),
        (b"\x00\x88", FrameHeader(128 * MIB, 0, None)),
        (b"\x04\x68", FrameHeader(8 * MIB, 0, None)),
        # A window and a content size, of two octets from 256 on.
        (b"\x40\x68\x01\x00", FrameHeader(8 * MIB, 0, 257)),
        (b"\x80\x68\x01\x00\x00\x01", FrameHeader(8 * MIB, 0, 1 + (1 << 24))),
        (b"\xc0\x68" + b"\x01" + bytes(7), FrameHeader(8 * MIB, 0, 1)),
        # A single segment is its own window.
        (b"\x20\x00", FrameHeader(0, 0, 0)),
        (b"\x20\xff", FrameHeader(255, 0, 255)),
        (b"\x60\x00\x00", FrameHeader(256, 0, 256)),
        (b"\xa0\x00\x00\x80\x00", FrameHeader(8 * MIB, 0, 8 * MIB)),
        (b"\xa0\x01\x00\x80\x00", FrameHeader(8 * MIB + 1, 0, 8 * MIB + 1)),
        # Dictionaries.
        (b"\x01\x68\x07", FrameHeader(8 * MIB, 7, None)),
        (b"\x02\x68\x01\x02", FrameHeader(8 * MIB, 0x201, None)),
        (b"\x23\x01\x02\x03\x04\x05", FrameHeader(5, 0x4030201, 5)),
    ],
)
def test_what_a_header_says(octets: bytes, header: FrameHeader) -> None:
    whole = MAGIC + octets
    assert len(whole) <= HEADER_OCTETS_LIMIT
    assert parse_frame_header(whole) == header
    assert parse_frame_header(whole + b"content") == header
    for length in range(len(whole)):
        assert parse_frame_header(whole[:length]) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x1f\x8b\x08" + bytes(20),
        # A skippable frame, and the frames of versions before 0.8.
        b"\x50\x2a\x4d\x18" + bytes(20),
        b"\x27\xb5\x2f\xfd" + bytes(20),
        MAGIC + b"\x08" + bytes(20),
    ],
)
def test_what_is_no_header(octets: bytes) -> None:
    assert parse_frame_header(octets) is None


def test_the_longest_header() -> None:
    octets = MAGIC + b"\xc3\x68" + bytes(12)
    assert len(octets) == HEADER_OCTETS_LIMIT
    assert parse_frame_header(octets) == FrameHeader(WINDOW_OCTETS_LIMIT, 0, 0)
