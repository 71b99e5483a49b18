"""Floods, storms and stalls, and beside each a client that behaves, which is answered soon and rightly.

How soon is told by what the server does meanwhile, its processor time: how long it waits for a processor
is up to what else this machine does.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server

P99_SECONDS = 0.05
INTERVAL_SECONDS = 0.001


def find_p99_seconds(server: Server, ask: Callable[[], object], seconds: float = 2.0) -> float:
    """Return how long the server works at most while 99 of a hundred requests wait for their answers.

    As for a client that asks each millisecond: those that it would have sent meanwhile wait as well.
    """
    waits_seconds = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = server.busy_seconds()
        ask()
        wait_seconds = server.busy_seconds() - begun
        waits_seconds.append(wait_seconds)
        while (wait_seconds := wait_seconds - INTERVAL_SECONDS) > 0:
            waits_seconds.append(wait_seconds)
    waits_seconds.sort()
    return waits_seconds[len(waits_seconds) * 99 // 100]


STORM = """
import os, sys
files = [os.open(name, os.O_WRONLY | os.O_CREAT) for name in ("one.log", "other.log")]
while os.getppid() == int(sys.argv[1]):
    for _ in range(100):
        for file in files:
            os.pwrite(file, b"x", 0)
"""


@pytest.fixture
def storm(site: Path) -> Iterator[None]:
    """Some hundred thousand changes a second in the served folder."""
    with subprocess.Popen([sys.executable, "-c", STORM, str(os.getpid())], cwd=site) as process:
        yield
        process.kill()


def test_a_storm_of_changes_delays_no_answer_and_hides_no_change(
    serve: Serve, site: Path, storm: None
) -> None:
    server: Server = serve(site, "--quiet")
    with server.connect() as peer:
        assert find_p99_seconds(server, lambda: server.get("/", peer=peer)) < P99_SECONDS
        for number in range(200):
            content = f"<title>{number}</title>"
            (site / "page.html").write_text(content)
            assert server.get("/page.html", peer=peer) == content.encode()
