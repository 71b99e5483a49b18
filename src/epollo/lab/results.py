"""What was measured, as values: rounds, medians and spread; and how they are written as JSON."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from epollo.annotations import Final
from epollo.lab.counters import SYSTEM_CALLS
from epollo.lab.growth import Growth, fit_growth

FORM: Final = 2
"""The number of the form in which results are written."""
FD_SETSIZE_WALL: Final = "fd_setsize"
"""The trouble of a `Wall` that is select's own."""


@dataclass(frozen=True)
class Round:
    """One measurement of one cell; times are microseconds."""

    cpu_per_request: float
    requests_per_second: float
    p50: float
    p99: float
    worst: float
    waiting_share: float
    """Processor time per second while no client asks: 1 is a whole processor."""
    octets_per_connection: float | None
    """Memory of the process per idle connection; None if there are too few to tell."""


@dataclass(frozen=True)
class Tally:
    """What the counting server counted, per request and per second of waiting."""

    per_request: dict[str, float]
    waiting_per_second: dict[str, float]

    @property
    def calls_per_request(self) -> float:
        """System calls of all kinds per request."""
        return sum(self.per_request[name] for name in SYSTEM_CALLS)


@dataclass
class Cell:
    """One poller with one number of idle connections."""

    poller: str
    idle: int
    rounds: list[Round] = field(default_factory=list)
    tally: Tally | None = None


@dataclass(frozen=True)
class Wall:
    """A number of idle connections that could not be opened, how many could, and why not more.

    ``trouble`` is `FD_SETSIZE_WALL`, or what the system said.
    """

    poller: str
    idle: int
    reached: int
    trouble: str


@dataclass(frozen=True)
class Figure:
    """A median and its spread over the rounds."""

    median: float
    least: float
    most: float


@dataclass
class Results:
    """Everything that a report shows."""

    version: str
    date: str
    machine: dict[str, str]
    pollers: list[str]
    idle: list[int]
    seconds: float
    rounds: int
    asking: int
    cells: list[Cell] = field(default_factory=list)
    walls: list[Wall] = field(default_factory=list)

    def cell(self, poller: str, idle: int) -> Cell | None:
        """Return one cell, None if it was not measured."""
        for cell in self.cells:
            if (cell.poller, cell.idle) == (poller, idle):
                return cell
        return None

    def place(self, poller: str, idle: int) -> Cell:
        """Return one cell, a new one where there is none."""
        cell = self.cell(poller, idle)
        if cell is None:
            cell = Cell(poller, idle)
            self.cells.append(cell)
        return cell

    def note_wall(self, wall: Wall) -> None:
        """Note where a poller met its wall; only the first for each."""
        if all(known.poller != wall.poller for known in self.walls):
            self.walls.append(wall)

    def curve(self, poller: str, value: Callable[[Round], float]) -> list[tuple[int, Figure]]:
        """Return a figure for each number of idle connections that was measured."""
        found = []
        for idle in self.idle:
            cell = self.cell(poller, idle)
            if cell is not None and cell.rounds:
                found.append((idle, summarize([value(one) for one in cell.rounds])))
        return found

    def growth(self, poller: str) -> Growth | None:
        """Return how the cost of a request grows with idle connections, None if that cannot be told."""
        cells = [self.cell(poller, idle) for idle in self.idle]
        return fit_growth(
            [
                (cell.idle, [one.cpu_per_request for one in cell.rounds])
                for cell in cells
                if cell is not None and cell.rounds
            ]
        )


def summarize(values: Sequence[float]) -> Figure:
    """Return median and spread of at least one value."""
    return Figure(statistics.median(values), min(values), max(values))


def summarize_memory(cell: Cell) -> Figure | None:
    """Return octets per idle connection, None if no round could tell."""
    known = [one.octets_per_connection for one in cell.rounds]
    values = [octets for octets in known if octets is not None]
    return summarize(values) if values else None


def format_json(results: Results) -> str:
    """Return the results as JSON, for `parse_json` (`reading`)."""
    return json.dumps({"form": FORM, **asdict(results)}, indent=1, ensure_ascii=False) + "\n"
