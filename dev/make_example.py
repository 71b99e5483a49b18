#!/usr/bin/env python3
"""Make the parts of the example site that are not written by hand.

The font, the raster pictures and icons, the video with its captions, the WebAssembly module and
the downloads. Their source is this file; what it writes is committed, so it need not be run to
serve the site.

Needs `pip install fonttools brotli skia-pathops pillow` and, for the video, ffmpeg with libvpx.
Run `python3 dev/make_example.py` for everything, or name parts: font pictures video module
downloads.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
import subprocess
import sys
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from pathlib import Path

import pathops  # type: ignore[import-untyped]
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString  # type: ignore[import-untyped]
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.transformPen import TransformPen  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from fontTools.svgLib.path import parse_path  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SITE = Path(__file__).resolve().parent.parent / "example"

PAPER, CREAM, INK = "#faf4e8", "#fff9ec", "#2b211b"
TOMATO, SAFFRON, SAGE, WOOD = "#b23a1e", "#e3a63a", "#6f8a5f", "#c9a177"
NIGHT, DUSK = "#2a1f1b", "#3b2c25"

# --- the font -----------------------------------------------------------------------------------
#
# "Raised Hand" is one stroke of constant width with round ends. A glyph is its advance and the
# centre line of the stroke in SVG path notation, y upwards, 1000 units to the em: baseline 0,
# x-height 480, capitals 700, ascenders 730, descenders -200.

FONT_NAME = "Raised Hand"
STROKE_UNITS = 100


def dot(x: int, y: int) -> str:
    """Return a full stop's centre line: a cross so small that its round stroke is a disc."""
    return f"M{x - 12} {y} L{x + 12} {y} M{x} {y - 12} L{x} {y + 12}"


BOWL = "M90 240 A220 240 0 1 1 530 240 A220 240 0 1 1 90 240 Z"
SMALL_E = "M90 240 L530 240 A220 240 0 1 1 475 80"
SMALL_U = "M90 480 L90 210 A200 210 0 0 1 490 210 M490 480 L490 0"

LETTERS: dict[str, tuple[int, str]] = {
    " ": (260, ""),
    "a": (620, f"{BOWL} M530 480 L530 0"),
    "b": (620, f"{BOWL} M90 730 L90 0"),
    "c": (545, "M465 410 A220 240 0 1 1 465 70"),
    "d": (620, f"{BOWL} M530 730 L530 0"),
    "e": (605, SMALL_E),
    "f": (370, "M180 0 L180 580 A150 150 0 0 0 330 730 M70 480 L320 480"),
    "g": (620, f"{BOWL} M530 480 L530 0 A220 215 0 0 0 120 -105"),
    "h": (580, "M90 730 L90 0 M90 270 A200 210 0 0 0 490 270 L490 0"),
    "i": (180, f"M90 480 L90 0 {dot(90, 690)}"),
    "j": (230, f"M140 480 L140 -60 A140 140 0 0 0 0 -200 {dot(140, 690)}"),
    "k": (520, "M90 730 L90 0 M430 480 L90 190 M215 297 L450 0"),
    "l": (260, "M90 730 L90 120 A120 120 0 0 1 210 0"),
    "m": (
        820,
        (
            "M90 480 L90 0 M90 300 A160 180 0 0 0 410 300 L410 0 "
            "M410 300 A160 180 0 0 0 730 300 L730 0"
        ),
    ),
    "n": (580, "M90 480 L90 0 M90 270 A200 210 0 0 0 490 270 L490 0"),
    "o": (620, BOWL),
    "p": (620, f"{BOWL} M90 480 L90 -200"),
    "q": (620, f"{BOWL} M530 480 L530 -200"),
    "r": (350, "M90 480 L90 0 M90 270 A200 210 0 0 0 290 480"),
    "s": (
        480,
        (
            "M375 412 A150 120 0 0 1 240 480 A150 120 0 0 1 240 240 A150 120 0 0 0 240 0 "
            "A150 120 0 0 0 105 68"
        ),
    ),
    "t": (370, "M180 680 L180 140 A140 140 0 0 1 320 0 M70 480 L310 480"),
    "u": (580, SMALL_U),
    "v": (560, "M70 480 L280 0 L490 480"),
    "w": (800, "M70 480 L230 0 L400 480 L570 0 L730 480"),
    "x": (520, "M80 480 L440 0 M440 480 L80 0"),
    "y": (560, "M70 480 L280 0 M490 480 L192 -200"),
    "z": (510, "M80 480 L430 480 L80 0 L430 0"),
    "\N{LATIN SMALL LETTER E WITH ACUTE}": (605, f"{SMALL_E} M270 620 L370 740"),
    "\N{LATIN SMALL LETTER E WITH GRAVE}": (605, f"{SMALL_E} M350 620 L250 740"),
    "\N{LATIN SMALL LETTER E WITH CIRCUMFLEX}": (605, f"{SMALL_E} M210 620 L310 740 L410 620"),
    "\N{LATIN SMALL LETTER U WITH CIRCUMFLEX}": (580, f"{SMALL_U} M190 620 L290 740 L390 620"),
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}": (580, f"{SMALL_U} {dot(190, 670)} {dot(390, 670)}"),
    "\N{LATIN SMALL LETTER A WITH DIAERESIS}": (
        620,
        f"{BOWL} M530 480 L530 0 {dot(210, 670)} {dot(410, 670)}",
    ),
    "\N{LATIN SMALL LETTER O WITH DIAERESIS}": (620, f"{BOWL} {dot(210, 670)} {dot(410, 670)}"),
    "A": (680, "M60 0 L340 700 L620 0 M148 220 L532 220"),
    "B": (
        560,
        (
            "M90 0 L90 700 L300 700 A170 170 0 0 0 300 360 L90 360 "
            "M300 360 A180 180 0 0 0 300 0 L90 0"
        ),
    ),
    "C": (700, "M619 597 A310 350 0 1 1 619 103"),
    "D": (700, "M90 0 L90 700 L260 700 A350 350 0 0 0 260 0 Z"),
    "E": (540, "M470 700 L90 700 L90 0 L470 0 M90 360 L410 360"),
    "F": (510, "M460 700 L90 700 L90 0 M90 350 L400 350"),
    "G": (800, "M619 597 A310 350 0 1 1 710 350 L440 350"),
    "H": (660, "M90 0 L90 700 M570 0 L570 700 M90 360 L570 360"),
    "I": (180, "M90 0 L90 700"),
    "J": (470, "M380 700 L380 170 A160 170 0 0 0 60 170"),
    "K": (590, "M90 0 L90 700 M510 700 L90 280 M235 425 L540 0"),
    "L": (490, "M90 700 L90 0 L440 0"),
    "M": (780, "M90 0 L90 700 L390 180 L690 700 L690 0"),
    "N": (660, "M90 0 L90 700 L570 0 L570 700"),
    "O": (800, "M90 350 A310 350 0 1 1 710 350 A310 350 0 1 1 90 350 Z"),
    "P": (560, "M90 0 L90 700 L300 700 A190 190 0 0 0 300 320 L90 320"),
    "Q": (800, "M90 350 A310 350 0 1 1 710 350 A310 350 0 1 1 90 350 Z M480 170 L680 -40"),
    "R": (580, "M90 0 L90 700 L300 700 A190 190 0 0 0 300 320 L90 320 M300 320 L500 0"),
    "S": (
        560,
        (
            "M458 606 A200 175 0 0 1 280 700 A200 175 0 0 1 280 350 A200 175 0 0 0 280 0 "
            "A200 175 0 0 0 95 108"
        ),
    ),
    "T": (580, "M50 700 L530 700 M290 700 L290 0"),
    "U": (660, "M90 700 L90 240 A240 240 0 0 1 570 240 L570 700"),
    "V": (660, "M60 700 L330 0 L600 700"),
    "W": (920, "M60 700 L260 0 L460 700 L660 0 L860 700"),
    "X": (620, "M80 700 L540 0 M540 700 L80 0"),
    "Y": (620, "M60 700 L310 340 L560 700 M310 340 L310 0"),
    "Z": (610, "M80 700 L530 700 L80 0 L530 0"),
    "0": (580, "M90 350 A200 350 0 1 1 490 350 A200 350 0 1 1 90 350 Z"),
    "1": (580, "M160 570 L310 700 L310 0"),
    "2": (580, "M100 555 A190 190 0 1 0 425 380 L90 0 L490 0"),
    "3": (580, "M120 590 A165 165 0 1 0 275 370 A185 185 0 1 0 95 140"),
    "4": (580, "M400 0 L400 700 L80 200 L500 200"),
    "5": (580, "M470 700 L155 700 L130 381 A220 220 0 1 0 75 140"),
    "6": (580, "M430 700 Q75 560 75 215 A215 215 0 1 0 505 215 A215 215 0 1 0 75 215"),
    "7": (580, "M80 700 L500 700 L220 0"),
    "8": (
        580,
        (
            "M290 364 A168 168 0 1 0 290 700 A168 168 0 1 0 290 364 Z "
            "M290 0 A182 182 0 1 0 290 364 A182 182 0 1 0 290 0 Z"
        ),
    ),
    "9": (580, "M150 0 Q505 140 505 485 A215 215 0 1 0 75 485 A215 215 0 1 0 505 485"),
    ".": (180, f"{dot(90, 0)}"),
    ",": (180, "M100 0 L60 -120"),
    ":": (180, f"{dot(90, 400)} {dot(90, 0)}"),
    ";": (180, f"{dot(90, 400)} M100 0 L60 -120"),
    "!": (180, f"M90 700 L90 230 {dot(90, 0)}"),
    "?": (480, f"M95 580 A160 160 0 1 0 250 380 L250 230 {dot(250, 0)}"),
    "'": (180, "M90 720 L90 570"),
    "\N{RIGHT SINGLE QUOTATION MARK}": (180, "M110 720 L70 570"),
    "-": (380, "M80 250 L300 250"),
    "\N{EN DASH}": (560, "M60 250 L500 250"),
    "/": (440, "M60 -80 L380 760"),
    "(": (320, "M240 780 A560 560 0 0 1 240 -120"),
    ")": (320, "M80 780 A560 560 0 0 0 80 -120"),
    "%": (
        760,
        (
            "M90 550 A120 140 0 1 1 330 550 A120 140 0 1 1 90 550 Z M600 700 L160 0 "
            "M430 150 A120 140 0 1 1 670 150 A120 140 0 1 1 430 150 Z"
        ),
    ),
    "+": (560, "M80 260 L480 260 M280 460 L280 60"),
    "=": (560, "M80 360 L480 360 M80 160 L480 160"),
    "\N{MULTIPLICATION SIGN}": (500, "M100 410 L400 110 M400 410 L100 110"),
    "\N{RIGHTWARDS ARROW}": (660, "M80 260 L570 260 M390 440 L570 260 L390 80"),
    "\N{CHECK MARK}": (640, "M80 280 L230 100 L560 540"),
    # Pictograms live in the private use area, where no screen reader speaks them.
    "\ue000": (
        1000,
        (
            "M250 300 A150 150 0 1 0 330 560 A190 190 0 1 0 670 560 "
            "A150 150 0 1 0 750 300 L750 0 L250 0 Z M250 140 L750 140"
        ),
    ),  # hat
    "\ue001": (
        1000,
        (
            "M290 300 L290 560 M430 300 L430 690 M570 300 L570 690 M710 300 L710 600 "
            "M290 560 L290 240 A210 250 0 0 1 710 240 L710 300 M290 190 L140 360"
        ),
    ),  # hand
    "\ue002": (
        1000,
        (
            "M180 140 A320 320 0 0 0 820 140 Z M100 0 L900 0 M500 470 L500 590 "
            "M420 600 L580 600 M180 620 L120 700 M820 620 L880 700"
        ),
    ),  # bell
    "\ue003": (
        1000,
        (
            "M280 330 A220 220 0 1 0 720 330 A220 220 0 1 0 280 330 Z "
            "M60 640 L60 500 A70 70 0 0 1 200 500 L200 640 M130 640 L130 0 "
            "M900 0 L900 640 Q800 560 815 330 L900 330"
        ),
    ),  # plate
    "\ue004": (
        1000,
        (
            "M160 330 A340 340 0 1 0 840 330 A340 340 0 1 0 160 330 Z "
            f"{dot(390, 400)} {dot(610, 400)} M380 200 A170 120 0 0 1 620 200"
        ),
    ),  # socket
}

PICTOGRAM_NAMES = {
    "\ue000": "hat", "\ue001": "hand", "\ue002": "bell", "\ue003": "plate", "\ue004": "socket",
}  # fmt: skip

KERNING = """
languagesystem DFLT dflt;
languagesystem latn dflt;
@round = [a c d e g o q s];
@slant = [v w y];
feature kern {
    pos T @round -120; pos T [u r n m p] -90; pos [V W Y] @round -80; pos L [T V Y] -90;
    pos P [A comma period] -90; pos F [A a o comma period] -60; pos A [T V W Y v y] -70;
    pos r @round -25; pos @slant [comma period] -70; pos r [comma period] -70;
    pos f @round -25; pos @slant @round -20; pos @round @slant -20;
} kern;
"""


def format_glyph_name(character: str) -> str:
    """Return a name that the feature file can use."""
    named = {
        " ": "space", ".": "period", ",": "comma", "0": "zero", "1": "one", "2": "two",
        "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine",
        **PICTOGRAM_NAMES,
    }  # fmt: skip
    if character in named:
        return named[character]
    return character if character.isascii() and character.isalpha() else f"uni{ord(character):04X}"


def draw_glyph(centre_line: str) -> object:
    """Return a TrueType glyph: the centre line, stroked with round ends and joins."""
    outline = pathops.Path()
    if centre_line:
        parse_path(centre_line, outline.getPen(allow_open_paths=True))
        outline.stroke(STROKE_UNITS, pathops.LineCap.ROUND_CAP, pathops.LineJoin.ROUND_JOIN, 4)
        outline.convertConicsToQuads()
        outline.simplify(fix_winding=True, clockwise=True)
    pen = TTGlyphPen(None)
    outline.draw(TransformPen(pen, (1, 0, 0, 1, 0, 0)))
    return pen.glyph()


def draw_missing_glyph() -> object:
    """Return the glyph for characters that the font does not have: an empty plate."""
    rim = "M70 300 A220 220 0 1 1 510 300 A220 220 0 1 1 70 300 Z"
    return draw_glyph(rim + dot(290, 300))


def make_font_octets(flavor: str | None) -> bytes:
    """Return the font as TrueType (`flavor` None) or as "woff2"."""
    characters = sorted(LETTERS)
    names = [".notdef", *(format_glyph_name(character) for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): format_glyph_name(c) for c in characters})
    glyphs = {format_glyph_name(c): draw_glyph(LETTERS[c][1]) for c in characters}
    glyphs[".notdef"] = draw_missing_glyph()
    builder.setupGlyf(glyphs)
    advances = {format_glyph_name(c): LETTERS[c][0] for c in characters} | {".notdef": 580}
    bearings = builder.font["glyf"]
    builder.setupHorizontalMetrics(
        {name: (advance, getattr(bearings[name], "xMin", 0)) for name, advance in advances.items()}
    )
    builder.setupHorizontalHeader(ascent=860, descent=-260)
    builder.setupOS2(
        sTypoAscender=860, sTypoDescender=-260, sTypoLineGap=0, usWinAscent=900, usWinDescent=280,
        sxHeight=480, sCapHeight=700, fsType=0,
    )  # fmt: skip
    builder.setupNameTable(
        {
            "familyName": FONT_NAME,
            "styleName": "Regular",
            "uniqueFontIdentifier": "Raised Hand 1.0",
            "fullName": FONT_NAME,
            "psName": "RaisedHand-Regular",
            "version": "Version 1.000",
            "copyright": "Copyright (c) 2026 The founders of epollo",
            "licenseDescription": "MIT License",
        }
    )
    builder.setupPost()
    # A fixed date keeps the octets the same on every run (seconds since 1904-01-01).
    builder.updateHead(created=3_850_000_000, modified=3_850_000_000)
    addOpenTypeFeaturesFromString(builder.font, KERNING)
    builder.font.recalcTimestamp = False
    builder.font.flavor = flavor
    output = io.BytesIO()
    builder.save(output)
    return output.getvalue()


def make_font() -> None:
    write_file("fonts/raised-hand.woff2", make_font_octets("woff2"))


# --- raster pictures ----------------------------------------------------------------------------

Box = tuple[float, float, float, float]


def circle(x: float, y: float, radius: float) -> Box:
    """Return the box of a circle, as Pillow wants it."""
    return (x - radius, y - radius, x + radius, y + radius)


def mix(first: str, second: str, share: float) -> tuple[int, int, int]:
    """Return the colour that is `share` (0..1) of the way from `first` to `second`."""
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    red, green, blue = (round(a + (b - a) * share) for a, b in pairs)
    return red, green, blue


def draw_plates(width: int, height: int) -> Image.Image:
    """Return the picture of fifty plates on a dark table, one of them served."""
    scale = 2
    image = Image.new("RGB", (width * scale, height * scale), NIGHT)
    light = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - value)
    image.paste(Image.new("RGB", image.size, "#6a4632"), mask=light.point(lambda v: v * 7 // 10))
    step_x, step_y = image.width / 10.6, image.height / 5.6
    radius = min(step_x, step_y) * 0.4
    served = (6, 1)
    places = [
        (column, row, step_x * (column + 0.8), step_y * (row + 0.8))
        for row in range(5)
        for column in range(10)
    ]

    served_x, served_y = step_x * (served[0] + 0.8), step_y * (served[1] + 0.8)
    glow = Image.new("L", image.size)
    ImageDraw.Draw(glow).ellipse(circle(served_x, served_y, radius * 1.45), fill=120)
    image.paste(Image.new("RGB", image.size, SAFFRON),
                mask=glow.filter(ImageFilter.GaussianBlur(radius * 0.55)))  # fmt: skip
    shadows = Image.new("L", image.size)
    shadow = ImageDraw.Draw(shadows)
    for _, _, x, y in places:
        shadow.ellipse(circle(x + radius * 0.12, y + radius * 0.2, radius), fill=150)
    image.paste(Image.new("RGB", image.size, "#100a08"),
                mask=shadows.filter(ImageFilter.GaussianBlur(radius * 0.16)))  # fmt: skip

    draw = ImageDraw.Draw(image)
    for column, row, x, y in places:
        distance = math.hypot(x / image.width - 0.5, y / image.height - 0.5)
        shade = 0.0 if (column, row) == served else min(1.0, distance * 1.15)
        china = mix("#fbf1df", "#a5856a", shade)
        rim = mix("#dcc6a5", "#7d604b", shade)
        draw.ellipse(circle(x, y, radius), fill=china)
        draw.ellipse(circle(x, y, radius * 0.68), fill=rim)
        draw.ellipse(circle(x, y - radius * 0.02, radius * 0.64), fill=china)
        if (column, row) == served:
            draw.ellipse(circle(x, y, radius * 0.6), fill=TOMATO)
            draw.ellipse(circle(x, y - radius * 0.03, radius * 0.52), fill="#d1552f")
            draw.arc(circle(x, y, radius * 0.3), 200, 430, fill="#f7d9a6", width=round(radius / 11))
            draw.ellipse(circle(x - radius * 0.2, y + radius * 0.16, radius * 0.09), fill=SAGE)
            draw.ellipse(circle(x + radius * 0.22, y + radius * 0.2, radius * 0.07), fill=SAGE)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def draw_icon(size: int, *, is_maskable: bool = False) -> Image.Image:
    """Return the chef's hat on a tomato tile; a maskable one fills its square."""
    scale = 4
    side = size * scale
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    if is_maskable:
        draw.rectangle((0, 0, side, side), fill=TOMATO)
    else:
        draw.rounded_rectangle((0, 0, side - 1, side - 1), radius=side * 0.22, fill=TOMATO)
    unit = side / 64
    for x, y, radius in ((20.5, 27.5, 9.5), (32, 22.5, 11.5), (43.5, 27.5, 9.5)):
        draw.ellipse(circle(x * unit, y * unit, radius * unit), fill=CREAM)
    draw.rectangle((19 * unit, 28 * unit, 45 * unit, 41 * unit), fill=CREAM)
    draw.rounded_rectangle(
        (19 * unit, 43.5 * unit, 45 * unit, 50 * unit), radius=2 * unit, fill=SAFFRON
    )
    return image.resize((size, size), Image.Resampling.LANCZOS)


def format_image(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return `image` encoded as `kind`, a name that Pillow knows."""
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def make_pictures() -> None:
    plates = draw_plates(1200, 630)
    write_file("pictures/fifty-plates.png", format_image(plates, "PNG", optimize=True))
    write_file("pictures/fifty-plates.webp", format_image(plates, "WEBP", quality=82, method=6))
    write_file("pictures/fifty-plates.avif", format_image(plates, "AVIF", quality=62, speed=3))
    write_file("icons/icon-192.png", format_image(draw_icon(192), "PNG", optimize=True))
    write_file("icons/icon-512.png", format_image(draw_icon(512), "PNG", optimize=True))
    touch = draw_icon(180, is_maskable=True).convert("RGB")
    write_file("icons/apple-touch-icon.png", format_image(touch, "PNG", optimize=True))
    sizes = [(16, 16), (32, 32), (48, 48)]
    write_file("favicon.ico", format_image(draw_icon(256), "ICO", sizes=sizes))


# --- the video ----------------------------------------------------------------------------------

VIDEO_WIDTH, VIDEO_HEIGHT, FRAMES_PER_SECOND = 640, 360, 20
ROUND_SECONDS, SLEEP_SECONDS, SERVE_SECONDS, REST_SECONDS = 5.0, 1.6, 1.2, 1.2
ACT_TWO_SECONDS = SLEEP_SECONDS + SERVE_SECONDS + REST_SECONDS
HUNGRY_GUEST = 36
GUESTS = 50
ROOM_CENTRE = (320.0, 204.0)
ROOM_RADII = (276.0, 126.0)


def measure_seats() -> list[float]:
    """Return the angle of each guest, so that neighbours sit equally far apart on the ellipse."""
    steps = 7200
    angles = [2 * math.pi * step / steps - math.pi / 2 for step in range(steps + 1)]
    walked = [0.0]
    for first, second in pairwise(angles):
        across = ROOM_RADII[0] * (math.cos(second) - math.cos(first))
        down = ROOM_RADII[1] * (math.sin(second) - math.sin(first))
        walked.append(walked[-1] + math.hypot(across, down))
    return [angles[bisect_left(walked, walked[-1] * guest / GUESTS)] for guest in range(GUESTS)]


SEAT_ANGLES = measure_seats()


def locate_guest(number: int, reach: float = 1.0) -> tuple[float, float]:
    """Return where guest `number` sits; a `reach` below 1 is nearer to the middle of the room."""
    angle = SEAT_ANGLES[number]
    x, y = ROOM_CENTRE
    return (
        x + ROOM_RADII[0] * reach * math.cos(angle),
        y + ROOM_RADII[1] * reach * math.sin(angle),
    )


class Stage:
    """One frame of the video, drawn at twice its size and shrunk."""

    def __init__(self, font_octets: bytes, title: str) -> None:
        self.scale = 2
        self.font_octets = font_octets
        self.image = Image.new("RGB", (VIDEO_WIDTH * 2, VIDEO_HEIGHT * 2), NIGHT)
        self.draw = ImageDraw.Draw(self.image)
        x, y = ROOM_CENTRE
        self.ellipse(x, y, 304, 150, DUSK)
        self.ellipse(x, y, 232, 96, "#4a372d")
        self.text(22, title, 22, CREAM, y=12, anchor="la")

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, fill: str) -> None:
        """Fill an ellipse around its centre."""
        box = [
            value * self.scale for value in (x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        ]
        self.draw.ellipse(box, fill=fill)

    def line(self, points: list[tuple[float, float]], fill: str, width: float) -> None:
        """Draw a line through `points`."""
        scaled = [(x * self.scale, y * self.scale) for x, y in points]
        self.draw.line(scaled, fill=fill, width=round(width * self.scale), joint="curve")

    def text(self, x: float, words: str, size: float, fill: str, *, y: float, anchor: str) -> None:
        """Write `words` in the site's own font."""
        font = ImageFont.truetype(io.BytesIO(self.font_octets), size * self.scale)
        self.draw.text((x * self.scale, y * self.scale), words, fill=fill, font=font, anchor=anchor)

    def guest(self, number: int, *, is_hungry: bool, is_served: bool) -> None:
        """Draw guest `number` with a plate, and a hand up when hungry."""
        x, y = locate_guest(number)
        colour = TOMATO if is_hungry else ("#8a9f78", "#b98d5e", "#96806f")[number % 3]
        if is_hungry:
            self.line([(x + 6, y), (x + 11, y - 20)], colour, 5)
            self.ellipse(x + 11, y - 23, 4.5, 4.5, "#f0cfae")
        self.ellipse(x, y + 4, 10, 9, colour)
        self.ellipse(x, y - 7, 6.5, 6.5, "#f0cfae")
        plate_x, plate_y = locate_guest(number, 0.86)
        self.ellipse(plate_x, plate_y, 5.5, 3.5, "#e9dcc6" if not is_served else SAFFRON)

    def chef(self, x: float, y: float, *, is_asleep: bool, says: str = "") -> None:
        """Draw the chef standing at a point."""
        self.ellipse(x, y + 20, 14, 5, "#33251f")
        self.ellipse(x, y + 8, 11, 14, CREAM)
        self.ellipse(x, y - 9, 8, 8, "#f0cfae")
        for shift, lift, radius in ((-6, 19, 5.5), (0, 22, 6.5), (6, 19, 5.5)):
            self.ellipse(x + shift, y - lift, radius, radius, CREAM)
        self.line([(x - 7, y - 14), (x + 7, y - 14)], SAFFRON, 3.5)
        if is_asleep:
            for step, size in enumerate((10, 13, 16)):
                self.text(x + 14 + step * 9, "z", size, SAFFRON, y=y - 24 - step * 11, anchor="la")
        elif says:
            self.text(x + 12, says, 22, SAFFRON, y=y - 40, anchor="la")

    def finish(self) -> Image.Image:
        """Return the frame at its final size."""
        return self.image.resize((VIDEO_WIDTH, VIDEO_HEIGHT), Image.Resampling.LANCZOS)


def draw_asking(font_octets: bytes, second: float) -> Image.Image:
    """Return act one at `second`: one round of the room, every guest asked."""
    stage = Stage(font_octets, "asking in turn")
    asked = min(GUESTS, int(second / ROUND_SECONDS * GUESTS) + 1)
    current = asked - 1
    is_served = current > HUNGRY_GUEST
    for number in sorted(range(GUESTS), key=lambda guest: locate_guest(guest)[1]):
        is_hungry = number == HUNGRY_GUEST and second > 0.5 and not is_served
        stage.guest(number, is_hungry=is_hungry, is_served=number == HUNGRY_GUEST and is_served)
    x, y = locate_guest(current, 0.7)
    stage.chef(x, y - 6, is_asleep=False, says="!" if current == HUNGRY_GUEST else "?")
    stage.text(618, f"questions {asked}", 22, SAFFRON, y=12, anchor="ra")
    stage.text(618, f"meals {int(is_served)}", 18, CREAM, y=40, anchor="ra")
    return stage.finish()


def draw_waiting(font_octets: bytes, second: float) -> Image.Image:
    """Return act two at `second`: the chef sleeps until a hand goes up."""
    stage = Stage(font_octets, "waiting for a hand")
    walked = min(1.0, max(0.0, (second - SLEEP_SECONDS) / (SERVE_SECONDS / 2)))
    is_hungry = second > SLEEP_SECONDS - 0.2 and walked < 1
    for number in sorted(range(GUESTS), key=lambda guest: locate_guest(guest)[1]):
        is_the_one = number == HUNGRY_GUEST
        stage.guest(
            number, is_hungry=is_the_one and is_hungry, is_served=is_the_one and walked >= 1
        )
    back = min(1.0, max(0.0, (second - SLEEP_SECONDS - SERVE_SECONDS / 2) / (SERVE_SECONDS / 2)))
    share = walked - back
    target_x, target_y = locate_guest(HUNGRY_GUEST, 0.7)
    x = ROOM_CENTRE[0] + (target_x - ROOM_CENTRE[0]) * share
    y = ROOM_CENTRE[1] + (target_y - 6 - ROOM_CENTRE[1]) * share
    stage.chef(x, y, is_asleep=share <= 0, says="!" if share < 1 else "")
    stage.text(618, "questions 0", 22, SAFFRON, y=12, anchor="ra")
    stage.text(618, f"meals {int(walked >= 1)}", 18, CREAM, y=40, anchor="ra")
    return stage.finish()


def draw_frames(font_octets: bytes) -> Iterator[Image.Image]:
    for number in range(round((ROUND_SECONDS + 0.6) * FRAMES_PER_SECOND)):
        yield draw_asking(font_octets, number / FRAMES_PER_SECOND)
    for number in range(round(ACT_TWO_SECONDS * FRAMES_PER_SECOND)):
        yield draw_waiting(font_octets, number / FRAMES_PER_SECOND)


CAPTIONS = """WEBVTT

00:00.000 --> 00:03.600
The chef walks from guest to guest and asks each one: hungry?

00:03.600 --> 00:05.600
Thirty-six times no. One yes. And thirteen more times no.

00:05.600 --> 00:07.200
Now the chef sleeps. Nobody is asked anything.

00:07.200 --> 00:09.600
A hand goes up. One walk, one meal, and back to rest.
"""


def make_video() -> None:
    font_octets = make_font_octets(None)
    target = SITE / "media" / "evening.webm"
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{VIDEO_WIDTH}x{VIDEO_HEIGHT}",
        "-r", str(FRAMES_PER_SECOND), "-i", "-",
        "-c:v", "libvpx-vp9", "-crf", "34", "-b:v", "0", "-pix_fmt", "yuv420p", "-g", "60",
        "-threads", "1", "-row-mt", "0", "-deadline", "good", "-cpu-used", "2",
        "-fflags", "+bitexact", "-flags:v", "+bitexact", str(target),
    ]  # fmt: skip
    frames = list(draw_frames(font_octets))
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)
    print(f"{target.stat().st_size:>8} media/evening.webm")
    write_file("media/evening.vtt", CAPTIONS.encode())
    write_file("media/evening.webp", format_image(frames[70], "WEBP", quality=80, method=6))


# --- the WebAssembly module ---------------------------------------------------------------------


def format_section(number: int, content: bytes) -> bytes:
    """Return a section of a WebAssembly module (WebAssembly core specification, 5.5.2).

    Every length here is below 128, so its LEB128 form is one octet.
    """
    return bytes([number, len(content)]) + content


def make_module() -> None:
    """Write a module with one function, vain(guests, hungry): questions asked for nothing."""
    i32, local_get, i32_sub, end = 0x7F, 0x20, 0x6B, 0x0B
    name = b"vain"
    body = bytes([0, local_get, 0, local_get, 1, i32_sub, end])
    module = (
        b"\0asm\x01\0\0\0"
        + format_section(1, bytes([1, 0x60, 2, i32, i32, 1, i32]))
        + format_section(3, bytes([1, 0]))
        + format_section(7, bytes([1, len(name)]) + name + bytes([0, 0]))
        + format_section(10, bytes([1, len(body)]) + body)
    )
    write_file("modules/questions.wasm", module)


# --- the downloads ------------------------------------------------------------------------------


def make_downloads() -> None:
    """Write one evening as a table, and the diagrams as an archive."""
    chance = random.Random(50)
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(
        ["guest", "hungry_at_seconds", "served_asking_seconds", "served_waiting_seconds"]
    )
    question_seconds, meal_seconds = 2.0, 20.0
    hungry_at = {guest: round(chance.uniform(0, 3600), 1) for guest in range(1, GUESTS + 1)}

    waiting: dict[int, float] = {}
    clock = 0.0
    for guest in sorted(hungry_at, key=lambda guest: hungry_at[guest]):
        clock = max(clock, hungry_at[guest]) + meal_seconds
        waiting[guest] = clock

    asking: dict[int, float] = {}
    clock = 0.0
    for guest in cycle(range(1, GUESTS + 1)):
        clock += question_seconds
        if guest not in asking and hungry_at[guest] <= clock:
            clock += meal_seconds
            asking[guest] = clock
        if len(asking) == GUESTS:
            break

    for guest, at in hungry_at.items():
        writer.writerow([guest, at, round(asking[guest], 1), round(waiting[guest], 1)])
    write_file("downloads/evening.csv", output.getvalue().encode())

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pictures:
        for path in sorted((SITE / "pictures").glob("*.svg")):
            entry = zipfile.ZipInfo(path.name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            pictures.writestr(entry, path.read_bytes())
    write_file("downloads/pictures.zip", archive.getvalue())


def write_file(name: str, content: bytes) -> None:
    target = SITE / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    print(f"{len(content):>8} {name}")


PARTS: dict[str, Callable[[], None]] = {
    "font": make_font,
    "pictures": make_pictures,
    "video": make_video,
    "module": make_module,
    "downloads": make_downloads,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the example site's font, pictures, video …")
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for part in arguments.parts or PARTS:
        PARTS[part]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
