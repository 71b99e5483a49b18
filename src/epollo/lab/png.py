"""Drawings as PNG: Chromium draws them, and what lies below the drawing is cut off.

Facts: a window of Chromium has a least height, and the browser takes a part of it, so a low drawing
would be shrunk into what is left.
Decision: each drawing stands at its own size at the top of a page, in a window with more than enough
room. The rows below it are cut off.
"""

import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from epollo.annotations import Final
from epollo.errors import OperatorError

SCALE: Final = 2
"""Pixels of the picture for each pixel of the drawing, either way."""
_DRAW_SECONDS: Final = 60
_ROOM: Final = 400
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def find_chromium() -> str:
    """Return the program; raises `OperatorError` if there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise OperatorError("--png needs Chromium; --svg does not")
    return program


def write_pngs(drawings: list[Path], folder: Path) -> None:
    """Have Chromium draw SVG files; each comes to the folder under its own name."""
    program = find_chromium()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="epollo-lab-") as name:
        work = Path(name)
        for path in drawings:
            octets = _draw(program, path, work)
            (folder / path.with_suffix(".png").name).write_bytes(octets)


def _draw(program: str, path: Path, work: Path) -> bytes:
    text = path.read_text(encoding="utf-8")
    width, height = map(int, text.partition('viewBox="0 0 ')[2].partition('"')[0].split())
    page, picture = work / "page.html", work / "picture.png"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><style>html,body{{margin:0}}'
        f"svg{{display:block;width:{width}px;height:{height}px}}</style>{text}",
        encoding="utf-8",
    )
    try:
        subprocess.run(
            [
                *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *(f"--force-device-scale-factor={SCALE}", f"--user-data-dir={work}/profile"),
                *(f"--screenshot={picture}", f"--window-size={width},{height + _ROOM}"),
                page.as_uri(),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=_DRAW_SECONDS,
        )
        return crop_png(picture.read_bytes(), height * SCALE)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise OperatorError(f"Chromium does not draw {path.name}: {error}") from error


def crop_png(octets: bytes, height: int) -> bytes:
    """Return a PNG with its first rows only; raises `ValueError` for what is no PNG of Chromium's.

    A row is coded by the rows above it, never by those below (PNG, third edition, section 9).
    """
    if not octets.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    width, rows, depth, colour, *_, is_interlaced = struct.unpack_from(">IIBBBBB", octets, 16)
    if depth != 8 or colour not in {2, 6} or is_interlaced or rows < height:
        raise ValueError(f"a PNG of another kind than expected, {width} x {rows}")
    # Three octets a pixel or four, and one for the filter of the row.
    row_octets = 1 + width * (3 if colour == 2 else 4)
    content, position = b"", len(_SIGNATURE)
    while position < len(octets):
        (length,) = struct.unpack_from(">I", octets, position)
        if octets[position + 4 : position + 8] == b"IDAT":
            content += octets[position + 8 : position + 8 + length]
        position += 12 + length
    kept = zlib.decompress(content)[: height * row_octets]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        _SIGNATURE
        + _format_chunk(b"IHDR", header)
        + _format_chunk(b"IDAT", zlib.compress(kept, 9))
        + _format_chunk(b"IEND", b"")
    )


def _format_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk: length, name, content, checksum (PNG, third edition, section 5.3)."""
    length = struct.pack(">I", len(content))
    return length + name + content + struct.pack(">I", zlib.crc32(name + content))
