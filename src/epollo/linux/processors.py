"""How many processors this process may use: its affinity, and the quotas of its control groups.

A container with a quota sees every processor of the machine. The quota is time per period, for all
processes of a group and of the groups below it together. So what counts is the least quota of this
process's group and the groups above it (cgroups(7); cpu.max of version 2, cpu.cfs_quota_us of version
1).
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

Read = Callable[[PurePosixPath], str | None]

_GROUPS: Final = PurePosixPath("/proc/self/cgroup")
_MOUNTS: Final = PurePosixPath("/proc/self/mountinfo")


def count_processors() -> int:
    """Return how many processors this process may use at a time, at least one."""
    processors = len(os.sched_getaffinity(0))
    quota = find_quota(_read)
    # Half a processor is worth another process: the kernel shares the time out.
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _read(path: PurePosixPath) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return None


def find_quota(read: Read) -> float | None:
    """Return the least quota of this process's control groups, in processors; None without one.

    ``read`` returns the text of a file, None if it cannot be read.
    """
    groups, mounts = read(_GROUPS), read(_MOUNTS)
    if groups is None or mounts is None:
        return None
    quotas = [
        quota
        for hierarchy in _parse_mounts(mounts)
        for name in _parse_groups(groups, hierarchy.version)
        for folder in _list_folders(hierarchy, name)
        if (quota := _read_quota(read, folder, hierarchy.version)) is not None
    ]
    return min(quotas, default=None)


class _Hierarchy(NamedTuple):
    """Where the groups that bound processor time are mounted; ``root`` is the group that is mounted."""

    version: int
    root: PurePosixPath
    point: PurePosixPath


def _parse_mounts(text: str) -> Iterator[_Hierarchy]:
    """Find the hierarchies among mounts (proc_pid_mountinfo(5))."""
    for line in text.splitlines():
        fixed, _, rest = line.partition(" - ")
        fields, more = fixed.split(" "), rest.split(" ")
        if len(fields) < 6 or len(more) < 3:
            continue
        root, point = (PurePosixPath(_unescape(field)) for field in fields[3:5])
        if more[0] == "cgroup2":
            yield _Hierarchy(2, root, point)
        elif more[0] == "cgroup" and "cpu" in more[2].split(","):
            yield _Hierarchy(1, root, point)


def _unescape(field: str) -> str:
    for character in " \t\n\\":
        field = field.replace(f"\\{ord(character):03o}", character)
    return field


def _parse_groups(text: str, version: int) -> Iterator[PurePosixPath]:
    """Find the group that this process is in (cgroups(7), /proc/pid/cgroup)."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if (version == 2 and number == "0" and not controllers) or (
            version == 1 and "cpu" in controllers.split(",")
        ):
            yield PurePosixPath(name)


def _list_folders(hierarchy: _Hierarchy, name: PurePosixPath) -> Iterator[PurePosixPath]:
    """Return the folders of the group and of all above it that can be seen here.

    A container may see a part of the hierarchy as the whole, but its own group by the name that it has
    outside (cgroup_namespaces(7)): then the mounted group is the nearest that can be seen.
    """
    is_below = name.is_relative_to(hierarchy.root) and ".." not in name.parts
    relative = name.relative_to(hierarchy.root) if is_below else PurePosixPath()
    for part in (relative, *relative.parents):
        yield hierarchy.point / part


def _read_quota(read: Read, folder: PurePosixPath, version: int) -> float | None:
    if version == 2:
        words = (read(folder / "cpu.max") or "").split()
    else:
        quota, period = (read(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
        words = [*quota.split(), *period.split()]
    # "max", or -1, is no quota.
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])
