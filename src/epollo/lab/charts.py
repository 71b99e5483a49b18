"""Charts as SVG: pure functions from numbers to text.

Colours come from the page (CSS variables, with a fallback for a picture on its own), so one drawing
serves light and dark. A line has a marker and a name beside it, not only a colour. Every chart has a
title and a description, for readers that do not see it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from epollo.annotations import Final, TypeAlias

Scale: TypeAlias = Callable[[float], float]

WIDTH: Final = 640


@dataclass(frozen=True)
class Frame:
    """The measures of a chart with axes, in pixels of the drawing; ``style`` sizes its letters."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    label_width: int
    line_height: int
    style: str = ""


WIDE: Final = Frame(WIDTH, 380, 112, 92, 52, 68, 17)
NARROW: Final = Frame(480, 420, 112, 84, 68, 84, 23, "large")
"""For a small screen, on which the drawing is shrunk."""
_TOP: Final = 16

STYLE: Final = """
svg { --ink:#2b211b; --soft:#67564a; --rule:#e0d1b8; --card:#fffaf0; --hot:#b23a1e; --box:#f6ebd6;
  --busy:#b23a1e; --select:#96690f; --poll:#6d4c9f; --epoll:#3f6a35; }
@media (prefers-color-scheme: dark) {
  svg { --ink:#f3e7d6; --soft:#c3b19d; --rule:#47382e; --card:#28201b; --hot:#ff9474; --box:#382c25;
    --busy:#ff9474; --select:#f0bb55; --poll:#c3a6f2; --epoll:#a9c998; } }
"""
"""The colours, for a picture that stands alone."""

DRAWING_STYLE: Final = """
svg text { font: 14px system-ui, -apple-system, "Segoe UI", "Noto Sans CJK SC", sans-serif;
  fill: var(--ink); }
svg .large text { font-size: 20px; }
svg .soft { fill: var(--soft); }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .bold { font-weight: 700; }
svg .rule { stroke: var(--rule); stroke-width: 1; fill: none; }
svg .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
svg .dashed { stroke-dasharray: 5 4; stroke-width: 1.6; }
svg .card { fill: var(--card); }
svg .box { fill: var(--box); stroke: var(--rule); }
svg .dot { fill: var(--soft); opacity: .45; }
svg .hot { fill: var(--hot); }
svg .arrow { fill: none; stroke: var(--soft); stroke-width: 2.5; stroke-linecap: round;
  stroke-linejoin: round; }
svg .loud { stroke: var(--hot); }
"""
"""What the classes look like, for every drawing."""


@dataclass(frozen=True)
class Line:
    """One line of a chart: points of x, y, least y and most y; ``name`` is a poller's."""

    name: str
    points: Sequence[tuple[float, float, float, float]]
    is_dashed: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar: ``name`` is the poller whose colour it has, ``shown`` its figure in words."""

    name: str
    label: str
    value: float
    shown: str


@dataclass(frozen=True)
class Caption:
    """What a chart is called, what it says, and a word for each axis; ``number`` makes ids unique."""

    number: str
    title: str
    description: str
    across: str = ""
    upward: str = ""


def wrap_svg(caption: Caption, width: float, height: float, body: str) -> str:
    """Return a drawing with its name and its description."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="t-{caption.number} d-{caption.number}">'
        f'<title id="t-{caption.number}">{escape(caption.title)}</title>'
        f'<desc id="d-{caption.number}">{escape(caption.description)}</desc>{body}</svg>'
    )


def make_standalone(svg: str) -> str:
    """Return a drawing as a file of its own, with the style that a page would give it."""
    head, end, body = svg.partition("</desc>")
    width, height = head.partition('viewBox="0 0 ')[2].partition('"')[0].split()
    ground = f'<rect class="card" width="{width}" height="{height}"/>'
    return f"{head}{end}<style>{STYLE}{DRAWING_STYLE}</style>{ground}{body}\n"


def draw_lines(caption: Caption, lines: Sequence[Line], frame: Frame = WIDE) -> str:
    """Return a chart on logarithmic axes; x may be 0, y may not."""
    points = [point for line in lines for point in line.points]
    if not points:
        return wrap_svg(caption, frame.width, 60, "")
    most_x = max(x for x, *_ in points) or 1
    low = math.floor(math.log10(min(least for _, _, least, _ in points)))
    high = math.ceil(math.log10(max(most for *_, most in points)))
    high = max(high, low + 1)

    def across(x: float) -> float:
        # log10(1 + x), so that 0 has a place.
        share = math.log10(1 + x) / math.log10(1 + most_x)
        return frame.left + share * (frame.width - frame.left - frame.right)

    def upward(y: float) -> float:
        share = (math.log10(y) - low) / (high - low)
        return frame.height - frame.bottom - share * (frame.height - _TOP - frame.bottom)

    parts = []
    for exponent in range(low, high + 1):
        y = upward(10.0**exponent)
        parts.append(f'<path class="rule" d="M{frame.left} {y:.1f}H{frame.width - frame.right}"/>')
        parts.append(
            f'<text class="soft end" x="{frame.left - 8}" y="{y + 5:.1f}">'
            f"{format_number(10.0**exponent)}</text>"
        )
    parts += [
        f'<path class="rule" d="M{across(x):.1f} {frame.height - frame.bottom}v5"/>'
        f'<text class="soft middle" x="{across(x):.1f}" '
        f'y="{frame.height - frame.bottom + frame.line_height + 4}">'
        f"{format_number(x)}</text>"
        for x in _thin_out(sorted({x for x, *_ in points}), across, frame.label_width)
    ]
    middle = (frame.left + frame.width - frame.right) / 2
    parts.append(
        f'<text class="soft middle" x="{middle:.0f}" y="{frame.height - 8}">'
        f"{escape(caption.across)}</text>"
        f'<text class="soft middle" '
        f'transform="translate({frame.line_height - 2} {frame.height / 2 - 12:.0f}) rotate(-90)">'
        f"{escape(caption.upward)}</text>"
    )
    ends: list[tuple[float, float, str]] = []
    for line in lines:
        if line.points:
            parts.append(_draw_line(line, across, upward))
            x, y, *_ = line.points[-1]
            if not line.is_dashed:
                ends.append((upward(y), across(x), line.name))
    for y, x, name in _spread(ends, frame.line_height):
        parts.append(
            f'<text class="bold" style="fill:var(--{name})" x="{x + 10:.1f}" y="{y + 5:.1f}">'
            f"{escape(name)}</text>"
        )
    body = "".join(parts)
    if frame.style:
        body = f'<g class="{frame.style}">{body}</g>'
    return wrap_svg(caption, frame.width, frame.height, body)


def draw_bars(caption: Caption, bars: Sequence[Bar], *, is_logarithmic: bool = False) -> str:
    """Return horizontal bars from left to right, each with its figure beside it.

    On a logarithmic axis the shortest bar stands for 0.01 or less.
    """
    left, room = 210, WIDTH - 210 - 90
    most = max((bar.value for bar in bars), default=0) or 1

    def length(value: float) -> float:
        if not is_logarithmic:
            return room * value / most
        share = (math.log10(max(value, 0.01)) + 2) / (math.log10(max(most, 0.1)) + 2)
        return room * share

    parts = []
    y = 8.0
    previous = ""
    for bar in bars:
        if bar.name != previous:
            parts.append(
                f'<text class="bold" style="fill:var(--{bar.name})" x="4" y="{y + 16:.0f}">'
                f"{escape(bar.name)}</text>"
            )
            # The name has a line of its own where its bars have names of theirs.
            y += 24 if bar.label else 0
        previous = bar.name
        parts.append(
            f'<text class="soft end" x="{left - 8}" y="{y + 16:.0f}">{escape(bar.label)}</text>'
            f'<rect style="fill:var(--{bar.name})" x="{left}" y="{y + 3:.0f}" rx="2" height="16" '
            f'width="{max(1.0, length(bar.value)):.1f}"/>'
            f'<text x="{left + length(bar.value) + 8:.1f}" y="{y + 16:.0f}">'
            f"{escape(bar.shown)}</text>"
        )
        y += 24
    if is_logarithmic:
        exponents = range(-2, math.floor(math.log10(max(most, 0.1))) + 1)
        parts = [_draw_scale(left, y, {e: length(10.0**e) for e in exponents}), *parts]
        y += 22
    return wrap_svg(caption, WIDTH, y + 8, "".join(parts))


def _draw_scale(left: float, bottom: float, lengths: Mapping[int, float]) -> str:
    """Return the lines of a logarithmic axis, each with its power of ten below it."""
    return "".join(
        f'<path class="rule" d="M{left + length:.1f} 4V{bottom:.0f}"/>'
        f'<text class="soft middle" x="{left + length:.1f}" y="{bottom + 18:.0f}">'
        f"{format_number(10.0**exponent)}</text>"
        for exponent, length in lengths.items()
    )


def draw_copied(caption: Caption, poller: str, words: dict[str, str]) -> str:
    """Return the picture of what passes between process and kernel: fifty connections, one ready.

    ``words`` are for process, kernel, into, back and often.
    """
    keeps_list = {"busy": "process", "select": "process", "poll": "process", "epoll": "kernel"}
    visits_all = poller in {"select", "poll"}
    parts = [
        '<rect class="box" x="4" y="4" width="150" height="212" rx="12"/>',
        '<rect class="box" x="326" y="4" width="150" height="212" rx="12"/>',
        f'<text class="bold middle" x="79" y="30">{escape(words["process"])}</text>',
        f'<text class="bold middle" x="401" y="30">{escape(words["kernel"])}</text>',
        f'<text class="middle" x="240" y="72">{escape(words["into"])}</text>',
        f'<text class="middle" x="240" y="134">{escape(words["back"])}</text>',
        f'<text class="soft middle" x="240" y="242">{escape(words["often"])}</text>',
    ]
    if poller == "epoll":
        parts.append('<path class="arrow" stroke-dasharray="2 7" d="M166 84H312"/>')
    else:
        parts.append('<path class="arrow" d="M166 84H312M303 77l9 7-9 7"/>')
    parts.append('<path class="arrow loud" d="M314 146H168M177 139l-9 7 9 7"/>')
    if poller == "busy":
        parts.append('<path class="arrow" d="M30 196C-2 150 -2 90 30 60M20 72l11-13 4 16"/>')
    for side, x in (("process", 30), ("kernel", 352)):
        is_full = side == "kernel" or keeps_list[poller] == side
        parts.append(_draw_guests(x, 50, is_full=is_full, is_visited=visits_all))
    return wrap_svg(caption, 480, 254, "".join(parts))


def format_number(number: float) -> str:
    """Return a number as an axis or a table shows it: three digits that count."""
    if number == 0:
        return "0"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    if abs(number) >= 10:
        return f"{number:.1f}".removesuffix(".0")
    shown = f"{number:.2f}" if abs(number) >= 0.1 else f"{number:.2g}"
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def _thin_out(values: Sequence[float], across: Scale, room: float) -> list[float]:
    """Return the values whose labels do not touch, the last one among them."""
    kept: list[float] = []
    for value in reversed(values):
        if not kept or across(kept[-1]) - across(value) >= room:
            kept.append(value)
    return kept


def _draw_line(line: Line, across: Scale, upward: Scale) -> str:
    colour = f"var(--{line.name})"
    path = "L".join(f"{across(x):.1f} {upward(y):.1f}" for x, y, _, _ in line.points)
    if line.is_dashed:
        return f'<path class="line dashed" style="stroke:{colour}" d="M{path}"/>'
    upper = [f"{across(x):.1f} {upward(most):.1f}" for x, _, _, most in line.points]
    lower = [f"{across(x):.1f} {upward(least):.1f}" for x, _, least, _ in line.points]
    band = "L".join(upper + lower[::-1])
    markers = "".join(
        _draw_marker(line.name, across(x), upward(y), colour) for x, y, _, _ in line.points
    )
    return (
        f'<path style="fill:{colour};opacity:.16" d="M{band}Z"/>'
        f'<path class="line" style="stroke:{colour}" d="M{path}"/>{markers}'
    )


_MARKERS: Final = {
    "busy": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
    "select": "M-4.5 -4.5h9v9h-9Z",
    "poll": "M0 -6L5.5 4.5h-11Z",
    "epoll": "M0 -6L6 0L0 6L-6 0Z",
}


def _draw_marker(name: str, x: float, y: float, colour: str) -> str:
    shape = _MARKERS.get(name, _MARKERS["busy"])
    return f'<path style="fill:{colour}" transform="translate({x:.1f} {y:.1f})" d="{shape}"/>'


def _draw_guests(x: float, y: float, *, is_full: bool, is_visited: bool) -> str:
    """Return fifty connections, or the ready one alone; visited ones have a ring."""
    parts = []
    for number in range(50):
        is_ready = number == 32
        if not is_full and not is_ready:
            continue
        row, column = divmod(number, 5)
        place = f'cx="{x + 12 + column * 18}" cy="{y + row * 16}"'
        parts.append(f'<circle class="{"hot" if is_ready else "dot"}" {place} r="4.5"/>')
        if is_visited:
            parts.append(f'<circle class="rule" style="stroke:var(--hot)" {place} r="7"/>')
    return "".join(parts)


def _spread(ends: list[tuple[float, float, str]], room: float) -> list[tuple[float, float, str]]:
    """Return labels at the ends of lines, moved apart so that each can be read."""
    placed: list[tuple[float, float, str]] = []
    for y, x, name in sorted(ends):
        lowest = max((other + room for other, _, _ in placed if other + room > y), default=y)
        placed.append((lowest, x, name))
    return placed
