"""The bars that epollo is held to, and whether a comparison shows them reached."""

from dataclasses import dataclass

from results import (
    Comparison,
    Figure,
    cpu_figure,
    find_result,
    format_figure,
    octets_per_idle_connection,
)


@dataclass(frozen=True)
class Bar:
    """``against`` is a server's name, ``itself`` (without idle connections) or ``octets``.

    The figure is CPU time per request over that of the other, or octets of memory per idle
    connection. It must be below the bound, or where ``is_inclusive`` no more than it.
    """

    workload: str
    text: str
    against: str
    bound: float
    is_inclusive: bool = True


@dataclass(frozen=True)
class Verdict:
    """A bar, the figure in words and ``yes``, ``no`` or ``not measured``.

    ``narrowly`` is added where another choice of rounds would have said the opposite.
    """

    bar: Bar
    figure: str
    reached: str


def below(workload: str, against: str) -> Bar:
    whose = "nginx's best" if against == "nginx" else f"{against}'s"
    return Bar(workload, f"less than {whose}", against, 1.0, is_inclusive=False)


BARS = (
    below("1k", "nginx"),
    below("1k", "h2o"),
    Bar("1k", "at most 1.30 x the C floor", "floor", 1.30),
    below("10k", "nginx"),
    below("10k", "h2o"),
    Bar("10k", "at most 1.30 x the C floor", "floor", 1.30),
    below("304", "nginx"),
    below("range", "nginx"),
    Bar("pipelined", "at most half of nginx's best", "nginx", 0.5),
    below("100k", "nginx"),
    Bar("10m", "at most 1.05 x nginx's best", "nginx", 1.05),
    Bar("gzip", "at most a tenth of nginx's gzip on", "nginx", 0.1),
    Bar("unique", "at most 1.2 x nginx's best", "nginx", 1.2),
    below("new-connection", "nginx"),
    Bar("idle-10000", "at most 600 octets of memory per idle connection", "octets", 600),
    Bar("idle-10000", "at most 1.1 x the cost without idle connections", "itself", 1.1),
)


def is_within(bar: Bar, figure: float) -> bool:
    return figure <= bar.bound if bar.is_inclusive else figure < bar.bound


def evaluate_memory(comparison: Comparison, bar: Bar) -> Verdict:
    ours = find_result(comparison, bar.workload, "epollo")
    if ours is None or ours["idle"] is None:
        return Verdict(bar, "", "not measured")
    octets = octets_per_idle_connection(ours["idle"])
    figure = f"{octets:,.0f} octets"
    nginx = find_result(comparison, bar.workload, "nginx")
    if nginx is not None and nginx["idle"] is not None:
        figure += f" (nginx {octets_per_idle_connection(nginx['idle']):,.0f})"
    return Verdict(bar, figure, "yes" if is_within(bar, octets) else "no")


def other_figure(comparison: Comparison, bar: Bar) -> Figure | None:
    """Return the CPU time that the bar is measured by."""
    if bar.against == "itself":
        ours = find_result(comparison, bar.workload, "epollo")
        return cpu_figure(ours["without_idle"]) if ours and ours["without_idle"] else None
    other = find_result(comparison, bar.workload, bar.against)
    return cpu_figure(other["rounds"]) if other else None


def evaluate_bar(comparison: Comparison, bar: Bar) -> Verdict:
    """Hold one bar against the comparison."""
    if bar.against == "octets":
        return evaluate_memory(comparison, bar)
    ours = find_result(comparison, bar.workload, "epollo")
    other = other_figure(comparison, bar)
    if ours is None or other is None:
        return Verdict(bar, "", "not measured")
    own = cpu_figure(ours["rounds"])
    ratio = own.median / other.median
    costs = f"{format_figure(own.median)} µs against {format_figure(other.median)} µs"
    is_reached = is_within(bar, ratio)
    doubt = own.most / other.least if is_reached else own.least / other.most
    reached = "yes" if is_reached else "no"
    if is_within(bar, doubt) != is_reached:
        reached += ", narrowly"
    return Verdict(bar, f"{costs}: {ratio:.2f} x", reached)


def evaluate_bars(comparison: Comparison) -> list[Verdict]:
    return [evaluate_bar(comparison, bar) for bar in BARS]
