"""The results as rows: for the terminal, and for the page's table."""

import unicodedata

from epollo.lab.charts import format_number
from epollo.lab.pictures import describe_growth
from epollo.lab.results import Cell, Results, summarize, summarize_memory
from epollo.lab.words import say

COLUMNS = (
    "idle",
    "poller",
    "cost",
    "spread",
    "rate",
    "p50",
    "p99",
    "worst",
    "calls",
    "waiting",
    "memory",
)


def list_rows(results: Results) -> list[list[str]]:
    """Return a row of text for each cell, pollers side by side; columns as in `COLUMNS`."""
    cells = [
        cell
        for idle in results.idle
        for poller in results.pollers
        if (cell := results.cell(poller, idle)) is not None and cell.rounds
    ]
    return [_format_row(cell) for cell in cells]


def _format_row(cell: Cell) -> list[str]:
    rounds = cell.rounds
    cost = summarize([one.cpu_per_request for one in rounds])
    memory = summarize_memory(cell)
    return [
        f"{cell.idle:,}",
        cell.poller,
        format_number(cost.median),
        f"{format_number(cost.least)} to {format_number(cost.most)}",
        f"{summarize([one.requests_per_second for one in rounds]).median:,.0f}",
        *(
            format_number(summarize(values).median)
            for values in (
                [one.p50 for one in rounds],
                [one.p99 for one in rounds],
                [one.worst for one in rounds],
            )
        ),
        "" if cell.tally is None else format_number(cell.tally.calls_per_request),
        f"{summarize([one.waiting_share for one in rounds]).median:.1%}",
        "" if memory is None else f"{memory.median:,.0f}",
    ]


def format_table(results: Results, language: str = "en") -> str:
    """Return the table for a terminal, with the verdicts below it."""
    heads = [say(f"column.{column}", language) for column in COLUMNS]
    rows = list_rows(results)
    widths = [
        max(measure_width(row[position]) for row in [heads, *rows])
        for position in range(len(heads))
    ]
    lines = ["  ".join(_pad(text, width) for text, width in zip(heads, widths, strict=True))]
    lines.append("  ".join("-" * width for width in widths))
    idle = rows[0][0] if rows else ""
    for row in rows:
        if row[0] != idle:
            lines.append("")
        idle = row[0]
        lines.append("  ".join(_pad(text, width) for text, width in zip(row, widths, strict=True)))
    lines.append("")
    lines += [f"{poller:>6}: {verdict}" for poller, verdict in list_verdicts(results, language)]
    return "\n".join(lines) + "\n"


def list_verdicts(results: Results, language: str) -> list[tuple[str, str]]:
    """Return what the figures say of each poller, and where each met a wall."""
    verdicts = [(poller, describe_growth(results, poller, language)) for poller in results.pollers]
    for wall in results.walls:
        text = say("wall", language, reached=wall.reached, idle=wall.idle, trouble=wall.trouble)
        verdicts.append((wall.poller, text))
    return verdicts


def describe_conditions(results: Results, language: str) -> str:
    """Say when, where and how the figures were measured."""
    return say(
        "measured",
        language,
        date=results.date,
        version=results.version,
        asking=results.asking,
        rounds=results.rounds,
        seconds=results.seconds,
        **results.machine,
    )


def measure_width(text: str) -> int:
    """Return how many columns of a terminal a text takes; wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _pad(text: str, width: int) -> str:
    return " " * (width - measure_width(text)) + text
