"""One peer: what it sent and has not been answered, what it is owed, and until when we wait for it.

The way of an octet in, through the protocol and out again is one turn: receive once, answer what is
complete, send it together. A turn is bounded: in octets received, in requests answered, in octets
owed. Whoever has more to do comes again in the next batch, after everyone else.

A peer that does not take its answers is not read from until it does (*back-pressure*): while there is
an outbox, the connection watches for writability alone.
"""

import _socket
import contextlib
import math
import os
from _socket import MSG_DONTWAIT, MSG_PEEK, SHUT_WR
from collections.abc import Sequence
from typing import Final

from epollo.connections.answer import (
    Answer,
    Exchange,
    count_content,
    render_answer,
    render_refusal,
)
from epollo.connections.outbox import Outbox, VersionEndedError
from epollo.connections.pace import Pace, count_unconfirmed_octets
from epollo.connections.service import Service
from epollo.errors import describe_fault
from epollo.http.caching import NO_CACHE_FIELD
from epollo.http.status import respond_plainly
from epollo.loop import READABLE, WRITABLE
from epollo.protocols.http1 import Http1, Incoming, Refusal

RECEIVE_OCTETS: Final = 32 * 1024
"""At most so much is received in one turn."""
REQUESTS_PER_TURN: Final = 64
"""At most so many pipelined requests are answered in one turn."""
HIGH_WATER_OCTETS: Final = 256 * 1024
"""A turn ends when it owes the peer more than this."""


# What a connection is about to do. Up to `_BETWEEN` nothing of a request is here.
_NEW: Final = 0
_IDLE: Final = 1
# Half an empty line is here, which is no request (RFC 9112 section 2.2) and moves no deadline.
_BETWEEN: Final = 2
# Part of a request is here; its deadline stands, and no further octet moves it.
_RECEIVING: Final = 3
# More requests may be complete than one turn could answer.
_BEHIND: Final = 4
# To be closed as soon as the peer has taken what it is owed.
_FINISHING: Final = 5
# We said our last word; what the peer still sends is thrown away for a while.
_LINGERING: Final = 6
_CLOSED: Final = 7


class Connection:
    """The handler of one accepted socket."""

    __slots__ = (
        "_events",
        "_outbox",
        "_pace",
        "_protocol",
        "_service",
        "_socket",
        "_state",
        "deadline",
        "descriptor",
        "peer",
    )

    def __init__(
        self, service: Service, peer: _socket.socket, descriptor: int, address: str | None = None
    ) -> None:
        self._service = service
        self._socket = peer
        self.descriptor = descriptor
        self.peer = address
        """The address of the peer; None where nobody needs it."""
        # Made when octets come that are not recalled whole; many a peer never needs one.
        self._protocol: Http1 | None = None
        self._outbox: Outbox | None = None
        # How fast the peer takes what it is owed; None until that has to be waited for.
        self._pace: Pace | None = None
        self._state = _NEW
        self._events = 0
        self.deadline: float = math.inf
        service.connections += 1

    def on_accepted(self, received: bytes = b"", events: int = 0) -> None:
        """Take the first turn, before the poller is told about the socket.

        ``received`` are the first octets, if they are here, and changes were looked for after they were
        received. ``events`` are `READABLE` where the poller's report means that they are there.
        A peer that wants one answer only is never registered.
        """
        self.deadline = self._service.clock.now + self._service.timeouts.head
        self.on_ready(READABLE if received else events, received)
        if not self._events and self._state != _CLOSED:
            self._watch(READABLE)

    def owe(self, answer: Answer, head: bytes, sent_octets: int) -> None:
        """Go on with a peer that has not taken the whole of its only answer, before it is registered."""
        self._state = _FINISHING
        outbox = self._begin_outbox()
        outbox.put(answer.octets, sent_octets)
        self._note_when_sent([(head, answer)], outbox.octets)
        self._await_room(outbox)

    def on_ready(self, events: int, received: bytes = b"") -> None:
        """Go on with this peer; with octets that were ``received`` already, if there are any.

        ``events`` do not say whether there is something to receive, which the call tells. They say
        whether it was there when the poller reported: octets that are received after any report but
        `READABLE` may be newer than a change that the report did not tell of.
        """
        if self._outbox is not None:
            self._flush(self._outbox)
            return
        if self._state == _BEHIND:
            self._take_turn(is_current=False)
            return
        try:
            octets = received or self._socket.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not octets:
            # Every complete request has been answered: nothing is owed to a peer that half-closes.
            self.close()
            return
        service = self._service
        is_current = events != READABLE or not service.is_report_instant
        if is_current:
            service.look_for_changes()
        if self._state <= _IDLE:
            if service.recall is not None:
                answer = service.recall.young.get(octets) or service.find_reduced(octets)
                if answer is not None and (answer.file is None or service.may_repeat(answer)):
                    if self._state == _IDLE:
                        self.deadline = service.idle_deadline
                    elif answer.persists:
                        self._begin_idle()
                    self._send_answer(answer, octets)
                    return
        elif self._state == _LINGERING:
            return
        protocol = self._protocol
        if protocol is None:
            protocol = self._protocol = Http1(service.reader)
        protocol.receive(octets)
        self._take_turn(is_current)

    def on_deadline(self) -> None:
        """Give up waiting for this peer."""
        if self._state == _RECEIVING and self._outbox is None:
            # RFC 9110 section 15.5.9.
            protocol = self._protocol
            assert protocol is not None  # noqa: S101 - part of a request is here
            answer = render_refusal(protocol.refuse(408), self._service.clock.date)
            self._send_answer(answer, protocol.head or protocol.inbox)
        elif not self._is_pace_kept():
            self.close()

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is under way."""
        return self._state <= _BETWEEN and self._outbox is None

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; tell whether nothing was under way."""
        if not self.is_idle:
            return False
        with contextlib.suppress(OSError):
            # A request may be here already, and its turn come later in this batch.
            if self._socket.recv(1, MSG_DONTWAIT | MSG_PEEK):
                return False
        self.close()
        return True

    def on_fault(self, fault: Exception) -> None:
        """Close after a bug of ours, and say so."""
        self._service.report(describe_fault(fault))
        self.close()

    def on_drain(self) -> None:
        """Close if nothing is under way; else the answer that is will be the last."""
        if self.is_idle:
            self.close()
        elif self._state <= _BETWEEN:
            # What is owed was promised to a connection that persists.
            self._state = _FINISHING

    def close(self) -> None:
        """Leave nothing behind: no registration, no descriptor, no file."""
        if self._state == _CLOSED:
            return
        self._state = _CLOSED
        if self._events:
            self._service.loop.remove(self.descriptor)
            self._events = 0
        if self._outbox is not None:
            outbox, self._outbox = self._outbox, None
            self._note(*outbox.unlogged, outbox.octets)
            outbox.close()
        self._socket.close()
        self._service.connections -= 1
        if self._service.addresses is not None and self.peer is not None:
            self._service.addresses.leave(self.peer)

    def _take_turn(self, is_current: bool) -> None:
        """Answer the requests that are complete, in their order and together.

        ``is_current`` is whether changes were looked for after the octets of these were received.
        """
        protocol = self._protocol
        service = self._service
        assert protocol is not None  # noqa: S101 - octets were received
        exchanges: list[Exchange] = []
        owed_octets = 0
        before = self._state
        # Only what the poller reported first was there then; what follows it may be newer.
        may_be_newer = before > _IDLE
        self._state = _BEHIND
        while len(exchanges) < REQUESTS_PER_TURN and owed_octets < HIGH_WATER_OCTETS:
            event = protocol.next_event()
            if event is None:
                self._await_more(protocol, _BEHIND if exchanges else before)
                break
            if may_be_newer and not is_current:
                service.look_for_changes()
                is_current = True
            may_be_newer = True
            answer = self._answer(protocol, event)
            if answer is None:
                continue
            if not isinstance(event, bytes):
                event = protocol.head or protocol.inbox
                protocol.head = b""
            exchanges.append((event, answer))
            owed_octets += answer.length
            if not answer.persists:
                break
        if len(exchanges) == 1:
            head, answer = exchanges[0]
            self._send_answer(answer, head)
        elif exchanges:
            self._send_answers(exchanges)

    def _answer(self, protocol: Http1, event: bytes | Incoming | Refusal) -> Answer | None:
        """Return the answer to what the protocol found; None where content is to come first."""
        service = self._service
        recall = service.recall
        reduced = b""
        if isinstance(event, bytes):
            if recall is not None:
                answer = recall.get(event)
                if answer is not None and service.may_repeat(answer):
                    return answer
            outcome = service.reader.reduce(event)
            if isinstance(outcome, Refusal):
                protocol.take_back(event)
                return render_refusal(outcome, service.clock.date)
            reduced = outcome
            if recall is not None:
                answer = recall.find(reduced, event)
                if answer is not None and service.may_repeat(answer):
                    return answer
            incoming = protocol.read_head(reduced)
            if incoming is None:
                protocol.head = event
                return None
            event = incoming
        if isinstance(event, Refusal):
            return render_refusal(event, service.clock.date)
        request = event.request
        persists = event.persists and not service.is_draining
        try:
            response = service.respond(request)
        except Exception as fault:
            service.report(describe_fault(fault))
            response = respond_plainly(500, (NO_CACHE_FIELD,))
            persists = False
        answer = render_answer(
            request, response, service.clock.date, event.minor_version, persists=persists
        )
        if recall is not None and reduced and event.may_recall and response.is_recallable:
            recall.keep(reduced, answer)
        return answer

    def _await_more(self, protocol: Http1, before: int) -> None:
        """Note that the peer has to move next, and by when.

        ``before`` is the state that this turn began in, `_BEHIND` if it had an answer. Without one the
        deadline of a request stands, and so does any other where only empty lines came.
        """
        self._state = before
        if not protocol.is_between_requests:
            if before != _RECEIVING:
                self._state = _RECEIVING
                self._set_deadline(self._service.timeouts.head)
        elif before != _BEHIND:
            if protocol.inbox:
                self._state = _BETWEEN
            elif before == _BETWEEN:
                self._state = _IDLE
        elif self._service.is_draining:
            # The last answer was sent in an earlier turn, and promised that there would be more.
            self._finish()
        else:
            self._begin_idle()
            if protocol.inbox:
                self._state = _BETWEEN

    def _begin_idle(self) -> None:
        """Wait for the next request."""
        self.deadline = self._service.idle_deadline
        if self._state != _IDLE:
            self._state = _IDLE
            if self._events:
                self._service.loop.note_deadline(self.descriptor, self.deadline)

    def _set_deadline(self, seconds: float) -> None:
        """Set a deadline that may be closer than the one before."""
        deadline = self._service.clock.now + seconds
        if deadline < self.deadline and self._events:
            self._service.loop.note_deadline(self.descriptor, deadline)
        self.deadline = deadline

    def _send_answer(self, answer: Answer, head: bytes) -> None:
        """Send the answer to the request with this head; finish after the last of a connection."""
        if not answer.persists:
            self._state = _FINISHING
        if answer.rest:
            self._send_segments(answer, head)
            return
        unsent_octets = self._send_octets(answer.octets)
        service = self._service
        if service.log is not None:
            if unsent_octets:
                self._note_when_sent([(head, answer)], unsent_octets)
            else:
                service.log.note(self.peer, head, answer, answer.length, service.clock.now)

    def _send_answers(self, exchanges: Sequence[Exchange]) -> None:
        """Send the answers to pipelined requests together."""
        if not exchanges[-1][1].persists:
            self._state = _FINISHING
        if not any(answer.rest for _, answer in exchanges):
            unsent_octets = self._send_octets(b"".join([answer.octets for _, answer in exchanges]))
            self._note_when_sent(exchanges, unsent_octets)
            return
        outbox = self._begin_outbox()
        for _, answer in exchanges:
            outbox.put(answer.octets)
            for segment in answer.rest:
                outbox.put(segment)
        self._note_when_sent(exchanges, outbox.octets)
        self._flush(outbox)

    def _note_when_sent(self, exchanges: Sequence[Exchange], unsent_octets: int) -> None:
        """Note in the access log what was answered: now, or when the peer has taken it."""
        begun = self._service.clock.now
        if self._service.log is None:
            return
        if self._outbox is None:
            self._note(exchanges, begun, unsent_octets)
        else:
            self._outbox.unlogged = (exchanges, begun)

    def _note(self, exchanges: Sequence[Exchange], begun: float, unsent_octets: int = 0) -> None:
        log = self._service.log
        if log is not None:
            contents = count_content(exchanges, unsent_octets)
            for (head, answer), content_octets in zip(exchanges, contents, strict=True):
                log.note(self.peer, head, answer, content_octets, begun)

    def _send_octets(self, octets: bytes) -> int:
        """Send octets at once or by an outbox; return how many have not been sent."""
        try:
            sent = self._socket.send(octets, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return len(octets)
        if sent == len(octets):
            if self._state == _FINISHING:
                self._finish()
            elif self._state == _BEHIND:
                self._go_on()
            return 0
        outbox = self._begin_outbox()
        outbox.put(octets, sent)
        self._await_room(outbox)
        return len(octets) - sent

    def _send_segments(self, answer: Answer, head: bytes) -> None:
        """Send an answer with long content; what is in memory without copying it."""
        octets, sealed = answer.octets, answer.sealed
        sent = 0
        try:
            if sealed is None:
                first = answer.rest[0]
                if len(answer.rest) == 1 and isinstance(first, bytes):
                    sent = self._socket.sendmsg((octets, first), (), MSG_DONTWAIT)
            elif self._events:
                # The socket is non-blocking: sendfile(2) knows no MSG_DONTWAIT.
                sent = self._socket.send(octets, MSG_DONTWAIT)
                if sent == len(octets):
                    file_descriptor, offset, length = sealed
                    sent += os.sendfile(self.descriptor, file_descriptor, offset, length)
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            answer.close()
            self._note_when_sent([(head, answer)], len(octets) + answer.length - sent)
            return
        if sent == len(octets) + answer.length:
            if self._state >= _BEHIND:
                self._go_on()
            if self._service.log is not None:
                self._note_when_sent([(head, answer)], 0)
            return
        outbox = self._begin_outbox()
        outbox.put(octets, sent)
        for segment in answer.rest:
            outbox.put(segment, max(0, sent - len(octets)))
        self._note_when_sent([(head, answer)], outbox.octets)
        if sent > len(octets):
            self._await_room(outbox)
        else:
            self._flush(outbox)

    def _begin_outbox(self) -> Outbox:
        """Owe the peer something from now on."""
        if not self._events:
            self._watch(WRITABLE)
        self._outbox = Outbox()
        return self._outbox

    def _flush(self, outbox: Outbox) -> None:
        """Send what is owed, one step of a file at the most."""
        try:
            service = self._service
            outbox.send(self._socket, service.clock.second, service.connections)
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
        if self._state < _FINISHING:
            self._watch(READABLE)
        self._go_on()

    def _await_room(self, outbox: Outbox) -> None:
        """Wait until the peer takes more of what it is owed, and read nothing from it."""
        self._watch(WRITABLE)
        self._begin_pace(outbox.octets + count_unconfirmed_octets(self._socket))

    def _begin_pace(self, left_octets: int) -> None:
        """Wait for the peer for as long as it keeps the pace."""
        now = self._service.clock.now
        self._pace = Pace(now, left_octets)
        self._set_deadline(self._pace.next_look(self._service.timeouts.send) - now)

    def _is_pace_kept(self) -> bool:
        """Look at how fast the peer takes what it is owed; note when to look again."""
        if self._pace is None:
            return False
        left_octets = count_unconfirmed_octets(self._socket)
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
        self.deadline = self._pace.next_look(timeouts.send)
        return is_kept

    def _go_on(self) -> None:
        """Everything owed has been handed to the kernel: do what comes next."""
        if self._state == _BEHIND:
            # Its turn comes with the next batch; what it was waited for until now is over.
            self._set_deadline(self._service.timeouts.head)
            self._watch(READABLE)
            self._service.loop.call_again(self.descriptor, self)
        elif self._state == _FINISHING:
            self._finish(count_unconfirmed_octets(self._socket))
        elif self._state == _RECEIVING:
            self._set_deadline(self._service.timeouts.head)
        else:
            self._set_deadline(self._service.timeouts.idle)

    def _finish(self, unconfirmed_octets: int = 0) -> None:
        """Close; but if the peer may still be sending, let it first read what we said.

        A socket that is closed while octets are unread, or that octets reach when it is closed, resets
        the connection, and the reset overtakes what the peer has not taken (RFC 9112 section 9.6). Who
        learns of the end only now, because we stop, may have sent another request already; and while a
        long answer is under way anything may come.
        """
        is_over = self._protocol is None or self._protocol.is_between_requests
        if is_over and not unconfirmed_octets and not self._service.is_draining:
            self.close()
        else:
            self._linger(unconfirmed_octets)

    def _linger(self, unconfirmed_octets: int) -> None:
        """Say that there is no more, and read on until the peer says so too, or takes nothing."""
        try:
            self._socket.shutdown(SHUT_WR)
        except OSError:
            self.close()
            return
        self._state = _LINGERING
        self._watch(READABLE)
        if unconfirmed_octets:
            self._begin_pace(unconfirmed_octets)
        else:
            self._set_deadline(self._service.timeouts.linger)

    def _watch(self, events: int) -> None:
        if not self._events:
            # A socket that lives longer than one turn. Until here MSG_DONTWAIT has done the same for
            # each call, and a peer that is answered and closed at once saves the system call.
            self._socket.setblocking(False)
            self._service.loop.add(self.descriptor, self, events)
        elif self._events != events:
            self._service.loop.modify(self.descriptor, events)
        self._events = events
