"""The results as rows: for the terminal, and for the page's table."""

import textwrap

from epollo.annotations import Final
from epollo.lab.charts import format_number
from epollo.lab.pictures import describe_growth
from epollo.lab.results import FD_SETSIZE_WALL, Cell, Results, Wall, summarize, summarize_memory
from epollo.lab.words import say

COLUMNS: Final = (
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
_DISPENSABLE: Final = ("spread", "worst", "p50", "memory", "p99", "calls", "rate")
"""The columns that a narrow terminal does without, in the order in which they go."""
_GAP: Final = "  "


def list_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return the columns (of `COLUMNS`) that have anything in them, and a row of text for each cell.

    Cells with the same number of idle connections follow each other, one for each poller.
    """
    rows = [
        _format_row(cell)
        for idle in results.idle
        for poller in results.pollers
        if (cell := results.cell(poller, idle)) is not None and cell.rounds
    ]
    filled = [position for position in range(len(COLUMNS)) if any(row[position] for row in rows)]
    return (
        [COLUMNS[position] for position in filled],
        [[row[position] for position in filled] for row in rows],
    )


def _format_row(cell: Cell) -> list[str]:
    rounds = cell.rounds
    cost = summarize([one.cpu_per_request for one in rounds])
    memory = summarize_memory(cell)
    return [
        f"{cell.idle:,}",
        cell.poller,
        format_number(cost.median),
        ""
        if len(rounds) == 1
        else f"{format_number(cost.least)}\N{EN DASH}{format_number(cost.most)}",
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


def format_table(results: Results, width: int) -> str:
    """Return the table for a terminal of ``width`` columns, with the verdicts below it."""
    columns, rows = list_rows(results)
    by_column = {
        name: [say(f"column.{name}", "en"), *(row[position] for row in rows)]
        for position, name in enumerate(columns)
    }
    for name in _DISPENSABLE:
        if _measure_table(by_column) > width:
            by_column.pop(name, None)
    widths = {name: max(map(len, texts)) for name, texts in by_column.items()}
    lines = [
        _GAP.join(texts[number].rjust(widths[name]) for name, texts in by_column.items())
        for number in range(len(rows) + 1)
    ]
    lines[1:1] = [_GAP.join("-" * one for one in widths.values())]
    # An empty line wherever another number of idle connections begins.
    for number in range(len(rows) - 1, 0, -1):
        if rows[number][0] != rows[number - 1][0]:
            lines.insert(2 + number, "")
    lines.append("")
    for poller, verdict in list_verdicts(results, "en"):
        lines += textwrap.wrap(
            f"{poller:>6}: {verdict}", width, subsequent_indent=" " * 8, break_on_hyphens=False
        )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _measure_table(by_column: dict[str, list[str]]) -> int:
    """Return how many columns of a terminal a table takes."""
    widths = [max(map(len, texts)) for texts in by_column.values()]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def list_verdicts(results: Results, language: str) -> list[tuple[str, str]]:
    """Return what the figures say of each poller, and where each met a wall."""
    verdicts = [(poller, describe_growth(results, poller, language)) for poller in results.pollers]
    return verdicts + [(wall.poller, _describe_wall(wall, language)) for wall in results.walls]


def _describe_wall(wall: Wall, language: str) -> str:
    trouble = wall.trouble
    if trouble == FD_SETSIZE_WALL:
        trouble = say(f"wall.{trouble}", language)
    return say("wall", language, reached=wall.reached, idle=wall.idle, trouble=trouble)


def describe_conditions(results: Results, language: str) -> str:
    """Say when, where and how the figures were measured."""
    machine = dict(results.machine)
    placed = ""
    if "processors" in machine:
        machine["processor"] = say("measured.in_use", language, **machine)
        place = "together" if machine["processors"] == "1" else "apart"
        placed = say(f"measured.{place}", language)
    often = "round" if results.rounds == 1 else "rounds"
    return say(
        "measured",
        language,
        date=results.date,
        version=results.version,
        asking=results.asking,
        often=say(f"measured.{often}", language, rounds=results.rounds, seconds=results.seconds),
        placed=placed,
        **machine,
    )
