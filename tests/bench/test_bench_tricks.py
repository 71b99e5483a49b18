"""The measure of the tricks: each can be left out, and what it is worth is taken within a round."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.comparisons import make_workload
from tricks import TRICKS, Findings, format_findings

WITHOUT = Path(__file__).parents[2] / "bench" / "without.py"


@pytest.mark.parametrize("name", sorted({trick.name for trick in TRICKS}))
def test_a_trick_that_is_left_out_is_one_that_epollo_has(name: str) -> None:
    """Each is one attribute, which may be renamed."""
    code = (
        "import sys, without\n"
        "from epollo.site import partial, representation\n"
        "def read(): return representation._KEPT_FILES_LIMIT, partial._COPIED_OCTETS\n"
        "before = read(); without.TRICKS[sys.argv[1]](); after = read()\n"
        "print(sum(one is not other for one, other in zip(before, after)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        cwd=WITHOUT.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_epollo_runs_without_a_trick() -> None:
    done = subprocess.run(
        [sys.executable, str(WITHOUT), "sealed", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("epollo ")


def test_the_report_has_a_row_for_each_trick_and_workload() -> None:
    wrong = make_workload(**dict.fromkeys(("with", "without"), ()))
    wrong["servers"]["with"]["wrong"] = "it ended"
    findings = Findings(
        format=1,
        date="2026-01-02 03:04 UTC",
        command=["python", "bench/tricks.py"],
        machine={
            "processor": "P", "processors": "2", "kernel": "L", "python": "3", "load_before": "0"
        },
        settings={"rounds": "3", "seconds": "2"},
        workloads=[wrong, *[make_workload(**{"with": (4.0,), "without": (8.0,)})] * (len(TRICKS) - 1)],
    )  # fmt: skip
    rows = [line for line in format_findings(findings).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(TRICKS)
    assert rows[2].endswith("| not counted: it ended |")
    assert all(row.endswith("| 4 | 8 | 0.5 |") for row in rows[3:])
