"""The picture of the wide benchmark: what a request costs against the number of URLs, a line a server."""

import math
from typing import Final
from xml.sax.saxutils import escape

from chart import STYLE, draw_text
from results import format_figure
from wide_results import Wide, figure_of

WIDTH: Final = 860
HEIGHT: Final = 400
LEFT: Final = 70
RIGHT: Final = 190
TOP: Final = 84
BOTTOM: Final = 62
LABEL_GAP: Final = 17
"""The least distance between two names at the ends of lines."""

LINES: Final = """\
.line { fill: none; stroke: #8a96a6; stroke-width: 2.5; }
.line.own { stroke: #d9622b; stroke-width: 3.5; }
.dot { fill: #8a96a6; }
.dot.own { fill: #d9622b; }
.grid { stroke: #e3e8ee; }
@media (prefers-color-scheme: dark) {
.line { stroke: #7d8998; }
.line.own { stroke: #f08a4b; }
.dot { fill: #7d8998; }
.dot.own { fill: #f08a4b; }
.grid { stroke: #2a323d; }
}"""
Curve = list[tuple[int, float]]


def collect_curves(wide: Wide) -> dict[str, tuple[str, Curve]]:
    """Return each server's title and its points, number of URLs and cost, of the uniform rows."""
    curves: dict[str, tuple[str, Curve]] = {}
    for name, row in wide["rows"].items():
        if name.startswith("uniform-"):
            for server, result in row["entrants"].items():
                if figure := figure_of(row, server):
                    _, points = curves.setdefault(server, (result["title"], []))
                    points.append((row["files"], figure.median))
    return {server: (title, sorted(points)) for server, (title, points) in curves.items()}


def round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, ... that is not below a value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def spread_labels(wanted: list[float]) -> list[float]:
    """Return places for names, in the same order: no two closer than the gap, none above its wish."""
    placed: dict[int, float] = {}
    last = -math.inf
    for number in sorted(range(len(wanted)), key=wanted.__getitem__):
        last = placed[number] = max(wanted[number], last + LABEL_GAP)
    return [placed[number] for number in range(len(wanted))]


def draw_wide(wide: Wide) -> str:
    """Return the SVG document, or an empty text where no uniform row was measured."""
    curves = collect_curves(wide)
    points = [point for _, curve in curves.values() for point in curve]
    if not points:
        return ""
    step = round_up(max(cost for _, cost in points) / 5)
    top_cost = step * math.ceil(max(cost for _, cost in points) / step)
    counts = sorted({count for count, _ in points})
    span = math.log(counts[-1] / counts[0]) or 1.0

    def place_x(count: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(count / counts[0]) / span

    def place_y(cost: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * cost / top_cost

    drawn = []
    for number in range(round(top_cost / step) + 1):
        y = place_y(number * step)
        drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(draw_text(LEFT - 10, y + 4, f"{number * step:g}", "faint", "end"))
    below = HEIGHT - BOTTOM + 22
    drawn += [draw_text(place_x(n), below, f"{n:,}", "faint", "middle") for n in counts]
    own_last = sorted(curves.items(), key=lambda item: item[0] == "epollo")
    labels = spread_labels([place_y(curve[-1][1]) + 4 for _, (_, curve) in own_last])
    for (server, (title, curve)), y in zip(own_last, labels, strict=True):
        style = "own" if server == "epollo" else ""
        path = "L".join(f"{place_x(count):.1f} {place_y(cost):.1f}" for count, cost in curve)
        drawn.append(f'<path class="line {style}" d="M{path}"/>')
        for count, cost in curve:
            at = f'cx="{place_x(count):.1f}" cy="{place_y(cost):.1f}"'
            said = f"{title}, {count:,} URLs: {format_figure(cost)}"
            drawn.append(
                f'<circle class="dot {style}" {at} r="4"><title>{escape(said)}</title></circle>'
            )
        said = f"{title} {format_figure(curve[-1][1])}"
        drawn.append(draw_text(place_x(curve[-1][0]) + 14, y, said, style))
    source = f"{wide['date'][:10]}, {wide['machine']['processor']}, {wide['machine']['kernel']}"
    described = " ".join(
        f"{title}: {', '.join(f'{format_figure(cost)} at {count:,} URLs' for count, cost in curve)}."
        for title, curve in curves.values()
    )
    title = "CPU microseconds per request, against the number of URLs"
    note = "files of 4 KiB, each as likely as any other, 64 connections; less is better"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'role="img" aria-labelledby="title description">'
    )
    return "\n".join([
        opening,
        f'<title id="title">{title}</title>',
        f'<desc id="description">{escape(described)}</desc>',
        f"<style>\n{STYLE}\n{LINES}\n</style>",
        '<rect class="ground" width="100%" height="100%" rx="8"/>',
        draw_text(24, 34, title, "title"),
        draw_text(24, 56, note, "faint"),
        *drawn,
        draw_text(24, HEIGHT - 12, source, "faint"),
        "</svg>",
        "",
    ])  # fmt: skip
