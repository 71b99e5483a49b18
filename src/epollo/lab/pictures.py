"""From results to drawings: which figure is a line, a bar or a sentence."""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.lab.charts import (
    NARROW,
    WIDE,
    Bar,
    Caption,
    Frame,
    Line,
    draw_bars,
    draw_copied,
    draw_lines,
    format_number,
)
from epollo.lab.counters import TRIES
from epollo.lab.growth import FLAT
from epollo.lab.results import Results, Round, Tally, summarize
from epollo.lab.words import say

COPIED_POLLERS: Final = ("busy", "select", "poll", "epoll")


def draw_all(results: Results, language: str) -> dict[str, str]:
    """Return every drawing of a report by its name."""
    return {
        "cost": draw_cost(results, language),
        "cost-narrow": draw_cost(results, language, NARROW),
        "latency": draw_latency(results, language),
        "waiting": draw_waiting(results, language),
        "calls": draw_calls(results, language),
        **{f"copied-{poller}": draw_mechanism(poller, language) for poller in COPIED_POLLERS},
    }


def draw_cost(results: Results, language: str, frame: Frame = WIDE) -> str:
    """Draw the cost of a request over idle connections."""
    lines = [_line(results, poller, lambda one: one.cpu_per_request) for poller in results.pollers]
    described = " ".join(
        say(
            "desc.cost",
            language,
            poller=poller,
            verdict=describe_growth(results, poller, language),
        )
        for poller in results.pollers
    )
    return draw_lines(
        Caption(
            f"cost-{language}" if frame is WIDE else f"cost-narrow-{language}",
            say("chart.cost", language),
            described,
            say("axis.idle", language),
            say("axis.cost", language),
        ),
        lines,
        frame,
    )


def draw_latency(results: Results, language: str) -> str:
    """Draw median and 99th percentile of the latency over idle connections."""
    lines = [_line(results, poller, lambda one: one.p50) for poller in results.pollers]
    lines += [
        _line(results, poller, lambda one: one.p99, is_dashed=True) for poller in results.pollers
    ]
    described = []
    for line in lines[: len(results.pollers)]:
        if line.points:
            idle, microseconds, *_ = line.points[-1]
            described.append(
                say(
                    "desc.latency",
                    language,
                    poller=line.name,
                    shown=format_number(microseconds),
                    idle=format_number(idle),
                )
            )
    return draw_lines(
        Caption(
            f"latency-{language}",
            say("chart.latency", language),
            " ".join(described),
            say("axis.idle", language),
            say("axis.latency", language),
        ),
        lines,
    )


def draw_waiting(results: Results, language: str) -> str:
    """Draw the processor time that is spent while no client asks."""
    idle = find_shared_idle(results)
    bars = []
    for poller in results.pollers:
        cell = results.cell(poller, idle)
        if cell is not None and cell.rounds:
            share = summarize([one.waiting_share for one in cell.rounds]).median
            bars.append(Bar(poller, "", share, f"{share:.1%}"))
    title = say("chart.waiting", language)
    described = " ".join(
        say("desc.waiting", language, poller=bar.name, shown=bar.shown) for bar in bars
    )
    return draw_bars(Caption(f"waiting-{language}", title, described), bars)


def draw_calls(results: Results, language: str) -> str:
    """Draw the system calls of a request by what they are for."""
    idle = find_shared_idle(results)
    bars = []
    for poller in results.pollers:
        cell = results.cell(poller, idle)
        if cell is None or cell.tally is None:
            continue
        for kind, number in sort_calls(cell.tally).items():
            label = say(f"calls.{kind}", language)
            bars.append(Bar(poller, label, number, format_number(round(number, 2))))
    described = " ".join(
        say("desc.calls", language, poller=bar.name, label=bar.label, shown=bar.shown)
        for bar in bars
    )
    caption = Caption(f"calls-{language}", say("chart.calls", language), described)
    return draw_bars(caption, bars, is_logarithmic=True)


def draw_mechanism(poller: str, language: str) -> str:
    """Draw what a poller has process and kernel hand to each other."""
    words = {
        "process": say("process", language),
        "kernel": say("kernel", language),
        "into": say(f"{poller}.in", language),
        "back": say(f"{poller}.out", language),
        "often": say(f"{poller}.often", language),
    }
    described = say(f"{poller}.desc", language)
    return draw_copied(Caption(f"copied-{poller}-{language}", poller, described), poller, words)


def sort_calls(tally: Tally) -> dict[str, float]:
    """Return the calls of a request by their purpose."""
    calls = tally.per_request
    tries = sum(calls[name] for name in TRIES)
    wait = calls["epoll_wait"] + calls["poll"] + calls["select"]
    send = calls["sendto"] + calls["sendmsg"] + calls["sendfile"]
    return {
        "wait": wait,
        "receive": max(0.0, tries - calls["in_vain"]),
        "in_vain": min(tries, calls["in_vain"]),
        "send": send,
        "changes": calls["read"],
        "other": tally.calls_per_request - wait - send - tries - calls["read"],
    }


def find_shared_idle(results: Results) -> int:
    """Return the greatest number of idle connections that every poller was measured with."""
    shared = [
        idle
        for idle in results.idle
        if all(
            (cell := results.cell(poller, idle)) is not None and cell.rounds
            for poller in results.pollers
        )
    ]
    return max(shared, default=0)


def describe_growth(results: Results, poller: str, language: str) -> str:
    """Say how the cost of a request grows, from the fit and nothing else."""
    growth = results.growth(poller)
    if growth is None:
        return say("unknown", language)
    measured = [idle for idle, _ in results.curve(poller, lambda one: one.cpu_per_request)]
    is_far = not 1 / FLAT <= growth.ratio <= FLAT
    return say(
        "scattered" if growth.kind == "constant" and is_far else growth.kind,
        language,
        ratio=growth.ratio,
        times=format_number(growth.ratio),
        slope=format_number(growth.slope),
        misfit=growth.misfit,
        least=min(measured),
        greatest=max(measured),
    )


def _line(
    results: Results, poller: str, value: Callable[[Round], float], *, is_dashed: bool = False
) -> Line:
    curve = results.curve(poller, value)
    points = [(idle, one.median, one.least, one.most) for idle, one in curve]
    return Line(poller, points, is_dashed)
