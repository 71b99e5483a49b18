"""The door of a service: it admits arrivals while there is room, and makes room when there is none.

If there is no room, the connection that has been idle for longest is closed. If none is idle, the
network that has most gives way (`eviction`). If nothing gives way, the arrival gets a short answer 503,
in one send that waits for nothing, and all others are served on.

Facts: a lack of room is rare; a connection becomes idle, and busy again, with every request.
Decision: no list of idle connections is kept. When room is needed, one scan finds the `_FOUND` that
have been idle for longest, and these are closed one by one as need be.
Consequence: a connection that becomes idle, or busy, costs nothing for this.
Price: the scan costs some 0.1 microseconds for each connection, so its rate is bounded
(`scan_throttle`).
"""

import heapq
from collections.abc import Callable
from operator import attrgetter

from epollo.annotations import Final, TypeAlias
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
    """Its first octets, if they were received already; changes were looked for after that."""
    is_reported: bool = False
    """Whether its first octets were there when the poller reported, so that no look is needed."""
    kind: Kind = PLAIN
    is_watched: bool = False
    """Whether the poller watches it, for octets, and the handler of it is to be replaced."""


Stage: TypeAlias = Callable[[Arrival], None]
"""What takes an arrival on: a preamble, a handshake, the door, a protocol."""


def claim_descriptors() -> int:
    """Raise the limit of descriptors as far as it goes; return for how many connections that is enough.

    A quarter, 8,192 at most, is left for files: kept content, and what is being sent.
    """
    descriptors = raise_descriptor_limit()
    return max(1, descriptors - min(descriptors // 4, _RESERVED_DESCRIPTORS_LIMIT))


class Door:
    """The stage that admits arrivals: it hands them to ``serve``, and without room to ``turn_away``."""

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
        # Called as a variable: an attribute that is called is first sought as a method.
        serve = self._serve
        serve(arrival)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest; return whether there was one."""
        while True:
            while self._idle:
                deadline, peer = self._idle.pop()
                # A connection that was used since the scan has another deadline.
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
        """Close a connection of a network that has more; return whether there was one."""
        address = arrival.address or ask_address(arrival.descriptor)
        had = self._eviction.make_room(address)
        if had:
            self._report(
                f"closed a connection of an address that has {had:,}, to make room for another address"
            )
        return had > 0

    def _report(self, what: str) -> None:
        self._tell(f"{what}; this line is printed at most once in {EVERY_SECONDS} seconds")
