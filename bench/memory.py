"""Memory of processes that share some of it, what stands in sealed files of memory included.

The proportional set size (proc_pid_smaps(5)) divides a shared page among the processes that map it. It
lacks the pages of a memfd that is held open and sent by ``sendfile`` without being mapped. So each
memfd is counted once, by the pages that it has, and its mappings are left out.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+):(\S+) (\d+)")


def memory_octets(processes: Iterable[int]) -> int:
    """Return how many octets the processes take together; those that are gone take none."""
    listed = list(processes)
    files: dict[tuple[int, int], int] = {}
    for process in listed:
        files |= _memory_files(process)
    inodes = {inode for _, inode in files}
    return sum(files.values()) + sum(_mapped_octets(process, inodes) for process in listed)


def _memory_files(process: int) -> dict[tuple[int, int], int]:
    """Return the octets of each memfd that a process holds open, by device and inode."""
    found: dict[tuple[int, int], int] = {}
    try:
        descriptors = list(Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return found
    for descriptor in descriptors:
        try:
            if os.readlink(descriptor).startswith("/memfd:"):
                status = descriptor.stat()
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
        except OSError:
            continue
    return found


def _mapped_octets(process: int, left_out: set[int]) -> int:
    """Return the proportional set size of a process without the mappings of these memfds."""
    total, is_counted = 0, True
    try:
        lines = Path(f"/proc/{process}/smaps").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        if mapping := _MAPPING.match(line):
            is_counted = not ("/memfd:" in line and int(mapping[3]) in left_out)
        elif is_counted and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total
