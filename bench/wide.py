"""What the width of a site costs, beside nginx: ``.venv/bin/python bench/wide.py``.

Replays traces of many URLs, distinct heads, missing pages, ranges and changing files against each server
on loopback, round after round, and writes CPU time per request as JSON and Markdown. ``--quick`` takes
under two minutes; ``--help`` lists the options; bench/README.md says how it measures.
"""

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from compare import choose, describe_machine, stop
from contest import say
from measure import raise_descriptor_limit
from replay import build_replay
from servers import Server, ServerFailedError
from sites import Sites
from wide_contest import EntrantResult, Ground, LoadEntrant, Row
from wide_report import RowResult, Wide, format_wide
from wide_rows import ROWS
from wide_servers import WIDE_SERVERS
from wire import WrongAnswerError

HERE = Path(__file__).resolve().parent
TROUBLES = (WrongAnswerError, ServerFailedError, subprocess.SubprocessError, OSError, ValueError)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    names = ",".join(row.name for row in ROWS)
    add("--rows", help=f"which, with commas between\n(default: {names})")
    servers = ",".join(server.name for server in WIDE_SERVERS)
    add("--servers", help=f"which, with commas between\n(default: {servers}; quick: epollo,nginx)")
    add("--rounds", type=int, help="of every server, interleaved (default: 5, quick: 2)")
    add("--seconds", type=float, help="of load in a round (default: 2, quick: 1)")
    add("--quick", action="store_true", help="the most telling rows, in under two minutes")
    add(
        "--out",
        type=Path,
        help="folder for wide.json and wide.md\n(default: bench/results; quick: nothing is written)",
    )
    add(
        "--peers",
        type=Path,
        default=HERE / "build" / "peers",
        help="virtual environment with fastpysgi\n(default: bench/build/peers)",
    )
    add("--python", default=sys.executable, help="interpreter for epollo")
    add("--no-pin", action="store_true", help="let the scheduler place server and load")
    add("--report", type=Path, help="measure nothing: write the report of this JSON file again")
    return parser.parse_args()  # fmt: skip


def run_row(ground: Ground, servers: list[Server], row: Row) -> RowResult:
    """Measure all servers under one row, round after round, all of them in each."""
    results: dict[str, EntrantResult] = {}
    entrants: dict[str, LoadEntrant] = {}
    with ExitStack() as stack:

        def put_out(name: str, title: str, trouble: Exception) -> None:
            entrants.pop(name, None)
            wrong = str(trouble) or type(trouble).__name__
            say(f"  {name} is not counted: {wrong}")
            empty = EntrantResult(
                title=title,
                variant="",
                search={},
                command=[],
                configuration="",
                wrong="",
                rounds=[],
            )
            results.setdefault(name, empty)["wrong"] = wrong

        for server in servers:
            if server.name in row.servers:
                try:
                    entrant = LoadEntrant(ground, server, row, stack)
                except TROUBLES as trouble:
                    put_out(server.name, server.title, trouble)
                    continue
                entrants[server.name], results[server.name] = entrant, entrant.result
        for number in range(ground.rounds):
            for name, entrant in list(entrants.items()):
                try:
                    entrant.result["rounds"].append(entrant.measure(number))
                except TROUBLES as trouble:
                    put_out(name, entrant.result["title"], trouble)
            figures = ", ".join(
                f"{name} {entrant.result['rounds'][-1][row.figure]:.4g}"
                for name, entrant in entrants.items()
            )
            say(f"  round {number + 1} of {ground.rounds}: {figures}")
        for name, entrant in list(entrants.items()):
            try:
                entrant.finish()
            except TROUBLES as trouble:
                put_out(name, entrant.result["title"], trouble)
    return RowResult(
        title=row.title, figure=row.figure, bar=row.bar, files=row.files, entrants=results
    )


def write_results(wide: Wide, folder: Path) -> None:
    """Write wide.json and wide.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wide.json").write_text(json.dumps(wide, indent=1, ensure_ascii=False) + "\n")
    (folder / "wide.md").write_text(format_wide(wide))


def run(arguments: argparse.Namespace) -> None:
    """Measure what was asked for, and write the results after every row."""
    is_quick = arguments.quick
    all_rows = {row.name: row for row in ROWS}
    default = ",".join(row.name for row in ROWS if row.is_quick or not is_quick)
    rows = [all_rows[name] for name in choose(arguments.rows or default, dict(all_rows))]
    by_name = {server.name: server for server in WIDE_SERVERS}
    default_servers = "epollo,nginx" if is_quick else ",".join(by_name)
    peers = arguments.peers if arguments.peers.is_dir() else None
    versions = {
        name: by_name[name].find(arguments.python, peers)
        for name in choose(arguments.servers or default_servers, dict(by_name))
    }
    servers = [by_name[name] for name, version in versions.items() if version is not None]
    for name in versions.keys() - {server.name for server in servers}:
        say(f"{name} is not installed: left out")
    rounds = arguments.rounds or (2 if is_quick else 5)
    seconds = arguments.seconds or (1.0 if is_quick else 2.0)
    processors = sorted(os.sched_getaffinity(0))
    is_pinned = len(processors) > 1 and not arguments.no_pin
    raise_descriptor_limit()
    wide = Wide(
        format=1,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=describe_machine(),
        versions={name: version for name, version in versions.items() if version},
        settings={"rounds": str(rounds), "seconds": f"{seconds:g}"},
        rows={},
    )
    needed = max((row.files for row in rows), default=0)
    if is_quick:
        needed = min(needed, 10_000)
    with tempfile.TemporaryDirectory(prefix="epollo-wide-") as scratch_name:
        scratch = Path(scratch_name)
        scratch.chmod(0o755)
        ground = Ground(
            scratch=scratch,
            sites=Sites(scratch, needed),
            program=build_replay(scratch),
            rounds=rounds,
            seconds=seconds,
            python=arguments.python,
            peers=peers,
            server_processor=processors[0] if is_pinned else None,
            load_processor=processors[1] if is_pinned else None,
            is_quick=is_quick,
        )
        for number, row in enumerate(rows, 1):
            say(f"{row.title} ({number} of {len(rows)})")
            wide["rows"][row.name] = run_row(ground, servers, row)
            if arguments.out or not is_quick:
                write_results(wide, arguments.out or HERE / "results")
    if is_quick and not arguments.out:
        print(format_wide(wide))


def main() -> None:
    arguments = parse_arguments()
    if arguments.report:
        wide: Wide = json.loads(arguments.report.read_text())
        write_results(wide, arguments.report.parent)
        return
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit("stopped; the rows that were finished are written")


if __name__ == "__main__":
    main()
