"""What rules, CORS, a listing and a password cost: ``.venv/bin/python bench/policies.py``.

Drives epollo on a bare site beside epollo on a site with 1,000 rules, ``--cors any`` and ``--listing
on``, and an open file beside a protected one, in turn within each round. Writes policies.md and
policies.json; ``--help`` lists the options.
"""

import argparse
import base64
import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

from contest import Bench, Entry, open_bench
from report import format_costs, format_table
from results import Ratio, Run, WorkloadResult, judge
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
from workloads import WORKLOADS, Workload, compose_site, write_site

RULES = 1_000
USER, PASSWORD = "ann", "an open secret"
WITH, WITHOUT = "with", "without"
RULES_MOST, PASSWORD_MOST = 1.05, 1.2
"""The most that a request may cost, over one without."""


class Row(NamedTuple):
    """A workload as it is asked of both, and what one of the two has besides."""

    title: str
    has_password: bool
    workload: Workload

    @property
    def ratio(self) -> Ratio:
        """Return what the row is held to."""
        return Ratio(WITH, WITHOUT, PASSWORD_MOST if self.has_password else RULES_MOST)


class Findings(Run):
    """A whole run; the workloads stand in the order of the rows that were asked for."""

    rows: list[str]
    workloads: list[WorkloadResult]


_TITLE = f"{RULES:,} rules, CORS, listings"
_RULED = {"1k", "100k", "10m", "new-connection", "unique", "gzip", "304", "pipelined", "idle-1000"}
_PROTECTED = {"1k", "10m", "unique", "pipelined"}
ROWS = {
    workload.name: Row(_TITLE, has_password=False, workload=workload)
    for workload in WORKLOADS
    if workload.name in _RULED
} | {
    f"password-{workload.name}": Row("a password", has_password=True, workload=workload)
    for workload in WORKLOADS
    if workload.name in _PROTECTED
}


def format_rules() -> dict[str, str]:
    """Return rule files, 1,000 rules together, one of which holds for every path."""
    half = RULES // 2
    blocks = ["/*\n  X-Frame-Options: DENY\n"]
    blocks += [f"/part{number}/*\n  X-Part: {number}\n" for number in range(half - 1)]
    lines = [f"/old{number}/* /new{number}/:splat 301\n" for number in range(half)]
    return {"_headers": "".join(blocks), "_redirects": "".join(lines)}


def format_passwords() -> str:
    """Return a password file with one user. Which hash it has matters only once."""
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    return f"{USER}:{{SHA}}{digest}\n"


def format_credentials() -> tuple[str, str]:
    """Return the field by which the user logs in (RFC 7617 section 2)."""
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return "Authorization", f"Basic {token}"


def plan_ruled(order: Order) -> Plan:
    """Return how epollo is run with all of it."""
    folder = order.scratch / "ruled"
    if not folder.is_dir():
        write_site(compose_site(), folder)
        for name, text in format_rules().items():
            (folder / name).write_text(text)
    plain = plan_epollo(replace(order, site=folder))
    return replace(plain, command=[*plain.command, "--cors", "any", "--listing", "on"])


def plan_protected(order: Order) -> Plan:
    """Return how epollo is run with a password for the whole site."""
    path = order.scratch / "passwords"
    path.write_text(format_passwords())
    plain = plan_epollo(order)
    return replace(plain, command=[*plain.command, "--auth", str(path)])


def choose_contestants(row: Row) -> list[tuple[Server, Workload]]:
    """Return both servers of a row, each with what it is asked."""
    plan: Callable[[Order], Plan] = plan_protected if row.has_password else plan_ruled
    asked = row.workload
    if row.has_password:
        asked = replace(asked, fields=(*asked.fields, format_credentials()))
    return [
        (Server(WITH, "with", find_epollo, plan), asked),
        (Server(WITHOUT, "without", find_epollo, plan_epollo), row.workload),
    ]


def measure_row(bench: Bench, row: Row) -> WorkloadResult:
    """Drive both servers of a row, round after round."""
    say(f"{row.title}: {row.workload.title}")
    with ExitStack() as stack:
        entries = [
            Entry(bench, server, workload, stack) for server, workload in choose_contestants(row)
        ]
        for number in range(bench.rounds):
            # One of the two is first in every other round: neither always follows the other.
            for entry in entries if number % 2 else reversed(entries):
                entry.measure_round(bench.seconds)
        for entry in entries:
            entry.finish()
        servers = {entry.server.name: entry.result for entry in entries}
        return WorkloadResult(title=row.workload.title, idle=row.workload.idle, servers=servers)


def format_row(row: Row, workload: WorkloadResult) -> list[str]:
    """Return one line of the table."""
    costs, figure = format_costs(workload, row.ratio)
    held = ["", ""] if figure is None else [f"{row.ratio.most:g}", judge(figure, row.ratio)]
    return [row.title, workload["title"], *costs, *held]


def format_findings(findings: Findings) -> str:
    """Return the whole report as Markdown."""
    rows = [
        format_row(ROWS[name], workload)
        for name, workload in zip(findings["rows"], findings["workloads"], strict=True)
    ]
    head = ["CPU µs per request", "workload", "with", "without", "ratio", "bar", "reached"]
    title = "What rules, CORS, listings and passwords cost"
    return format_page(title, findings, "with and without in turn", format_table(head, rows))


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, rounds=5, each="with and without, in turn", seconds=1)
    rows = ",".join(ROWS)
    parser.add_argument("--rows", default=rows, help="which, with commas (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.rows = arguments.rows.split(",")
    if unknown := [name for name in arguments.rows if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}")
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write policies.md and policies.json."""
    find_wrk()
    rounds, seconds = max(1, arguments.rounds), max(1, arguments.seconds)
    command = ["python", "bench/policies.py", "--rounds", f"{rounds}", "--seconds", f"{seconds}"]
    if arguments.rows != list(ROWS):
        command += ["--rows", ",".join(arguments.rows)]
    with open_bench(rounds, seconds) as bench:
        say(f"about {len(arguments.rows) * 2 * (rounds * (seconds + 0.2) + 2) / 60:.1f} minutes")
        findings = Findings(
            format=1,
            date=format_now(),
            command=command,
            machine=describe_machine(),
            settings={"rounds": str(rounds), "seconds": str(seconds)},
            rows=arguments.rows,
            workloads=[measure_row(bench, ROWS[name]) for name in arguments.rows],
        )
    write_findings(findings, arguments.out, {"policies.md": format_findings(findings)})
    say(f"written: {arguments.out / 'policies.md'}")


def main() -> None:
    arguments = parse_arguments()
    run_until_stopped(lambda: run(arguments))


if __name__ == "__main__":
    main()
