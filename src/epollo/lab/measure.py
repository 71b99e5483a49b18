"""The experiment: servers and guests in processes of their own, and what the kernel counts for them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from epollo import __version__
from epollo.annotations import Any, Final
from epollo.errors import OperatorError
from epollo.lab.accounting import describe_machine, list_tree, pss_octets
from epollo.lab.counters import create_counters
from epollo.lab.plan import (
    START_SECONDS,
    Course,
    Scope,
    correct_forecast,
    forecast_seconds,
    forecast_step_seconds,
    list_steps,
    plan_courses,
)
from epollo.lab.results import FD_SETSIZE_WALL, Results, Round, Tally, Wall
from epollo.pollers import FD_SETSIZE

DISH_OCTETS: Final = 1024
"""Length of the file that the guests ask for."""
_END_SECONDS: Final = 5.0
_MEMORY_CONNECTIONS: Final = 1000
"""With fewer connections, the memory of each is too small beside that of the process to be measured."""

Progress = Callable[[str, float], None]
"""Is told what is measured now, and how many seconds are left."""


class Party:
    """A server and its guests, each in a process of its own; ends with `close`, or with the lab."""

    def __init__(self, poller: str, root: Path, *, counts: bool) -> None:
        """Raise `OperatorError` if the server does not start."""
        self._counters = create_counters() if counts else -1
        self._server: subprocess.Popen[bytes] | None = None
        self._guests: subprocess.Popen[str] | None = None
        # The server on one processor, its guests on another: neither waits for its turn.
        processors = sorted(os.sched_getaffinity(0))
        try:
            with tempfile.TemporaryFile() as faults, _pinned(processors[0]):
                self._server = subprocess.Popen(
                    self._command(poller, root),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=faults,
                    pass_fds=() if self._counters < 0 else (self._counters,),
                    start_new_session=True,
                )
                self.port = _read_port(self._server)
                if not self.port:
                    self._server.wait(_END_SECONDS)
                    faults.seek(0)
                    said = faults.read().decode(errors="replace").strip().splitlines()
                    raise OperatorError(f"{poller}: no server: {said[-1] if said else 'no reason'}")
            self.processes = list_tree(self._server.pid)
            with _pinned(processors[-1]):
                self._guests = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "epollo.lab.guests", str(self.port)),
                        *(str(self._counters), *map(str, self.processes)),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    pass_fds=() if self._counters < 0 else (self._counters,),
                    text=True,
                    start_new_session=True,
                )
        except BaseException:
            self.close()
            raise

    @property
    def counters(self) -> int:
        """The descriptor of what the server counts, -1 if it does not."""
        return self._counters

    @property
    def guests(self) -> subprocess.Popen[str]:
        """The process of the guests."""
        assert self._guests is not None  # noqa: S101 - for the type checker: a closed party has none
        return self._guests

    @property
    def is_over(self) -> bool:
        """Whether the server has ended by itself, or was killed."""
        return self._server is None or self._server.poll() is not None

    def order(self, *command: Any) -> dict[str, Any]:
        """Have the guests do something; return the result. Raises `OperatorError` if they have ended."""
        guests = self.guests
        assert guests.stdin is not None  # noqa: S101
        assert guests.stdout is not None  # noqa: S101
        line = ""
        with contextlib.suppress(BrokenPipeError):
            guests.stdin.write(json.dumps(command) + "\n")
            guests.stdin.flush()
            line = guests.stdout.readline()
        if not line:
            raise OperatorError("the guests have left: their process has ended")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End both processes."""
        if self._guests is not None:
            assert self._guests.stdin is not None  # noqa: S101
            assert self._guests.stdout is not None  # noqa: S101
            # It may be in the middle of an order, and would not notice that stdin has ended.
            self._guests.kill()
            self._guests.wait()
            with contextlib.suppress(BrokenPipeError):
                self._guests.stdin.close()
            self._guests.stdout.close()
            self._guests = None
        if self._server is not None:
            assert self._server.stdout is not None  # noqa: S101
            # The whole session is killed, so that workers end with their server.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server.stdout.close()
            self._server = None
        if self._counters >= 0:
            os.close(self._counters)
            self._counters = -1

    def _command(self, poller: str, root: Path) -> list[str]:
        if self._counters >= 0:
            module = [sys.executable, "-m", "epollo.lab.counted"]
            return [*module, str(self._counters), str(root), poller]
        return [
            *(sys.executable, "-m", "epollo", str(root), "--port", "0", "--poller", poller),
            *("--quiet", "--no-compress", "--idle-timeout", "86400", "--grace", "0"),
        ]


def measure(scope: Scope, progress: Progress) -> Results:
    """Measure everything that the scope names; takes minutes."""
    results = Results(
        version=__version__,
        date=time.strftime("%Y-%m-%d"),
        machine=describe_machine(),
        pollers=list(scope.pollers),
        idle=list(scope.idle),
        seconds=scope.seconds,
        rounds=scope.rounds,
        asking=scope.asking,
    )
    courses = plan_courses(scope)
    forecasts = [forecast_seconds(scope, course) for course in courses]
    begun = time.monotonic()
    done = 0.0
    with tempfile.TemporaryDirectory(prefix="epollo-lab-") as folder:
        root = Path(folder)
        (root / "dish").write_bytes(b"." * DISH_OCTETS)
        for course, forecast in zip(courses, forecasts, strict=True):
            before = done

            def told(text: str, within: float, before: float = before) -> None:
                so_far = before + within
                left = sum(forecasts) - so_far
                spent = time.monotonic() - begun
                progress(text, correct_forecast(spent, so_far, left))

            _run_course(scope, course, root, results, told)
            done += forecast
    return results


def _run_course(
    scope: Scope,
    course: Course,
    root: Path,
    results: Results,
    progress: Callable[[str, float], None],
) -> None:
    """Start one server and go through all numbers of idle connections with it."""
    name = "counting calls" if course.is_counting else f"round {course.round} of {scope.rounds}"
    progress(f"{name}: {course.poller}, starting", 0.0)
    party = Party(course.poller, root, counts=course.is_counting)
    try:
        # So that what the first answer brings into memory is not counted as a connection's.
        party.order("ask", min(0.2, scope.seconds), scope.asking)
        empty_octets = pss_octets(party.processes)
        within = START_SECONDS
        before = 0
        for idle in list_steps(scope, course):
            progress(f"{name}: {course.poller} with {idle:,} idle connections", within)
            opened = party.order("open", idle)
            if opened["idle"] < idle:
                results.note_wall(
                    Wall(
                        course.poller,
                        idle,
                        opened["idle"],
                        _explain_wall(course.poller, opened["idle"], opened["trouble"]),
                    )
                )
                return
            waited = party.order("wait", scope.waiting_seconds)
            octets = pss_octets(party.processes) - empty_octets
            asked = party.order("ask", scope.seconds, scope.asking)
            if asked["trouble"]:
                raise OperatorError(f"{course.poller} with {idle} idle: {asked['trouble']}")
            cell = results.place(course.poller, idle)
            if course.is_counting:
                cell.tally = _tally(asked, waited)
            else:
                cell.rounds.append(
                    _round(asked, waited, octets / idle if idle >= _MEMORY_CONNECTIONS else None)
                )
            within += forecast_step_seconds(scope, course.poller, before, idle)
            before = idle
    finally:
        party.close()


def _explain_wall(poller: str, reached: int, trouble: str) -> str:
    if poller == "select" and reached < FD_SETSIZE:
        return FD_SETSIZE_WALL
    return trouble


def _round(asked: dict[str, Any], waited: dict[str, Any], octets: float | None) -> Round:
    return Round(
        cpu_per_request=asked["cpu_seconds"] * 1e6 / asked["requests"],
        requests_per_second=asked["requests"] / asked["seconds"],
        p50=asked["p50"],
        p99=asked["p99"],
        worst=asked["worst"],
        waiting_share=waited["cpu_seconds"] / waited["seconds"],
        octets_per_connection=octets,
    )


def _tally(asked: dict[str, Any], waited: dict[str, Any]) -> Tally:
    return Tally(
        {name: number / asked["requests"] for name, number in asked["counted"].items()},
        {name: number / waited["seconds"] for name, number in waited["counted"].items()},
    )


def _read_port(server: subprocess.Popen[bytes]) -> int:
    """Return the port that a server says it listens on, 0 if it ends before it says one."""
    port = 0
    assert server.stdout is not None  # noqa: S101 - for the type checker: it was asked for
    for line in server.stdout:
        found = re.search(rb"http://\S+?:(\d+)/", line)
        if found is not None:
            port = int(found[1])
        if b"Ctrl-C" in line:
            return port
    return 0


@contextlib.contextmanager
def _pinned(processor: int) -> Iterator[None]:
    """Have processes that start inside run on this processor only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
