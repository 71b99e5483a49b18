"""Programs that run confined, in processes of their own: what is given up does not come back."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from epollo.linux.landlock import find_abi

_PRELUDE = """
import json, os, shutil, signal, socket, subprocess, sys, threading, time
from epollo.linux.confinement import confine, filter_calls
given = json.loads(sys.argv[1])
ROOT, OUTSIDE, PORT = given["root"], given["outside"], given["port"]
outcomes = {}
root = os.open(ROOT, os.O_PATH | os.O_DIRECTORY)
log = open(OUTSIDE + "/log", "a")
exec(given["before"])
if given["sandbox"]:
    outcomes["in force"] = confine([root], given["sandbox"], given["user"])
    if given["filters"]:
        outcomes["in force"] += "; " + filter_calls(given["sandbox"])
for name, source in given["attempts"].items():
    try:
        outcome = "done"
        exec(source)
    except BaseException as error:
        outcome = type(error).__name__
    outcomes[name] = outcome
print(json.dumps(outcomes))
"""


def abi_of_this_kernel() -> int:
    """Return the version of Landlock's ABI, 0 where there is none."""
    try:
        return find_abi()
    except OSError:
        return 0


ABI = abi_of_this_kernel()


def attempt(
    attempts: dict[str, str],
    root: Path,
    outside: Path,
    *,
    sandbox: str | None = "on",
    user: str | None = None,
    port: int = 0,
    before: str = "",
    filters: bool = False,
) -> dict[str, str]:
    """Return what became of each attempt: ``done``, what it set ``outcome`` to, or an exception's name.

    With None as sandbox nothing is given up, which shows what else an attempt might fail for. ``before``
    is executed before anything is given up; ``filters`` is whether system calls are, too.
    """
    given: dict[str, Any] = {
        "root": str(root),
        "outside": str(outside),
        "port": port,
        "sandbox": sandbox,
        "user": user,
        "attempts": attempts,
        "before": before,
        "filters": filters,
    }
    finished = subprocess.run(
        [sys.executable, "-c", _PRELUDE, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    outcomes: dict[str, str] = json.loads(finished.stdout)
    return outcomes
