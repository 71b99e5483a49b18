"""What all connections of a worker share: the loop, the site's responder, the limits, the log."""

from collections.abc import Callable, Sequence

from epollo.budget import Budget
from epollo.connections.addresses import Addresses
from epollo.connections.contract import AccessLog, Capacity, Clients, Peer, Responder, Timeouts
from epollo.connections.recall import Recall
from epollo.connections.steps import Steps
from epollo.connections.throttled_report import ThrottledReport
from epollo.loop import Clock, EventLoop
from epollo.protocols.answer import Exchange, count_content
from epollo.protocols.http1 import Frames, HeadReader


def _count_addresses(capacity: Capacity, clients: Clients | None) -> Addresses | None:
    """Return what counts connections by address; None if there is no limit for one."""
    limit = capacity.per_address
    if not limit:
        return None
    return Addresses(limit) if clients is None else Addresses(limit, clients.is_trusted)


def _make_recalls(
    clock: Clock, budget: Budget | None, secured_scopes: Sequence[bytes]
) -> dict[bytes, Recall | None]:
    """Return a recall for each scope; those of TLS share what one scheme may take."""
    parts = len(secured_scopes)
    secured = {scope: Recall(clock, budget, parts=parts) for scope in secured_scopes}
    return {b"http": Recall(clock, budget), **secured}


class Service:
    """What every connection of a worker refers to."""

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
        look_for_changes: Callable[[], None] = lambda: None,
        log: AccessLog | None = None,
        has_recall: bool = True,
        budget: Budget | None = None,
        secure_lines: bytes = b"",
        needs_addresses: bool = False,
        clients: Clients | None = None,
        capacity: Capacity = Capacity(),  # noqa: B008 - it is immutable
        secured_scopes: Sequence[bytes] = (b"https",),
    ) -> None:
        """``secured_scopes`` are those of the clients that speak TLS (`Kind`)."""
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
        """Whether a change that is older than what the poller reported was reported with it; false from
        a later change until changes are looked for, as the end of a request may be newer than that."""
        self.log = log
        recalls = _make_recalls(loop.clock, budget, secured_scopes)
        self.recalls = recalls if has_recall else dict.fromkeys(recalls)
        """What is recalled, by the scope of the client that asked (`Kind`)."""
        # If answers are counted, even one that is recalled passes through the protocol, which counts.
        self.recalls_at_once = dict.fromkeys(recalls) if capacity.requests else self.recalls
        """The same, for octets that are one whole request."""
        self.peers: dict[Peer, None] = {}
        """Everything that serves a peer now, in the order of arrival."""
        self.capacity = capacity
        self.clients = clients
        """Finds the client behind a proxy that names it in each request; None if no proxy is believed."""
        self.addresses = _count_addresses(capacity, clients)
        self.keeps_addresses = (
            needs_addresses or self.addresses is not None or (log is not None and log.names_peers)
        )
        """Whether anything needs to know the address of a connection."""
        self.tell_of_handshake = ThrottledReport(loop.clock, report).tell
        """Tells the operator that a client speaks TLS to a port of plain HTTP."""
        self.secure_lines = secure_lines
        """Field lines of each answer over TLS, and of no other (RFC 6797 section 7.2)."""
        self.is_draining = False
        self.steps = Steps()
        self.frames = Frames(loop.clock.date)
        self.begin_second()
        loop.on_second.append(self.begin_second)

    def begin_second(self) -> None:
        """Begin another second, which Date shows."""
        self.trusted_second = self.clock.second
        """What was found to stand in this second stands."""
        # One number for all connections that move in this second, so that they can share it.
        self.idle_deadline = self.clock.now + self.timeouts.idle
        self.frames.begin(self.clock.date)

    def doubt(self) -> None:
        """Have each answer of this second looked at before it is given: much may have ended."""
        self.trusted_second = -2
        for recall in self.recalls.values():
            if recall is not None:
                recall.doubt()

    def note(
        self,
        exchanges: Sequence[Exchange],
        begun: float,
        address: str | None,
        subject: str,
        unsent_octets: int = 0,
    ) -> None:
        """Tell the log, if there is one, of answers whose last octets were not sent.

        ``address`` is that of the peer, as far as it is kept, and ``subject`` whose certificate it has
        shown. ``begun`` is when the requests were received (monotonic, seconds).
        """
        log = self.log
        if log is None:
            return
        clients = self.clients if log.names_peers else None
        peer = address
        contents = count_content(exchanges, unsent_octets, self.frames.count_head)
        for (head, answer), content_octets in zip(exchanges, contents, strict=True):
            if clients is not None:
                peer = clients.find_client(address or "", head) or None
            log.note(peer, head, answer, content_octets, begun, subject=subject)

    def note_change(self) -> None:
        """Note, in the middle of anything, a change that no report may have told of.

        What looks for changes takes this back before it reads them, so that it misses none.
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
