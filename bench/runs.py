"""What every benchmark does around its measuring: the machine, the processors, the folders, the end."""

import argparse
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from results import Run
from servers import Server, first_line

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PEERS = HERE / "build" / "peers"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Processors(NamedTuple):
    """The processor of the servers and that of the load; None where the scheduler places them."""

    server: int | None
    load: int | None


def choose_processors(*, may_pin: bool = True) -> Processors:
    """Return a processor for each, where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    if may_pin and len(processors) > 1:
        return Processors(processors[0], processors[1])
    return Processors(None, None)


@dataclass
class Surroundings:
    """What stays the same over a run; ``seconds`` is how long the load of a round takes."""

    scratch: Path
    rounds: int
    seconds: float
    python: str
    peers: Path | None
    processors: Processors
    is_quick: bool

    def without_places(self, text: str) -> str:
        """Return a command or configuration as a stranger may read it, without our paths."""
        places = [(self.scratch, "SCRATCH"), (self.peers, "PEERS"), (HERE.parent, ".")]
        text = text.replace(self.python, "python")
        for place, name in places:
            if place is not None:
                text = text.replace(str(place), name)
        return text


@contextmanager
def open_scratch() -> Iterator[Path]:
    """Make a folder that servers which give up their user may enter; remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="epollo-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        yield scratch


def find_wrk() -> str:
    """Return the version of wrk; end the program where there is none."""
    version = first_line("wrk", "-v")
    if version is None:
        sys.exit("wrk is not installed; Debian: apt-get install wrk")
    return version


def choose(names: str, known: Sequence[str]) -> list[str]:
    """Return the names between commas; end the program where one is not known."""
    chosen = names.split(",")
    if unknown := [name for name in chosen if name not in known]:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return chosen


def find_versions(servers: Sequence[Server], python: str, peers: Path | None) -> dict[str, str]:
    """Return the versions of the servers that are installed; end the program where epollo is not."""
    versions = {}
    for server in servers:
        version = server.find(python, peers)
        if version is not None:
            versions[server.name] = version
        elif server.name == "epollo":
            # Others may be missing; without epollo the figures are not what was asked for.
            say(f"epollo cannot run with {python}; .venv/bin/python can, after sh dev/test")
            sys.exit(2)
        else:
            say(f"{server.name} is not installed: left out")
    return versions


def describe_machine() -> dict[str, str]:
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "processors": str(os.cpu_count()),
        "memory_octets": str(memory),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def format_now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_method(
    date: str, machine: Mapping[str, str], settings: Mapping[str, str], order: str
) -> str:
    """Return what stands at the head of a report; ``order`` is how servers follow one another."""
    load = f"{settings['load']} " if "load" in settings else ""
    return (
        f"{date}. {machine['processor']}, {machine['processors']} processors, "
        f"{machine['kernel']}, Python {machine['python']}, load before {machine['load_before']}. "
        f"{load}{settings['rounds']} rounds of {settings['seconds']} s, {order} within each; "
        "medians, with the least and the most of the rounds. Ratios are taken within each round."
    )


def format_page(title: str, run: Run, order: str, *parts: str, note: str = "") -> str:
    """Return a report as Markdown: what was run, and its ``parts``; ``order`` is as above."""
    method = format_method(run["date"], run["machine"], run["settings"], order)
    head = [f"# {title}", f"{method} {note}".rstrip(), f"`{' '.join(run['command'])}`"]
    return "\n\n".join([*head, *parts]) + "\n"


def make_parser(
    description: str | None, *, rounds: int, each: str, seconds: int
) -> argparse.ArgumentParser:
    """Return what reads the arguments that nearly all benchmarks have, with these defaults.

    ``each`` says what a round is of.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=rounds, help=f"{each} (default: {rounds})")
    add("--seconds", type=int, default=seconds, help=f"of load in a round (default: {seconds})")
    add("--out", type=Path, default=RESULTS, help="folder for the results")
    return parser


def write_findings(findings: object, folder: Path, files: Mapping[str, str]) -> None:
    """Write what was found, as JSON beside its reports, all of which have a name in ``files``.

    The JSON file has the name of the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(findings, indent=1, ensure_ascii=False)
    first = folder / next(iter(files))
    first.with_suffix(".json").write_text(text + "\n")
    for name, content in files.items():
        (folder / name).write_text(content)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that every server is ended on the way out."""
    raise KeyboardInterrupt


def run_until_stopped(run: Callable[[], None], kept: str = "nothing is written") -> None:
    """Run; being stopped, end the servers first and say what is ``kept`` of what was measured."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(f"stopped; {kept}")
