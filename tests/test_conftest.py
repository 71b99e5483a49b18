"""What tests start does not depend on how the tests were started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import deal

TESTS = Path(__file__).resolve().parent
PROGRAM = """
import subprocess, conftest
print(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout)
print(subprocess.run("umask", shell=True, capture_output=True, text=True).stdout)
"""


def test_signals_that_are_ignored_and_a_umask_are_not_handed_on() -> None:
    """As ``nohup sh dev/test &`` has them (nohup(1), and POSIX on asynchronous lists)."""
    result = subprocess.run(
        ["sh", "-c", 'trap "" INT HUP QUIT; umask 077; exec "$@"', "sh",
         sys.executable, "-c", PROGRAM],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    status, _, umask = result.stdout.strip().rpartition("\n")
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        assert not ignored >> (number - 1) & 1
    assert int(umask, 8) == 0o022


@pytest.mark.parametrize(
    ("long", "short", "parts", "dealt"),
    [
        ("", "abcdef", 3, ["ab", "cd", "ef"]),
        ("ABC", "abcdef", 3, ["Aab", "Bcd", "Cef"]),
        ("ABCD", "abcdef", 3, ["ADa", "Bbc", "Cdef"]),
        ("ABCDE", "a", 1, ["ABCDEa"]),
        ("", "", 2, ["", ""]),
    ],
)
def test_long_tests_are_dealt_out(long: str, short: str, parts: int, dealt: list[str]) -> None:
    order = "".join(deal(long, short, parts))
    assert sorted(order) == sorted(long + short)
    left = len(order)
    found = []
    for part in range(parts):
        size = left // (parts - part)
        found.append(order[len(order) - left :][:size])
        left -= size
    assert found == dealt
