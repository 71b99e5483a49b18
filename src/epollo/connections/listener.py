"""The listening socket: who knocks is let in, one at a time.

Facts: the listener is reported for as long as somebody waits, and with TCP_DEFER_ACCEPT (tcp(7)) the
kernel wakes us only when octets of the request are there.
Decision: one ``accept`` a turn, and the first ``recv`` right after it.
Consequence: no call that finds nothing; and whoever is answered in this batch had sent its request
before ``poll`` returned, so that no file change which it could know of is missed.
"""

import _socket
import errno
import math
import socket
from typing import Final

from epollo.connections.admission import Admission
from epollo.connections.service import Service
from epollo.errors import describe_fault
from epollo.loop import READABLE

# There is no room for another descriptor or its memory (accept(2)).
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_CROWD: Final = 128
"""From so many connections on, what may wait in the kernel for each is bounded."""
_CROWD_UNSENT_OCTETS: Final = 32 * 1024 * 1024
"""What may wait for all who come while their number doubles once."""
_UNSENT_OCTETS_MINIMUM: Final = 16 * 1024
_PAUSE_SECONDS: Final = 1.0
_MAPPED: Final = "::ffff:"
"""Before an IPv4 address that an IPv6 socket tells (RFC 4291 section 2.5.5.2)."""


def bound_unsent_octets(connections: int) -> int:
    """Return how much may wait in the kernel for a peer that comes when so many are there.

    0 leaves it to the system. Few may have much, many have little each, so that all together have
    hardly more however many there are.
    """
    if connections < _CROWD:
        return 0
    doublings = connections.bit_length() - 1
    return max(_UNSENT_OCTETS_MINIMUM, _CROWD_UNSENT_OCTETS >> doublings)


class Listener:
    """The handler of one listening socket."""

    __slots__ = (
        "_admission",
        "_descriptor_limit",
        "_family",
        "_is_exhausted",
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
        descriptor_limit: float = math.inf,
        admission: Admission | None = None,
    ) -> None:
        self._socket = listening
        self._family = listening.family
        self._service = service
        self._admission = Admission(service) if admission is None else admission
        self._descriptor_limit = descriptor_limit
        """The first descriptor that the poller cannot name."""
        self._is_exhausted = False
        self._unsent_octets_limit = 0
        self.descriptor = listening.fileno()
        self.deadline: float = math.inf
        service.loop.add(self.descriptor, self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Let one peer in and take its first turn."""
        try:
            # What socket.accept does besides costs a third of the whole (a Python-level object,
            # a second look at the family): we need the descriptor alone.
            descriptor, name = self._socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _EXHAUSTED and not self._admission.make_room():
                self._pause(error)
            # Else the peer went away while it waited (ECONNABORTED and others, accept(2)).
            return
        self._is_exhausted = False
        if self._service.connections >= _CROWD or self._unsent_octets_limit:
            self._bound_unsent(bound_unsent_octets(self._service.connections))
        peer = _socket.socket(self._family, socket.SOCK_STREAM, 0, descriptor)
        if descriptor >= self._descriptor_limit:
            peer.close()
            self._service.report(
                f"refused a connection: this poller cannot watch descriptors from "
                f"{self._descriptor_limit} on"
            )
            return
        address = ""
        # A unix-domain socket's peer has no name (unix(7)); with IPv4 it may be written as IPv6.
        if self._admission.needs_addresses and isinstance(name, tuple):
            address = name[0].removeprefix(_MAPPED)
        self._admission.welcome(peer, descriptor, address)

    def on_deadline(self) -> None:
        """Accept again after a pause."""
        self.deadline = math.inf
        self._service.loop.modify(self.descriptor, READABLE)

    def on_fault(self, fault: Exception) -> None:
        """Say that there was a bug, and go on listening."""
        self._service.report(describe_fault(fault))

    def close(self) -> None:
        """Let nobody in any more."""
        self._service.loop.remove(self.descriptor)
        self._socket.close()

    def _bound_unsent(self, octets_limit: int) -> None:
        """Bound what waits in the kernel for each peer that comes from now on (tcp(7)).

        Facts: what is sent waits there until the peer takes it, up to four megabytes, and takes 2.4
        times its octets where the peer has the segments small. Where all of it reaches a limit (the
        second of tcp_mem, tcp(7); here 1.5 GB), the kernel holds everyone back for seconds.
        Decision: accepted sockets inherit the bound, which is closer the more there are.
        Consequence: two thousand peers that take nothing hold 0.9 GB, half of it the first 128, and
        ten thousand hardly more.
        Price: of a large download to one of a crowd, about as much CPU time again.
        """
        if octets_limit == self._unsent_octets_limit:
            return
        self._unsent_octets_limit = octets_limit
        if self._family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, octets_limit)

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a second: those who wait would be reported again and again."""
        if not self._is_exhausted:
            self._is_exhausted = True
            self._service.report(
                f"cannot accept more connections now ({error.strerror}); "
                f"serving the {self._service.connections} that are open"
            )
        self._service.loop.modify(self.descriptor, 0)
        self.deadline = self._service.clock.now + _PAUSE_SECONDS
        self._service.loop.note_deadline(self.descriptor, self.deadline)
