"""One row of the wide benchmark: its servers started, taught, warmed, driven in turn and judged."""

import contextlib
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from measure import cpu_seconds, pinned, process_tree
from memory import memory_octets
from replay import Asked, Played, Replay, Trace, compose_get, refuse_wrong, write_trace
from runs import Surroundings, say
from servers import HOST, Order, Plan, Server, ServerFailedError, choose_port, running
from sites import TEXT_ENDINGS, Sites
from traces import Known
from wide_load import Row, nginx_variants
from wide_results import Measured, start_result
from wire import Fields, WrongAnswerError, ask, check_answer
from workloads import WORKLOADS

HERE: Final = Path(__file__).resolve().parent
SAMPLE: Final = 16
"""How many targets are compared with their files, before and after."""
CODINGS_SECONDS: Final = 90.0
"""How long a server may take until its codings are finished."""
WARM_SECONDS: Final = 60.0
REST_SECONDS: Final = 0.5
REST_LOOKS: Final = 20
RESTING_SHARE: Final = 0.02
"""A server that uses less of a processor than this does nothing but look at its clock."""
SETTLED_LOOKS: Final = 3
_COPIES: Final = itertools.count()


def await_rest(process: int) -> None:
    """Wait until a server does nothing more; say so where it still works after a minute and a half.

    epollo reads each large file once more in the background, for its entity tag.
    """
    end = time.monotonic() + CODINGS_SECONDS
    while time.monotonic() < end:
        processes = process_tree(process)
        before = cpu_seconds(processes)
        is_working = False
        for _ in range(REST_LOOKS):
            time.sleep(REST_SECONDS / REST_LOOKS)
            is_working |= any(map(wants_processor, processes))
        if not is_working and cpu_seconds(processes) - before < RESTING_SHARE * REST_SECONDS:
            return
    say("  it still works in the background: its figures are too high")


def wants_processor(process: int) -> bool:
    """Return whether a thread of the process runs, or waits for a processor (proc_pid_stat(5))."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            if (task / "stat").read_text().rpartition(") ")[2].startswith("R"):
                return True
    return False


@dataclass
class Ground(Surroundings):
    """The surroundings of a run in which replay.c drives servers of wide sites."""

    sites: Sites
    program: Path
    best_variants: dict[tuple[str, str], tuple[str, dict[str, float]]] = field(default_factory=dict)


class Loaded:
    """A running server under one row, and all that it takes to measure it."""

    def __init__(self, ground: Ground, server: Server, row: Row, variant: str):
        self.ground, self.server, self.row, self.variant = ground, server, row, variant
        copy = f"{server.name}-{next(_COPIES)}" if row.is_own_site else ""
        site = row.coded_site if server.name != "epollo" and row.coded_site else row.site
        self.site = ground.sites.find(site, copy)
        self._stack = ExitStack()
        self.plan: Plan
        self._trace = ground.scratch / f"{row.name}-{server.name}.trace"
        self.learned: dict[str, Known] = {}
        try:
            self._start()
            self._learn()
            if not row.is_cold:
                self.check()
            if not row.is_cold and not row.is_restarted:
                self.play({"each": None, "seconds": WARM_SECONDS})
                if row.site == "large":
                    await_rest(self._process)
        except BaseException:
            self.close()
            raise

    def _learn(self) -> bool:
        """Ask what the trace depends on, and write it; return whether anything was another before."""
        before = self.learned
        if self.row.learned:
            self.learned = learn(self.address, self.row.learned, self.row.codings)
        write_trace(self.row.compose(self.learned), self._trace)
        return self.learned != before

    def _start(self) -> None:
        order = Order(
            site=self.site, scratch=self.ground.scratch, port=choose_port(), workload=WORKLOADS[0],
            answer_octets=0, variant=self.variant, python=self.ground.python, peers=self.ground.peers,
        )  # fmt: skip
        plan = self.server.plan(order)
        if self.server.name == "epollo":
            plan = Plan([*plan.command, *self.row.options], plan.configuration, plan.environment)
        self.plan, self.address = plan, (HOST, order.port)
        self._process = self._stack.enter_context(
            running(plan, order, self.ground.processors.server)
        )

        if self.row.figure == "p99":
            prefer(self._process)

    def close(self) -> None:
        """End the server."""
        self._stack.close()

    def check(self) -> None:
        """Compare some answers with the files; raise WrongAnswerError where one differs."""
        row = self.row
        checked = random.Random(3).sample(row.checked, min(SAMPLE, len(row.checked)))
        for target in checked:
            content = (self.site / target[1:]).read_bytes()
            (answer,) = ask(self.address, compose_get(target))
            check_answer(answer, 200, content, "")
            if row.codings and target.endswith(TEXT_ENDINGS):
                (answer,) = ask(self.address, compose_get(target, (("Accept-Encoding", "gzip"),)))
                if answer.fields.get("content-encoding"):
                    check_answer(answer, 200, content, "gzip")
        if row.site == "large":
            # Numbers that tell where they stand are at the begin of each mebibyte.
            field = ("Range", "bytes=38797300-38797320")
            (answer,) = ask(self.address, compose_get("/256m.bin", (field,)))
            with (self.site / "256m.bin").open("rb") as file:
                file.seek(38_797_300)
                check_answer(answer, 206, file.read(21), "")

    def play(self, options: dict[str, float | None]) -> Played:
        """Drive the server once; raise WrongAnswerError where an answer is another than expected."""
        row, ground = self.row, self.ground
        if row.unit_octets:
            options = options | {"cut": None}
        if row.is_urgent:
            options = options | {"urgent": None}
        replay = Replay(
            ground.program, self.address[1], row.connections, self._trace, options,
            processor=ground.processors.load,
        )  # fmt: skip
        played = replay.wait()
        if not row.unit_octets:
            refuse_wrong(played)
        return played

    def _options(self, number: int, seconds: float) -> dict[str, float | None]:
        """Return the bounds of a round; ``number`` is -1 for a first one that does not count."""
        row = self.row
        options: dict[str, float | None] = {"rate": row.rate} if row.rate else {}
        if row.is_cold:
            if (number + 2) * row.part > row.files:
                raise ServerFailedError("there is no file left that was never asked for")
            return options | {"first": (number + 1) * row.part, "requests": row.part, "seconds": 60}
        return options | {"seconds": seconds, "first": (number + 1) * 1_009}

    def measure(self, number: int, seconds: float) -> Measured:
        """Drive the server for this long and see what it cost.

        A server may make a coding better once it was used for long. Then the round is repeated with
        what is learned anew.
        """
        try:
            return self._measure(number, seconds)
        except WrongAnswerError:
            if self.row.is_restarted or not self.row.learned or not self._learn():
                raise
            return self._measure(number, seconds)

    def _measure(self, number: int, seconds: float) -> Measured:
        if self.row.is_restarted:
            self._stack.close()
            self._stack = ExitStack()
            self._start()
        processes = process_tree(self._process)
        with self._beside(seconds):
            before = cpu_seconds(processes)
            played = self.play(self._options(number, seconds))
            used = cpu_seconds(set(processes) | set(process_tree(self._process))) - before
        answers: float = played.answers
        if self.row.unit_octets:
            answers = played.octets / self.row.unit_octets
        if not answers:
            raise ServerFailedError("it answered nothing under load")
        return {
            "cpu": used / answers * 1e6,
            "p50": played.p50,
            "p99": played.p99,
            "most": played.most,
            "per_second": answers / played.seconds,
            "memory": memory_octets(process_tree(self._process)) / (1 << 20),
            "lost": played.lost + played.unanswered * (not self.row.unit_octets),
        }

    @contextmanager
    def _beside(self, seconds: float) -> Iterator[None]:
        beside, ground = self.row.beside, self.ground
        if beside is None:
            yield
        elif beside.change:
            path = str(self.site / beside.target[1:])
            words = [beside.change, path, str(beside.rate), str(seconds + 1)]
            with pinned(ground.processors.load):
                changes = subprocess.Popen(
                    [sys.executable, str(HERE / "changes.py"), *words], stdout=subprocess.DEVNULL
                )
            try:
                time.sleep(0.2)
                yield
            finally:
                changes.kill()
                changes.wait()
        else:
            trace = ground.scratch / f"beside-{self.address[1]}.trace"
            write_trace(Trace([Asked(compose_get(beside.target))], [0]), trace)
            options: dict[str, float | None] = {"seconds": seconds + 1, "cut": None}
            downloads = Replay(
                ground.program, self.address[1], beside.connections, trace, options,
                processor=ground.processors.load,
            )  # fmt: skip
            try:
                time.sleep(0.2)
                yield
            finally:
                downloads.stop()


def prefer(process: int) -> None:
    """Let a server run before what else the machine does, where we may: a latency is to be its own."""
    for member in process_tree(process):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, member, -20)


def learn(address: tuple[str, int], targets: Sequence[str], codings: Fields) -> dict[str, Known]:
    """Ask for every target until all texts are coded and nothing differs from the look before."""
    deadline = time.monotonic() + CODINGS_SECONDS
    seen: list[dict[str, Known]] = []
    while time.monotonic() < deadline:
        learned, is_coded = {}, True
        for first in range(0, len(targets), 20):
            part = targets[first : first + 20]
            heads = b"".join(compose_get(target, codings) for target in part)
            for target, answer in zip(part, ask(address, heads, len(part)), strict=True):
                is_text = target.endswith(TEXT_ENDINGS)
                is_coded &= not is_text or "content-encoding" in answer.fields
                known = Known(answer.status, len(answer.content), answer.fields.get("etag", ""))
                learned[target] = known
        seen = [*seen, learned][-SETTLED_LOOKS:]
        if is_coded and len(seen) == SETTLED_LOOKS and all(look == learned for look in seen):
            return learned
        time.sleep(0.3)
    if seen and all(look == seen[-1] for look in seen):
        return seen[-1]
    raise WrongAnswerError(f"after {CODINGS_SECONDS:.0f} seconds its answers still change")


def choose_variant(ground: Ground, server: Server, row: Row) -> tuple[str, dict[str, float]]:
    """Try nginx's configurations for a second each, the best two twice more; the median decides."""
    if server.name != "nginx":
        return "", {}
    key = (server.name, row.name if row.variants else row.best)
    if key in ground.best_variants:
        return ground.best_variants[key]
    variants = nginx_variants(row, ground.is_quick)
    tried: dict[str, list[float]] = {}

    def try_each(chosen: list[str]) -> None:
        for variant in chosen:
            loaded = Loaded(ground, server, row, variant)
            try:
                tried.setdefault(variant, []).append(loaded.measure(-1, 1.0)[row.figure])
            finally:
                loaded.close()

    if len(variants) > 1:
        try_each(variants)
        for _ in range(0 if ground.is_quick else 2):
            try_each(sorted(tried, key=lambda name: median(tried[name]))[:2])
    search = {name: median(figures) for name, figures in tried.items()}
    most = max(map(len, tried.values()), default=0)
    best = min(
        (name for name in variants if len(tried.get(name, [])) == most),
        key=lambda name: search.get(name, 0.0),
    )
    if len(variants) > 1:
        say(f"  nginx: {best}, of {len(variants)} configurations")
    ground.best_variants[key] = (best, search)
    return best, search


class LoadEntrant:
    """One server in a row of load."""

    def __init__(self, ground: Ground, server: Server, row: Row, stack: ExitStack):
        self._ground, self._row = ground, row
        self.result = start_result(server.title)
        variant, search = choose_variant(ground, server, row)
        self._loaded = Loaded(ground, server, row, variant)
        stack.callback(self._loaded.close)
        self.result["variant"], self.result["search"] = variant, search
        plan = self._loaded.plan
        self.result["command"] = [ground.without_places(word) for word in plan.command]
        self.result["configuration"] = ground.without_places(plan.configuration)
        if not row.is_restarted:
            self._loaded.measure(-1, min(1.0, ground.seconds))

    def measure(self, number: int) -> Measured:
        """Measure one round."""
        return self._loaded.measure(number, self._ground.seconds)

    def finish(self) -> None:
        """Ask once more: what was right before the load must be right after it."""
        self._loaded.check()
