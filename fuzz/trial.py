"""One harness in a process of its own, as fuzz/run.py starts it.

trial.py HARNESS corpus                      try the seeds
trial.py HARNESS random SECONDS INPUTS SEED  try what chance makes of them
trial.py HARNESS atheris SECONDS INPUTS SEED the same, guided by what is reached
trial.py HARNESS show FILE                   make octets that break the invariant small, and show them

A search ends after SECONDS, or after INPUTS where this is not 0. The octets that broke the invariant are
left in the current folder.
"""

import importlib
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from notation import format_octets, list_requests, read_seeds

OCTETS_MAX = 4096
"""Longer inputs say nothing that these do not; the limits of the harnesses are far below."""
INPUT_SECONDS = 10
"""An input that takes longer is a fault: every one here is the work of a millisecond."""
_SHRINKING_ATTEMPTS = 3000

Check = Callable[[bytes], None]


class HangError(Exception):
    """An input took longer than any may."""


class Harness(NamedTuple):
    """What is tried: ``check`` raises whatever it likes where the invariant does not hold."""

    check: Check
    tokens: tuple[bytes, ...]
    seeds: list[bytes]


def load_harness(name: str) -> Harness:
    """Return a harness and its corpus; what reads requests also has the readable cases of the wire."""
    module = importlib.import_module(f"harnesses.{name}")
    seeds = read_seeds(Path(__file__).parent / "corpus" / f"{name}.txt")
    if name in {"protocol", "head"}:
        seeds += [octets for octets in list_requests() if len(octets) <= OCTETS_MAX]
    return Harness(module.check, module.TOKENS, seeds)


def _on_alarm(_number: int, _frame: FrameType | None) -> None:
    raise HangError(f"not done within {INPUT_SECONDS} seconds")


def find_fault(check: Check, octets: bytes) -> str | None:
    """Return what an input raised, and where; None where the invariant held."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, INPUT_SECONDS)
    try:
        check(octets)
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def note_fault(octets: bytes, fault: str) -> None:
    """Leave the octets for the process that started the trial."""
    Path("crash-octets").write_bytes(octets)
    print(fault)


def shrink(octets: bytes, is_broken: Callable[[bytes], bool]) -> bytes:
    """Return fewer octets, and plainer ones, that break the invariant as well."""
    attempts = 0
    size = max(1, len(octets) // 2)
    while attempts < _SHRINKING_ATTEMPTS:
        before = octets
        place = 0
        while place < len(octets) and attempts < _SHRINKING_ATTEMPTS:
            attempts += 1
            fewer = octets[:place] + octets[place + size :]
            if is_broken(fewer):
                octets = fewer
            else:
                place += size
        if size == 1 and octets == before:
            break
        size = max(1, size // 2)
    for place in range(len(octets)):
        plainer = octets[:place] + b"a" + octets[place + 1 :]
        if octets[place] not in b"a\r\n" and is_broken(plainer):
            octets = plainer
    return octets


def _show(harness: Harness, octets: bytes) -> None:
    fault = find_fault(harness.check, octets)
    if fault is None:
        print("alone, these octets break nothing: it took what was tried before them")
    elif "HangError" not in fault:
        octets = shrink(octets, lambda fewer: find_fault(harness.check, fewer) is not None)
        fault = find_fault(harness.check, octets)
    print(f"{fault or ''}\n{format_octets(octets)}\n")


def _try_corpus(harness: Harness) -> None:
    for octets in harness.seeds:
        fault = find_fault(harness.check, octets)
        if fault is not None:
            note_fault(octets, fault)
            sys.exit(1)
    print(f"number_of_executed_units: {len(harness.seeds)}")


def main() -> None:
    """Run one trial."""
    name, stage, *rest = sys.argv[1:]
    if stage == "corpus":
        _try_corpus(load_harness(name))
    elif stage == "show":
        _show(load_harness(name), Path(rest[0]).read_bytes())
    else:
        engine = importlib.import_module(f"engines.by_{stage}")
        engine.search(name, seconds=int(rest[0]), inputs=int(rest[1]), seed=int(rest[2]))


if __name__ == "__main__":
    main()
