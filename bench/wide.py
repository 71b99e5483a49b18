"""What the width of a site costs, beside nginx: ``.venv/bin/python bench/wide.py``.

Replays traces of many URLs, distinct heads, missing pages, ranges and changing files against each server
on loopback, round after round, and writes CPU time per request as JSON and Markdown, and a picture.
``--quick`` takes under two minutes; ``--help`` lists the options; bench/README.md says how it measures.
"""

import argparse
import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from measure import raise_descriptor_limit
from replay import build_replay
from runs import (
    PEERS,
    RESULTS,
    choose,
    choose_processors,
    describe_machine,
    find_versions,
    format_now,
    open_scratch,
    run_until_stopped,
    say,
    write_findings,
)
from servers import Server, ServerFailedError
from sites import Sites
from wide_chart import draw_wide
from wide_contest import Ground, LoadEntrant
from wide_load import Row
from wide_report import format_wide
from wide_results import EntrantResult, Measured, RowResult, Wide, start_result
from wide_rows import ROWS
from wide_servers import WIDE_SERVERS
from wide_special import SPECIAL_ROWS, SpecialEntrant, SpecialRow
from wire import WrongAnswerError

ALL_ROWS: tuple[Row | SpecialRow, ...] = (*ROWS, *SPECIAL_ROWS)
TROUBLES = (WrongAnswerError, ServerFailedError, subprocess.SubprocessError, OSError, ValueError)


class Entrant(Protocol):
    """What takes part in a row: it is measured once in each round, from number 0 on."""

    result: EntrantResult

    def measure(self, number: int) -> Measured:
        """Measure one round; raise one of the troubles where it does not count."""
        ...

    def finish(self) -> None:
        """Ask once more after the last round; raise likewise."""
        ...


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    names = ",".join(row.name for row in ALL_ROWS)
    add("--rows", help=f"which, with commas between\n(default: {names})")
    servers = ",".join(server.name for server in WIDE_SERVERS)
    add("--servers", help=f"which, with commas between\n(default: {servers}; quick: epollo,nginx)")
    rounds = "of every server, interleaved, 7 at most\n(default: 5, quick: 2)"
    add("--rounds", type=int, choices=range(1, 8), metavar="N", help=rounds)
    add("--seconds", type=float, help="of load in a round (default: 2, quick: 1)")
    add("--quick", action="store_true", help="the most telling rows, in under two minutes")
    add(
        "--out",
        type=Path,
        help="folder for wide.json, wide.md and wide.svg\n(default: bench/results; with --quick none)",
    )
    add(
        "--peers",
        type=Path,
        default=PEERS,
        help="virtual environment with fastpysgi\n(default: bench/build/peers)",
    )
    add("--python", default=sys.executable, help="interpreter for epollo")
    add("--no-pin", action="store_true", help="let the scheduler place server and load")
    add("--report", type=Path, help="measure nothing: write the report of this JSON file again")
    return parser.parse_args()  # fmt: skip


def list_starts(
    ground: Ground, servers: list[Server], row: Row | SpecialRow, stack: ExitStack
) -> dict[str, tuple[str, Callable[[], Entrant]]]:
    """Return the entrants of a row by name: their titles, and what starts each."""
    by_name = {server.name: server for server in servers}
    if isinstance(row, SpecialRow):
        return {
            special.name: (special.title, functools.partial(SpecialEntrant, ground, special))
            for special in row.entrants
            if special.server in by_name
        }
    return {
        name: (server.title, functools.partial(LoadEntrant, ground, server, row, stack))
        for name, server in by_name.items()
        if name in row.servers
    }


class Contest:
    """One row under way. An entrant that fails or answers wrongly is out, and only it."""

    def __init__(self, row: Row | SpecialRow):
        self.row = row
        self.results: dict[str, EntrantResult] = {}
        self.entrants: dict[str, Entrant] = {}

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Let what goes wrong put this entrant out."""
        try:
            yield
        except TROUBLES as trouble:
            self.entrants.pop(name, None)
            self.results[name]["wrong"] = str(trouble) or type(trouble).__name__
            say(f"  {name} is not counted: {self.results[name]['wrong']}")

    def start(self, name: str, title: str, begin: Callable[[], Entrant]) -> None:
        """Start an entrant."""
        self.results[name] = start_result(title)
        with self.guarded(name):
            self.entrants[name] = begin()
            self.results[name] = self.entrants[name].result

    def measure(self, number: int) -> None:
        """Measure each entrant once."""
        for name, entrant in list(self.entrants.items()):
            with self.guarded(name):
                entrant.result["rounds"].append(entrant.measure(number))

    def rounds(self, wanted: int) -> int:
        """Return how many rounds are measured if this many are wanted."""
        return min(wanted, self.row.most_rounds) if isinstance(self.row, SpecialRow) else wanted

    def describe_last(self) -> str:
        """Return the figures of the last round."""
        return ", ".join(
            f"{name} {entrant.result['rounds'][-1][self.row.figure]:.4g}"
            for name, entrant in self.entrants.items()
        )

    def result(self) -> RowResult:
        """Return all that was found."""
        row = self.row
        return RowResult(
            title=row.title, figure=row.figure, unit=row.unit if isinstance(row, SpecialRow) else "",
            files=row.files, rate=row.rate, bars=list(row.bars), entrants=self.results,
        )  # fmt: skip

    def finish(self) -> None:
        """Ask each once more."""
        for name, entrant in list(self.entrants.items()):
            with self.guarded(name):
                entrant.finish()


def run_rows(
    ground: Ground, servers: list[Server], rows: list[Row | SpecialRow]
) -> dict[str, RowResult]:
    """Measure all entrants of rows that belong together, round after round, all of them in each."""
    contests = [Contest(row) for row in rows]
    with ExitStack() as stack:
        for contest in contests:
            for name, (title, begin) in list_starts(ground, servers, contest.row, stack).items():
                contest.start(name, title, begin)
        for number in range(ground.rounds):
            for contest in contests:
                if number < contest.rounds(ground.rounds):
                    contest.measure(number)
                    say(f"  round {number + 1}: {contest.row.title}: {contest.describe_last()}")
        for contest in contests:
            contest.finish()
    return {contest.row.name: contest.result() for contest in contests}


def write_results(wide: Wide, folder: Path) -> None:
    """Write wide.json, wide.md and wide.svg."""
    picture = draw_wide(wide)
    reports = {"wide.md": format_wide(wide, "wide.svg" if picture else "")}
    write_findings(wide, folder, reports | ({"wide.svg": picture} if picture else {}))


def repeat_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that measures the same again, on whatever machine."""
    command = [".venv/bin/python", "bench/wide.py"]
    for name in ("rows", "servers", "rounds", "seconds"):
        if value := getattr(arguments, name):
            command += [f"--{name}", f"{value}"]
    command += ["--quick"] if arguments.quick else []
    return [*command, "--no-pin"] if arguments.no_pin else command


def _shared_rounds(row: Row | SpecialRow) -> str:
    return row.together or row.name


def run(arguments: argparse.Namespace) -> None:
    """Measure what was asked for, and write the results after every row."""
    is_quick = arguments.quick
    all_rows: dict[str, Row | SpecialRow] = {row.name: row for row in ALL_ROWS}
    quick = [row.name for row in ROWS if row.is_quick]
    default = ",".join(quick if is_quick else all_rows)
    rows = [all_rows[name] for name in choose(arguments.rows or default, list(all_rows))]
    by_name = {server.name: server for server in WIDE_SERVERS}
    default_servers = "epollo,nginx" if is_quick else ",".join(by_name)
    peers = arguments.peers if arguments.peers.is_dir() else None
    chosen = [by_name[name] for name in choose(arguments.servers or default_servers, list(by_name))]
    versions = find_versions(chosen, arguments.python, peers)
    servers = [server for server in chosen if server.name in versions]
    rounds = arguments.rounds or (2 if is_quick else 5)
    seconds = arguments.seconds or (1.0 if is_quick else 2.0)
    raise_descriptor_limit()
    wide = Wide(
        format=1,
        date=format_now(),
        command=repeat_command(arguments),
        machine=describe_machine(),
        versions=versions,
        settings={"rounds": str(rounds), "seconds": f"{seconds:g}"},
        rows={},
    )
    needed = max((row.count_files(rounds) for row in rows), default=0)
    with open_scratch() as scratch:
        ground = Ground(
            scratch=scratch,
            sites=Sites(scratch, needed),
            program=build_replay(scratch),
            rounds=rounds,
            seconds=seconds,
            python=arguments.python,
            peers=peers,
            processors=choose_processors(may_pin=not arguments.no_pin),
            is_quick=is_quick,
        )
        measured = 0
        for _, grouped in itertools.groupby(rows, _shared_rounds):
            together = list(grouped)
            measured += len(together)
            titles = "; ".join(row.title for row in together)
            say(f"{titles} ({measured} of {len(rows)})")
            wide["rows"] |= run_rows(ground, servers, together)
            if arguments.out or not is_quick:
                write_results(wide, arguments.out or RESULTS)
    if is_quick and not arguments.out:
        print(format_wide(wide, ""))


def main() -> None:
    arguments = parse_arguments()
    if arguments.report:
        wide: Wide = json.loads(arguments.report.read_text())
        write_results(wide, arguments.report.parent)
        return
    is_written = arguments.out or not arguments.quick
    kept = "the rows that were finished are written" if is_written else "nothing is written"
    run_until_stopped(lambda: run(arguments), kept)


if __name__ == "__main__":
    main()
