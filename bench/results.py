"""What a comparison found, as it stands in the JSON file."""

from statistics import median
from typing import NamedTuple, TypedDict

from measure import Round


class IdleMemory(TypedDict):
    """Memory of the server's processes in octets, before and after the connections were opened."""

    connections: int
    alive: int
    pss_before: int
    pss_after: int


class ServerResult(TypedDict):
    """One server under one workload; ``wrong`` says why it does not count, empty where it does.

    ``without_idle`` has the rounds of a second instance that held no idle connections.
    """

    title: str
    variant: str
    search: dict[str, float]
    command: list[str]
    environment: dict[str, str]
    configuration: str
    load_command: list[str]
    content_octets: int
    answer_octets: int
    wrong: str
    rounds: list[Round]
    without_idle: list[Round]
    idle: IdleMemory | None


class WorkloadResult(TypedDict):
    """All servers under one workload, by name."""

    title: str
    idle: int
    servers: dict[str, ServerResult]


class Run(TypedDict):
    """What each file of results says of its run."""

    format: int
    date: str
    command: list[str]
    machine: dict[str, str]
    settings: dict[str, str]


class Comparison(Run):
    """A whole run."""

    versions: dict[str, str]
    workloads: dict[str, WorkloadResult]


class Figure(NamedTuple):
    """A median, and the least and the most of the rounds."""

    median: float
    least: float
    most: float


def summarize(values: list[float]) -> Figure:
    return Figure(median(values), min(values), max(values))


def format_figure(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cpu_figure(rounds: list[Round]) -> Figure:
    """Return CPU microseconds per request."""
    return summarize([round_["cpu_per_request"] for round_ in rounds])


class Ratio(NamedTuple):
    """The cost of one server over another's; ``most`` is the bar, None where there is none."""

    name: str
    over: str
    most: float | None = None
    is_inclusive: bool = True


def evaluate_ratio(workload: WorkloadResult, ratio: Ratio) -> Figure | None:
    """Return the ratio of the CPU times per request, None where one of them does not count.

    It is taken within each round, as what disturbed the machine disturbed both, and then summed up.
    """
    rounds = []
    for name in (ratio.name, ratio.over):
        result = workload["servers"].get(name)
        if result is None or result["wrong"] or not result["rounds"]:
            return None
        rounds.append([round_["cpu_per_request"] for round_ in result["rounds"]])
    return summarize([ours / theirs for ours, theirs in zip(*rounds, strict=True)])


def judge(figure: Figure, ratio: Ratio) -> str:
    """Return whether the median reaches the bar; narrowly, where some round says otherwise."""
    most = ratio.most
    if most is None:
        return ""

    def is_reached(value: float) -> bool:
        return value <= most if ratio.is_inclusive else value < most

    verdict = "yes" if is_reached(figure.median) else "no"
    is_narrow = is_reached(figure.least) != is_reached(figure.most)
    return f"{verdict}, narrowly" if is_narrow else verdict


def octets_per_idle_connection(idle: IdleMemory) -> float:
    return (idle["pss_after"] - idle["pss_before"]) / idle["connections"]


def find_result(comparison: Comparison, workload: str, server: str) -> ServerResult | None:
    """Return what was measured, None where nothing was or where it does not count."""
    if workload not in comparison["workloads"]:
        return None
    result = comparison["workloads"][workload]["servers"].get(server)
    return result if result and result["rounds"] and not result["wrong"] else None
