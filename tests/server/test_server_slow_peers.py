"""slowhttptest with 2,000 connections: beside it a client that behaves is answered at once."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Serve, require_descriptors

CONNECTIONS = 2000
SECONDS = 10
PATIENCE_SECONDS = 60
"""For how long the peers may take to connect: the machine is busy with other things."""
REQUESTS = 300
"""What is asked for beside them."""
LONGEST_SECONDS = 1.0
"""For an answer, but for the time in which other work on the machine had the processors."""


def read_waited_seconds(tasks: tuple[str, str]) -> float:
    """Return for how long these tasks have waited for a processor (kernel: sched-stats)."""
    return sum(int(Path(f"/proc/{one}/schedstat").read_text().split()[1]) for one in tasks) / 1e9


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="slowhttptest is not installed")
@pytest.mark.parametrize(
    ("mode", "arguments", "target"),
    [
        ("slow header", ["-H", "-i", "1"], "/"),
        (
            "slow read",
            ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5", "-k", "3"],
            "/large.bin",
        ),
        ("range", ["-R", "-a", "5", "-b", "3000"], "/"),
    ],
    ids=["slow header", "slow read", "range"],
)
def test_a_client_that_behaves_is_answered_beside_those_that_do_not(
    serve: Serve, site: Path, tmp_path: Path, mode: str, arguments: list[str], target: str
) -> None:
    require_descriptors(2 * CONNECTIONS + 200)
    (site / "large.bin").write_bytes(bytes(1_500_000))
    server = serve(site, "--quiet")
    expected = server.get("/")
    descriptors = server.settled_descriptors()
    # Peers that ask for ranges go away again: they come for a while, not until there are enough.
    stays = mode != "range"
    seconds = PATIENCE_SECONDS if stays else SECONDS
    attack = subprocess.Popen(
        ["slowhttptest", *arguments, "-c", str(CONNECTIONS), "-r", "400", "-l", str(seconds),
         "-p", "3", "-u", server.url + target],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )  # fmt: skip
    tasks = (str(server.pid), "thread-self")
    try:
        taken_seconds = []
        beside = 0
        most = 0
        while attack.poll() is None and beside < REQUESTS:
            begun = time.perf_counter() - read_waited_seconds(tasks)
            assert server.get("/") == expected
            taken_seconds.append(time.perf_counter() - read_waited_seconds(tasks) - begun)
            if len(taken_seconds) % 10 == 0:
                most = max(most, server.descriptors() - descriptors)
            beside += stays and most > CONNECTIONS / 2
    finally:
        attack.kill()
        attack.wait()
    assert max(taken_seconds) < LONGEST_SECONDS, json.dumps(sorted(taken_seconds)[-5:])
    assert len(taken_seconds) > 100
    assert beside == (REQUESTS if stays else 0), most
    assert server.await_descriptors(descriptors + 1, 20) <= descriptors + 1
    assert server.get("/") == expected
