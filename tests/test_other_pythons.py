"""The pure rooms, the cases of the wire and the properties, on each other Python that is here.

What is strict rests on regular expressions, which engines have read in different ways. ``sh dev/test``
makes the environments.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHONS = sorted((ROOT / ".venv-others").glob("*/stamp"))
# Each in a process of its own, side by side.
ROOMS = (
    ("tests/http", "tests/protocols", "tests/test_named_tuples.py", "tests/test_patterns.py"),
    ("tests/properties",),
)
PATIENCE_SECONDS = 900
"""Many times what it takes: the machine is busy with other things."""


@pytest.mark.long
@pytest.mark.parametrize(
    "folder",
    [path.parent for path in PYTHONS]
    or [
        pytest.param(
            None, marks=pytest.mark.skip(reason="dev/other_pythons.py made no environment here")
        )
    ],
    ids=lambda folder: folder.name if folder else "none",
)
def test_rooms_hold_on_another_python(folder: Path, tmp_path: Path) -> None:
    runs = []
    for number, paths in enumerate(ROOMS):
        output = tmp_path / f"{number}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [
                    *(folder / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                    *(f"--basetemp={tmp_path / f'base{number}'}", *paths),
                ],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            )
        runs.append((process, output))
    for process, output in runs:
        status = process.wait(PATIENCE_SECONDS)
        text = output.read_text()
        assert status == 0, text[-20_000:]
        found = re.search(r"^(\d+) passed in ", text, re.MULTILINE)
        assert found is not None, text[-2000:]
        assert int(found[1]) > 500
