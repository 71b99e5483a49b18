"""The browser of a visitor: one request on a connection, or a stream of events without an end.

The server itself answers with what is in files, and each of its answers ends. Server-sent events (HTML,
section 9.2) never end: so this is another, small handler over the same loop and protocol.
"""

import errno
import math
import socket

from epollo.annotations import Final, Protocol
from epollo.http.message import Request, Response
from epollo.loop import READABLE, WRITABLE, EventLoop, Handler
from epollo.protocols.answer import Answer
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader, Http1, Limits

_RECEIVE_OCTETS: Final = 32 * 1024
_REQUEST_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 1.0

# There is no room for another descriptor or its memory (accept(2)).
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_READER: Final = HeadReader(Limits(), frozenset((b"host", b"origin")))
_STREAM: Final = Response(
    200,
    (
        (b"Content-Type", b"text/event-stream; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
    ),
)


class Host(Protocol):
    """What answers visitors."""

    loop: EventLoop
    streams: "set[Visitor]"
    """The visitors that get every event from now on."""

    def respond(self, request: Request) -> Response | None:
        """Return the answer to a request; None begins a stream of events."""

    def report(self, line: str) -> None:
        """Tell the operator something."""


class Door(Handler):
    """The handler of the socket at which visitors connect."""

    def __init__(self, listening: socket.socket, host: Host) -> None:
        self._socket = listening
        self._host = host
        self.deadline = math.inf
        host.loop.add(listening.fileno(), self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Let one visitor in."""
        try:
            peer, _ = self._socket.accept()
        except OSError as error:
            # Any other error: the peer left. Without room, one that waits would be reported again and
            # again.
            if error.errno in _EXHAUSTED:
                self._host.report(f"no browser can connect for a moment: {error.strerror}")
                self._host.loop.modify(self._socket.fileno(), 0)
                self.deadline = self._host.loop.clock.now + _PAUSE_SECONDS
                self._host.loop.note_deadline(self, self.deadline)
            return
        Visitor(peer, self._host)

    def on_deadline(self) -> None:
        """Let visitors in again after a pause."""
        self.deadline = math.inf
        self._host.loop.modify(self._socket.fileno(), READABLE)


class Visitor(Handler):
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
        """Continue with this visitor."""
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

    def send_event(self, text: str) -> None:
        """Send one line as an event; a visitor that has not taken the last one misses this one."""
        if not self._outbox:
            self._send(f"data: {text}\n\n".encode())

    def close(self) -> None:
        """Say goodbye."""
        if self._socket.fileno() >= 0:
            self._host.streams.discard(self)
            self._host.loop.remove(self._socket.fileno())
            self._socket.close()

    def _answer(self) -> None:
        """Answer a request if one is complete; begin a stream where it asks for events."""
        protocol = self._protocol
        query = protocol.next()
        if query is None:
            return
        request: Request | Refusal | None = query if isinstance(query, Refusal) else None
        if not isinstance(query, Refusal):
            key = protocol.reduce(query)
            request = key if isinstance(key, Refusal) else protocol.read(query, key)
        self._is_last = True
        if request is None:
            self._is_last = False
        elif isinstance(request, Refusal):
            self._send_answer(protocol.refuse(request))
        else:
            self._respond(request)

    def _respond(self, request: Request) -> None:
        response = self._host.respond(request)
        if response is None:
            self._is_last = False
            self._is_stream = True
            self.deadline = math.inf
            self._host.streams.add(self)
            response = _STREAM
        self._send_answer(self._protocol.render(request, response, may_persist=False))

    def _send_answer(self, answer: Answer) -> None:
        segments = self._protocol.answer(b"", answer, self._host.loop.clock.date)
        # Nothing that is shown here comes from a file.
        self._send(b"".join(segment for segment in segments if isinstance(segment, bytes)))

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
