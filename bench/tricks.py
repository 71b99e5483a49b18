"""What the tricks for speed alone are worth: ``.venv/bin/python bench/tricks.py``.

Drives epollo with and without each of them in turn, so that what disturbs the machine disturbs both.
Writes tricks.md and tricks.json; ``--help`` lists the options.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from contest import Bench, compare_servers, open_bench
from report import format_costs, format_table
from results import Ratio, Run, WorkloadResult
from runs import (
    describe_machine,
    find_wrk,
    format_now,
    format_page,
    make_parser,
    run_until_stopped,
    say,
    write_findings,
)
from servers import Order, Plan, Server, find_epollo, plan_epollo
from workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
WITH, WITHOUT = "with", "without"


class Trick(NamedTuple):
    """A trick by its name in without.py, in words, and a workload that it is for."""

    name: str
    title: str
    workload: Workload


class Findings(Run):
    """A whole run; the workloads stand in the order of `TRICKS`."""

    workloads: list[WorkloadResult]


def choose_workload(name: str) -> Workload:
    return next(workload for workload in WORKLOADS if workload.name == name)


def ask_for_octets(octets: int, *, is_always_another: bool) -> Workload:
    """Return a workload of ranges of a content that is kept as a sealed file."""
    first = 10_000
    return Workload(
        "ranges",
        f"{octets:,} octets of 100 KiB, {'each another' if is_always_another else 'the same'}",
        "100k.jpg",
        fields=(("Range", f"bytes={first}-{first + octets - 1}"),),
        status="206 Partial Content",
        first=first,
        last=first + octets,
        script="ranges.lua" if is_always_another else "report.lua",
    )


_COPIED = "a range of up to 16 KiB of it is copied"
TRICKS = (
    Trick("sealed", "content from 64 KiB on is a sealed file", choose_workload("100k")),
    Trick("copied", _COPIED, ask_for_octets(100, is_always_another=False)),
    Trick("copied", _COPIED, ask_for_octets(100, is_always_another=True)),
    Trick("copied", _COPIED, ask_for_octets(15_000, is_always_another=True)),
    Trick("copied", _COPIED, ask_for_octets(15_000, is_always_another=False)),
)


def plan_without(name: str) -> Callable[[Order], Plan]:
    """Return how epollo is run without a trick."""

    def plan(order: Order) -> Plan:
        plain = plan_epollo(order)
        start = [order.python, str(HERE / "without.py"), name]
        return replace(plain, command=[*start, *plain.command[3:]])

    return plan


def measure_trick(bench: Bench, trick: Trick) -> WorkloadResult:
    servers = [
        Server(WITH, "with", find_epollo, plan_epollo),
        Server(WITHOUT, "without", find_epollo, plan_without(trick.name)),
    ]
    say(f"{trick.name}: {trick.workload.title}")
    return compare_servers(bench, servers, trick.workload)


def format_row(trick: Trick, workload: WorkloadResult) -> list[str]:
    costs, _ = format_costs(workload, Ratio(WITH, WITHOUT))
    return [trick.title, workload["title"], *costs]


def format_findings(findings: Findings) -> str:
    """Return the whole report as Markdown."""
    rows = [
        format_row(trick, workload)
        for trick, workload in zip(TRICKS, findings["workloads"], strict=True)
    ]
    head = ["CPU µs per request", "workload", "with", "without", "ratio"]
    return format_page(
        "The tricks for speed alone",
        findings,
        "with and without in turn",
        format_table(head, rows),
        note="Less than 1 is what the trick saves.",
    )


def parse_arguments() -> argparse.Namespace:
    each = "with and without each trick"
    return make_parser(__doc__, rounds=7, each=each, seconds=2).parse_args()


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write tricks.md and tricks.json."""
    find_wrk()
    rounds, seconds = max(1, arguments.rounds), max(1, arguments.seconds)
    with open_bench(rounds, seconds) as bench:
        say(f"about {len(TRICKS) * 2 * (rounds * (seconds + 0.2) + 1.5) / 60:.1f} minutes")
        command = ["python", "bench/tricks.py", "--rounds", f"{rounds}", "--seconds", f"{seconds}"]
        findings = Findings(
            format=1,
            date=format_now(),
            command=command,
            machine=describe_machine(),
            settings={"rounds": str(rounds), "seconds": str(seconds)},
            workloads=[measure_trick(bench, trick) for trick in TRICKS],
        )
    write_findings(findings, arguments.out, {"tricks.md": format_findings(findings)})
    say(f"written: {arguments.out / 'tricks.md'}")


def main() -> None:
    arguments = parse_arguments()
    run_until_stopped(lambda: run(arguments))


if __name__ == "__main__":
    main()
