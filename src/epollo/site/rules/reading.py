"""Long rule files, read slice by slice between what else there is to do.

Facts: a new file of ten thousand rules takes some 300 milliseconds. Whether its rules come into force is
known at its end, for a mistake keeps the former ones.
Decision: reading is a generator. What it needs besides the first few milliseconds is done in slices, one
in each batch of the loop for all sites together, in turn. A request for the site waits for the end
(`Rulebook`), so that an edit is in the next answer; all others are answered meanwhile.
Price: beside a busy loop a large file takes as many batches as it has slices.
"""

from collections import deque
from collections.abc import Callable, Generator

from epollo.annotations import Final, Protocol, TypeAlias, TypeVar
from epollo.loop import Handler

SLICE_SECONDS: Final = 0.004
STEP_RULES: Final = 32
"""After this number of lines or blocks, reading may be interrupted."""

Outcome = TypeVar("Outcome")
Steps: TypeAlias = Generator[None, None, Outcome]
"""Work in steps, with its outcome at the end."""


class Reader(Protocol):
    """What has rules to read."""

    def read_on(self, seconds: float) -> bool:
        """Continue for this long; return whether all is read."""


class Readings(Handler):
    """The handler that lets readers read on; ``call_again`` has the loop call it in the next batch."""

    def __init__(self, call_again: Callable[[Handler], None]) -> None:
        self._call_again = call_again
        self._readers: deque[Reader] = deque()

    def add(self, reader: Reader) -> None:
        """Let a reader read on from the next batch on, until it has read all."""
        self._readers.append(reader)
        self._call_again(self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Let the next reader read on for one slice."""
        if not self._readers:
            return
        reader = self._readers.popleft()
        try:
            if not reader.read_on(SLICE_SECONDS):
                self._readers.append(reader)
        finally:
            if self._readers:
                self._call_again(self)
