"""Drawings as PNG: cut to size by us, drawn by Chromium where it is installed."""

import struct
import zlib
from pathlib import Path

import pytest

from chromium import find_chromium
from epollo.lab.command import write_drawings
from epollo.lab.png import SCALE, crop_png, write_pngs
from lab.made_up import make_results

CARDS = {(0xFF, 0xFA, 0xF0), (0x28, 0x20, 0x1B)}
"""The ground of a drawing, light and dark."""


def make_png(rows: list[bytes]) -> bytes:
    """Return a picture of three octets a pixel, none of its rows filtered."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    half = len(content) // 2
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content[:half])
        + chunk(b"IDAT", content[half:])
        + chunk(b"IEND", b"")
    )


def read_png(octets: bytes) -> list[list[tuple[int, ...]]]:
    """Return the pixels of each row (PNG, third edition, section 9.2)."""
    width, _, _, colour = struct.unpack_from(">IIBB", octets, 16)
    size = 3 if colour == 2 else 4
    content, position = b"", 8
    while position < len(octets):
        (length,) = struct.unpack_from(">I", octets, position)
        name, chunk = octets[position + 4 : position + 8], octets[position + 8 :][:length]
        (checksum,) = struct.unpack_from(">I", octets, position + 8 + length)
        assert checksum == zlib.crc32(name + chunk)
        content += chunk if name == b"IDAT" else b""
        position += 12 + length
    octets = zlib.decompress(content)
    rows = []
    above = [0] * (width * size)
    for begin in range(0, len(octets), 1 + width * size):
        kind, row = octets[begin], list(octets[begin + 1 : begin + 1 + width * size])
        for at in range(len(row)):
            left = row[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            guesses = (0, left, above[at], (left + above[at]) // 2, 0)
            guess = guesses[kind] if kind < 4 else _guess_paeth(left, above[at], corner)
            row[at] = (row[at] + guess) & 255
        rows.append([tuple(row[at : at + 3]) for at in range(0, len(row), size)])
        above = row
    return rows


def _guess_paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


def test_the_rows_below_are_cut_off() -> None:
    rows = [bytes([number] * 9) for number in range(7)]
    cut = crop_png(make_png(rows), 4)
    assert [pixels[0] for pixels in read_png(cut)] == [(number,) * 3 for number in range(4)]
    assert struct.unpack_from(">II", cut, 16) == (3, 4)


@pytest.mark.parametrize("octets", [b"", b"GIF89a", make_png([bytes(9)])])
def test_what_cannot_be_cut_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="PNG"):
        crop_png(octets, 4)


@pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")
def test_a_low_drawing_fills_its_picture(tmp_path: Path) -> None:
    drawings = write_drawings(make_results(), tmp_path / "svg")
    (drawing,) = [path for path in drawings if path.name == "lab-waiting-en.svg"]
    write_pngs([drawing], tmp_path / "png")
    (picture,) = (tmp_path / "png").iterdir()
    assert picture.name == "lab-waiting-en.png"
    box = drawing.read_text(encoding="utf-8").partition('viewBox="0 0 ')[2].partition('"')[0]
    width, height = map(int, box.split())
    rows = read_png(picture.read_bytes())
    assert (len(rows[0]), len(rows)) == (width * SCALE, height * SCALE)
    for row in (rows[0], rows[-1]):
        assert {row[0], row[-1]} <= CARDS
    # The bars begin where they do in the drawing.
    begun = [
        row.index(next(one for one in row if one not in CARDS)) for row in rows if set(row) - CARDS
    ]
    assert min(begun) < 12 * SCALE
