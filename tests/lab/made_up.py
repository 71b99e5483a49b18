"""Results that were not measured, of a shape that is known."""

from collections.abc import Callable, Mapping

from epollo.lab.counters import NAMES
from epollo.lab.results import Cell, Results, Round, Tally, Wall

IDLE = [0, 10, 100, 1000, 10_000]

LINEAR: Mapping[str, Callable[[int], float]] = {
    "busy": lambda idle: 20 + 0.8 * idle,
    "select": lambda idle: 15 + 0.1 * idle,
    "poll": lambda idle: 15 + 0.1 * idle,
    "epoll": lambda idle: 10 + 0.00001 * idle,
}


def make_round(cost: float) -> Round:
    return Round(
        cpu_per_request=cost,
        requests_per_second=1e6 / cost,
        p50=cost * 2,
        p99=cost * 5,
        worst=cost * 9,
        waiting_share=0.25,
        octets_per_connection=None,
    )


def make_tally(**calls: float) -> Tally:
    per_request = dict.fromkeys(NAMES, 0.0) | calls
    return Tally(per_request, dict.fromkeys(NAMES, 0.0))


def make_results(
    costs: Mapping[str, Callable[[int], float]] = LINEAR,
    walls: tuple[Wall, ...] = (),
    factors: tuple[float, ...] = (1.0, 0.9, 1.1),
) -> Results:
    """Return three rounds of each cell: the cost, a tenth less, a tenth more."""
    results = Results(
        version="0.0",
        date="2026-01-31",
        machine={
            "processor": "a <fast> one",
            "processors": "2",
            "kernel": "Linux 6",
            "python": "CPython 3",
        },
        pollers=list(costs),
        idle=IDLE,
        seconds=1.0,
        rounds=len(factors),
        asking=4,
        walls=list(walls),
    )
    blocked = {wall.poller: wall.idle for wall in walls}
    for poller, cost in costs.items():
        for idle in IDLE:
            if idle >= blocked.get(poller, 10**9):
                continue
            rounds = [make_round(cost(idle) * factor) for factor in factors]
            tally = make_tally(recvfrom=1 + idle, in_vain=idle, sendto=1.0, epoll_wait=0.5)
            results.cells.append(Cell(poller, idle, rounds, tally))
    return results
