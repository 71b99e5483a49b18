"""What the kernel counts for a process: processor time and memory; and the machine that it runs on."""

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return user and system time of the processes, exact to the nanosecond.

    /proc/PID/stat counts in ticks of 10 ms. The CPU clock of a process has the scheduler's sum; its
    number follows from that of the process (clock_getcpuclockid(3)).
    """
    total = 0.0
    for process in processes:
        try:
            total += time.clock_gettime((~process << 3) | 2)
        except OSError:
            # It has ended meanwhile.
            continue
    return total


def pss_octets(processes: Iterable[int]) -> int:
    """Return the anonymous part of the proportional set size (proc_pid_smaps(5)).

    The other part, files such as the interpreter, shrinks for each other process that maps them too.
    """
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss_Anon:")
        )
    return total * 1024


def list_tree(root: int) -> list[int]:
    """Return a process and all its descendants that are alive (proc_pid_task(5))."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
    return found


def describe_machine() -> dict[str, str]:
    """Return what a figure depends on: processor, how many of it, kernel, interpreter."""
    return {
        "processor": _read_processor(),
        "processors": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
