"""The door of a service: arrivals pass it while there is room, and what makes room when there is none.

Beyond the limits a peer gets a short answer 503, in one send that waits for nothing, and all others are
served on. Before that happens the connections that nothing uses are closed, the one that has been
idle for longest first; and where none is idle, the network that has most gives way (`eviction`).

Facts: that there is no room is rare, and being idle begins and ends with every request.
Decision: no list of the idle is kept. When room is needed the longest idle `_FOUND` are looked for
among all, and closed one by one as need be.
Consequence: a connection that becomes idle, or busy, costs nothing for this.
Price: the scan costs some 0.1 microseconds for each connection, so its rate is bounded (`scan_throttle`).
"""

import heapq
from collections.abc import Callable
from operator import attrgetter
from typing import Final, TypeAlias

from epollo.connections.addresses import ask_address
from epollo.connections.contract import Peer
from epollo.connections.eviction import Eviction
from epollo.connections.scan_throttle import ScanThrottle
from epollo.connections.service import Service
from epollo.connections.throttled_report import EVERY_SECONDS, ThrottledReport
from epollo.linux.descriptors import raise_descriptor_limit
from epollo.named_tuples import NamedTuple
from epollo.transports import PLAIN, Kind, Transport

RECEIVE_OCTETS: Final = 32 * 1024
"""At most this much is received in one turn."""
_FOUND: Final = 1024

_RESERVED_DESCRIPTORS_LIMIT: Final = 8192


class Arrival(NamedTuple):
    """A peer that was accepted, on its way through the stages of its listener."""

    transport: Transport
    descriptor: int
    address: str = ""
    """Empty for a unix-domain socket's peer, which has none (unix(7))."""
    received: bytes = b""
    """Its first octets, where they were received already; changes were looked for after that."""
    is_reported: bool = False
    """Whether its first octets were there when the poller reported, so that no look is needed."""
    kind: Kind = PLAIN


Stage: TypeAlias = Callable[[Arrival], None]
"""What takes an arrival on: a preamble, a handshake, the door, a protocol."""


def claim_descriptors() -> int:
    """Have as many descriptors as may be; return how many connections suit that.

    A quarter, 8,192 at most, is left for files: kept content, and what is being sent.
    """
    descriptors = raise_descriptor_limit()
    return max(1, descriptors - min(descriptors // 4, _RESERVED_DESCRIPTORS_LIMIT))


class Door:
    """The stage that admits arrivals: ``serve`` takes those on that pass, ``turn_away`` the others."""

    __slots__ = (
        "_eviction",
        "_idle",
        "_limit",
        "_scans",
        "_serve",
        "_service",
        "_tell",
        "_turn_away",
    )

    def __init__(self, service: Service, serve: Stage, turn_away: Stage) -> None:
        self._service = service
        self._serve = serve
        self._limit = service.capacity.connections
        self._turn_away = turn_away
        self._eviction = Eviction(service.peers, service.loop)
        # The longest idle last, each with the deadline that it had when it was found.
        self._idle: list[tuple[float, Peer]] = []
        self._scans = ScanThrottle(service.clock)
        self._tell = ThrottledReport(service.clock, service.report).tell

    def admit(self, arrival: Arrival) -> None:
        """Have a peer served, or turn it away."""
        service = self._service
        count = len(service.peers)
        if count >= self._limit and not (self.make_room() or self._evict(arrival)):
            self._report(f"refused a client with 503: {count:,} connections are open")
            self._turn_away(arrival)
            return
        if service.addresses is not None and not service.addresses.enter(arrival.address):
            limit = service.addresses.limit
            self._report(
                f"refused a client with 503: {arrival.address} has {limit:,} connections open"
            )
            self._turn_away(arrival)
            return
        self._serve(arrival)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest; return whether there was one."""
        while True:
            while self._idle:
                deadline, peer = self._idle.pop()
                # One that was used since is not the one that has been idle for longest any more.
                if peer.deadline == deadline and peer.try_give_way():
                    self._scans.note_closing()
                    return True
            if not self._scans.may_begin:
                return False
            self._scan()
            if not self._idle:
                return False

    def _scan(self) -> None:
        peers = self._service.peers
        self._scans.begin(len(peers))
        found = heapq.nsmallest(
            _FOUND, (peer for peer in peers if peer.is_idle), key=attrgetter("deadline")
        )
        self._idle = [(peer.deadline, peer) for peer in reversed(found)]

    def _evict(self, arrival: Arrival) -> bool:
        """Close a connection of a network that has more for this peer; return whether there was one."""
        address = arrival.address or ask_address(arrival.descriptor)
        had = self._eviction.make_room(address)
        if had:
            self._report(
                f"closed a connection of an address that has {had:,}, to make room for another address"
            )
        return had > 0

    def _report(self, what: str) -> None:
        self._tell(f"{what}; this line is printed at most once in {EVERY_SECONDS} seconds")
