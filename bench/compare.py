"""Static servers side by side on this machine: ``.venv/bin/python bench/compare.py``.

Starts each server with one worker on loopback, drives it with wrk, and writes CPU time per request,
requests per second, latency and memory as Markdown, JSON and a chart. Servers that are not
installed are left out. ``--help`` lists the options; bench/README.md says how it measures.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from chart import draw_chart
from contest import Bench, compare_servers, say
from measure import raise_descriptor_limit
from report import format_report
from results import Comparison
from servers import SERVERS, Server, first_line
from workloads import CONNECTIONS, WORKLOADS, Workload, compose_site, write_site

HERE = Path(__file__).resolve().parent


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


def describe_machine() -> dict[str, str]:
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "processors": str(os.cpu_count()),
        "memory_octets": str(memory),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def write_results(comparison: Comparison, folder: Path) -> None:
    """Write results.json, results.md and chart.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(comparison, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n")
    (folder / "results.md").write_text(format_report(comparison, "chart.svg"))
    (folder / "chart.svg").write_text(draw_chart(comparison))


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
    add("--out", type=Path, default=HERE / "results", help="folder for the results")
    add(
        "--peers",
        type=Path,
        default=HERE / "build" / "peers",
        help="virtual environment of peers/requirements.txt (default: bench/build/peers)",
    )
    add("--python", default=sys.executable, help="interpreter for epollo and http.server")
    add(
        "--no-pin",
        action="store_true",
        help="let the scheduler place server and load\n(default: one processor for each)",
    )
    add("--report", type=Path, help="measure nothing: write the report of this JSON file again")
    return parser.parse_args()  # fmt: skip


def choose(names: str, known: dict[str, object]) -> list[str]:
    chosen = names.split(",")
    if unknown := [name for name in chosen if name not in known]:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return chosen


def stop(_number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that every server is ended on the way out."""
    raise KeyboardInterrupt


def repeat_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that measures the same again, on whatever machine."""
    command = [".venv/bin/python", "bench/compare.py", "--servers", arguments.servers]
    if arguments.workloads:
        command += ["--workloads", arguments.workloads]
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
    workloads = [all_workloads[name] for name in choose(names, dict(all_workloads))]
    peers = arguments.peers if arguments.peers.is_dir() else None
    versions = {
        name: by_name[name].find(arguments.python, peers)
        for name in choose(arguments.servers, dict(by_name))
    }
    if "epollo" in versions and versions["epollo"] is None:
        # Others may be missing; without epollo the figures are not what was asked for.
        say(f"epollo cannot run with {arguments.python}; .venv/bin/python can, after sh dev/test")
        sys.exit(2)
    if (wrk_version := first_line("wrk", "-v")) is None:
        sys.exit("wrk is not installed; Debian: apt-get install wrk")
    for name in [name for name, version in versions.items() if version is None]:
        say(f"{name} is not installed: left out")
    servers = [by_name[name] for name, version in versions.items() if version is not None]
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, arguments.seconds)
    processors = sorted(os.sched_getaffinity(0))
    is_pinned = len(processors) > 1 and not arguments.no_pin
    raise_descriptor_limit()

    comparison = Comparison(
        format=1,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=repeat_command(arguments),
        machine=describe_machine(),
        versions={name: version for name, version in versions.items() if version}
        | {"wrk": wrk_version},
        settings={
            "rounds": str(rounds),
            "seconds": str(seconds),
            "load": f"wrk, one thread, {CONNECTIONS} connections"
            + (", on another processor than the server's." if is_pinned else "."),
        },
        workloads={},
    )
    with tempfile.TemporaryDirectory(prefix="epollo-bench-") as scratch_name:
        scratch = Path(scratch_name)
        scratch.chmod(0o755)
        bench = Bench(
            site=compose_site(),
            folder=scratch / "site",
            scratch=scratch,
            rounds=rounds,
            seconds=seconds,
            python=arguments.python,
            peers=peers,
            server_processor=processors[0] if is_pinned else None,
            load_processor=processors[1] if is_pinned else None,
            is_quick=arguments.quick,
        )
        write_site(bench.site, bench.folder)
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
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit("stopped; the workloads that were finished are written")


if __name__ == "__main__":
    main()
