"""Connections without a server process: one end of a socket pair is ours, the loop turns by hand.

A turn is taken only when a test asks for it and nothing here ever waits, so thousands of exchanges
take a second.
"""

import array
import fcntl
import os
import socket
import termios
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from epollo.budget import Budget
from epollo.connections import http1_stage, refusing
from epollo.connections.contract import AccessLog, Capacity, Responder, Timeouts
from epollo.connections.door import Arrival, Door, Stage
from epollo.connections.http1_stage import LastAnswers
from epollo.connections.listener import Listener
from epollo.connections.service import Service
from epollo.http.message import PERMANENT, Request, Response
from epollo.loop import Clock, EventLoop, SystemClock
from epollo.pollers import open_poller
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import HeadReader, Limits, describe_target
from epollo.quantities import MEBIBYTE
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.policy import RELEVANT_FIELDS, Policy
from epollo.site.respond import Site
from epollo.site.rulebook import Rulebook
from epollo.transports.contract import PLAIN, Kind

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

# Far more than any exchange here takes: what is not done by then never will be.
_BATCHES_LIMIT = 10_000


def respond(request: Request) -> Response:
    """Answer every request alike, for as long as the server runs."""
    return Response(200, ((b"Content-Length", b"2"),), (b"ok",), basis=PERMANENT)


class Peer:
    """The client's end of a connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.socket = client
        self.server = server
        self.received = bytearray()
        self.is_closed = False
        """The server sends nothing more."""
        self.is_reset = False

    def receive(self) -> bool:
        """Take what there is; return whether there was anything new."""
        before = len(self.received), self.is_closed
        while not self.is_closed:
            try:
                octets = self.socket.recv(256 * 1024)
            except BlockingIOError:
                break
            except ConnectionError:
                self.is_reset = self.is_closed = True
                break
            self.received += octets
            self.is_closed = not octets
        return (len(self.received), self.is_closed) != before

    def send(self, octets: bytes) -> None:
        """Send octets that fit into the socket's buffer; to a server that is gone, nothing."""
        try:
            self.socket.sendall(octets)
        except ConnectionError:
            self.receive()
            self.is_closed = True

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def is_let_go(self) -> bool:
        """Return whether the server has closed its descriptor."""
        return self.server.fileno() < 0

    def unread_octets(self) -> int:
        """Return how many octets wait for the server to read them."""
        if self.is_let_go():
            return 0
        count = array.array("i", [0])
        fcntl.ioctl(self.server.fileno(), termios.FIONREAD, count)
        return count[0]


class Log:
    """An access log that only remembers."""

    names_peers = True

    def __init__(self) -> None:
        self.peers: list[str | None] = []
        self.noted: list[tuple[bytes, int]] = []
        self.heads: list[bytes] = []
        self.contents: list[int] = []
        self.instants: list[float] = []

    def note(
        self,
        peer: str | None,
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",  # noqa: ARG002
    ) -> None:
        self.peers.append(peer)
        self.noted.append((describe_target(answer, head), answer.status))
        self.heads.append(head)
        self.contents.append(content_octets)
        self.instants.append(begun)

    def begin(self, loop: EventLoop) -> None:
        """Is not asked to write."""

    def reopen(self) -> None:
        """Has no file."""

    def close(self) -> None:
        """Has nothing to write."""


class UnhurriedClock(SystemClock):
    """Lets every batch be a short one: what waits for a long one is no matter of these tests."""

    __slots__ = ()

    def count_batch_seconds(self) -> float:
        return 0.0


class InProcess:
    """A loop, a service and its connections."""

    def __init__(
        self,
        respond: Responder,
        *,
        poller_name: str = "auto",
        clock: Clock | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        has_recall: bool = True,
        log: AccessLog | None = None,
        capacity: Capacity = Capacity(),  # noqa: B008 - it is immutable
        relevant_fields: frozenset[bytes] = RELEVANT_FIELDS,
    ) -> None:
        self.reports: list[str] = []
        self.loop = EventLoop(
            open_poller(poller_name), self.reports.append, clock or UnhurriedClock()
        )
        self.service = Service(
            self.loop,
            respond,
            HeadReader(limits or Limits(), relevant_fields),
            timeouts=timeouts or Timeouts(),
            report=self.reports.append,
            log=log,
            has_recall=has_recall,
            capacity=capacity,
        )
        self.door = Door(
            self.service,
            partial(http1_stage.serve, self.service),
            partial(refusing.turn_away, self.service),
        )
        self._peers: list[Peer] = []

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        for serving in list(self.service.peers):
            serving.close()
        for peer in self._peers:
            peer.socket.close()
            peer.server.close()
        self.loop.close()

    def connect(
        self,
        first: bytes = b"",
        *,
        buffer_octets: int | None = None,
        address: str = "",
        received: bytes = b"",
        kind: Kind = PLAIN,
    ) -> Peer:
        """Return a peer that has been accepted after it sent its first octets.

        ``received`` are those that were received before it was let in; ``kind`` is its listener's.
        """
        client, server = socket.socketpair()
        client.setblocking(False)
        server.setblocking(False)
        if buffer_octets is not None:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_octets)
        peer = Peer(client, server)
        self._peers.append(peer)
        if first:
            peer.send(first)
        self.door.admit(Arrival(server, server.fileno(), address, received, kind=kind))
        return peer

    def listen(
        self,
        listening: socket.socket,
        begin: Stage | None = None,
        *,
        needs_addresses: bool = False,
    ) -> Listener:
        """Accept from a socket; ``begin`` is the first stage, by default the door of plain HTTP."""
        give_last = LastAnswers(self.service, PLAIN).give
        return Listener(
            listening,
            self.service,
            begin or self.door.admit,
            self.door.make_room,
            needs_addresses=needs_addresses,
            give_last=None if begin else give_last,
        )

    def settle(self, peer: Peer) -> None:
        """Turn the loop until the peer has been told all that is to be told."""
        for _ in range(_BATCHES_LIMIT):
            self.loop.run_batch(0)
            if not peer.receive() and not peer.unread_octets():
                return
        raise AssertionError("the connection does not come to rest")

    def exchange(self, parts: Sequence[bytes]) -> tuple[bytes, bool]:
        """Send the parts one by one as one peer, which then half-closes, and forget all peers.

        Return what came, and whether the server closed before that.
        """
        peer = self.connect(parts[0] if parts else b"")
        self.settle(peer)
        for part in parts[1:]:
            peer.send(part)
            self.settle(peer)
        is_closed = peer.is_closed
        if not is_closed:
            peer.half_close()
            self.settle(peer)
            assert peer.is_let_go()
        self.forget_peers()
        return bytes(peer.received), is_closed

    def forget_peers(self) -> None:
        """Close and forget the peers so far, for tests that make thousands of them."""
        for peer in self._peers:
            peer.socket.close()
        for _ in range(4):
            self.loop.run_batch(0)
        assert all(peer.is_let_go() for peer in self._peers)
        assert len(self.service.peers) == 0
        # Octets at random may begin as a handshake does.
        assert not [one for one in self.reports if "speaks TLS" not in one], self.reports
        self._peers.clear()


class FolderSite:
    """The real site over a folder, as a responder."""

    def __init__(
        self,
        root: Path,
        clock: Clock,
        compressor: Compressor | None = None,
        *,
        kept_octets_limit: int = MEBIBYTE,
    ) -> None:
        self.reports: list[str] = []
        self.catalogue = Catalogue(
            root,
            clock,
            self.reports.append,
            budget=Budget(64 * MEBIBYTE),
            kept_octets_limit=kept_octets_limit,
        )
        policies = Rulebook(
            self.catalogue,
            clock,
            lambda rules: Policy(rules=rules),
            self.reports.append,
            os.fspath(root),
        )
        self.respond = Site(self.catalogue, clock, compressor, policies).respond

    def __enter__(self) -> "FolderSite":
        return self

    def __exit__(self, *_: object) -> None:
        self.catalogue.close()
