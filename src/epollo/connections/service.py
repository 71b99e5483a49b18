"""What all connections of a worker share: the loop, the site's responder, the limits, the log."""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeAlias

from epollo.connections.addresses import Addresses
from epollo.connections.answer import Answer
from epollo.connections.recall import Recall
from epollo.http.message import Request, Response
from epollo.loop import EventLoop
from epollo.protocols.http1 import HeadReader, Refusal, part_at_cookie

_HEAD_END: Final = b"\r\n\r\n"

Responder: TypeAlias = Callable[[Request], Response]
"""The site, as a connection sees it."""


def _do_nothing() -> None:
    """Look for no changes: there is nothing that could tell of any."""


class AccessLog(Protocol):
    """Where answers are noted."""

    names_peers: bool
    """Whether the addresses of the peers are wanted."""

    def note(
        self, peer: str | None, head: bytes, answer: Answer, content_octets: int, begun: float
    ) -> None:
        """Note an answer that was handed to the kernel, with so much of its content.

        ``head`` is the request's, as it came; what came of it where it is none. ``begun`` is the
        instant (monotonic, seconds) at which it was received.
        """

    def begin(self, loop: EventLoop) -> None:
        """Write by this loop from now on."""

    def reopen(self) -> None:
        """Go on with another file of the same name, after a rotation."""

    def close(self) -> None:
        """Write what is not written yet, before the loop is closed."""


class Timeouts(NamedTuple):
    """How long a peer may take, in seconds, and how slow it may be."""

    head: float = 10.0
    """For the whole of a request, from its first octet; and before the first request."""
    idle: float = 75.0
    """Between two requests."""
    send: float = 30.0
    """To take anything at all of what it is owed."""
    linger: float = 2.0
    """To stop sending after the last answer."""
    octets_per_second: float = 0.0
    """So much of what it is owed a peer has to take, averaged over `pace.WINDOW_SECONDS`."""


class Capacity(NamedTuple):
    """How many may be served; 0 stands for no limit."""

    connections: float = math.inf
    """Open at once."""
    per_address: int = 0
    """Open at once from one address."""
    requests: int = 0
    """Answered on one connection."""


class Service:
    """The surroundings of a connection."""

    __slots__ = (
        "addresses",
        "capacity",
        "clock",
        "connections",
        "idle_deadline",
        "is_draining",
        "is_report_instant",
        "keeps_peers",
        "log",
        "look_for_changes",
        "loop",
        "reader",
        "recall",
        "report",
        "respond",
        "timeouts",
    )

    def __init__(
        self,
        loop: EventLoop,
        respond: Responder,
        reader: HeadReader,
        *,
        timeouts: Timeouts,
        report: Callable[[str], None],
        look_for_changes: Callable[[], None] = _do_nothing,
        is_report_instant: bool = True,
        log: AccessLog | None = None,
        recall: Recall | None = None,
        capacity: Capacity = Capacity(),  # noqa: B008 - it is immutable
    ) -> None:
        self.loop = loop
        self.clock = loop.clock
        self.respond = respond
        self.reader = reader
        self.timeouts = timeouts
        self.report = report
        """Tells the operator, in one line."""
        self.look_for_changes = look_for_changes
        """Has the site learn of every change up to now, at the price of a system call."""
        self.is_report_instant = is_report_instant
        """Whether the poller's report is of one moment: what it names as ready was so together.

        Then a change that is older than a request was reported with it, and was looked at first. Only
        epoll's is: the others look at one descriptor after the other. It is not, either, from a change
        that came after the report until changes are looked for: of a request in parts only the first
        need have been there.
        """
        self.log = log
        self.recall = recall
        self.connections = 0
        self.capacity = capacity
        self.addresses = Addresses(capacity.per_address) if capacity.per_address else None
        self.keeps_peers = self.addresses is not None or (log is not None and log.names_peers)
        """Whether anybody needs to know the address of a connection."""
        self.is_draining = False
        self.idle_deadline = 0.0
        self.begin_second()
        loop.on_second.append(self.begin_second)

    def begin_second(self) -> None:
        """Begin another second: forget what showed the last one's Date."""
        # One number for all connections that move in this second, so that they can share it.
        self.idle_deadline = self.clock.now + self.timeouts.idle
        self.forget()

    def note_change(self) -> None:
        """Note, in the middle of anything, a change that no report may have told of.

        Who looks for changes takes this back before reading them, so that none is passed over.
        """
        self.is_report_instant = False

    def forget(self) -> None:
        """Recall nothing of what was answered so far: the site, or its Date, is another now."""
        if self.recall is not None:
            self.recall.clear()

    def find_reduced(self, octets: bytes) -> Answer | None:
        """Return the answer to a request that asked for the same in other words, if it is known.

        None where the octets are anything but one whole head, too.
        """
        recall = self.recall
        if recall is None or len(octets) > self.reader.limits.head_octets:
            return None
        parts = part_at_cookie(octets)
        if parts is not None and (answer := recall.find(parts, octets)) is not None:
            # Known parts are those of one whole head, and a cookie between them leaves it one.
            return answer
        if octets.find(_HEAD_END) != len(octets) - len(_HEAD_END) or octets.startswith(b"\r\n"):
            return None
        reduced = self.reader.reduce(octets)
        if isinstance(reduced, Refusal):
            return None
        return recall.find(reduced, octets, *(() if parts is None else (parts,)))

    def may_repeat(self, answer: Answer) -> bool:
        """Tell whether an answer that was recalled is still true; forget everything if it is not.

        No event tells of everything that can happen to a file whose content is not kept, and who is
        promised its content has to be cut off when it is found to be another.
        """
        if answer.file is None or answer.file.is_unchanged(self.clock.second):
            return True
        self.forget()
        return False

    def drain(self) -> None:
        """Let every answer from now on be the last one of its connection."""
        self.is_draining = True
        self.forget()
