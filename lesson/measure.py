"""Measure the eleven steps in one run, and draw what came out.

    .venv/bin/python lesson/measure.py            # some four minutes; writes results and pictures
    .venv/bin/python lesson/measure.py --draw     # draw what was measured before

Each step serves a file of 1 KiB to eight connections that ask without pause, while 0, 100 and 1,000
others are open and say nothing. The steps are measured in turn, three rounds of them; each figure is that
of the best round, the one that other programs disturbed least. Processor time is what the kernel books
for the server (proc_pid_schedstat(5)).
"""

import argparse
import contextlib
import json
import platform
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from picture import draw_all

LESSON = Path(__file__).resolve().parent
PROGRAMS = sorted(LESSON.glob("[0-9][0-9]_*.py"))
RESULTS = LESSON / "results.json"
PICTURES = LESSON.parent / "docs" / "lesson"
IDLE = (0, 100, 1000)
ASKING = 8
ROUNDS = 3
ROUND_SECONDS = 1.0
CONTENT_OCTETS = 1024
PATIENCE_SECONDS = 60
REQUEST = b"GET /dish HTTP/1.1\r\nHost: a\r\n\r\n"


def read_cpu_seconds(pid: int) -> float:
    """Return the time that a process has had a processor, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Asker:
    """A connection that asks again as soon as it is answered."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._missing = 0
        self.socket.sendall(REQUEST)

    def take(self) -> bool:
        """Take what has come; return whether that was the end of an answer."""
        octets = self.socket.recv(65536)
        if not octets:
            raise ConnectionAbortedError("the server has closed the connection")
        if self._missing == 0:
            head, _, content = octets.partition(b"\r\n\r\n")
            found = re.search(rb"\r\nContent-Length: (\d+)", head)
            if not head.startswith(b"HTTP/1.1 200") or found is None:
                raise ValueError(f"no answer: {head!r}")
            self._missing = int(found[1]) - len(content)
        else:
            self._missing -= len(octets)
        if self._missing:
            return False
        self.socket.sendall(REQUEST)
        return True


def count_answers(askers: list[Asker], seconds: float) -> int:
    """Ask for some time; return how many answers came."""
    answers = 0
    with contextlib.closing(select.epoll()) as epoll:
        by_descriptor = {asker.socket.fileno(): asker for asker in askers}
        for descriptor in by_descriptor:
            epoll.register(descriptor, select.EPOLLIN)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for descriptor, _ in epoll.poll(1):
                answers += by_descriptor[descriptor].take()
    return answers


def measure(program: Path, folder: Path, idle: int, seconds: float) -> tuple[float, float]:
    """Return the microseconds of processor time for a request, and the requests per second."""
    # The steps that have a deadline are told one after the end of the measurement.
    process = subprocess.Popen(
        [sys.executable, str(program), "0", str(PATIENCE_SECONDS)],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.terminate)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        port = int(process.stdout.readline().rpartition(b":")[2].rstrip(b"/\n"))
        for _ in range(idle):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
        askers = [Asker(port) for _ in range(ASKING)]
        for asker in askers:
            stack.enter_context(asker.socket)
        count_answers(askers, seconds / 5)
        cpu, then = read_cpu_seconds(process.pid), time.monotonic()
        answers = count_answers(askers, seconds)
        cpu, passed = read_cpu_seconds(process.pid) - cpu, time.monotonic() - then
        return cpu / max(answers, 1) * 1e6, answers / passed
    raise AssertionError("an exit stack hides nothing")


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": found[1] if found else platform.machine(),
        "kernel": f"Linux {platform.release().partition('-')[0]}",
        "python": f"CPython {platform.python_version()}",
    }


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """Measure every step with every number of idle connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    figures: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dish").write_bytes(b"." * CONTENT_OCTETS)
        for turn in range(rounds):
            for idle in IDLE:
                for program in PROGRAMS:
                    figure = measure(program, folder, idle, seconds)
                    figures.setdefault((program.stem, idle), []).append(figure)
                    print(f"{turn + 1} {program.stem:12} {idle:5} {figure[0]:9.1f} µs", flush=True)
    steps = [
        # Other programs only ever take away: the best round is the least disturbed.
        {
            "program": program.stem,
            "idle": idle,
            "cpu_microseconds": round(min(cpu for cpu, _ in measured), 1),
            "requests_per_second": round(max(rate for _, rate in measured)),
            "cpu_spread": [round(min(measured)[0], 1), round(max(measured)[0], 1)],
        }
        for program in PROGRAMS
        for idle in IDLE
        for measured in [figures[program.stem, idle]]
    ]
    return {**describe_machine(), "rounds": rounds, "seconds": seconds, "steps": steps}


def main() -> None:
    """Measure, or take what was measured, and draw."""
    parser = argparse.ArgumentParser(description="Measure the eleven steps of the lesson.")
    parser.add_argument("--draw", action="store_true", help="draw what was measured before")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=ROUND_SECONDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    arguments = parser.parse_args()
    if not arguments.draw:
        results = run(arguments.rounds, arguments.seconds)
        arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    for name, svg in draw_all(json.loads(arguments.results.read_text())).items():
        (arguments.pictures / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
