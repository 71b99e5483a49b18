"""The contest: servers started, checked, driven in turn, and those that answer wrongly put out."""

import gzip
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from measure import (
    Idle,
    Round,
    count_answers,
    cpu_seconds,
    process_tree,
    pss_octets,
    raise_descriptor_limit,
    run_wrk,
    wrk_command,
)
from results import ServerResult, WorkloadResult, cpu_figure
from runs import Surroundings, choose_processors, open_scratch, say
from servers import HOST, Order, Plan, Server, ServerFailedError, choose_port, running
from wire import Answer, Fields, WrongAnswerError, ask, check_answer, format_request
from workloads import CONNECTIONS, Workload, compose_site, write_site

LARGE_OCTETS = 1 << 18
"""From this length of an answer on, answers are counted by their octets."""
CODING_SECONDS = 5.0
"""How long a server that compresses in the background may take before it must have."""


@dataclass
class Bench(Surroundings):
    """The surroundings of a run in which wrk drives servers of one small site."""

    seconds: int
    site: dict[str, bytes] = field(default_factory=compose_site)
    best_variants: dict[tuple[str, Workload], tuple[str, dict[str, float]]] = field(
        default_factory=dict
    )

    @property
    def folder(self) -> Path:
        """Return where the site stands as files."""
        return self.scratch / "site"


@contextmanager
def open_bench(
    rounds: int,
    seconds: int,
    *,
    python: str = sys.executable,
    peers: Path | None = None,
    may_pin: bool = True,
    is_quick: bool = False,
) -> Iterator[Bench]:
    """Write the site into a folder of this run, which is removed in the end."""
    raise_descriptor_limit()
    processors = choose_processors(may_pin=may_pin)
    with open_scratch() as scratch:
        bench = Bench(scratch, rounds, seconds, python, peers, processors, is_quick)
        write_site(bench.site, bench.folder)
        yield bench


class Contestant:
    """A running server under one workload, and all that it takes to measure it."""

    def __init__(
        self, bench: Bench, server: Server, workload: Workload, variant: str, stack: ExitStack
    ):
        self.bench, self.server, self.workload = bench, server, workload
        content = workload.content(bench.site)
        self.order = Order(
            site=bench.folder,
            scratch=bench.scratch,
            port=choose_port(),
            workload=workload,
            answer_octets=len(gzip.compress(content, 6) if workload.coding else content),
            variant=variant,
            python=bench.python,
            peers=bench.peers,
        )
        self.plan: Plan = server.plan(self.order)
        self.address = (HOST, self.order.port)
        self.fields: Fields = workload.fields
        self.process = stack.enter_context(running(self.plan, self.order, bench.processors.server))
        if workload.is_conditional:
            self.fields = (*self.fields, self._learn_condition())
        self.answer = self.check(patience_seconds=CODING_SECONDS)

    def _request(self, fields: Fields) -> bytes:
        host = ("Host", f"{HOST}:{self.order.port}")
        return format_request(self.workload.target, (host, *fields))

    def _learn_condition(self) -> tuple[str, str]:
        """Ask once without a condition, to learn the validator that the server gives out."""
        (answer,) = ask(self.address, self._request(()))
        if "etag" in answer.fields:
            return "If-None-Match", answer.fields["etag"]
        if "last-modified" in answer.fields:
            return "If-Modified-Since", answer.fields["last-modified"]
        raise WrongAnswerError("it gives no validator")

    def check(self, patience_seconds: float = 0) -> Answer:
        """Ask and compare with the file; wait as long for a coding that is still being made."""
        deadline = time.monotonic() + patience_seconds
        requests = self._request(self.fields) * self.workload.depth
        while True:
            answers = ask(self.address, requests, self.workload.depth)
            try:
                for answer in answers:
                    self._check_one(answer)
                return answers[-1]
            except WrongAnswerError:
                if not self.workload.coding or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _check_one(self, answer: Answer) -> None:
        status = int(self.workload.status[:3])
        if self.server.name == "floor":
            if (answer.status, len(answer.content)) != (status, self.order.answer_octets):
                raise WrongAnswerError("the floor sends another constant")
            return
        check_answer(answer, status, self.workload.content(self.bench.site), self.workload.coding)

    def load_command(self, seconds: float) -> list[str]:
        """Return the command line of wrk that drives this server."""
        return wrk_command(
            self.address,
            self.workload.target,
            self.fields,
            script=self.workload.script,
            connections=CONNECTIONS,
            seconds=seconds,
        )

    def measure(self, seconds: float) -> Round:
        """Drive the server for this long, to the whole second, and see what it cost."""
        processes = process_tree(self.process)
        before = cpu_seconds(processes)
        load = run_wrk(self.load_command(seconds), seconds, self.bench.processors.load)
        used = cpu_seconds(processes) - before
        answers = float(load.requests)
        if self.answer.octets >= LARGE_OCTETS:
            answers = count_answers(load, self.answer.octets)
        elif load.octets < 0.98 * load.requests * self.answer.octets:
            raise WrongAnswerError("under load its answers are shorter than the one checked")
        if not answers:
            raise ServerFailedError("it answered nothing under load")
        return Round(
            cpu_per_request=used / answers * 1e6,
            requests_per_second=answers / load.seconds,
            p50=load.p50_microseconds,
            p99=load.p99_microseconds,
            pss=pss_octets(process_tree(self.process)),
            requests=answers,
            errors=load.errors,
        )


def choose_variant(
    bench: Bench, server: Server, workload: Workload
) -> tuple[str, dict[str, float]]:
    """Try the server's configurations for a second each, the best four twice more.

    Return the one whose median is least, and all medians.
    """
    variants = server.variants(workload)
    if len(variants) == 1:
        return variants[0], {}
    key = (server.name, replace(workload, name="", title="", idle=0))
    if key in bench.best_variants:
        return bench.best_variants[key]
    tried: dict[str, list[Round]] = {}
    if bench.is_quick:
        variants = [variant for variant in variants if variant.endswith("open_file_cache")][:4:2]

    def try_each(chosen: list[str]) -> dict[str, float]:
        for variant in chosen:
            with ExitStack() as stack:
                contestant = Contestant(bench, server, workload, variant, stack)
                tried.setdefault(variant, []).append(contestant.measure(1))
        return {variant: cpu_figure(rounds).median for variant, rounds in tried.items()}

    costs = try_each(variants)
    if not bench.is_quick:
        for _ in range(2):
            costs = try_each(sorted(costs, key=costs.__getitem__)[:4])
    finalists = [
        variant for variant in costs if len(tried[variant]) == max(map(len, tried.values()))
    ]
    best = min(finalists, key=costs.__getitem__)
    say(f"  {server.name}: {best}, of {len(costs)} configurations")
    bench.best_variants[key] = (best, costs)
    return best, costs


class Entry:
    """One server's place in a workload: one instance, and where it holds idle ones, another."""

    def __init__(self, bench: Bench, server: Server, workload: Workload, stack: ExitStack):
        self.server = server
        self.result = ServerResult(
            title=server.title, variant="", search={}, command=[], environment={},
            configuration="", load_command=[], content_octets=0, answer_octets=0, wrong="",
            rounds=[], without_idle=[], idle=None,
        )  # fmt: skip
        self.contestant: Contestant | None = None
        self.plain: Contestant | None = None
        self.idle: Idle | None = None
        with self._guarded():
            self._start(bench, workload, stack)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let what goes wrong put this server, and only it, out of the workload."""
        try:
            yield
        except (
            WrongAnswerError,
            ServerFailedError,
            subprocess.SubprocessError,
            OSError,
            ValueError,
        ) as trouble:
            self.result["wrong"] = str(trouble) or type(trouble).__name__
            say(f"  {self.server.name} is not counted: {self.result['wrong']}")

    def _start(self, bench: Bench, workload: Workload, stack: ExitStack) -> None:
        if workload.idle > self.server.most_idle:
            raise ServerFailedError("it takes a thread for each connection, so it was not asked")
        variant, search = choose_variant(bench, self.server, workload)
        self.contestant = Contestant(bench, self.server, workload, variant, stack)
        if workload.idle:
            self.plain = Contestant(bench, self.server, workload, variant, stack)
        contestant, result = self.contestant, self.result
        result["variant"], result["search"] = variant, search
        plan = contestant.plan
        result["command"] = [bench.without_places(word) for word in plan.command]
        result["environment"] = {
            name: bench.without_places(value) for name, value in plan.environment.items()
        }
        result["configuration"] = bench.without_places(plan.configuration)
        result["load_command"] = contestant.load_command(bench.seconds)
        result["content_octets"] = len(contestant.answer.content)
        result["answer_octets"] = contestant.answer.octets
        for warmed in filter(None, (self.contestant, self.plain)):
            warmed.measure(1)
        if workload.idle:
            self._open_idle(bench, workload, stack)

    def _open_idle(self, bench: Bench, workload: Workload, stack: ExitStack) -> None:
        assert self.contestant is not None
        before = pss_octets(process_tree(self.contestant.process))
        self.idle = Idle(
            self.contestant.address, workload.target, workload.idle, bench.processors.load
        )
        stack.callback(self.idle.close)
        if not self.idle.is_open:
            raise ServerFailedError(self.idle.said)
        after = pss_octets(process_tree(self.contestant.process))
        self.result["idle"] = {
            "connections": workload.idle, "alive": workload.idle,
            "pss_before": before, "pss_after": after,
        }  # fmt: skip

    def measure_round(self, seconds: float) -> None:
        """Measure each instance once, unless the server is out."""
        if self.result["wrong"] or self.contestant is None:
            return
        with self._guarded():
            measured = self.contestant.measure(seconds)
            if self.plain is not None:
                self.result["without_idle"].append(self.plain.measure(seconds))
            self.result["rounds"].append(measured)

    def finish(self) -> None:
        """Ask once more: what was right before the load must be right after it."""
        if self.result["wrong"] or self.contestant is None:
            return
        with self._guarded():
            self.contestant.check()
            if self.idle is not None and self.result["idle"] is not None:
                self.result["idle"]["alive"] = self.idle.count_alive()


def compare_servers(bench: Bench, servers: list[Server], workload: Workload) -> WorkloadResult:
    """Measure all servers under one workload, round after round, all of them in each."""
    with ExitStack() as stack:
        entries = [Entry(bench, server, workload, stack) for server in servers]
        for number in range(bench.rounds):
            for entry in entries:
                entry.measure_round(bench.seconds)
            costs = ", ".join(
                f"{entry.server.name} {entry.result['rounds'][-1]['cpu_per_request']:.2f}"
                for entry in entries
                if entry.result["rounds"]
            )
            say(f"  round {number + 1} of {bench.rounds}: {costs}")
        for entry in entries:
            entry.finish()
        return {
            "title": workload.title,
            "idle": workload.idle,
            "servers": {entry.server.name: entry.result for entry in entries},
        }
