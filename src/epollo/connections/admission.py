"""Who is let in, and who makes room when there is none.

Beyond the limits a peer gets a short answer 503, in one send that waits for nothing, and those who are
in are served on. Before that happens the connections that nobody uses are closed, the one that has
been idle for longest first.

Facts: that there is no room is rare, and being idle begins and ends with every request.
Decision: no list of the idle is kept. When room is needed the longest idle `_FOUND` are looked for
among all, and closed one by one as need be.
Consequence: a connection that becomes idle, or busy, costs nothing for this.
Price: the look costs some 0.1 microseconds for each connection, so it is taken at most once a second,
or when it has been paid for: one connection was closed for each `_LOOKS_PER_CLOSING` that the last
look saw.
"""

import _socket
import contextlib
import heapq
import resource
from _socket import MSG_DONTWAIT
from operator import attrgetter
from typing import Final

from epollo.connections.connection import RECEIVE_OCTETS, Connection
from epollo.connections.counted import CountedConnection
from epollo.connections.service import Service
from epollo.http.caching import NO_CACHE_FIELD
from epollo.http.status import respond_plainly
from epollo.protocols.http1 import format_head, refuse

BURST: Final = 32
"""At most so many peers are let in in one turn of the loop."""
_FOUND: Final = 1024
_LOOKS_PER_CLOSING: Final = 64
_RETRY_AFTER_SECONDS: Final = 5
_REPORT_EVERY_SECONDS: Final = 60.0

# More than any system gives by itself (fs.nr_open, proc_sys_fs(5)).
_DESCRIPTORS_LIMIT: Final = 1_048_576
_RESERVED_DESCRIPTORS_LIMIT: Final = 8192


def claim_descriptors() -> int:
    """Raise the soft limit of descriptors to the hard one; return how many connections suit it.

    A shell gives 1,024, for the sake of programs that use select(2) (getrlimit(2)). A quarter, 8,192
    at most, is left for files: kept content, and what is being sent.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _DESCRIPTORS_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < limit:
        # Refused, for instance where fs.nr_open was lowered, the limit stays what it is.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            soft = limit
    descriptors = _DESCRIPTORS_LIMIT if soft == resource.RLIM_INFINITY else soft
    return max(1, descriptors - min(descriptors // 4, _RESERVED_DESCRIPTORS_LIMIT))


class Admission:
    """The door of one service."""

    __slots__ = (
        "_busy",
        "_closed",
        "_idle",
        "_kind",
        "_looked_at",
        "_seen",
        "_service",
        "_told",
        "burst_limit",
        "needs_addresses",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._kind = CountedConnection if service.capacity.requests else Connection
        self.needs_addresses = service.keeps_peers
        """Whether `welcome` is to be told the address of a peer."""
        self.burst_limit = BURST
        """How many peers may be let in together, and have been received from."""
        self._busy = respond_plainly(
            503, ((b"Retry-After", b"%d" % _RETRY_AFTER_SECONDS), NO_CACHE_FIELD)
        )
        # The longest idle last, each with the deadline that it had when it was found.
        self._idle: list[tuple[float, Connection]] = []
        self._seen = 0
        self._closed = 0
        self._looked_at = -1.0
        self._told = -_REPORT_EVERY_SECONDS

    def welcome(
        self,
        peer: _socket.socket,
        descriptor: int,
        address: str,
        received: bytes = b"",
        events: int = 0,
    ) -> None:
        """Serve a peer that was accepted, or turn it away; its first octets may have been received.

        ``events`` are as for `Connection.on_accepted`.
        """
        service = self._service
        if service.connections >= service.capacity.connections and not self.make_room():
            self._turn_away(peer, received, f"{service.connections:,} connections are open")
            return
        if service.addresses is None:
            if received and self._answer_in_passing(peer, descriptor, address, received):
                return
        elif not service.addresses.enter(address):
            reason = f"{address} has {service.addresses.limit:,} connections open"
            self._turn_away(peer, received, reason)
            return
        connection = self._kind(service, peer, descriptor, self._kept_address(address))
        try:
            connection.on_accepted(received, events)
        except Exception as fault:
            connection.on_fault(fault)

    def _answer_in_passing(
        self, peer: _socket.socket, descriptor: int, address: str, received: bytes
    ) -> bool:
        """Answer a peer that wants one answer only, if that is known; tell whether it was.

        Nothing is waited for, so no `Connection` is needed: half of the way of such a peer saved.
        """
        service = self._service
        if service.recall is None or service.is_draining:
            return False
        answer = service.recall.young.get(received)
        if answer is None or answer.persists or answer.rest:
            return False
        try:
            sent = peer.send(answer.octets, MSG_DONTWAIT)
        except OSError:
            return False
        kept_address = self._kept_address(address)
        if sent < len(answer.octets):
            connection = self._kind(service, peer, descriptor, kept_address)
            try:
                connection.owe(answer, received, sent)
            except Exception as fault:
                connection.on_fault(fault)
            return True
        peer.close()
        if service.log is not None:
            service.log.note(kept_address, received, answer, answer.length, service.clock.now)
        return True

    def _kept_address(self, address: str) -> str | None:
        """Return the address of a peer where anybody needs to know it."""
        return (address or None) if self._service.keeps_peers else None

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest; tell whether there was one."""
        while True:
            while self._idle:
                deadline, connection = self._idle.pop()
                # Whoever was used since is not the one that has been idle for longest any more.
                if connection.deadline == deadline and connection.try_give_way():
                    self._closed += 1
                    return True
            if not self._may_look():
                return False
            self._look()
            if not self._idle:
                return False

    def _may_look(self) -> bool:
        return (
            self._service.clock.now - self._looked_at >= 1
            or self._closed * _LOOKS_PER_CLOSING > self._seen
        )

    def _look(self) -> None:
        handlers = self._service.loop.handlers()
        self._seen = len(handlers)
        self._closed = 0
        self._looked_at = self._service.clock.now
        idle = [one for one in handlers if isinstance(one, Connection) and one.is_idle]
        found = heapq.nsmallest(_FOUND, idle, key=attrgetter("deadline"))
        self._idle = [(one.deadline, one) for one in reversed(found)]

    def _turn_away(self, peer: _socket.socket, received: bytes, reason: str) -> None:
        """Send the answer 503 and close, without waiting for anything."""
        service = self._service
        if service.clock.now - self._told >= _REPORT_EVERY_SECONDS:
            self._told = service.clock.now
            service.report(
                f"turned a peer away with 503: {reason}; "
                f"such lines come once in {_REPORT_EVERY_SECONDS:.0f} seconds"
            )
        # A socket that is closed with octets unread resets the connection (RFC 9112 section 9.6).
        with contextlib.suppress(OSError):
            received = received or peer.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
        octets = format_head(self._busy, service.clock.date, 1, persists=False)
        if not refuse(503, received).is_head:
            octets = b"".join((octets, *self._busy.content))  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            peer.send(octets, MSG_DONTWAIT)
        peer.close()
