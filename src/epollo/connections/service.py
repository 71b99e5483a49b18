"""What all connections of a worker share: the loop, the site's responder, the limits, the log."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from epollo.budget import Budget
from epollo.connections.addresses import Addresses
from epollo.connections.recall import Recall
from epollo.connections.seldom import Seldom
from epollo.connections.steps import Steps
from epollo.http.message import Later, Request, Response
from epollo.loop import EventLoop, Handler
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import Frames, HeadReader

Responder: TypeAlias = Callable[[Request], Response | Later]
"""The site, as a connection sees it; a connection waits for what comes later."""


def _do_nothing() -> None:
    """Look for no changes: there is nothing that could tell of any."""


class Clients(Protocol):
    """What knows clients behind proxies."""

    def is_trusted(self, address: str, /) -> bool:
        """Return whether an address is that of a proxy."""

    def find_client(self, address: str, head: bytes, /) -> str:
        """Return the address of the client that sent a head, by a peer that has this address."""


class AccessLog(Protocol):
    """Where answers are noted."""

    names_peers: bool
    """Whether the log wants the addresses of the peers."""

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
        """Note an answer that was handed to the kernel, with so much of its content.

        ``head`` is the request's, as it came; what came of it where it is none. ``begun`` is the
        instant (monotonic, seconds) at which it was received. ``subject`` is whose certificate the
        client has shown, empty without one.
        """

    def begin(self, loop: EventLoop) -> None:
        """Write by this loop from now on."""

    def reopen(self) -> None:
        """Continue with another file of the same name, after a rotation."""

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


class Peer(Handler):
    """What serves one peer: a connection, or a stage before it."""

    __slots__ = ()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return False

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; return whether nothing was under way."""
        return False

    @property
    def is_answered(self) -> bool:
        """Whether an answer is under way."""
        return False

    def find_address(self) -> str:
        """Return the address that this peer came from; empty where it has none."""
        return ""

    def give_way(self) -> None:
        """Close, whatever is under way, so that there is room for another."""
        self.close()

    def on_drain(self) -> None:
        """Close if nothing is under way; else the answer that is will be the last."""
        self.close()


class Service:
    """The surroundings of a connection."""

    __slots__ = (
        "addresses",
        "capacity",
        "clients",
        "clock",
        "frames",
        "idle_deadline",
        "is_draining",
        "is_report_instant",
        "keeps_addresses",
        "log",
        "look_for_changes",
        "loop",
        "peers",
        "reader",
        "recalls",
        "recalls_at_once",
        "report",
        "respond",
        "secure_lines",
        "steps",
        "tell_of_handshake",
        "timeouts",
        "trusted_second",
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
        log: AccessLog | None = None,
        has_recall: bool = True,
        budget: Budget | None = None,
        secure_lines: bytes = b"",
        needs_addresses: bool = False,
        clients: Clients | None = None,
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
        self.is_report_instant = loop.traits.is_instant
        """Whether every change that is older than what the poller reported was reported with it.

        Not from a change that came after the report until changes are looked for: of a request in parts
        only the first need have been there.
        """
        self.log = log
        self.recalls: dict[bytes, Recall | None] = {
            scheme: Recall(loop.clock, budget) if has_recall else None
            for scheme in (b"http", b"https")
        }
        """What is recalled, by the scheme that it was asked with."""
        # Where answers are counted, even one that is recalled passes through the protocol.
        self.recalls_at_once = (
            self.recalls if not capacity.requests else dict.fromkeys(self.recalls)
        )
        """The same, for octets that are one whole request."""
        self.peers: dict[Peer, None] = {}
        """Everything that serves a peer now, in the order of arrival."""
        self.capacity = capacity
        self.clients = clients
        """Knows clients behind proxies that tell of them in each request; None where none is believed."""
        self.addresses: Addresses | None = None
        if capacity.per_address and clients is not None:
            self.addresses = Addresses(capacity.per_address, clients.is_trusted)
        elif capacity.per_address:
            self.addresses = Addresses(capacity.per_address)
        self.keeps_addresses = (
            needs_addresses or self.addresses is not None or (log is not None and log.names_peers)
        )
        """Whether anything needs to know the address of a connection."""
        self.tell_of_handshake = Seldom(loop.clock, report).tell
        """Tells the operator, once in a while, that a client speaks TLS where plain HTTP is spoken."""
        self.secure_lines = secure_lines
        """Field lines of each answer over TLS, and of no other (RFC 6797 section 7.2)."""
        self.is_draining = False
        self.steps = Steps()
        self.trusted_second = 0
        """What was found to stand in this second stands."""
        self.idle_deadline = 0.0
        self.frames = Frames(loop.clock.date)
        self.begin_second()
        loop.on_second.append(self.begin_second)

    def begin_second(self) -> None:
        """Begin another second, which Date shows."""
        self.trusted_second = self.clock.second
        # One number for all connections that move in this second, so that they can share it.
        self.idle_deadline = self.clock.now + self.timeouts.idle
        self.frames.begin(self.clock.date)

    def doubt(self) -> None:
        """Have each answer looked at again in this second before it is given: much may have ended."""
        self.trusted_second = -2
        for recall in self.recalls.values():
            if recall is not None:
                recall.doubt()

    def note_change(self) -> None:
        """Note, in the middle of anything, a change that no report may have told of.

        What looks for changes takes this back before it reads them, so that none is passed over.
        """
        self.is_report_instant = False

    def rely_on(self, relevant_fields: frozenset[bytes]) -> None:
        """Let answers depend on these fields of a request from now on, and on no others."""
        if self.reader.rely_on(relevant_fields):
            # What was reduced to the same octets may have another answer now.
            self.forget()

    def forget(self) -> None:
        """Recall nothing of what was answered so far."""
        for recall in self.recalls.values():
            if recall is not None:
                recall.clear()

    def drain(self) -> None:
        """Let every answer from now on be the last one of its connection."""
        self.is_draining = True
        self.forget()
