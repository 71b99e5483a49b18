"""How many processors may be used, over trees of control groups as containers and services have them."""

import os
from pathlib import PurePosixPath

import pytest

from epollo.linux import processors
from epollo.linux.processors import count_processors, find_quota

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
DOCKER_V1 = "40 3 0:27 /docker/12ab /sys/fs/cgroup/cpu ro master:9 - cgroup cpu rw,cpu\n"
ROOT_FOLDER = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        pytest.param("0::/\n", V2, {}, None, id="no limits"),
        pytest.param("0::/\n", V2, {"cpu.max": "150000 100000\n"}, 1.5, id="a container"),
        pytest.param("0::/\n", V2, {"cpu.max": "max 100000\n"}, None, id="max is none"),
        pytest.param("0::/a\n", V2, {"a/cpu.max": "50000 100000\n"}, 0.5, id="half a processor"),
        pytest.param(
            "0::/a/b/c\n",
            V2,
            {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "8 2"},
            2.0,
            id="the least of all above",
        ),
        pytest.param("0::/a\n", V2, {"b/cpu.max": "100000 100000"}, None, id="another group's"),
        pytest.param(
            "0::/../../x\n", V2, {"cpu.max": "100000 100000"}, 1.0, id="outside of the name space"
        ),
        pytest.param(
            "0::/a b\n",
            V2.replace("/sys/fs/cgroup", r"/sys\040fs"),
            {"/sys fs/a b/cpu.max": "300000 100000"},
            3.0,
            id="spaces",
        ),
        pytest.param(
            "5:cpu,cpuacct:/system/x\n3:memory:/\n0::/\n",
            ROOT_FOLDER + V1 + V1_MEMORY,
            {
                "cpu,cpuacct/system/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/system/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/system/x/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/system/x/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="version 1",
        ),
        pytest.param(
            "1:cpu:/docker/12ab\n",
            DOCKER_V1,
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"},
            2.0,
            id="a container of version 1 that knows its name outside",
        ),
        pytest.param(
            "1:cpu:/docker/12ab/inner\n",
            DOCKER_V1,
            {"cpu/inner/cpu.cfs_quota_us": "100000", "cpu/inner/cpu.cfs_period_us": "100000"},
            1.0,
            id="a group in a container of version 1",
        ),
        pytest.param(
            "1:cpuset:/a\n",
            V1.replace("cpu,cpuacct", "cpuset"),
            {"cpuset/a/cpu.cfs_quota_us": "1", "cpuset/a/cpu.cfs_period_us": "1"},
            None,
            id="cpuset is another controller",
        ),
        pytest.param(
            "1:cpu,cpuacct:/a\n0::/a\n",
            V1 + V2,
            {
                "a/cpu.max": "900000 100000",
                "cpu,cpuacct/a/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            4.0,
            id="both versions",
        ),
        pytest.param("0::/\n", V2, {"cpu.max": "nonsense"}, None, id="nonsense"),
        pytest.param("0::/\n", V2, {"cpu.max": "1 0"}, None, id="no period"),
        pytest.param("nonsense\n", "nonsense - \n\n", {}, None, id="no such form"),
        pytest.param(None, None, {}, None, id="no /proc"),
    ],
)
def test_quota(
    groups: str | None, mounts: str | None, files: dict[str, str], quota: float | None
) -> None:
    texts = {PurePosixPath("/sys/fs/cgroup") / name: text for name, text in files.items()}
    if groups is not None and mounts is not None:
        texts[PurePosixPath("/proc/self/cgroup")] = groups
        texts[PurePosixPath("/proc/self/mountinfo")] = mounts
    assert find_quota(texts.get) == quota


@pytest.mark.parametrize(
    ("affinity", "quota", "count"),
    [
        (4, None, 4),
        (4, 2.0, 2),
        (4, 2.1, 3),
        (4, 0.1, 1),
        (4, 0.0, 1),
        (1, 8.0, 1),
    ],
)
def test_the_affinity_and_the_quota_bound_the_count(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    monkeypatch.setattr(processors, "find_quota", lambda _: quota)
    assert count_processors() == count
