"""A comparison as Markdown."""

from bars import evaluate_bars
from results import (
    Comparison,
    Figure,
    Ratio,
    ServerResult,
    WorkloadResult,
    cpu_figure,
    evaluate_ratio,
    format_figure,
    octets_per_idle_connection,
    summarize,
)

READING = (
    "CPU time is user and system time of all the server's processes over the answers that wrk "
    "counted. Memory is their proportional set size. Octets are those of one answer on the "
    "wire, head and content. nginx ran in the configuration, named in the last column, that "
    "was best for the workload in a search beforehand; the JSON file beside this page has the "
    "search, every command and every configuration."
)


def format_spread(figure: Figure) -> str:
    if figure.least == figure.most:
        return format_figure(figure.median)
    least, most = format_figure(figure.least), format_figure(figure.most)
    return f"{format_figure(figure.median)} ({least} to {most})"


def format_costs(workload: WorkloadResult, ratio: Ratio) -> tuple[list[str], Figure | None]:
    """Return three cells, the CPU time of both servers and the ratio of these, and that ratio.

    None where it does not count, and then the cells say why.
    """
    figure = evaluate_ratio(workload, ratio)
    if figure is None:
        wrong = [result["wrong"] for result in workload["servers"].values()]
        return ["", "", f"not counted: {', '.join(filter(None, wrong))}"], None
    costs = [cpu_figure(workload["servers"][name]["rounds"]) for name in ratio[:2]]
    return list(map(format_spread, (*costs, figure))), figure


def format_latency(values: list[float]) -> str:
    """Return the median, nothing where wrk had none: it drops what it takes for its own delay."""
    return format_figure(summarize(values).median) if all(values) else ""


def format_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def server_names(comparison: Comparison) -> list[str]:
    """Return the names of all servers, in the order in which they were first measured."""
    names: dict[str, None] = {}
    for workload in comparison["workloads"].values():
        names |= dict.fromkeys(workload["servers"])
    return list(names)


def overview_table(comparison: Comparison) -> str:
    """Return one row a workload, one column a server, the least but for the floor in bold."""
    names = server_names(comparison)
    titles = {
        name: result["title"]
        for workload in comparison["workloads"].values()
        for name, result in workload["servers"].items()
    }
    rows = []
    for workload in comparison["workloads"].values():
        costs = {
            name: cpu_figure(result["rounds"]).median
            for name, result in workload["servers"].items()
            if result["rounds"] and not result["wrong"]
        }
        least = min((cost for name, cost in costs.items() if name != "floor"), default=0)
        row = [workload["title"]]
        for name in names:
            if name not in costs:
                row.append("wrong" if name in workload["servers"] else "")
            elif costs[name] == least:
                row.append(f"**{format_figure(costs[name])}**")
            else:
                row.append(format_figure(costs[name]))
        rows.append(row)
    return format_table(["", *(titles[name] for name in names)], rows)


def format_remarks(result: ServerResult) -> str:
    remarks = [result["variant"]] if result["variant"] else []
    if errors := sum(round_["errors"] for round_ in result["rounds"]):
        remarks.append(f"{errors} errors")
    if idle := result["idle"]:
        octets = octets_per_idle_connection(idle)
        remarks.append(f"{octets:,.0f} octets per idle connection")
        if idle["alive"] < idle["connections"]:
            remarks.append(f"only {idle['alive']:,} of {idle['connections']:,} stayed open")
    if result["without_idle"]:
        ratio = cpu_figure(result["rounds"]).median / cpu_figure(result["without_idle"]).median
        remarks.append(f"{ratio:.2f} x the cost without them")
    return "; ".join(remarks)


def workload_table(workload: WorkloadResult) -> str:
    """Return one row a server, the cheapest first, those that answered wrongly last."""
    right = [result for result in workload["servers"].values() if not result["wrong"]]
    wrong = [result for result in workload["servers"].values() if result["wrong"]]
    rows = []
    for result in sorted(right, key=lambda result: cpu_figure(result["rounds"]).median):
        rounds = result["rounds"]
        rows.append([
            result["title"],
            format_spread(cpu_figure(rounds)),
            format_figure(summarize([r["requests_per_second"] for r in rounds]).median),
            format_latency([r["p50"] for r in rounds]),
            format_latency([r["p99"] for r in rounds]),
            f"{summarize([float(r['pss']) for r in rounds]).median / (1 << 20):.1f}",
            f"{result['answer_octets']:,}",
            format_remarks(result),
        ])  # fmt: skip
    rows += [
        [result["title"], "not counted", "", "", "", "", "", result["wrong"]] for result in wrong
    ]
    head = [
        "", "CPU µs per request", "requests/s", "p50 µs", "p99 µs", "memory MiB", "octets", "",
    ]  # fmt: skip
    return format_table(head, rows)


def bars_table(comparison: Comparison) -> str:
    titles = {name: workload["title"] for name, workload in comparison["workloads"].items()}
    rows = [
        [
            titles.get(verdict.bar.workload, verdict.bar.workload),
            verdict.bar.text,
            verdict.figure,
            verdict.reached,
        ]
        for verdict in evaluate_bars(comparison)
        if verdict.reached != "not measured"
    ]
    return format_table(["workload", "bar", "figure", "reached"], rows)


def format_report(comparison: Comparison, chart: str) -> str:
    """Return the whole report; ``chart`` is the picture's name beside it."""
    machine = comparison["machine"]
    settings = comparison["settings"]
    method = (
        f"{comparison['date']}. {machine['processor']}, {machine['processors']} processors, "
        f"{machine['kernel']}, over loopback. One worker each, access log off. {settings['load']} "
        f"{settings['rounds']} rounds of {settings['seconds']} s, the servers in turn within each; "
        "medians, with the least and the most of the rounds. Every server was asked before and "
        "after, and one that answers wrongly is not counted."
    )
    parts = [
        "# epollo beside others",
        method,
        f"`{' '.join(comparison['command'])}`",
        f"![CPU time per request]({chart})",
        "## CPU microseconds per request",
        overview_table(comparison),
        "## The bars",
        bars_table(comparison),
        "## Each workload",
    ]
    for workload in comparison["workloads"].values():
        parts += [f"### {workload['title']}", workload_table(workload)]
    parts += [
        "## What was compared",
        format_table(
            ["", "version"],
            [[name, version] for name, version in comparison["versions"].items()],
        ),
        READING,
    ]
    return "\n\n".join(parts) + "\n"
