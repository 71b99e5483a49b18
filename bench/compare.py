"""Static servers side by side on this machine: ``.venv/bin/python bench/compare.py``.

Starts each server with one worker on loopback, drives it with wrk, and writes CPU time per request,
requests per second, latency and memory as Markdown, JSON and a chart. Servers that are not
installed are left out. ``--help`` lists the options; bench/README.md says how it measures.
"""

import argparse
import json
import sys
from pathlib import Path

from chart import draw_chart
from contest import Bench, compare_servers, open_bench
from report import format_report
from results import Comparison
from runs import (
    PEERS,
    RESULTS,
    choose,
    describe_machine,
    find_versions,
    find_wrk,
    format_now,
    run_until_stopped,
    say,
    write_findings,
)
from servers import SERVERS, Server, epollo_before
from workloads import CONNECTIONS, WORKLOADS, Workload


def estimate_minutes(bench: Bench, servers: list[Server], workloads: list[Workload]) -> float:
    """Return roughly how long it takes: warming up and searching are runs of a second."""
    seconds = 0.0
    for workload in workloads:
        instances = 2 if workload.idle else 1
        for server in servers:
            seconds += instances * (bench.rounds * (bench.seconds + 0.2) + 1.5)
            if (variants := len(server.variants(workload))) > 1 and not workload.idle:
                seconds += 1.3 * (2 if bench.is_quick else variants + 8)
    return seconds / 60


def write_results(comparison: Comparison, folder: Path) -> None:
    """Write results.json, results.md and chart.svg."""
    reports = {
        "results.md": format_report(comparison, "chart.svg"),
        "chart.svg": draw_chart(comparison),
    }
    write_findings(comparison, folder, reports)


def parse_arguments() -> argparse.Namespace:
    servers = ",".join(server.name for server in SERVERS)
    workloads = ",".join(workload.name for workload in WORKLOADS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--servers", default=servers, help=f"which, with commas between\n(default: {servers})")
    add("--workloads", help=f"which, with commas between\n(default: {workloads})")
    add("--rounds", type=int, default=5, help="of every server, interleaved (default: 5)")
    add("--seconds", type=int, default=3, help="of load in a round (default: 3)")
    add("--quick", action="store_true", help="one round of one second of 1k and 304")
    add("--out", type=Path, default=RESULTS, help="folder for the results")
    add(
        "--peers",
        type=Path,
        default=PEERS,
        help="virtual environment of peers/requirements.txt (default: bench/build/peers)",
    )
    add("--python", default=sys.executable, help="interpreter for epollo and http.server")
    add("--before", help="interpreter that has another version of epollo, to compare with too")
    add(
        "--no-pin",
        action="store_true",
        help="let the scheduler place server and load\n(default: one processor for each)",
    )
    add("--report", type=Path, help="measure nothing: write the report of this JSON file again")
    return parser.parse_args()  # fmt: skip


def repeat_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that measures the same again, on whatever machine."""
    command = [".venv/bin/python", "bench/compare.py", "--servers", arguments.servers]
    if arguments.workloads:
        command += ["--workloads", arguments.workloads]
    if arguments.before:
        command += ["--before", "PYTHON"]
    if arguments.quick:
        command.append("--quick")
    else:
        command += ["--rounds", str(arguments.rounds), "--seconds", str(arguments.seconds)]
    return [*command, "--no-pin"] if arguments.no_pin else command


def run(arguments: argparse.Namespace) -> None:
    """Measure what was asked for, and write the results after every workload."""
    by_name = {server.name: server for server in SERVERS}
    all_workloads = {workload.name: workload for workload in WORKLOADS}
    names = arguments.workloads or ("1k,304" if arguments.quick else ",".join(all_workloads))
    workloads = [all_workloads[name] for name in choose(names, list(all_workloads))]
    peers = arguments.peers if arguments.peers.is_dir() else None
    chosen = [by_name[name] for name in choose(arguments.servers, list(by_name))]
    if arguments.before:
        before = epollo_before(arguments.before)
        if before.find("", peers) is None:
            say(f"epollo before cannot run with {arguments.before}; install it there")
            sys.exit(2)
        chosen.insert(1, before)
    versions = find_versions(chosen, arguments.python, peers)
    wrk_version = find_wrk()
    servers = [server for server in chosen if server.name in versions]
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, arguments.seconds)
    with open_bench(
        rounds,
        seconds,
        python=arguments.python,
        peers=peers,
        may_pin=not arguments.no_pin,
        is_quick=arguments.quick,
    ) as bench:
        is_pinned = bench.processors.server is not None
        comparison = Comparison(
            format=1,
            date=format_now(),
            command=repeat_command(arguments),
            machine=describe_machine(),
            versions=versions | {"wrk": wrk_version},
            settings={
                "rounds": str(rounds),
                "seconds": str(seconds),
                "load": f"wrk, one thread, {CONNECTIONS} connections"
                + (", on another processor than the server's." if is_pinned else "."),
            },
            workloads={},
        )
        say(f"about {estimate_minutes(bench, servers, workloads):.0f} minutes")
        for number, workload in enumerate(workloads, 1):
            say(f"{workload.title} ({number} of {len(workloads)})")
            comparison["workloads"][workload.name] = compare_servers(bench, servers, workload)
            write_results(comparison, arguments.out)
    say(f"written: {arguments.out / 'results.md'}")


def main() -> None:
    arguments = parse_arguments()
    if arguments.report:
        comparison: Comparison = json.loads(arguments.report.read_text())
        write_results(comparison, arguments.report.parent)
        return
    run_until_stopped(lambda: run(arguments), "the workloads that were finished are written")


if __name__ == "__main__":
    main()
