"""The listening socket: what waits there is accepted, and goes through the stages of its listener.

Facts: the listener is reported for as long as a connection waits. With TCP_DEFER_ACCEPT (tcp(7)), the
kernel wakes the process only when octets of the request are there. The first connection of a turn had
sent them before ``poll`` returned, so every file change that its peer could know of was reported too. A
later one in the same turn may have sent them afterwards. So may all of them if the option is not set;
unix-domain sockets do not have it. A turn of the loop for each connection costs something, and so does
an ``accept`` that finds nothing.
Decision: one ``accept`` a turn while connections come one at a time. If as many wait as were accepted
in the turn before, twice as many are accepted. After an ``accept`` that found nothing, some connections
are accepted alone before this is tried again: with cold caches such a call takes 24 microseconds. All of
a turn are received from, then changes are looked for once, then they are answered. A single one whose
octets are certainly there is received from, and needs no look.
Consequence: of 64 clients that bring a connection with each request, each takes 44 microseconds instead
of 56, in one run of both.
"""

import _socket
import contextlib
import errno
import math
import os
import socket
from _socket import MSG_DONTWAIT, SOCK_STREAM
from collections.abc import Callable, Sequence

from epollo.annotations import Final, TypeAlias
from epollo.connections.addresses import read_address
from epollo.connections.crowd import CROWD, bound_unsent_octets
from epollo.connections.door import RECEIVE_OCTETS, Arrival, Stage
from epollo.connections.service import Service
from epollo.loop import READABLE, Handler
from epollo.transports import PLAIN, Kind, Transport
from epollo.transports.listening import holds_back

BURST: Final = 32
"""The most peers that are accepted in one turn of the loop."""

# There is no room for another descriptor or its memory (accept(2)).
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_PAUSE_SECONDS: Final = 1.0
_LONE: Final = 4
# What calling the class does besides costs as much as the rest of a stage.
_arrive: Final = tuple.__new__


GiveLast: TypeAlias = Callable[[Transport, int, str, bytes], bool]
"""Gives a peer, with its descriptor, its address and its first octets, the only answer that it wants.

Returns whether it was given, so that nothing is left to do for this peer."""


def _receive(transport: Transport) -> bytes:
    """Return what a peer sent first; nothing if its first turn has to find out."""
    try:
        return transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
    except OSError:
        return b""


def _bound_unsent(one: _socket.socket, octets_limit: int) -> None:
    """Bound what may wait unsent in the kernel; 0 for no bound (TCP_NOTSENT_LOWAT, tcp(7))."""
    with contextlib.suppress(OSError, AttributeError):
        one.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NOTSENT_LOWAT, octets_limit)


class Listener(Handler):
    """The handler of one listening socket.

    ``give_last``, if there is one, is tried for each peer from which octets were received; ``begin`` is
    the first stage of all others.
    """

    __slots__ = (
        "_begin",
        "_burst",
        "_descriptor_limit",
        "_family",
        "_give_last",
        "_is_exhausted",
        "_is_queue_older",
        "_is_reported",
        "_kind",
        "_lone",
        "_make_room",
        "_needs_addresses",
        "_service",
        "_socket",
        "_unsent_octets_limit",
        "deadline",
        "descriptor",
    )

    def __init__(
        self,
        listening: socket.socket,
        service: Service,
        begin: Stage,
        make_room: Callable[[], bool],
        *,
        kind: Kind = PLAIN,
        needs_addresses: bool = False,
        give_last: GiveLast | None = None,
    ) -> None:
        self._socket = listening
        self._family = listening.family
        self._service = service
        self._begin = begin
        self._make_room = make_room
        self._give_last = give_last
        self._kind = kind
        self._needs_addresses = needs_addresses or service.keeps_addresses
        self._is_reported = holds_back(listening)
        self._is_exhausted = False
        self._burst = 1
        """How many to try to accept the next time."""
        # How many more that come alone are accepted before it is tried whether there is another.
        self._lone = 0
        self._unsent_octets_limit = 0
        # Whether peers may wait that connected before the bound was set, and so have not inherited it.
        self._is_queue_older = False
        self.descriptor = listening.fileno()
        self._descriptor_limit = service.loop.traits.descriptor_limit
        self.deadline: float = math.inf
        service.loop.add(self.descriptor, self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Accept as many peers as are likely to wait, and have their first turns taken."""
        if self._burst > 1:
            accepted = self._accept_burst()
            if len(accepted) != 1:
                self._begin_burst(accepted)
                return
            peer, descriptor, address = accepted[0]
        else:
            try:
                # `socket.accept` also makes an object in Python and looks at the family again, which
                # takes a third of its time. Only the descriptor is needed here.
                descriptor, name = self._socket._accept()  # type: ignore[attr-defined]
            except OSError as error:
                self._note_miss(error)
                return
            if self._lone:
                self._lone -= 1
            else:
                self._burst = 2
            if self._unsent_octets_limit or len(self._service.peers) >= CROWD:
                self._note_crowd()
            opened = self._open(descriptor)
            if opened is None:
                return
            peer = opened
            address = read_address(name) if self._needs_addresses else ""
        octets, is_reported = b"", self._is_reported
        if is_reported:
            # As `_receive` does it, without a call.
            try:
                octets = peer.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
            except OSError:
                octets = b""
            if not self._service.is_report_instant:
                self._service.look_for_changes()
        give_last = self._give_last
        if not (octets and give_last and give_last(peer, descriptor, address, octets)):
            arrival = (peer, descriptor, address, octets, is_reported, self._kind, False)
            # Called as a variable: an attribute that is called is first sought as a method.
            begin = self._begin
            begin(_arrive(Arrival, arrival))

    def _begin_burst(self, accepted: Sequence[tuple[_socket.socket, int, str]]) -> None:
        """Receive from several peers, and then have their first turns taken."""
        service, kind, give_last = self._service, self._kind, self._give_last
        received = [_receive(peer) for peer, _, _ in accepted]
        if received:
            service.look_for_changes()
        for (peer, descriptor, address), octets in zip(accepted, received, strict=True):
            try:
                if octets and give_last and give_last(peer, descriptor, address, octets):
                    continue
                arrival = (peer, descriptor, address, octets, False, kind, False)
                self._begin(_arrive(Arrival, arrival))
            except Exception as fault:
                # The others are served all the same.
                service.loop.end_fault(self, fault)

    def on_deadline(self) -> None:
        """Accept again after a pause."""
        self.deadline = math.inf
        self._service.loop.modify(self.descriptor, READABLE)

    def on_fault(self, fault: Exception) -> None:
        """Listen on: the fault is that of one arrival."""

    def close(self) -> None:
        """Accept no more."""
        self._service.loop.remove(self.descriptor)
        self._socket.close()

    def _accept_burst(self) -> list[tuple[_socket.socket, int, str]]:
        """Return what was accepted: sockets, descriptors, and addresses if they are needed."""
        wanted = self._burst
        accepted: list[tuple[int, object]] = []
        is_drained = False
        try:
            while len(accepted) < wanted:
                accepted.append(self._socket._accept())  # type: ignore[attr-defined]
        except BlockingIOError:
            is_drained = True
        except OSError as error:
            if not accepted:
                self._note_miss(error)
        if len(accepted) < wanted:
            self._burst = len(accepted) or 1
            self._lone = _LONE
        else:
            self._burst = min(2 * wanted, BURST)
        self._note_crowd()
        arrivals = []
        for descriptor, name in accepted:
            peer = self._open(descriptor)
            if peer is not None:
                address = read_address(name) if self._needs_addresses else ""
                arrivals.append((peer, descriptor, address))
        if is_drained and accepted:
            self._is_queue_older = False
        return arrivals

    def _open(self, descriptor: int) -> _socket.socket | None:
        """Return the socket of a peer that was accepted; None if it cannot be served."""
        self._is_exhausted = False
        if descriptor >= self._descriptor_limit:
            self._refuse(descriptor)
            return None
        peer = _socket.socket(self._family, SOCK_STREAM, 0, descriptor)
        if self._is_queue_older:
            _bound_unsent(peer, self._unsent_octets_limit)
        return peer

    def _note_miss(self, error: OSError) -> None:
        """Note that nothing could be accepted; pause if there is no room."""
        self._burst = 1
        self._lone = _LONE
        if error.errno in _EXHAUSTED and not self._make_room():
            self._pause(error)
        # Else none is there, or the peer went away while it waited (ECONNABORTED and others, accept(2)).

    def _note_crowd(self) -> None:
        """Bound what may wait for each peer, as many as they are."""
        octets_limit = bound_unsent_octets(len(self._service.peers))
        if octets_limit != self._unsent_octets_limit:
            self._bound_unsent(octets_limit)

    def _refuse(self, descriptor: int) -> None:
        """Close a descriptor that the poller cannot watch, and say so."""
        os.close(descriptor)
        self._service.report(
            f"refused a connection: this poller cannot watch descriptors from "
            f"{self._descriptor_limit} on"
        )

    def _bound_unsent(self, octets_limit: int) -> None:
        """Bound what waits in the kernel for each peer that comes from now on.

        Accepted sockets inherit the option when they connect (tcp(7)): those that wait to be accepted, a
        burst of thousands perhaps, have connected already.
        """
        self._unsent_octets_limit = octets_limit
        self._is_queue_older = self._family != socket.AF_UNIX
        if self._is_queue_older:
            _bound_unsent(self._socket, octets_limit)

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a second: what waits would be reported again and again."""
        if not self._is_exhausted:
            self._is_exhausted = True
            self._service.report(
                f"cannot accept more connections now ({error.strerror}); "
                f"serving the {len(self._service.peers)} that are open"
            )
        self._service.loop.modify(self.descriptor, 0)
        self.deadline = self._service.clock.now + _PAUSE_SECONDS
        self._service.loop.note_deadline(self, self.deadline)
