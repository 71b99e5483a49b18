"""How long the next worker in a place waits: longer, the more often workers end early there."""

import math

from epollo.annotations import Final
from epollo.supervisor.worker_process import WorkerProcess

_SOUND_SECONDS: Final = 1.0
"""A worker that served for less ended by what may end the next one too."""
FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 10.0


class Backoff:
    """The seconds to wait, by place; none where the last worker was sound."""

    def __init__(self) -> None:
        self._by_place: dict[int, float] = {}

    def find(self, worker: WorkerProcess) -> float:
        """Return how many seconds the next worker in the place of one that ended shall wait."""
        if worker.is_ready and worker.seconds_served() >= _SOUND_SECONDS:
            self._by_place.pop(worker.place, None)
            return 0.0
        delay = self._by_place.get(worker.place, 0.0)
        longer = min(max(delay * 2, FIRST_DELAY_SECONDS), LONGEST_DELAY_SECONDS)
        self._by_place[worker.place] = longer
        return delay

    def clear(self) -> None:
        """Begin anew, with other workers."""
        self._by_place.clear()


class Restarts:
    """The places that wait for another worker, and when it starts: instants (monotonic, seconds)."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int]] = []

    @property
    def next_instant(self) -> float:
        """The instant of the next start; infinite if no place waits."""
        return min((instant for instant, _ in self._waiting), default=math.inf)

    def add(self, place: int, instant: float) -> None:
        """Have a worker start in a place at an instant."""
        self._waiting.append((instant, place))

    def take_due(self, now: float) -> list[int]:
        """Return the places in which a worker is to start by now; they wait no more."""
        due = [place for instant, place in self._waiting if instant <= now]
        self._waiting = [(instant, place) for instant, place in self._waiting if instant > now]
        return due

    def clear(self) -> None:
        """Have no worker start."""
        self._waiting.clear()
