"""One peer: its transport, what is watched for, until when it is waited for, and what it is owed.

A connection knows no protocol. A turn (`connections.http1`) receives once, answers what is complete, and
hands all of it to `send`; what the peer does not take waits in an outbox.

A peer that does not take its answers is not read from until it does (*back-pressure*): while there is
an outbox, the connection watches for writability alone.
"""

import contextlib
import os
from _socket import MSG_DONTWAIT, MSG_PEEK, SHUT_WR
from collections.abc import Sequence
from math import inf

from epollo.annotations import Final
from epollo.connections.addresses import ask_address
from epollo.connections.at_once import send_with_part
from epollo.connections.contract import Peer
from epollo.connections.door import Arrival
from epollo.connections.outbox import Outbox, VersionEndedError
from epollo.connections.pace import Pace, count_unconfirmed_octets
from epollo.connections.service import Service
from epollo.connections.state import (
    BEHIND,
    BETWEEN,
    CLOSED,
    FINISHING,
    LINGERING,
    NEW,
    RECEIVING,
    WAITING,
)
from epollo.http.message import Segment, close_files, count_octets
from epollo.loop import READABLE, WRITABLE
from epollo.protocols.answer import Answer, Exchange

_NOTHING: Final = -1
"""The events of a connection that waits for a result: the poller reports its end, nothing else."""


class Connection(Peer):
    """The handler of one accepted socket, whatever is spoken on it."""

    __slots__ = (
        "_events",
        "_outbox",
        "_pace",
        "_service",
        "_state",
        "_transport",
        "address",
        "deadline",
        "descriptor",
        "kind",
    )

    def __init__(self, service: Service, arrival: Arrival) -> None:
        self._service = service
        # Unpacked: each name of a named tuple takes as long as a look-up.
        self._transport, self.descriptor, address, _, _, self.kind, is_watched = arrival
        self.address = (address or None) if service.keeps_addresses else None
        """The address of the peer; None if nothing needs it."""
        self._outbox: Outbox | None = None
        # How fast the peer takes what it is owed; None until that has to be waited for.
        self._pace: Pace | None = None
        self._state = NEW
        self._events = 0
        self.deadline: float = inf
        service.peers[self] = None
        if is_watched:
            self._transport.setblocking(False)
            service.loop.replace(self.descriptor, self)
            self._events = READABLE

    def on_accepted(self, received: bytes, is_reported: bool) -> None:
        """Take the first turn, before the poller is told about the socket.

        A peer that wants one answer only is never registered.
        """
        try:
            self.on_ready(READABLE if received or is_reported else 0, received)
            if self._state != CLOSED:
                if self.deadline == inf:
                    self._set_deadline(self._service.timeouts.head)
                if not self._events:
                    self._watch(READABLE)
        except Exception as fault:
            self._service.loop.end_fault(self, fault)

    def on_ready(self, events: int, received: bytes = b"") -> None:
        """Take a turn; with octets that were ``received`` already, if there are any.

        ``events`` say how old the octets may be; whether there are any, receiving will tell. With
        `READABLE` they were there when the poller reported. With anything else they may be newer than a
        change that the poller has not reported.
        """
        raise NotImplementedError

    def on_deadline(self) -> None:
        """Give up on this peer, unless it takes what it is owed fast enough (`pace`)."""
        if not self._is_pace_kept():
            self.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._state <= BETWEEN and self._outbox is None

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; return whether nothing was under way."""
        if not self.is_idle:
            return False
        with contextlib.suppress(OSError):
            # A request may be here already, and have its turn later in this batch.
            if self._transport.recv(1, MSG_DONTWAIT | MSG_PEEK):
                return False
        self.close()
        return True

    @property
    def is_answered(self) -> bool:
        """Whether an answer is under way."""
        return self._outbox is not None or BEHIND <= self._state <= FINISHING

    def find_address(self) -> str:
        """Return the address that this peer came from; empty if it has none."""
        return self.address or ask_address(self.descriptor)

    def on_drain(self) -> None:
        """Close if nothing is under way; otherwise the answer under way is the last one."""
        if self.is_idle:
            self.close()
        elif self._state <= BETWEEN:
            # The head of that answer says that the connection persists, and was sent already.
            self._state = FINISHING

    def close(self) -> None:
        """Leave nothing behind: no registration, no descriptor, no file."""
        if self._state == CLOSED:
            return
        self._state = CLOSED
        if self._events:
            self._service.loop.remove(self.descriptor)
            self._events = 0
        if self._outbox is not None:
            outbox, self._outbox = self._outbox, None
            self._note(*outbox.unlogged, outbox.octets)
            outbox.close()
        self._transport.close()
        self._service.peers.pop(self, None)
        if self._service.addresses is not None and self.address is not None:
            self._service.addresses.leave(self.address)

    def _may_still_send(self) -> bool:
        """Return whether the peer may be sending something that was not received yet."""
        return False

    def _send_octets(self, octets: bytes, head: bytes, answer: Answer) -> None:
        """Send an answer that is these octets, and do what comes next, as `_send` does.

        ``head`` is what asked for it. This is the most frequent way out; it allocates nothing.
        """
        try:
            sent = self._transport.send(octets, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(((head, answer),), len(octets))
            return
        if sent != len(octets):
            self._await_room(self._begin_outbox(octets, sent, ((head, answer),)))
            return
        if self._service.log is not None:
            self._note(((head, answer),), self._service.clock.now)
        if self._state >= BEHIND:
            self._go_on(is_long=False)

    def _send_long(self, octets: bytes, head: bytes, answer: Answer) -> None:
        """Send an answer that is these octets and more, otherwise like `_send_octets`."""
        part, exchanges = answer.part, ((head, answer),)
        # sendfile(2) knows no MSG_DONTWAIT, and a socket is a blocking one until it is watched.
        if part is None or not (self._events and self.kind.sends_files and part.file.is_settled):
            self._send(octets, answer.rest, exchanges)
            return
        file, offset, length = part
        sent = sent_of_part = 0
        try:
            sent = self._transport.send(octets, MSG_DONTWAIT)
            if sent == len(octets):
                sent_of_part = os.sendfile(self.descriptor, file.descriptor, offset, length)
        except OSError:
            # The outbox meets the error again, and reads the file instead, or gives up.
            pass
        if sent_of_part == length:
            self._note(exchanges, self._service.clock.now)
            if self._state >= BEHIND:
                self._go_on(is_long=True)
            return
        outbox = self._begin_outbox(octets, sent, exchanges)
        outbox.put(part, sent_of_part)
        self._await_room(outbox)

    def _send(self, octets: bytes, rest: Sequence[Segment], exchanges: Sequence[Exchange]) -> None:
        """Send octets and the segments behind them, and do what comes next.

        What the peer does not take at once goes to an outbox. ``exchanges`` are the answers that these
        octets are made of; the log is told of them when the kernel has all of them.
        """
        service = self._service
        total = len(octets)
        sent = 0
        try:
            if not rest:
                sent = self._transport.send(octets, MSG_DONTWAIT)
            elif len(rest) == 1:
                segment = rest[0]
                if isinstance(segment, bytes):
                    total += len(segment)
                    sent = self._transport.sendmsg((octets, segment), (), MSG_DONTWAIT)
                else:
                    total += segment.length
                    sent = send_with_part(
                        service,
                        self._transport,
                        self.kind,
                        octets,
                        segment,
                        descriptor=self.descriptor if self._events else -1,
                    )
            else:
                total += sum(map(count_octets, rest))
        except BlockingIOError:
            pass
        except OSError:
            self._lose(exchanges, total - sent)
            close_files(rest)
            return
        if sent == total:
            self._note(exchanges, service.clock.now)
            if self._state >= BEHIND:
                self._go_on(is_long=bool(rest))
            return
        outbox = self._begin_outbox(octets, sent, exchanges)
        offset = max(0, sent - len(octets))
        for segment in rest:
            # Only a single segment was tried.
            outbox.put(segment, offset)
        if offset or not rest:
            self._await_room(outbox)
        else:
            self._flush(outbox)

    def _lose(self, exchanges: Sequence[Exchange], unsent_octets: int) -> None:
        """Close, as the peer is gone: the last octets of these answers were not sent."""
        self.close()
        self._note(exchanges, self._service.clock.now, unsent_octets)

    def _begin_outbox(
        self, octets: bytes, sent_octets: int, exchanges: Sequence[Exchange]
    ) -> Outbox:
        """Owe the peer these octets from now on, without the first ``sent_octets`` of them."""
        if not self._events:
            self._watch(WRITABLE)
        self._outbox = outbox = Outbox(self.kind)
        outbox.put(octets, sent_octets)
        outbox.unlogged = (exchanges, self._service.clock.now)
        return outbox

    def _flush(self, outbox: Outbox) -> None:
        """Send what is owed, one step of a file at the most."""
        try:
            service = self._service
            clock = service.clock
            step_octets = service.steps.share(clock.now, service.loop.batch_length)
            outbox.send(self._transport, clock.second, len(service.peers), step_octets)
        except BlockingIOError:
            pass
        except (OSError, VersionEndedError):
            self.close()
            return
        if outbox.octets:
            if self._pace is None:
                self._await_room(outbox)
            return
        self._outbox = self._pace = None
        self._note(*outbox.unlogged)
        if self._state < FINISHING:
            self._watch(READABLE)
        self._go_on(is_long=True)

    def _await_room(self, outbox: Outbox) -> None:
        """Wait until the peer takes more of what it is owed, and read nothing from it."""
        self._watch(WRITABLE)
        self._begin_pace(outbox.octets + count_unconfirmed_octets(self.descriptor))

    def _begin_pace(self, left_octets: int) -> None:
        """Wait for the peer for as long as it keeps the pace."""
        now = self._service.clock.now
        self._pace = Pace(now, left_octets)
        self._set_deadline(self._next_look(self._pace) - now)

    def _next_look(self, pace: Pace) -> float:
        """Return when to look again (monotonic): soon if the peer only has to confirm what was sent."""
        timeouts = self._service.timeouts
        look = pace.next_look(timeouts.send)
        return look if self._outbox else min(look, self._service.clock.now + timeouts.linger)

    def _is_pace_kept(self) -> bool:
        """Look at how fast the peer takes what it is owed; note when to look again."""
        if self._pace is None:
            return False
        left_octets = count_unconfirmed_octets(self.descriptor)
        if self._outbox is not None:
            left_octets += self._outbox.octets
        elif not left_octets:
            return False
        timeouts = self._service.timeouts
        is_kept = self._pace.is_kept(
            self._service.clock.now,
            left_octets,
            patience_seconds=timeouts.send,
            octets_per_second=timeouts.octets_per_second,
        )
        self.deadline = self._next_look(self._pace)
        return is_kept

    def _go_on(self, *, is_long: bool) -> None:
        """Do what comes next when the kernel has all that is owed.

        ``is_long`` says that much was sent, so that the peer may not have taken all of it yet.
        """
        if self._state == BEHIND:
            # Its turn comes in the next batch. The peer has taken its answers: that deadline is over.
            self._set_deadline(self._service.timeouts.head)
            self._watch(READABLE)
            self._service.loop.call_again(self)
        elif self._state == WAITING:
            self._await_result()
        elif self._state == FINISHING:
            self._finish(count_unconfirmed_octets(self.descriptor) if is_long else 0)
        elif self._state == RECEIVING:
            self._set_deadline(self._service.timeouts.head)
        else:
            self._set_deadline(self._service.timeouts.idle)

    def _await_result(self) -> None:
        """Wait for the result that an answer needs, and read nothing from the peer meanwhile."""
        self._set_deadline(self._service.timeouts.send)
        self._watch(_NOTHING)

    def _finish(self, unconfirmed_octets: int = 0) -> None:
        """Close; but if the peer may still be sending, let it first read the last answer.

        If a socket is closed while octets are unread, or if octets reach it later, the kernel resets
        the connection, and the reset overtakes what the peer has not read yet (RFC 9112 section 9.6).
        If the server stops, a peer that does not know may have sent another request; and during a long
        answer anything may come.
        """
        if unconfirmed_octets or self._service.is_draining or self._may_still_send():
            self._linger(unconfirmed_octets)
        else:
            self.close()

    def _linger(self, unconfirmed_octets: int) -> None:
        """Say that there is no more, and read on until the peer says so too, or takes nothing."""
        try:
            self._transport.shutdown(SHUT_WR)
        except OSError:
            self.close()
            return
        self._state = LINGERING
        self._watch(READABLE)
        if unconfirmed_octets:
            self._begin_pace(unconfirmed_octets)
        else:
            self._set_deadline(self._service.timeouts.linger)

    def _note(self, exchanges: Sequence[Exchange], begun: float, unsent_octets: int = 0) -> None:
        """Tell the log of answers; the last octets of them were not sent."""
        if self._service.log is not None:
            self._service.note(exchanges, begun, self.address, self.kind.subject, unsent_octets)

    def _set_deadline(self, seconds: float) -> None:
        """Set a deadline that may be closer than the one before."""
        deadline = self._service.clock.now + seconds
        if deadline < self.deadline and self._events:
            self._service.loop.note_deadline(self, deadline)
        self.deadline = deadline

    def _watch(self, events: int) -> None:
        mask = max(0, events)
        if not self._events:
            # The socket lives longer than one turn. Until here MSG_DONTWAIT did the same for each call:
            # a peer that is answered and closed at once saves this system call.
            self._transport.setblocking(False)
            self._service.loop.add(self.descriptor, self, mask)
        elif self._events != events:
            self._service.loop.modify(self.descriptor, mask)
        self._events = events
