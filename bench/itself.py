"""epollo beside itself: what workers and an access log cost: ``.venv/bin/python bench/itself.py``.

Drives epollo in one process, under a parent with one worker and with two, and with its access log,
and nginx without and with its own, all in turn; then opens bursts of connections to two workers and
counts how many each got. Writes itself.md and itself.json; ``--help`` lists the options.
"""

import argparse
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from contest import Bench, compare_servers, open_bench
from measure import process_tree
from report import format_spread, format_table, workload_table
from results import Ratio, Run, WorkloadResult, evaluate_ratio, judge
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
from servers import (
    HOST,
    Order,
    Plan,
    Server,
    ServerFailedError,
    choose_port,
    find_epollo,
    find_program,
    nginx_configuration,
    plan_epollo,
    plan_nginx,
    running,
    write_configuration,
)
from wire import format_request
from workloads import CONNECTIONS, WORKLOADS, Workload

BURSTS = 5
BURST_CONNECTIONS = 200
BURST_SECONDS = 10.0
"""How long the answers to a burst may take together."""


class Spread(TypedDict):
    """How many connections of each burst each worker got, the workers in the same order."""

    connections: int
    bursts: list[list[int]]


class Findings(Run):
    """A whole run; ``log_lines`` counts what stood in each access log in the end."""

    versions: dict[str, str]
    workload: WorkloadResult
    log_lines: dict[str, int]
    spread: Spread | None


# The contestants


def log_path(order: Order, name: str) -> Path:
    return order.scratch / f"{name}.log"


def plan_with(*options: str) -> Callable[[Order], Plan]:
    """Return how epollo is run with these options besides."""

    def plan(order: Order) -> Plan:
        plain = plan_epollo(order)
        return replace(plain, command=[*plain.command, *options])

    return plan


def plan_logging(name: str, kind: str) -> Callable[[Order], Plan]:
    """Return how epollo is run with an access log of this format."""

    def plan(order: Order) -> Plan:
        path = str(log_path(order, name))
        return plan_with("--access-log", path, "--access-log-format", kind)(order)

    return plan


def format_nginx_log(configuration: str, path: Path, options: str) -> str:
    """Return the configuration with an access log in the combined format."""
    wanted = " ".join(filter(None, ("access_log", str(path), "combined", options)))
    return configuration.replace("access_log off;", f"{wanted};")


def plan_nginx_logging(name: str, options: str = "") -> Callable[[Order], Plan]:
    def plan(order: Order) -> Plan:
        text = format_nginx_log(nginx_configuration(order), log_path(order, name), options)
        path = write_configuration(order, name, text)
        plain = plan_nginx(order)
        return replace(plain, command=[*plain.command[:-1], path], configuration=text)

    return plan


def nginx_variant(_workload: Workload) -> list[str]:
    """Return the one configuration that compare.py finds best for small files."""
    return ["open_file_cache"]


_find_nginx = find_program("nginx", "-v")
CONTESTANTS = (
    Server("process", "epollo, one process", find_epollo, plan_epollo),
    Server("workers-1", "epollo, --workers 1", find_epollo, plan_with("--workers", "1")),
    Server("workers-2", "epollo, --workers 2", find_epollo, plan_with("--workers", "2")),
    Server("combined", "epollo, combined log", find_epollo, plan_logging("combined", "combined")),
    Server("json", "epollo, json log", find_epollo, plan_logging("json", "json")),
    Server("nginx", "nginx", _find_nginx, plan_nginx, nginx_variant),
    Server(
        "nginx-log",
        "nginx, combined log",
        _find_nginx,
        plan_nginx_logging("nginx-log"),
        nginx_variant,
    ),
    Server(
        "nginx-buffered",
        "nginx, combined log, buffered",
        _find_nginx,
        plan_nginx_logging("nginx-buffered", "buffer=64k flush=1s"),
        nginx_variant,
    ),
)
LOGGING = ("combined", "json", "nginx-log", "nginx-buffered")


def count_lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as log:
        return sum(part.count(b"\n") for part in iter(lambda: log.read(1 << 20), b""))


def refuse_short_logs(workload: WorkloadResult, log_lines: dict[str, int]) -> None:
    """Do not count a server whose log has fewer lines than it gave answers."""
    for name, lines in log_lines.items():
        result = workload["servers"][name]
        answers = sum(round_["requests"] for round_ in result["rounds"])
        if not result["wrong"] and lines < answers:
            result["wrong"] = f"{lines:,} lines in its log for {answers:,.0f} answers"


# The ratios


RATIOS = (
    Ratio("workers-1", "process"),
    Ratio("workers-2", "workers-1"),
    Ratio("combined", "process", 1.15),
    Ratio("json", "process", 1.15),
    Ratio("combined", "nginx-log", 1.0, is_inclusive=False),
    Ratio("combined", "nginx-buffered", 1.0, is_inclusive=False),
    Ratio("nginx-log", "nginx"),
    Ratio("nginx-buffered", "nginx"),
)


def ratios_table(workload: WorkloadResult) -> str:
    titles = {server.name: server.title for server in CONTESTANTS}
    rows = []
    for ratio in RATIOS:
        figure = evaluate_ratio(workload, ratio)
        if figure is None:
            continue
        bar = ""
        if ratio.most is not None:
            bar = f"{'at most' if ratio.is_inclusive else 'less than'} {ratio.most:g} x"
        compared = f"{titles[ratio.name]} / {titles[ratio.over]}"
        rows.append([compared, format_spread(figure), bar, judge(figure, ratio)])
    return format_table(["CPU per request", "ratio", "bar", "reached"], rows)


# The spread over workers


class Sockets(NamedTuple):
    """Inodes of the sockets at one port: those that listen, and the others by the peer's port."""

    listening: set[int]
    connected: dict[int, int]


def parse_sockets(table: str, port: int) -> Sockets:
    """Read what /proc/net/tcp has of this local port; ports are hexadecimal there (proc(5))."""
    sockets = Sockets(set(), {})
    for line in table.splitlines()[1:]:
        _, local, remote, state, *_rest = words = line.split()
        if int(local.rpartition(":")[2], 16) != port:
            continue
        inode = int(words[9])
        if state == "0A":
            sockets.listening.add(inode)
        elif inode:
            sockets.connected[int(remote.rpartition(":")[2], 16)] = inode
    return sockets


def held_sockets(process: int) -> set[int]:
    """Return the inodes of the sockets that the process has open."""
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found


def ask_at_once(port: int, request: bytes, count: int, stack: ExitStack) -> set[int]:
    """Open all the connections, then ask on each; return their own ports when all are answered.

    Raises ServerFailedError where an answer is missing after BURST_SECONDS.
    """
    peers = [stack.enter_context(socket.socket()) for _ in range(count)]
    selector = stack.enter_context(selectors.DefaultSelector())
    for peer in peers:
        peer.setblocking(False)
        peer.connect_ex((HOST, port))
        selector.register(peer, selectors.EVENT_WRITE)
    deadline = time.monotonic() + BURST_SECONDS
    unanswered = count
    while unanswered:
        ready = selector.select(deadline - time.monotonic())
        if not ready:
            raise ServerFailedError(f"{unanswered} of {count} connections got no answer")
        for key, events in ready:
            answering = key.fileobj
            assert isinstance(answering, socket.socket)
            if events & selectors.EVENT_WRITE:
                answering.send(request)
                selector.modify(answering, selectors.EVENT_READ)
            elif answering.recv(1 << 16).startswith(b"HTTP/1.1 200 "):
                selector.unregister(answering)
                unanswered -= 1
            else:
                raise ServerFailedError("a connection of the burst was not answered 200")
    return {peer.getsockname()[1] for peer in peers}


def measure_spread(bench: Bench, workload: Workload) -> Spread:
    """Open bursts of connections to two workers; count the sockets that each has of them."""
    order = Order(
        site=bench.folder, scratch=bench.scratch, port=choose_port(), workload=workload,
        answer_octets=0, python=bench.python,
    )  # fmt: skip
    request = format_request(workload.target, [("Host", f"{HOST}:{order.port}")])
    spread = Spread(connections=BURST_CONNECTIONS, bursts=[])
    with running(plan_with("--workers", "2")(order), order, None) as parent:
        for _ in range(BURSTS):
            with ExitStack() as stack:
                ours = ask_at_once(order.port, request, BURST_CONNECTIONS, stack)
                sockets = parse_sockets(Path("/proc/net/tcp").read_text(), order.port)
                burst = {inode for peer, inode in sockets.connected.items() if peer in ours}
                held = [held_sockets(process) for process in sorted(process_tree(parent)[1:])]
                counts = [len(burst & inodes) for inodes in held if inodes & sockets.listening]
            spread["bursts"].append(counts)
            say(f"  a burst of {BURST_CONNECTIONS}: {' and '.join(map(str, counts))}")
    return spread


def spread_table(spread: Spread) -> str:
    rows = []
    for number, counts in enumerate(spread["bursts"], 1):
        share = max(counts, default=0) / spread["connections"]
        rows.append([f"{number}", ", ".join(map(str, counts)), f"{share:.0%}"])
    return format_table(["burst", "connections of each worker", "share of the busiest"], rows)


# The command


def format_findings(findings: Findings) -> str:
    """Return the whole report as Markdown."""
    parts = [
        "## What workers and a log cost",
        ratios_table(findings["workload"]),
        "## 1 KiB, keep-alive",
        workload_table(findings["workload"]),
        "Each log had at least a line for every answer that was counted, or its server does not "
        "count: "
        + ", ".join(f"{name} {lines:,}" for name, lines in findings["log_lines"].items())
        + " lines.",
    ]
    if findings["spread"] is not None:
        count = findings["spread"]["connections"]
        parts += [
            "## The spread over two workers",
            f"{count} connections opened at once; a worker got the ones of the sockets that it holds.",
            spread_table(findings["spread"]),
        ]
    parts += [format_table(["", "version"], [[*pair] for pair in findings["versions"].items()])]
    return format_page("epollo beside itself", findings, "all in turn", *parts)


def parse_arguments() -> argparse.Namespace:
    each = "of every contestant, interleaved"
    parser = make_parser(__doc__, rounds=5, each=each, seconds=3)
    add = parser.add_argument
    add("--python", default=sys.executable, help="interpreter for epollo")
    add(
        "--no-pin",
        action="store_true",
        help="let the scheduler place servers and load\n"
        "(default: all processes of a server on one processor, wrk on another)",
    )
    return parser.parse_args()


def measure(bench: Bench, findings: Findings) -> None:
    """Fill in what the run finds."""
    workload = next(workload for workload in WORKLOADS if workload.name == "1k")
    servers = [server for server in CONTESTANTS if server.find(bench.python, None) is not None]
    findings["workload"] = compare_servers(bench, servers, workload)
    findings["log_lines"] = {
        server.name: count_lines(bench.scratch / f"{server.name}.log")
        for server in servers
        if server.name in LOGGING
    }
    refuse_short_logs(findings["workload"], findings["log_lines"])
    say("The spread over two workers")
    try:
        findings["spread"] = measure_spread(bench, workload)
    except (ServerFailedError, OSError) as trouble:
        say(f"  not counted: {trouble}")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and write itself.md and itself.json."""
    wrk_version = find_wrk()
    rounds, seconds = max(1, arguments.rounds), max(1, arguments.seconds)
    command = ["python", "bench/itself.py", "--rounds", str(rounds), "--seconds", str(seconds)]
    versions = {"epollo": find_epollo(arguments.python, None), "nginx": _find_nginx("", None)}
    with open_bench(
        rounds, seconds, python=arguments.python, may_pin=not arguments.no_pin
    ) as bench:
        is_pinned = bench.processors.server is not None
        place = ", all processes of a server on one processor, wrk on another" if is_pinned else ""
        findings = Findings(
            format=1,
            date=format_now(),
            command=[*command, "--no-pin"] if arguments.no_pin else command,
            machine=describe_machine(),
            versions={name: version for name, version in versions.items() if version}
            | {"wrk": wrk_version},
            settings={
                "rounds": str(rounds),
                "seconds": str(seconds),
                "load": f"wrk, one thread, {CONNECTIONS} connections{place}.",
            },
            workload=WorkloadResult(title="", idle=0, servers={}),
            log_lines={},
            spread=None,
        )
        minutes = len(CONTESTANTS) * (rounds * (seconds + 0.2) + 1.5) / 60
        say(f"about {minutes:.1f} minutes")
        measure(bench, findings)
    write_findings(findings, arguments.out, {"itself.md": format_findings(findings)})
    say(f"written: {arguments.out / 'itself.md'}")


def main() -> None:
    arguments = parse_arguments()
    run_until_stopped(lambda: run(arguments))


if __name__ == "__main__":
    main()
