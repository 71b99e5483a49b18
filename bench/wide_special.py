"""Rows of the wide benchmark that are no load: memory, workers, a release that is switched, the start."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from measure import cpu_seconds, process_tree
from memory import memory_octets
from replay import Played, Replay, Trace, compose_get, refuse_wrong, write_trace
from servers import HOST, SERVERS, Order, Plan, choose_port, running
from sites import tiny_target
from traces import Known, compose_docs, compose_tiny, compose_whole, sizes_of_docs
from wide_contest import Ground, prefer
from wide_load import open_file_cache
from wide_results import Bar, Measured, start_result
from wire import ask
from workloads import WORKLOADS

RELEASED: Final = 100_000
"""How many files are known when a release is switched, and are asked for when memory is measured."""
CACHE_OCTETS: Final = 256 << 20
SHARED: Final = 10_000
"""Files of 4 KiB that each of several workers is asked for."""
PROBE_RATE: Final = 1_000
QUIET_SECONDS: Final = 90.0
_BY_NAME: Final = {server.name: server for server in SERVERS}


@dataclass(frozen=True)
class Special:
    """An entrant that is started anew for each round: ``measure`` does all."""

    name: str
    title: str
    server: str
    measure: Callable[[Ground, int], Measured]


@dataclass(frozen=True)
class SpecialRow:
    """One row; ``figure`` is what is shown of each entrant, in ``unit``. ``most_rounds`` bounds it."""

    name: str
    title: str
    figure: str
    unit: str
    entrants: tuple[Special, ...]
    bars: tuple[Bar, ...]
    files: int = 0
    rate: float = 0
    most_rounds: int = 3
    together: str = ""

    def count_files(self, _rounds: int) -> int:
        """Return how many files the site needs."""
        return self.files


class SpecialEntrant:
    """One entrant of such a row."""

    def __init__(self, ground: Ground, special: Special):
        self._ground, self._special = ground, special
        self.result = start_result(special.title)

    def measure(self, number: int) -> Measured:
        """Measure one round."""
        return self._special.measure(self._ground, number)

    def finish(self) -> None:
        """Leave it at that: each round has checked its own server."""


@contextmanager
def _serving(
    ground: Ground, server: str, site: Path, options: tuple[str, ...] = (), variant: str = ""
) -> Iterator[tuple[int, int]]:
    """Run a server; give its process and its port."""
    order = Order(
        site=site, scratch=ground.scratch, port=choose_port(), workload=WORKLOADS[0],
        answer_octets=0, variant=variant, python=ground.python, peers=ground.peers,
    )  # fmt: skip
    plan = _BY_NAME[server].plan(order)
    plan = Plan([*plan.command, *options], plan.configuration, plan.environment)
    with running(plan, order, ground.processors.server) as process:
        yield process, order.port


def _play(
    ground: Ground, port: int, trace: Trace, options: dict[str, float | None], connections: int = 64
) -> Played:
    path = ground.scratch / f"special-{port}.trace"
    write_trace(trace, path)
    replay = Replay(
        ground.program, port, connections, path, options, processor=ground.processors.load
    )
    played = replay.wait()
    refuse_wrong(played)
    return played


def _memory(process: int) -> float:
    return memory_octets(process_tree(process)) / (1 << 20)


def measure_interpreter(_ground: Ground, _number: int) -> Measured:
    """Count the CPU time of an interpreter that does nothing: what no start in Python can go below."""
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    usage = os.wait4(process, 0)[2]
    return {"cpu": (usage.ru_utime + usage.ru_stime) * 1e3}


def measure_start(
    server: str, options: tuple[str, ...], variant: str = ""
) -> Callable[[Ground, int], Measured]:
    """Return a function that starts a server and counts milliseconds of CPU time to its first answer."""

    def measure(ground: Ground, number: int) -> Measured:
        site = ground.sites.find("arena")
        # The first start may compile modules, which no later one does.
        for _ in range(2 if number == 0 else 1):
            with _serving(ground, server, site, options, variant) as (process, port):
                (answer,) = ask((HOST, port), compose_get("/static/bold.woff2"))
                used = cpu_seconds(process_tree(process))
                memory = _memory(process)
        return {"cpu": used * 1e3, "memory": memory, "status": answer.status}

    return measure


def measure_cache(ground: Ground, _number: int) -> Measured:
    """Count what a process takes more when far more was asked for than ``--cache-size`` holds."""
    options = ("--cache-size", str(CACHE_OCTETS))
    with _serving(ground, "epollo", ground.sites.find("tiny"), options) as (process, port):
        _play(ground, port, compose_tiny(1), {"requests": 10})
        before = _memory(process)
        for _ in range(2):
            _play(ground, port, compose_tiny(RELEASED), {"each": None})
        after = _memory(process)
    growth = after - before
    return {"growth": growth, "ratio": growth * (1 << 20) / CACHE_OCTETS, "memory": after}


def measure_shared(workers: int) -> Callable[[Ground, int], Measured]:
    """Return a function that counts the memory of this many workers that know the same files."""

    def measure(ground: Ground, _number: int) -> Measured:
        options = ("--workers", str(workers))
        with _serving(ground, "epollo", ground.sites.find("tiny"), options) as (process, port):
            before = _memory(process)
            # 128 connections, so that no worker is left without one.
            requests = SHARED * 5 * workers
            _play(ground, port, compose_tiny(SHARED), {"requests": requests}, connections=128)
            after = _memory(process)
        return {"memory": after, "growth": after - before, "before": before}

    return measure


def measure_codings(workers: int) -> Callable[[Ground, int], Measured]:
    """Return a function that counts the CPU time until a site's codings are made, in seconds.

    As many requests for any number of workers, so what differs is the work on codings.
    """

    def measure(ground: Ground, _number: int) -> Measured:
        learned = {target: Known(200, octets, "") for target, octets in sizes_of_docs().items()}
        trace = compose_docs(learned, is_checked=False)
        options = ("--workers", str(workers))
        with _serving(ground, "epollo", ground.sites.find("docs"), options) as (process, port):
            before = cpu_seconds(process_tree(process))
            for _ in range(3):
                _play(ground, port, trace, {"requests": 20_000}, connections=128)
                _wait_until_quiet(process)
            used = cpu_seconds(process_tree(process)) - before
            return {"cpu": used, "memory": _memory(process)}

    return measure


def _wait_until_quiet(process: int) -> None:
    """Wait until the processes use less than a fiftieth of a processor for two seconds."""
    deadline, quiet_since = time.monotonic() + QUIET_SECONDS, time.monotonic()
    used = cpu_seconds(process_tree(process))
    while time.monotonic() < min(deadline, quiet_since + 2):
        time.sleep(0.25)
        now = cpu_seconds(process_tree(process))
        if now - used > 0.25 / 50:
            quiet_since = time.monotonic()
        used = now


def measure_release(server: str, variant: str = "") -> Callable[[Ground, int], Measured]:
    """Return a function that switches a release when 100,000 files are known.

    The figure is the longest answer, in milliseconds, to a client that asks a thousand times a second
    meanwhile for a file that both releases have; ``quiet`` is the longest before the switch.
    """

    def measure(ground: Ground, number: int) -> Measured:
        releases = ground.scratch / f"releases-{server}-{number}"
        releases.mkdir(mode=0o755)
        current, following = releases / "current", releases / "next"
        current.symlink_to(ground.sites.find("tiny"))
        following.symlink_to(ground.sites.find("changing"))
        options = ("--cache-size", "2G") if server == "epollo" else ()
        with _serving(ground, server, current, options, variant) as (process, port):
            for _ in range(2):
                _play(ground, port, compose_tiny(RELEASED), {"each": None})
            prefer(process)
            probe = compose_whole(tiny_target(0), 4096)
            paced: dict[str, float | None] = {"rate": PROBE_RATE, "seconds": 2, "urgent": None}
            quiet = _play(ground, port, probe, paced, connections=4)
            path = ground.scratch / f"special-{port}.trace"
            before = cpu_seconds(process_tree(process))
            replay = Replay(ground.program, port, 4, path, paced, processor=ground.processors.load)
            time.sleep(0.5)
            following.replace(current)
            played = replay.wait()
            refuse_wrong(played)
            used = cpu_seconds(process_tree(process)) - before
        return {
            "most": played.most / 1e3,
            "quiet": quiet.most / 1e3,
            "p99": played.p99 / 1e3,
            "cpu": used * 1e3,
        }

    return measure


def _bar(figure: str, ours: str, bound: float, theirs: str = "") -> Bar:
    return Bar(figure=figure, ours=ours, theirs=theirs, bound=bound)


SPECIAL_ROWS: Final = (
    SpecialRow(
        "workers-memory", f"memory with {SHARED:,} files of 4 KiB", "memory", "MiB",
        tuple(Special(f"workers-{count}", f"--workers {count}", "epollo", measure_shared(count))
              for count in (1, 2, 4)),
        (_bar("memory", "workers-4", 1.5, "workers-1"), _bar("growth", "workers-4", 1.5, "workers-1")),
        files=SHARED,
    ),
    SpecialRow(
        "workers-codings", "CPU time until a site is coded", "cpu", "s",
        tuple(Special(f"workers-{count}", f"--workers {count}", "epollo", measure_codings(count))
              for count in (1, 4)),
        (_bar("cpu", "workers-4", 1.1, "workers-1"),),
    ),
    SpecialRow(
        "release", f"{RELEASED:,} files end at once, longest answer", "most", "ms",
        (Special("epollo", "epollo", "epollo", measure_release("epollo")),
         Special("nginx", "nginx", "nginx", measure_release("nginx", open_file_cache()))),
        (_bar("most", "epollo", 10),), files=RELEASED,
    ),
    SpecialRow(
        "cache-size", f"{RELEASED:,} files of 4 KiB, growth of the process over --cache-size 256M",
        "growth", "MiB", (Special("epollo", "epollo", "epollo", measure_cache),),
        (_bar("ratio", "epollo", 1.15),), files=RELEASED,
    ),
    SpecialRow(
        "start", "start to the first answer", "cpu", "ms of CPU",
        (Special("epollo", "epollo", "epollo", measure_start("epollo", ())),
         Special("worker", "epollo --workers 1", "epollo", measure_start("epollo", ("--workers", "1"))),
         Special("nginx", "nginx", "nginx", measure_start("nginx", (), "plain")),
         Special("python", "an interpreter that does nothing", "epollo", measure_interpreter)),
        (_bar("cpu", "epollo", 80), _bar("cpu", "worker", 130)), most_rounds=9,
    ),
)  # fmt: skip
