"""A second protocol, for a test of the seam: a line with a path asks, one with status and length answers.

What a protocol needs besides: a machine (here), and a turn on a connection (`ToyConnection`).
"""

from _socket import MSG_DONTWAIT
from collections.abc import Sequence

from epollo.connections.connection import Connection
from epollo.connections.door import RECEIVE_OCTETS, Arrival
from epollo.connections.service import Service
from epollo.connections.state import FINISHING, IDLE
from epollo.http.message import Request, Response, Segment
from epollo.http.target import parse_target
from epollo.protocols.answer import Answer
from epollo.protocols.contract import Machine, Refusal


class Toy:
    """One connection's state in the toy protocol."""

    def __init__(self) -> None:
        self._inbox = b""

    @property
    def is_between(self) -> bool:
        return not self._inbox

    def receive(self, octets: bytes) -> None:
        self._inbox += octets

    def next(self) -> bytes | Refusal | None:
        line, end, self._inbox = self._inbox.partition(b"\n")
        if end:
            return line if line.startswith(b"/") else Refusal(400)
        self._inbox = line
        return None

    def reduce(self, query: bytes) -> bytes | Refusal:
        return query

    def read(self, query: bytes, key: bytes) -> Request | Refusal | None:  # noqa: ARG002
        target = parse_target(query)
        return Refusal(400) if target is None else Request(b"GET", target, {})

    def render(
        self,
        request: Request,  # noqa: ARG002
        response: Response,
        *,
        may_persist: bool,
    ) -> Answer:
        fields = b"%d %d\n" % (response.status, response.length)
        return Answer(
            response.status, fields, b"", response.content, persists=may_persist, method=b"GET",
            length=response.length,
        )  # fmt: skip

    def refuse(self, refusal: Refusal) -> Answer:
        fields = b"%d 0\n" % refusal.status
        return Answer(
            refusal.status, fields, b"", (), persists=False, method=b"-", length=0,
        )  # fmt: skip

    def answer(self, query: bytes, answer: Answer, date: bytes) -> Sequence[Segment]:  # noqa: ARG002
        return (answer.fields + answer.end + answer.content, *answer.rest)

    def describe(self, query: bytes) -> bytes:
        return b"GET %b HTTP/0.9\r\n\r\n" % query


class ToyConnection(Connection):
    """A connection that speaks the toy protocol: one answer after the other."""

    def __init__(self, service: Service, arrival: Arrival) -> None:
        super().__init__(service, arrival)
        self._protocol: Machine[bytes] = Toy()
        self._state = IDLE

    def on_ready(self, events: int, received: bytes = b"") -> None:  # noqa: ARG002
        if self._outbox is not None:
            self._flush(self._outbox)
        else:
            try:
                octets = received or self._transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not octets:
                self.close()
                return
            self._protocol.receive(octets)
        while self._outbox is None and (query := self._protocol.next()) is not None:
            answer = self._answer(query)
            if not answer.persists:
                self._state = FINISHING
            head = b"" if isinstance(query, Refusal) else query
            first, *rest = self._protocol.answer(head, answer, self._service.clock.date)
            assert isinstance(first, bytes)
            self._send(first, rest, ((self._protocol.describe(head), answer),))

    def _answer(self, query: bytes | Refusal) -> Answer:
        if isinstance(query, Refusal):
            return self._protocol.refuse(query)
        request = self._protocol.read(query, query)
        assert request is not None
        if isinstance(request, Refusal):
            return self._protocol.refuse(request)
        response = self._service.respond(request)
        assert isinstance(response, Response)
        return self._protocol.render(request, response, may_persist=True)


def serve(service: Service, arrival: Arrival) -> None:
    """Serve a peer by the toy protocol."""
    ToyConnection(service, arrival).on_accepted(arrival.received, arrival.is_reported)
