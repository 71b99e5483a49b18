"""What the wide benchmark found, as it stands in the JSON file, and what it is held to."""

from typing import TypedDict

from results import Figure, Run, summarize

Measured = dict[str, float]
"""Figures of one round by name: ``cpu`` (microseconds per request), ``p50``, ``p99``, ``most``
(microseconds), ``per_second``, ``memory`` (MiB), ``lost`` (requests without an answer), and those of a
row's own."""


class EntrantResult(TypedDict):
    """One entrant of a row; ``wrong`` says why it does not count, empty where it does."""

    title: str
    variant: str
    search: dict[str, float]
    command: list[str]
    configuration: str
    wrong: str
    rounds: list[Measured]


class Bar(TypedDict):
    """Bounds a figure of ``ours``: its ratio to that of ``theirs``, or where this is empty, itself."""

    figure: str
    ours: str
    theirs: str
    bound: float


class RowResult(TypedDict):
    """One row; ``figure`` is what is shown, in ``unit``.

    ``files`` is how many URLs a load goes over, ``rate`` how many requests are due in a second, if any.
    """

    title: str
    figure: str
    unit: str
    files: int
    rate: float
    bars: list[Bar]
    entrants: dict[str, EntrantResult]


class Wide(Run):
    """A whole run."""

    versions: dict[str, str]
    rows: dict[str, RowResult]


def start_result(title: str) -> EntrantResult:
    """Return the result of an entrant that was not measured yet."""
    return EntrantResult(
        title=title, variant="", search={}, command=[], configuration="", wrong="", rounds=[]
    )


def rounds_of(row: RowResult, name: str) -> list[Measured]:
    """Return the rounds of an entrant, none where it does not count."""
    result = row["entrants"].get(name)
    return [] if result is None or result["wrong"] else result["rounds"]


def figure_of(row: RowResult, name: str, figure: str = "") -> Figure | None:
    """Return the figure that the row shows, or another, None where the entrant does not count."""
    rounds = rounds_of(row, name)
    return summarize([one[figure or row["figure"]] for one in rounds]) if rounds else None


def measure_bar(row: RowResult, bar: Bar) -> Figure | None:
    """Return what a bar bounds; a ratio is taken within each round, for that disturbs both alike."""
    name = bar["figure"]
    if not bar["theirs"]:
        return figure_of(row, bar["ours"], name)
    pairs = zip(rounds_of(row, bar["ours"]), rounds_of(row, bar["theirs"]), strict=False)
    ratios = [own[name] / other[name] for own, other in pairs if other[name]]
    return summarize(ratios) if ratios else None


def judge(row: RowResult, bar: Bar) -> str:
    """Return whether a bar is reached; ``narrowly`` where single rounds say the opposite."""
    found = measure_bar(row, bar)
    if found is None:
        return "not measured"
    if found.median <= bar["bound"]:
        return "yes" if found.most <= bar["bound"] else "yes, narrowly"
    return "no" if found.least > bar["bound"] else "no, narrowly"
