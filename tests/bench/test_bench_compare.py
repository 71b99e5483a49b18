"""The command of the benchmark, as far as it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

COMPARE = Path(__file__).resolve().parents[2] / "bench" / "compare.py"


@pytest.mark.parametrize(
    ("option", "title"), [("--python", "epollo"), ("--before", "epollo before")]
)
def test_a_python_without_epollo_is_one_line_and_status_2(option: str, title: str) -> None:
    done = subprocess.run(
        [sys.executable, str(COMPARE), option, "false", "--servers", "epollo"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    said = (done.stdout + done.stderr).splitlines()
    assert len(said) == 1
    assert f"{title} cannot run with false" in said[0]
