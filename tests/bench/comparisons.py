"""Comparisons made up for the tests of bars, report and chart."""

from measure import Round
from results import Comparison, IdleMemory, ServerResult, WorkloadResult


def make_rounds(*costs: float, errors: int = 0) -> list[Round]:
    return [
        Round(
            cpu_per_request=cost,
            requests_per_second=1e6 / cost,
            p50=cost * 60,
            p99=cost * 100,
            pss=12 << 20,
            requests=1e6 / cost,
            errors=errors,
        )
        for cost in costs
    ]


def make_result(
    title: str,
    rounds: list[Round],
    *,
    wrong: str = "",
    without_idle: list[Round] | None = None,
    idle: IdleMemory | None = None,
) -> ServerResult:
    return ServerResult(
        title=title,
        variant="",
        search={},
        command=[title],
        environment={},
        configuration="",
        load_command=["wrk"],
        content_octets=1024,
        answer_octets=1270,
        wrong=wrong,
        rounds=rounds,
        without_idle=without_idle or [],
        idle=idle,
    )


def make_comparison(**workloads: dict[str, ServerResult]) -> Comparison:
    return Comparison(
        format=1,
        date="2026-01-02 03:04 UTC",
        command=["python", "bench/compare.py"],
        machine={"processor": "A <processor> & more", "processors": "2", "kernel": "Linux 6.1"},
        versions={"epollo": "epollo 0.1.0"},
        settings={"rounds": "3", "seconds": "2", "load": "wrk."},
        workloads={
            name.strip("_").replace("_", "-"): WorkloadResult(title=name, idle=0, servers=servers)
            for name, servers in workloads.items()
        },
    )


def make_workload(**costs: tuple[float, ...]) -> WorkloadResult:
    servers = {name: make_result(name, make_rounds(*rounds)) for name, rounds in costs.items()}
    return WorkloadResult(title="1 KiB", idle=0, servers=servers)
