"""A comparison as a picture: one panel a workload, one bar a server, the C floor a dashed line."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from results import Comparison, WorkloadResult, cpu_figure, format_figure

WIDTH = 860
COLUMNS = 2
MARGIN = 24
GUTTER = 36
HEADING = 78
PANEL_HEADING = 26
ROW = 22
NAME_WIDTH = 136
FIGURE_WIDTH = 62
LONGEST = 2.0
"""Bars end at this multiple of the panel's reference, so that the slow do not hide the rest."""

STYLE = """\
svg { color-scheme: light dark; }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1c2430; }
.title { font-size: 19px; font-weight: 600; }
.panel { font-size: 14px; font-weight: 600; }
.faint { fill: #5b6675; }
.own { font-weight: 600; }
.bar { fill: #a9b4c2; }
.bar.own { fill: #d9622b; }
.ground { fill: #ffffff; }
.figure { stroke: #ffffff; stroke-width: 5px; paint-order: stroke; }
.floor { stroke: #1c2430; stroke-dasharray: 3 3; }
.torn { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e6ebf2; }
.faint { fill: #9aa6b5; }
.bar { fill: #55606f; }
.bar.own { fill: #f08a4b; }
.ground { fill: #12161c; }
.figure { stroke: #12161c; }
.floor { stroke: #e6ebf2; }
.torn { fill: #12161c; }
}"""


@dataclass(frozen=True)
class Panel:
    """What one workload's panel shows: the servers with their cost, the cheapest first."""

    title: str
    costs: list[tuple[str, str, float]]
    floor: float | None

    @property
    def height(self) -> int:
        """Return the units that the panel takes, the space below it included."""
        return PANEL_HEADING + ROW * len(self.costs) + 14

    @property
    def full_scale(self) -> float:
        """Return the cost that fills the width: the dearest one that is not cut off."""
        costs = [cost for _, _, cost in self.costs]
        reference = next((cost for name, _, cost in self.costs if name == "nginx"), min(costs))
        limit = reference * LONGEST
        return min(max(costs), limit)


def make_panel(workload: WorkloadResult) -> Panel:
    costs = {
        name: (result["title"], cpu_figure(result["rounds"]).median)
        for name, result in workload["servers"].items()
        if result["rounds"] and not result["wrong"]
    }
    floor = costs.pop("floor", None)
    listed = [(name, title, cost) for name, (title, cost) in costs.items()]
    listed.sort(key=lambda item: item[2])
    return Panel(workload["title"], listed, floor[1] if floor else None)


def draw_text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def draw_panel(panel: Panel, left: float, top: float, width: float) -> list[str]:
    """Draw one panel; a bar that is cut off ends in a gap, and its figure says how long it is."""
    drawn = [draw_text(left, top + 14, panel.title, "panel")]
    start = left + NAME_WIDTH
    room = width - NAME_WIDTH - FIGURE_WIDTH
    bars, figures = [], []
    for row, (name, title, cost) in enumerate(panel.costs):
        y = top + PANEL_HEADING + row * ROW
        style = "own" if name == "epollo" else ""
        length = max(1.0, room * min(cost / panel.full_scale, 1.0))
        drawn.append(draw_text(start - 8, y + 14, title, style, "end"))
        bars.append(
            f'<rect class="bar {style}" x="{start:.1f}" y="{y + 3:.1f}" width="{length:.1f}" '
            f'height="{ROW - 7}" rx="2"/>'
        )
        if cost > panel.full_scale:
            x = start + length - 16
            bars.append(
                f'<path class="torn" d="M{x:.1f} {y + ROW - 2}l6 {-ROW + 3}h4l-6 {ROW - 3}z"/>'
            )
        figures.append(
            draw_text(start + length + 6, y + 14, format_figure(cost), f"figure {style}")
        )
    if panel.floor is not None:
        x = start + room * panel.floor / panel.full_scale
        bars.append(
            f'<path class="floor" d="M{x:.1f} {top + PANEL_HEADING - 2}v{ROW * len(panel.costs)}">'
            f"<title>bare loop in C: {format_figure(panel.floor)}</title></path>"
        )
    return [*drawn, *bars, *figures]


def describe(panels: list[Panel]) -> str:
    """Return the picture in words."""
    return " ".join(
        f"{panel.title}: "
        + ", ".join(f"{title} {format_figure(cost)}" for _, title, cost in panel.costs)
        + (f", bare loop in C {format_figure(panel.floor)}" if panel.floor is not None else "")
        + "."
        for panel in panels
    )


def draw_chart(comparison: Comparison) -> str:
    """Return the SVG document; it follows the reader's choice of light or dark."""
    panels = [make_panel(workload) for workload in comparison["workloads"].values()]
    panels = [panel for panel in panels if panel.costs]
    width = (WIDTH - 2 * MARGIN - GUTTER * (COLUMNS - 1)) / COLUMNS
    drawn: list[str] = []
    top: float = HEADING
    for first in range(0, len(panels), COLUMNS):
        line = panels[first : first + COLUMNS]
        for column, panel in enumerate(line):
            drawn += draw_panel(panel, MARGIN + column * (width + GUTTER), top, width)
        top += max(panel.height for panel in line)
    machine = comparison["machine"]
    source = f"{comparison['date'][:10]}, {machine['processor']}, {machine['kernel']}"
    note = "dashed: a bare loop in C, which sends from memory"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 22:.0f}" '
        'role="img" aria-labelledby="title description">'
    )
    return "\n".join([
        opening,
        '<title id="title">CPU microseconds per request, less is better</title>',
        f'<desc id="description">{escape(describe(panels))}</desc>',
        f"<style>\n{STYLE}\n</style>",
        '<rect class="ground" width="100%" height="100%" rx="8"/>',
        draw_text(MARGIN, 34, "CPU microseconds per request, less is better", "title"),
        draw_text(MARGIN, 56, f"One worker each; {note}", "faint"),
        *drawn,
        draw_text(MARGIN, top + 6, source, "faint"),
        "</svg>",
        "",
    ])  # fmt: skip
