"""What a request costs: the steps of the interpreter from its octets to its answer, and processor time.

Steps (opcodes) are the same on every machine and at every load, but one may be a call into C that takes
long: so time is bounded as well, generously.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from epollo.budget import Budget
from epollo.connections.recall import Recall
from epollo.http.message import FileSegment, Response
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader, Http1, Limits
from epollo.protocols.http1.receive import Finished
from epollo.site.policy import RELEVANT_FIELDS
from site_grounds import Ground

BASE_STEPS = 10_000
"""Of any request: a page 404 that was not asked for before takes half of that."""
STEPS_PER_OCTET = 8
BASE_SECONDS = 0.02
SECONDS_PER_OCTET = 2e-6
"""Ten times what it is, for a machine that is busy with other things."""


class Asked:
    """Answers everything that some octets ask for, as a connection does."""

    def __init__(self, octets: bytes, ground: Ground) -> None:
        self.requests = 0
        """How many they asked for."""
        self._ground = ground
        self._reader = HeadReader(Limits(), RELEVANT_FIELDS)
        self._recall = Recall(ground.clock, Budget(0))
        self._protocol = Http1(self._reader)
        self._octets = octets

    def __call__(self) -> None:
        protocol = self._protocol
        protocol.receive(self._octets)
        while (query := protocol.next()) is not None:
            self.requests += not isinstance(query, Finished)
            if isinstance(query, Refusal):
                return
            if isinstance(query, bytes):
                self._recall.find_whole(query, self._reader)
            reduced = protocol.reduce(query)
            if isinstance(reduced, Refusal):
                return
            request = protocol.read(query, reduced)
            if request is None:
                continue
            if isinstance(request, Refusal):
                return
            response = self._ground.site.respond(request)
            assert isinstance(response, Response)
            protocol.render(request, response, may_persist=True)
            for segment in response.content:
                if isinstance(segment, FileSegment):
                    segment.file.close()


@contextlib.contextmanager
def ask_for_the_first_time(octets: bytes, root: Path) -> Iterator[Asked]:
    """A site, a reader and a recall that know nothing yet of these octets."""
    with Ground(root) as ground:
        yield Asked(octets, ground)


def count_steps(call: Callable[[], object]) -> int:
    """Return how many opcodes the interpreter executes in a call."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def measure_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of this thread that a call takes."""
    begun = time.thread_time()
    call()
    return time.thread_time() - begun
