"""The load generator ``replay.c``: traces written for it, and what it counted.

wrk sends one head over and over; a site's width shows only where the requests differ. A trace is any
requests in any order, each with the status and length that its answer must have.
"""

import json
import shutil
import struct
import subprocess
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from measure import pinned
from wire import Fields, WrongAnswerError

HERE: Final = Path(__file__).resolve().parent
HOST_FIELD: Final = ("Host", "site.example")
STAMP: Final = "0123456789abcdef"
"""Where a request has this, the generator writes sixteen other digits each time that it is sent."""


class Asked(NamedTuple):
    """One request as octets, and the answer that is right: any status if 0, any length if -1."""

    octets: bytes
    status: int = 200
    content_octets: int = -1


@dataclass(frozen=True)
class Trace:
    """Requests, and the order in which they are sent; it is repeated for as long as it takes."""

    asked: Sequence[Asked]
    order: Sequence[int]


@dataclass(frozen=True)
class Played:
    """What the generator saw; latencies in microseconds, from the instant at which a request was due.

    ``octets`` is all that it read, ``wrong`` the answers of another status or length than expected,
    ``lost`` the requests on whose connection no whole answer came.
    """

    answers: int
    seconds: float
    octets: int
    wrong: int
    lost: int
    unanswered: int
    reconnected: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float
    first_wrong: str
    statuses: dict[str, int]


def compose_get(target: str, fields: Fields = ()) -> bytes:
    """Return the head of a GET for ``target``, a Host field and these fields."""
    lines = [f"GET {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (HOST_FIELD, *fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def write_trace(trace: Trace, path: Path) -> None:
    """Write a trace as ``replay.c`` reads it."""
    stamp = STAMP.encode()
    with path.open("wb") as file:
        file.write(struct.pack("=II", len(trace.asked), len(trace.order)))
        for octets, status, content_octets in trace.asked:
            offset = max(0, octets.find(stamp))
            file.write(struct.pack("=IIiq", len(octets), offset, status, content_octets))
            file.write(octets)
        array("I", trace.order).tofile(file)


def build_replay(scratch: Path) -> Path:
    """Compile the generator into ``scratch``, unless it is there; return the program."""
    program = scratch / "replay"
    if not program.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            sys.exit("the load generator needs a C compiler; Debian: apt-get install gcc libc6-dev")
        source = str(HERE / "replay.c")
        subprocess.run([compiler, "-O2", "-o", str(program), source], check=True, timeout=60)
    return program


class Replay:
    """A run of the generator that has begun; ``wait`` gives what it counted.

    ``options`` are those of ``replay.c``, for example ``{"rate": 6000, "seconds": 2, "cut": None}``.
    """

    def __init__(
        self,
        program: Path,
        port: int,
        connections: int,
        trace: Path,
        options: dict[str, float | None],
        *,
        processor: int | None,
    ):
        words = [
            word
            for name, value in options.items()
            for word in ([f"--{name}"] if value is None else [f"--{name}", f"{value:.15g}"])
        ]
        self.command = [str(program), str(port), str(connections), str(trace), *words]
        with pinned(processor):
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
            )

    def wait(self, patience_seconds: float = 660) -> Played:
        """Return what it counted; raise WrongAnswerError where it gave up."""
        try:
            said, _ = self._process.communicate(timeout=patience_seconds)
        finally:
            self.stop()
        if self._process.returncode:
            raise WrongAnswerError("the load generator could not drive it")
        return Played(**json.loads(said))

    def stop(self) -> None:
        """End the generator, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def refuse_wrong(played: Played) -> None:
    """Raise WrongAnswerError where an answer under load was not the expected one."""
    if played.wrong:
        raise WrongAnswerError(f"{played.wrong} wrong answers under load: {played.first_wrong}")
    if not played.answers:
        raise WrongAnswerError("it answered nothing under load")
