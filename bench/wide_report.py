"""The wide benchmark as Markdown, and whether its bars are reached."""

from statistics import median
from typing import TypedDict

from report import format_spread, format_table
from results import Figure, format_figure, summarize
from wide_contest import EntrantResult


class RowResult(TypedDict):
    """One row; ``figure`` names what is judged, ``bar`` bounds its ratio to nginx's."""

    title: str
    figure: str
    bar: float | None
    files: int
    entrants: dict[str, EntrantResult]


class Wide(TypedDict):
    """A whole run."""

    format: int
    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, str]
    rows: dict[str, RowResult]


def figure_of(row: RowResult, name: str) -> Figure | None:
    """Return what is judged of an entrant, None where it does not count."""
    result = row["entrants"].get(name)
    if result is None or result["wrong"] or not result["rounds"]:
        return None
    return summarize([measured[row["figure"]] for measured in result["rounds"]])


def ratio_of(row: RowResult) -> Figure | None:
    """Return epollo's figure over nginx's, within each round: what disturbs one disturbs the other."""
    ours, theirs = row["entrants"].get("epollo"), row["entrants"].get("nginx")
    if ours is None or theirs is None or ours["wrong"] or theirs["wrong"]:
        return None
    pairs = list(zip(ours["rounds"], theirs["rounds"], strict=False))
    ratios = [own[row["figure"]] / other[row["figure"]] for own, other in pairs]
    return summarize(ratios) if ratios else None


def judge(row: RowResult) -> str:
    """Return whether the bar is reached; ``narrowly`` where single rounds say the opposite."""
    ratio, bar = ratio_of(row), row["bar"]
    if bar is None:
        return ""
    if ratio is None:
        return "not measured"
    if ratio.median <= bar:
        return "yes" if ratio.most <= bar else "yes, narrowly"
    return "no" if ratio.least > bar else "no, narrowly"


def entrant_names(wide: Wide) -> list[str]:
    names: dict[str, None] = {}
    for row in wide["rows"].values():
        names |= dict.fromkeys(row["entrants"])
    return list(names)


def overview(wide: Wide) -> str:
    """Return one line a row: each entrant's figure, epollo's ratio to nginx, and the bar."""
    names = entrant_names(wide)
    lines = []
    for row in wide["rows"].values():
        line = [row["title"]]
        for name in names:
            figure = figure_of(row, name)
            absent = "wrong" if name in row["entrants"] else ""
            line.append(format_figure(figure.median) if figure else absent)
        ratio = ratio_of(row)
        line.append(format_figure(ratio.median) if ratio else "")
        line.append("" if row["bar"] is None else f"{row['bar']:g}")
        line.append(judge(row))
        lines.append(line)
    return format_table(["", *names, "epollo / nginx", "bar", "reached"], lines)


def row_table(row: RowResult) -> str:
    """Return one line an entrant of a row."""
    lines = []
    for name, result in row["entrants"].items():
        rounds = result["rounds"]
        if result["wrong"] or not rounds:
            lines.append([result["title"], "not counted", "", "", "", "", result["wrong"]])
            continue
        lost = sum(measured.get("lost", 0) for measured in rounds)
        remarks = [result["variant"]] if result["variant"] else []
        remarks += [f"{lost:.0f} requests without an answer"] if lost else []
        lines.append([
            result["title"],
            format_spread(summarize([measured["cpu"] for measured in rounds])),
            *(format_figure(median(measured[key] for measured in rounds))
              for key in ("p50", "p99", "per_second", "pss")),
            "; ".join(remarks),
        ])  # fmt: skip
        del name
    head = ["", "CPU µs", "p50 µs", "p99 µs", "a second", "memory MiB", ""]
    return format_table(head, lines)


def format_wide(wide: Wide) -> str:
    """Return the whole report."""
    machine, settings = wide["machine"], wide["settings"]
    method = (
        f"{wide['date']}. {machine['processor']}, {machine['processors']} processors, "
        f"{machine['kernel']}, Python {machine['python']}, over loopback; one worker each, access log "
        f"off. {settings['rounds']} rounds of {settings['seconds']} s, the servers in turn within each; "
        "medians. CPU microseconds of all processes of a server per request; where a row names p99, "
        "microseconds from the instant at which a request was due. The ratio is taken within each round."
    )
    parts = ["# The width of a site", method, overview(wide), "## Each row"]
    for row in wide["rows"].values():
        parts += [f"### {row['title']}", row_table(row)]
    versions = [[name, version] for name, version in wide["versions"].items()]
    parts += ["## What was compared", format_table(["", "version"], versions)]
    return "\n\n".join(parts) + "\n"
