"""The access log between connections and its destination.

Facts: to make a line takes as long as to answer a request that is recalled. But the middle of a line is
a pure function of the octets of the request and the answer, and its beginning one of the peer and the
second.
Decision: middles are recalled in a bounded map, beginnings for their second; `note` looks both up
and keeps them in a list. They are joined and written together, `_BATCH` at a time, and at the latest a
second after the first of them.
Consequence: a line costs a fraction of a microsecond, and keeps nothing of its request alive. A log
that nothing is written to costs nothing, for the first line of a batch sets the deadline.
Price: a line that was not made before is made in the turn of its connection.
"""

import math
from time import monotonic

from epollo.access_log.destination import Destination
from epollo.access_log.formats import Format, format_end
from epollo.annotations import Final
from epollo.generations import Generations
from epollo.loop import EventLoop, Handler
from epollo.protocols.answer import Answer

_BATCH: Final = 1024
"""Parts of lines: some 64 KiB."""

_MIDDLES_LIMIT: Final = 4096
_MIDDLES_OCTETS_LIMIT: Final = 4 * 1024 * 1024
_BEGINS_LIMIT: Final = 4096
_ENDS_LIMIT: Final = 4096
"""Microseconds: nearly all answers take fewer, and to write the number takes one."""

# The dictionary's slot, the key and its numbers, two headers of bytes.
_MIDDLE_OCTETS: Final = 300


class BatchedLog(Handler):
    """Notes answers in one format, for one destination; handles a deadline, no descriptor."""

    names_peers = True

    def __init__(self, line_format: Format, destination: Destination) -> None:
        self._format = line_format
        self._tells_seconds = line_format.tells_seconds
        self._destination = destination
        self._parts: list[bytes] = []
        self._middles: Generations[tuple[bytes, int, int], bytes] = Generations(
            entries_limit=_MIDDLES_LIMIT, octets_limit=_MIDDLES_OCTETS_LIMIT
        )
        # By the address of a peer, and the subject where it has shown a certificate.
        self._begins: dict[str | tuple[str | None, str] | None, bytes] = {}
        self._ends: dict[int, bytes] = {}
        self._second = 0
        self._loop: EventLoop | None = None
        self.deadline = math.inf

    def begin(self, loop: EventLoop) -> None:
        """Write by this loop from now on."""
        self._loop = loop
        self._second = loop.clock.second
        loop.on_second.append(self._begin_second)

    def note(
        self,
        peer: str | None,
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",
    ) -> None:
        """Note an answer; its line is written within a second."""
        parts = self._parts
        if not parts:
            self._await_deadline()
        try:
            parts.append(self._begins[(peer, subject) if subject else peer])
        except KeyError:
            parts.append(self._begin_line(peer, subject))
        key = (head, answer.status, content_octets)
        try:
            parts.append(self._middles.young[key])
        except KeyError:
            parts.append(self._recollect(key))
        if self._tells_seconds:
            microseconds = int((monotonic() - begun) * 1_000_000)
            try:
                parts.append(self._ends[microseconds])
            except KeyError:
                parts.append(self._end_line(microseconds))
        if len(parts) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the lines of all that was noted so far."""
        parts, self._parts = self._parts, []
        self._destination.write(b"".join(parts))

    def reopen(self) -> None:
        """Continue with another file of the same name, after a rotation."""
        self.flush()
        self._destination.reopen()

    def on_deadline(self) -> None:
        """Write what was noted since the last time."""
        self.flush()
        self._destination.settle()
        assert self._loop is not None  # noqa: S101 - the loop calls
        self.deadline = self._loop.clock.now + 1 if self._destination.is_unsettled else math.inf

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """Continue with the next line."""
        self.deadline = math.inf

    def close(self) -> None:
        """Write everything, and give the descriptors back."""
        self.flush()
        self._destination.close()
        if self._loop is not None:
            self._loop.on_second.remove(self._begin_second)
            self.deadline = math.inf
            self._loop = None

    def _await_deadline(self) -> None:
        """Have the loop call when this second (of the monotonic clock) is over."""
        if self.deadline == math.inf and self._loop is not None:
            self.deadline = self._loop.clock.now
            self._loop.note_deadline(self, self.deadline)

    def _begin_second(self) -> None:
        """Write what was noted in the second that is over: its lines show that one."""
        if self._parts:
            self.flush()
        self._begins.clear()
        assert self._loop is not None  # noqa: S101 - the loop calls
        self._second = self._loop.clock.second

    def _begin_line(self, peer: str | None, subject: str) -> bytes:
        if len(self._begins) >= _BEGINS_LIMIT:
            self._begins.clear()
        # A unix-domain socket's peer has no address (unix(7)).
        begin = self._format.format_begin(peer or "unix:", subject, self._second)
        self._begins[(peer, subject) if subject else peer] = begin
        return begin

    def _end_line(self, microseconds: int) -> bytes:
        end = format_end(microseconds)
        if microseconds < _ENDS_LIMIT:
            self._ends[microseconds] = end
        return end

    def _recollect(self, key: tuple[bytes, int, int]) -> bytes:
        """Return the middle of a line that is not in the young generation."""
        head, status, content_octets = key
        octets = _MIDDLE_OCTETS + len(head) * 2
        middle = self._middles.get(key, octets)
        if middle is None:
            middle = self._format.format_middle(head, status, content_octets)
            self._middles.put(key, middle, octets + len(middle))
        return middle
