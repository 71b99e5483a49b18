"""The wide benchmark as Markdown."""

from statistics import median

from report import format_spread, format_table
from results import format_figure, summarize
from wide_results import EntrantResult, RowResult, Wide, figure_of, judge, measure_bar, rounds_of

LOADED = ("cpu", "p50", "p99", "per_second", "memory")
"""The figures that every row of load has."""

READING = (
    "CPU time is user and system time of all processes of a server over its answers. p99 is counted "
    "from the instant at which a request was due. Each answer's status and length were checked, and "
    "some contents. nginx ran in the configuration, named in the last column, that was best in a search "
    "beforehand. Memory is the proportional set size, files of memory included. The ratio to nginx is "
    "the median of the rounds' ratios, each taken within one round; *narrowly* means that another round "
    "says the opposite."
)


def is_load(row: RowResult) -> bool:
    """Return whether a row drives servers with a trace, epollo among them."""
    return not row["unit"]


def entrant_names(wide: Wide) -> list[str]:
    """Return the servers of all rows of load, in the order in which they were first measured."""
    names: dict[str, None] = {}
    for row in wide["rows"].values():
        if is_load(row):
            names |= dict.fromkeys(row["entrants"])
    return list(names)


def load_table(wide: Wide) -> str:
    """Return one line a row of load: each server's figure, epollo's ratio to nginx, and the bar."""
    names = entrant_names(wide)
    lines = []
    for row in filter(is_load, wide["rows"].values()):
        line = [row["title"]]
        for name in names:
            figure = figure_of(row, name)
            absent = "wrong" if name in row["entrants"] else ""
            line.append(format_figure(figure.median) if figure else absent)
        bar = next(iter(row["bars"]), None)
        ratio = measure_bar(row, bar) if bar else None
        line += [format_figure(ratio.median) if ratio else ""]
        line += [f"{bar['bound']:g}", judge(row, bar)] if bar else ["", ""]
        lines.append(line)
    return format_table(["µs", *names, "epollo / nginx", "bar", "reached"], lines)


def special_table(wide: Wide) -> str:
    """Return one line for each entrant and each bar of the rows that have a unit of their own."""
    lines = []
    for row in wide["rows"].values():
        if is_load(row):
            continue
        for name, result in row["entrants"].items():
            figure = figure_of(row, name)
            said = f"{format_spread(figure)} {row['unit']}" if figure else result["wrong"]
            lines.append([f"{row['title']}: {result['title']}", said, "", ""])
        for bar in row["bars"]:
            found = measure_bar(row, bar)
            over = f" / {bar['theirs']}" if bar["theirs"] else ""
            said = format_spread(found) if found else ""
            other = f", {bar['figure']}" if bar["figure"] != row["figure"] else ""
            text = f"{row['title']}: {bar['ours']}{over}{other}"
            lines.append([text, said, f"{bar['bound']:g}", judge(row, bar)])
    return format_table(["", "figure", "bar", "reached"], lines)


def row_table(row: RowResult) -> str:
    """Return one line an entrant of a row of load."""
    lines = []
    for name, result in row["entrants"].items():
        rounds = rounds_of(row, name)
        if not rounds:
            lines.append([result["title"], "not counted", "", "", "", "", result["wrong"]])
            continue
        lines.append([
            result["title"],
            format_spread(summarize([measured["cpu"] for measured in rounds])),
            *(format_figure(median(one[key] for one in rounds)) for key in LOADED[1:]),
            format_remarks(result, row["rate"]),
        ])  # fmt: skip
    head = ["", "CPU µs", "p50 µs", "p99 µs", "a second", "memory MiB", ""]
    return format_table(head, lines)


def format_remarks(result: EntrantResult, rate: float) -> str:
    """Return the configuration, and what makes the figures doubtful."""
    lost = sum(measured["lost"] for measured in result["rounds"])
    answered = median(measured["per_second"] for measured in result["rounds"])
    remarks = [result["variant"]] if result["variant"] else []
    remarks += [f"{lost:.0f} requests without an answer"] if lost else []
    remarks += [f"behind the {rate:,.0f} that were due"] if answered < rate * 0.97 else []
    return "; ".join(remarks)


def format_wide(wide: Wide, picture: str) -> str:
    """Return the whole report; ``picture`` is the chart's name beside it, empty for none."""
    machine, settings = wide["machine"], wide["settings"]
    method = (
        f"{wide['date']}. {machine['processor']}, {machine['processors']} processors, "
        f"{machine['kernel']}, Python {machine['python']}, over loopback; one worker each, access log "
        f"off. The load of the machine was {machine['load_before']} before. {settings['rounds']} rounds "
        f"of {settings['seconds']} s, the servers in turn within each; medians."
    )
    parts = ["# The width of a site", method, f"`{' '.join(wide['command'])}`"]
    parts += [f"![CPU time per request against the number of URLs]({picture})"] if picture else []
    rows = wide["rows"].values()
    if any(map(is_load, rows)):
        parts += ["## Cost of a request", load_table(wide)]
    if not all(map(is_load, rows)):
        parts += ["## Memory, workers, releases, start", special_table(wide)]
    parts += [READING, "## Each row"]
    for row in filter(is_load, rows):
        parts += [f"### {row['title']}", row_table(row)]
    versions = [[name, version] for name, version in wide["versions"].items()]
    parts += ["## What was compared", format_table(["", "version"], versions)]
    return "\n\n".join(parts) + "\n"
