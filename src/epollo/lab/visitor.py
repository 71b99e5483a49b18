"""The browser of whoever watches: one request on a connection, or a stream of events that goes on.

The server itself answers with what is in files, and ends each answer. Server-sent events (HTML, section
9.2) never end; so here is a second, small handler beside it, on the same loop and protocol.
"""

import math
import socket
from typing import Final, Protocol

from epollo.connections.answer import render_answer, render_refusal
from epollo.errors import describe_fault
from epollo.http.message import Request, Response
from epollo.loop import READABLE, WRITABLE, EventLoop
from epollo.protocols.http1 import HeadReader, Http1, Incoming, Limits, Refusal, format_head

_RECEIVE_OCTETS: Final = 32 * 1024
_REQUEST_SECONDS: Final = 10.0

_READER: Final = HeadReader(Limits())
_STREAM: Final = Response(
    200,
    (
        (b"Content-Type", b"text/event-stream; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
    ),
)


class Host(Protocol):
    """Who answers visitors."""

    loop: EventLoop
    streams: "set[Visitor]"
    """The visitors who get every event from now on."""

    def respond(self, request: Request) -> Response | None:
        """Return the answer to a request; None begins a stream of events."""

    def report(self, line: str) -> None:
        """Tell the operator something."""


class Door:
    """The handler of the socket at which visitors knock."""

    def __init__(self, listening: socket.socket, host: Host) -> None:
        self._socket = listening
        self._host = host
        self.deadline = math.inf
        host.loop.add(listening.fileno(), self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Let one visitor in."""
        try:
            peer, _ = self._socket.accept()
        except OSError:
            # Nobody any more, or no room: who waits is reported again.
            return
        Visitor(peer, self._host)

    def on_deadline(self) -> None:
        """Nothing here waits for an instant."""

    def on_fault(self, fault: Exception) -> None:
        """Say that there was a bug, and go on."""
        self._host.report(describe_fault(fault))


class Visitor:
    """The handler of one connection of a browser."""

    def __init__(self, peer: socket.socket, host: Host) -> None:
        peer.setblocking(False)
        self._socket = peer
        self._host = host
        self._protocol = Http1(_READER)
        self._outbox = b""
        self._is_stream = False
        self._is_last = False
        self.deadline = host.loop.clock.now + _REQUEST_SECONDS
        host.loop.add(peer.fileno(), self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Go on with this visitor."""
        if self._outbox:
            self._flush()
            return
        try:
            octets = self._socket.recv(_RECEIVE_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self.close()
        elif not self._is_stream:
            self._protocol.receive(octets)
            self._answer()

    def on_deadline(self) -> None:
        """Give up waiting for a request, or for an answer to be taken."""
        self.close()

    def on_fault(self, fault: Exception) -> None:
        """Close after a bug of ours, and say so."""
        self._host.report(describe_fault(fault))
        self.close()

    def send_event(self, text: str) -> None:
        """Send one line as an event; who has not taken the last one yet misses this one."""
        if not self._outbox:
            self._send(f"data: {text}\n\n".encode())

    def close(self) -> None:
        """Say goodbye."""
        if self._socket.fileno() >= 0:
            self._host.streams.discard(self)
            self._host.loop.remove(self._socket.fileno())
            self._socket.close()

    def _answer(self) -> None:
        incoming = self._read_request()
        if incoming is None:
            return
        date = self._host.loop.clock.date
        self._is_last = True
        if isinstance(incoming, Refusal):
            self._send(render_refusal(incoming, date).octets)
            return
        response = self._host.respond(incoming.request)
        if response is None:
            self._is_last = False
            self._is_stream = True
            self.deadline = math.inf
            self._host.streams.add(self)
            self._send(format_head(_STREAM, date, incoming.minor_version, persists=False))
            return
        answer = render_answer(
            incoming.request, response, date, incoming.minor_version, persists=False
        )
        # Nothing that is shown here comes from a file.
        rest = b"".join(segment for segment in answer.rest if isinstance(segment, bytes))
        self._send(answer.octets + rest)

    def _read_request(self) -> Incoming | Refusal | None:
        event = self._protocol.next_event()
        if not isinstance(event, bytes):
            return event
        reduced = _READER.reduce(event)
        if isinstance(reduced, Refusal):
            return reduced
        return self._protocol.read_head(reduced)

    def _send(self, octets: bytes) -> None:
        self._outbox = octets
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._outbox = self._outbox[sent:]
        if not self._outbox and self._is_last:
            self.close()
            return
        self._host.loop.modify(self._socket.fileno(), WRITABLE if self._outbox else READABLE)
