"""The figures: what wrk counted, and what the server's processes used meanwhile."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

from wire import Fields

HERE = Path(__file__).resolve().parent


class Round(TypedDict):
    """One run of wrk against one server; times in microseconds, memory in octets."""

    cpu_per_request: float
    requests_per_second: float
    p50: float
    p99: float
    pss: int
    requests: float
    errors: int


@dataclass(frozen=True)
class Load:
    """What wrk saw. ``seconds`` is how long it took, ``octets`` all that it read."""

    requests: int
    seconds: float
    octets: int
    errors: int
    p50_microseconds: float
    p99_microseconds: float


def parse_load(output: str) -> Load:
    """Read the line that lua/report.lua printed; raise ValueError where there is none."""
    for line in output.splitlines():
        if line.startswith("report "):
            said = json.loads(line.removeprefix("report "))
            return Load(
                requests=said["requests"],
                seconds=said["duration_microseconds"] / 1e6,
                octets=said["octets"],
                errors=sum(count for name, count in said.items() if name.endswith("_errors"))
                + said["timeouts"],
                p50_microseconds=said["p50_microseconds"],
                p99_microseconds=said["p99_microseconds"],
            )
    raise ValueError("wrk printed no report")


def count_answers(load: Load, answer_octets: int) -> float:
    """Return how many answers the octets that wrk read amount to.

    wrk counts whole answers only. Of large ones dozens are under way when it stops, and the server
    has spent its time on them as well, so the octets are the truer count.
    """
    return load.octets / answer_octets


def process_tree(root: int) -> list[int]:
    """Return the process and all its descendants that are alive."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
    return found


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return user and system time of the processes, exact to the nanosecond.

    /proc/PID/stat counts in ticks of 10 ms; the CPU clock of a process, whose id follows from its
    number as clock_getcpuclockid(3) tells, has the scheduler's own sum.
    """
    total = 0.0
    for process in processes:
        try:
            total += time.clock_gettime((~process << 3) | 2)
        except OSError:
            continue
    return total


def pss_octets(processes: Iterable[int]) -> int:
    """Return the proportional set size: private memory, and a share of what is shared."""
    total = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one, for us and all we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def pinned(processor: int | None) -> Iterator[None]:
    """Have processes that start inside run on this processor only."""
    if processor is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wrk_command(
    address: tuple[str, int],
    target: str,
    fields: Fields,
    *,
    script: str,
    connections: int,
    seconds: float,
) -> list[str]:
    """Return the command line; wrk takes whole seconds only."""
    options = [part for name, value in fields for part in ("-H", f"{name}: {value}")]
    return [
        "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", f"{max(1, round(seconds))}s", "--timeout", "20s", "--latency",
        "--script", script, *options, f"http://{address[0]}:{address[1]}{target}",
    ]  # fmt: skip


def run_wrk(command: list[str], seconds: float, processor: int | None) -> Load:
    with pinned(processor):
        done = subprocess.run(
            command, cwd=HERE / "lua", capture_output=True, text=True, timeout=seconds + 60,
            check=True,
        )  # fmt: skip
    return parse_load(done.stdout)


class Idle:
    """Connections that another process of ours holds open, each after one request of its own."""

    def __init__(self, address: tuple[str, int], target: str, count: int, processor: int | None):
        with pinned(processor):
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "idle.py"), *map(str, (*address, target, count))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.said = (self._output.readline() or "the holder of idle connections ended").strip()

    @property
    def _output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def is_open(self) -> bool:
        """Return whether every connection was opened and answered."""
        return self.said == "open"

    def count_alive(self) -> int:
        """Return how many of the connections the server has not closed."""
        assert self.process.stdin is not None
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        return int(self._output.readline() or 0)

    def close(self) -> None:
        """End the holder, and its connections with it."""
        self.process.kill()
        self.process.communicate()
