"""The turn of a connection that speaks HTTP/1: receive once, answer what is complete, send it together.

A turn is bounded: in octets received, in requests answered, in octets owed. A connection with more to do
gets another turn in the next batch, after all others.

It is one class because each method is a move between the same states (`state`), with the same protocol
and deadline. What needs neither is in `recall`, `refusing`, `crowd` and the protocol.
"""

from _socket import MSG_DONTWAIT
from collections.abc import Sequence
from functools import partial

from epollo.annotations import Final
from epollo.connections.connection import Connection
from epollo.connections.crowd import bound_turn_octets
from epollo.connections.door import RECEIVE_OCTETS, Arrival
from epollo.connections.refusing import UNAVAILABLE, send_last, warn_of_handshake
from epollo.connections.responding import respond
from epollo.connections.service import Service
from epollo.connections.state import (
    BEHIND,
    BETWEEN,
    FINISHING,
    IDLE,
    LINGERING,
    RECEIVING,
    WAITING,
)
from epollo.http.message import ENDED, Later, Request, Segment
from epollo.loop import ERROR, HANGUP, READABLE
from epollo.protocols.answer import Answer, Exchange, Waiting
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import Http1, Query

REQUESTS_PER_TURN: Final = 64
"""The most pipelined requests that are answered in one turn."""

# Less than half the price of super(), which each connection would pay twice.
_begin: Final = Connection.__init__
_close: Final = Connection.close


class Http1Connection(Connection):
    """A connection that speaks HTTP/1."""

    __slots__ = ("_protocol", "_recall", "_waiting")

    def __init__(self, service: Service, arrival: Arrival) -> None:
        _begin(self, service, arrival)
        # Made when octets come that are not recalled whole; many peers never need one.
        self._protocol: Http1 | None = None
        # Where to look for octets that are one whole request.
        self._recall = service.recalls_at_once[self.kind.scope]
        self._waiting: Waiting | None = None

    def on_ready(self, events: int, received: bytes = b"") -> None:
        """Receive once, and answer: from recall where these very octets are known."""
        state = self._state
        if self._outbox is not None or state >= BEHIND:
            self._continue(events)
            return
        try:
            octets = received or self._transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            # Every complete request has been answered: nothing is owed to a peer that half-closes.
            self.close()
            return
        service = self._service
        if events != READABLE or not service.is_report_instant:
            service.look_for_changes()
            # Now that changes were looked for after receiving, the report does not matter.
            events = 0
        recall = self._recall
        if recall is None or state > IDLE:
            self._take_in(octets, is_current=events != READABLE)
            return
        answer = recall.at_hand.young.get(octets)
        if answer is None or (
            answer.basis.checked_second != service.trusted_second and not recall.is_true(answer)
        ):
            answer, reduced = recall.find_whole(octets, service.reader)
            if answer is None:
                self._take_in(octets, is_current=events != READABLE, reduced=reduced)
                return
        if not answer.persists:
            self._state = FINISHING
        elif state == IDLE:
            self.deadline = service.idle_deadline
        else:
            self._begin_idle()
        framed = answer.framed
        if framed is None:
            framed = service.frames.frame(answer)
        if answer.rest:
            self._send_long(framed, octets, answer)
        else:
            self._send_octets(framed, octets, answer)

    def _continue(self, events: int) -> None:
        """Send what is owed, answer what is here, see whether a peer that waits for a result is gone."""
        if self._outbox is not None:
            self._flush(self._outbox)
        elif self._state == BEHIND:
            # It has asked for a turn and will get it; a report of the poller brings it no earlier. What
            # is here came before this batch, which began with the changes that are older.
            if not events or not self._service.loop.is_late:
                self._take_turn(is_current=True)
        elif events & (ERROR | HANGUP):
            self.close()

    def _answer_whole(self, octets: bytes, reduced: bytes) -> None:
        """Answer octets that are one head and nothing else."""
        protocol = self._protocol or self._begin_protocol()
        before, self._state = self._state, BEHIND
        answer = self._answer_reduced(protocol, octets, reduced)
        if answer is not None:
            self._state = before
            self._begin_idle()
            if not answer.persists:
                self._state = FINISHING
            self._send(self._service.frames.frame(answer), answer.rest, ((octets, answer),))
        elif self._waiting is not None:
            self._state = WAITING
            self._await_result()
        else:
            self._await_more(protocol, before, has_answered=False)

    def _begin_protocol(self) -> Http1:
        service = self._service
        self._protocol = Http1(service.reader, service.capacity.requests)
        return self._protocol

    def _take_in(self, octets: bytes, *, is_current: bool, reduced: bytes = b"") -> None:
        """Answer octets that are not recalled whole, or hand them to the protocol and take a turn.

        What is ``reduced`` is one head and nothing else.
        """
        service = self._service
        if self._state == LINGERING:
            return
        is_late = service.loop.is_late
        if reduced and not is_late:
            self._answer_whole(octets, reduced)
            return
        protocol = self._protocol or self._begin_protocol()
        protocol.receive(octets)
        if is_late:
            protocol.note_reduction(octets, reduced)
            if self._state < RECEIVING:
                self._set_deadline(service.timeouts.head)
            self._state = BEHIND
            service.loop.call_again(self)
            return
        self._take_turn(is_current, reduced)

    def on_deadline(self) -> None:
        """Give up waiting for this peer, or for what its answer is made of."""
        protocol, waiting = self._protocol, self._waiting
        if protocol is None or self._outbox is not None:
            super().on_deadline()
            return
        if waiting is not None:
            # RFC 9110 section 15.6.4.
            waiting.later.abandon()
            self._waiting, head = None, waiting.head
            answer = protocol.render(waiting.request, UNAVAILABLE, may_persist=False)
        elif self._state == RECEIVING:
            # RFC 9110 section 15.5.9.
            answer, head = protocol.refuse_unfinished(408), protocol.describe()
        else:
            super().on_deadline()
            return
        self._give((self._service.frames.frame(answer), *answer.rest), ((head, answer),))

    def give_way(self) -> None:
        """Close, so that there is room for another; half a request is answered."""
        if self._state == RECEIVING and self._outbox is None and self._protocol is not None:
            send_last(self._service, self._transport, self._protocol.refuse_unfinished(503))
        self.close()

    def owe(self, answer: Answer, head: bytes, octets: bytes, sent_octets: int) -> None:
        """Continue with a peer that has not taken all of its only answer, before it is registered."""
        self._state = FINISHING
        self._await_room(self._begin_outbox(octets, sent_octets, ((head, answer),)))

    def _may_still_send(self) -> bool:
        protocol = self._protocol
        return protocol is not None and (not protocol.is_between or protocol.is_ended_here)

    def _give(self, segments: Sequence[Segment], exchanges: Sequence[Exchange]) -> None:
        """Send answers together, as the segments that they were framed to."""
        if not exchanges[-1][1].persists:
            self._state = FINISHING
        first = segments[0]
        if len(exchanges) == 1 and isinstance(first, bytes):
            self._send(first, segments[1:], exchanges)
        elif len(segments) == len(exchanges):
            self._send(b"".join(segments), (), exchanges)  # type: ignore[arg-type]
        else:
            self._send(b"", segments, exchanges)

    def _take_turn(self, is_current: bool, reduced: bytes = b"") -> None:
        """Answer the requests that are complete, in their order and together.

        ``is_current`` is whether changes were looked for after the octets of these were received;
        ``reduced`` is what the first of them was reduced to already, if it was.
        """
        protocol = self._protocol
        service = self._service
        assert protocol is not None  # noqa: S101 - octets were received
        recall = service.recalls[self.kind.scope]
        is_counted = service.capacity.requests > 0
        exchanges: list[Exchange] = []
        # Framed at once: a look for changes may end the basis of an answer, which then loses its
        # content.
        segments: list[Segment] = []
        owed_octets = 0
        before = self._state
        # Only the first request was certainly there at the poller's report; what follows may be newer.
        may_be_newer = before > IDLE
        self._state = BEHIND
        high_water_octets = bound_turn_octets(len(service.peers))
        while len(exchanges) < REQUESTS_PER_TURN and owed_octets < high_water_octets:
            query = protocol.next()
            if query is None:
                self._await_more(protocol, BEHIND if exchanges else before, bool(exchanges))
                break
            if may_be_newer and not is_current:
                service.look_for_changes()
                is_current = True
            may_be_newer = True
            answer = None
            if isinstance(query, bytes):
                head, second = query, service.trusted_second
                answer = None if recall is None else recall.find_at_hand(query, second)
            if answer is None:
                answer = self._answer(protocol, query, reduced)
                if not isinstance(query, bytes):
                    head = protocol.describe(None if isinstance(query, Refusal) else query)
            reduced = b""
            if answer is None:
                if self._waiting is not None:
                    break
                continue
            if is_counted:
                answer = protocol.conclude(answer)
            exchanges.append((head, answer))
            segments.append(answer.framed or service.frames.frame(answer))
            if answer.rest:
                segments += answer.rest
            owed_octets += answer.length
            if not answer.persists:
                break
        if self._waiting is not None:
            self._state = WAITING
        if exchanges:
            self._give(segments, exchanges)
        elif self._waiting is not None:
            self._await_result()

    def _answer(self, protocol: Http1, query: Query | Refusal, reduced: bytes) -> Answer | None:
        """Return the answer to a query; None where content is to come first, or a result."""
        service = self._service
        if isinstance(query, Refusal):
            warn_of_handshake(service, protocol.describe())
            return protocol.refuse(query)
        recall = service.recalls[self.kind.scope]
        noted = protocol.take_reduction(query)
        if noted and recall is not None:
            # Another may have asked for the same since this was put off.
            answer, reduced = recall.find(noted), noted
            if answer is not None:
                return answer
        if isinstance(query, bytes) and not reduced:
            if recall is not None:
                answer, reduced = recall.find_whole(query, service.reader)
                if answer is not None:
                    return answer
            if not reduced:
                outcome = protocol.reduce(query)
                if isinstance(outcome, Refusal):
                    return protocol.refuse(outcome)
                reduced = outcome
        return self._answer_reduced(protocol, query, reduced)

    def _answer_reduced(self, protocol: Http1, query: Query, reduced: bytes) -> Answer | None:
        """Return the answer to what was reduced; None where content is to come first, or a result."""
        request = protocol.read(query, reduced)
        if request is None:
            return None
        if isinstance(request, Refusal):
            return protocol.refuse(request)
        request.scheme, request.scope = self.kind.scheme, self.kind.scope
        head = query if isinstance(query, bytes) else protocol.describe(query)
        return self._conclude(protocol, request, head, reduced)

    def _conclude(
        self,
        protocol: Http1,
        request: Request,
        head: bytes,
        reduced: bytes,
        later: Later | None = None,
    ) -> Answer | None:
        """Return the answer to a request; None where a result has to be waited for, as ``later`` was."""
        service = self._service
        response, may_persist = respond(service, request, self.address or "", head, later)
        if isinstance(response, Later):
            response.on_done = self._on_result
            self._waiting = Waiting(response, request, head, reduced)
            return None
        answer = protocol.render(request, response, may_persist=may_persist)
        if service.secure_lines and self.kind.scheme == b"https":
            answer.add_lines(service.secure_lines)
        recall = service.recalls[self.kind.scope]
        if answer.status == 206 and recall is not None and protocol.is_whole:
            render = partial(protocol.render, may_persist=may_persist)
            recall.keep_whole(reduced, request, service.respond, render)
        if recall is None or not protocol.is_whole or not recall.keep(reduced, answer):
            # An answer that is given once must not keep its basis in memory.
            answer.basis = ENDED
        return answer

    def _on_result(self) -> None:
        """Answer the request that has waited, unless the answers before it are not taken yet."""
        if self._outbox is None:
            try:
                self._take_result()
            except Exception as fault:
                # A task calls this at its end; a fault of this connection must not reach the task.
                self._service.loop.end_fault(self, fault)

    def _await_result(self) -> None:
        waiting = self._waiting
        if waiting is not None and waiting.later.is_done:
            self._take_result()
        else:
            super()._await_result()

    def _take_result(self) -> None:
        """Answer the request that has waited."""
        protocol, waiting = self._protocol, self._waiting
        assert protocol is not None and waiting is not None  # noqa: S101, PT018 - it was read
        self._waiting = None
        answer = self._conclude(
            protocol, waiting.request, waiting.head, waiting.reduced, waiting.later
        )
        if answer is None:
            self._await_result()
            return
        if self._service.capacity.requests:
            answer = protocol.conclude(answer)
        self._state = BEHIND
        self._give((self._service.frames.frame(answer), *answer.rest), ((waiting.head, answer),))

    def close(self) -> None:
        """Leave nothing behind, nor anything waited for."""
        if self._waiting is not None:
            self._waiting.later.abandon()
            self._waiting = None
        _close(self)

    def _await_more(self, protocol: Http1, before: int, has_answered: bool) -> None:
        """Note that the peer has to move next, and by when.

        ``before`` is the state in which this turn began, or `BEHIND` if the turn has an answer. Without
        an answer the deadline of a request stays, also if the turn was put off (`_take_in`). If only
        empty lines came, any deadline stays.
        """
        self._state = before
        if not protocol.is_between:
            self._state = RECEIVING
            if has_answered or before < RECEIVING:
                self._set_deadline(self._service.timeouts.head)
        elif before != BEHIND:
            if not protocol.is_empty:
                self._state = BETWEEN
            elif before == BETWEEN:
                self._state = IDLE
        elif self._service.is_draining:
            # The last answer was sent in an earlier turn, and said that the connection persists.
            self._finish()
        else:
            self._begin_idle()
            if not protocol.is_empty:
                self._state = BETWEEN

    def _begin_idle(self) -> None:
        """Wait for the next request."""
        self.deadline = self._service.idle_deadline
        if self._state != IDLE:
            self._state = IDLE
            if self._events:
                self._service.loop.note_deadline(self, self.deadline)
