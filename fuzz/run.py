#!/usr/bin/env python3
"""Throw octets at epollo that no person would think of, by `python fuzz/run.py`.

Each harness in fuzz/harnesses says in its first line what must hold, whatever comes. It is tried on
its corpus, and then, for a bounded time, on what an engine makes of it: atheris where it is installed,
which goes after what reaches code that was not reached before; else chance alone. The exit status is
1 where something did not hold; the octets that show it are printed as small as they could be made, in
the notation of the corpus, to which they are to be added together with the correction.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TRIAL = HERE / "trial.py"
ENGINES = ("atheris", "random")
# What an engine may take beyond its time: imports, instrumentation, a last input that hangs.
_GRACE_SECONDS = 90
# What one of a number of inputs may take: an engine that hangs is ended.
_INPUT_SECONDS = 0.1


class Report(NamedTuple):
    """How a trial ended: ``octets_path`` holds the octets that show a fault."""

    inputs: int
    coverage: int
    octets_path: Path | None
    output: str


def list_harnesses() -> list[str]:
    """Return the names of all harnesses."""
    return sorted(path.stem for path in (HERE / "harnesses").glob("*.py"))


def run_trial(harness: str, work: Path, *arguments: str, timeout_seconds: float) -> Report:
    """Try a harness in a process of its own, whose temporary files are all in ``work``."""
    paths = [str(HERE.parent / "tests"), str(HERE.parent / "src")]
    environment = {
        **os.environ,
        "TMPDIR": str(work),
        # An engine that is guided by what is reached goes another way where sets have another order.
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    with (work / "output").open("w+b") as output:
        try:
            status = subprocess.run(
                [sys.executable, str(TRIAL), harness, *arguments],
                cwd=work,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    found = sorted(
        path for kind in ("crash", "timeout", "oom", "leak") for path in work.glob(f"{kind}-*")
    )
    if status != 0 and not found:
        raise SystemExit(f"the trial of {harness} itself failed:\n{text}")
    return Report(
        inputs=_find_last(r"number_of_executed_units: *(\d+)", text),
        coverage=_find_last(r"\bcov: (\d+)", text),
        octets_path=found[0] if found else None,
        output=text,
    )


def _find_last(pattern: str, text: str) -> int:
    numbers = re.findall(pattern, text)
    return int(numbers[-1]) if numbers else 0


def select_engine(name: str) -> str:
    """Return the engine to use; raise SystemExit where the one asked for is not here."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    if name == "atheris" and not has_atheris:
        raise SystemExit("atheris is not installed: pip install atheris")
    if name == "auto":
        return "atheris" if has_atheris else "random"
    return name


class Search(NamedTuple):
    """What is tried beyond the corpus: for a time, or for a number of ``inputs`` that is not 0."""

    engine: str
    seconds: int
    inputs: int
    seed: int

    @property
    def bound(self) -> str:
        """Return the end of the search as text."""
        return f"{self.inputs:,} inputs" if self.inputs else f"{self.seconds} s"


def fuzz(harness: str, search: Search) -> bool:
    """Try one harness, print how it went, and return whether its invariant held."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        work = Path(folder)
        report = run_trial(harness, work, "corpus", timeout_seconds=_GRACE_SECONDS)
        stage = f"{report.inputs:,} seeds" if report.octets_path is None else "by a seed"
        if report.octets_path is None and (search.seconds or search.inputs):
            began = time.monotonic()
            report = run_trial(
                harness, work, search.engine,
                str(search.seconds), str(search.inputs), str(search.seed),
                timeout_seconds=_INPUT_SECONDS * search.inputs + search.seconds + _GRACE_SECONDS,
            )  # fmt: skip
            if report.octets_path is not None:
                stage = f"by {search.engine} within {search.bound}"
            else:
                stage += f", then {report.inputs:,} inputs by {search.engine}"
                stage += f" in {time.monotonic() - began:.0f} s"
                stage += f", {report.coverage:,} places reached" if report.coverage else ""
        is_held = report.octets_path is None
        print(f"{harness:<16}{'held ' if is_held else 'BROKEN'} {stage}", flush=True)
        if report.octets_path is not None:
            octets_path = report.octets_path.rename(work / "octets")
            shown = run_trial(
                harness, work, "show", str(octets_path), timeout_seconds=_GRACE_SECONDS
            )
            print(shown.output)
        return is_held


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        description="Fuzz epollo: every harness on its corpus, then with an engine.",
        epilog="What must hold is the first line of each file in fuzz/harnesses.",
    )
    parser.add_argument(
        "--seconds", type=int, default=10, help="for each harness; 0: the corpus only (default: 10)"
    )
    parser.add_argument(
        "--inputs",
        type=int,
        default=0,
        help="try this many inputs instead, however long it takes; with --seed, the same ones again",
    )
    parser.add_argument(
        "--target", action="append", choices=list_harnesses(), help="only this harness; repeatable"
    )
    parser.add_argument("--engine", choices=("auto", *ENGINES), default="auto")
    parser.add_argument(
        "--seed", type=int, default=0, help="of chance (default: another one each time)"
    )
    arguments = parser.parse_args()
    if arguments.seconds < 0 or arguments.inputs < 0:
        parser.error("--seconds and --inputs must be 0 or more")
    search = Search(
        select_engine(arguments.engine),
        arguments.seconds,
        arguments.inputs,
        arguments.seed or int.from_bytes(os.urandom(3), "big") + 1,
    )
    print(f"engine {search.engine}, seed {search.seed}")
    results = [fuzz(harness, search) for harness in arguments.target or list_harnesses()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
