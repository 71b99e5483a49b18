"""What is measured in which order, and how long it will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from epollo.annotations import Final

START_SECONDS: Final = 0.8
"""To start a server and its guests."""
COUNTED_IDLE_LIMIT: Final = 1000
"""Calls are counted with at most this many idle connections."""
# What a turn of the loop costs for each idle connection, microseconds: enough for a forecast.
_TURN_MICROSECONDS: Final = {"busy": 1.0, "select": 0.2, "poll": 0.2, "epoll": 0.0}
_TURN_MICROSECONDS_OF_OTHERS: Final = max(_TURN_MICROSECONDS.values())
_OPEN_MICROSECONDS: Final = 250.0
_TRUSTED_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Scope:
    """What was asked for; ``seconds`` is how long each measurement lasts."""

    pollers: tuple[str, ...]
    idle: tuple[int, ...]
    """Numbers of idle connections, ascending."""
    seconds: float
    rounds: int
    asking: int
    """Connections that ask without pause."""

    @property
    def waiting_seconds(self) -> float:
        """How long the server is watched while no client asks."""
        return self.seconds / 2


@dataclass(frozen=True)
class Course:
    """One server from start to end: a poller, and every number of idle connections in turn.

    In round 0 the server counts its system calls, and its time is not taken.
    """

    round: int
    poller: str

    @property
    def is_counting(self) -> bool:
        """Whether the server counts its system calls."""
        return self.round == 0


def list_steps(scope: Scope, course: Course) -> list[int]:
    """Return the numbers of idle connections that a course goes through, ascending.

    Counts are exact, and grow steadily, so more than `COUNTED_IDLE_LIMIT` would tell nothing new. To
    accept that many takes the busy server minutes while it counts.
    """
    if not course.is_counting:
        return list(scope.idle)
    return [idle for idle in scope.idle if idle <= COUNTED_IDLE_LIMIT] or [scope.idle[0]]


def plan_courses(scope: Scope) -> list[Course]:
    """Return the courses, interleaved: if the machine is slow for a while, it is for every poller.

    Each round begins with another poller, so that none is always the first.
    """
    courses = []
    for number in range(scope.rounds + 1):
        shift = number % len(scope.pollers)
        order = scope.pollers[shift:] + scope.pollers[:shift]
        courses += [Course(number, poller) for poller in order]
    return courses


def forecast_step_seconds(scope: Scope, poller: str, before: int, idle: int) -> float:
    """Return how long it will take to go from one number of idle connections to the next and measure.

    To accept a connection takes one turn of the loop; with most pollers, a turn takes some time for
    each connection that is open already.
    """
    turns = idle - before
    turn_microseconds = _TURN_MICROSECONDS.get(poller, _TURN_MICROSECONDS_OF_OTHERS)
    each = _OPEN_MICROSECONDS + turn_microseconds * (before + idle) / 2
    return turns * each / 1e6 + scope.seconds + scope.waiting_seconds


def forecast_seconds(scope: Scope, course: Course) -> float:
    """Return how long a whole course will take."""
    steps = pairwise((0, *list_steps(scope, course)))
    return START_SECONDS + sum(
        forecast_step_seconds(scope, course.poller, before, idle) for before, idle in steps
    )


def correct_forecast(done_seconds: float, forecast_done: float, forecast_left: float) -> float:
    """Return how many seconds are left, given how well the forecast has held so far.

    In the first few seconds, the forecast counts for more.
    """
    ratio = (done_seconds + _TRUSTED_SECONDS) / (forecast_done + _TRUSTED_SECONDS)
    return forecast_left * ratio


def describe_seconds(seconds: float) -> str:
    """Return a duration as a person says it: ``40 s``, ``3 min 20 s``."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def fit_idle_counts(
    idle: Sequence[int], asking: int, descriptor_limit: int
) -> tuple[list[int], list[int]]:
    """Return the numbers of idle connections that the limit of descriptors allows, and the others."""
    # Besides its connections a server has the listener, its root, inotify, its streams.
    room = descriptor_limit - asking - 64
    counts = sorted(set(idle))
    return [count for count in counts if count <= room], [count for count in counts if count > room]
