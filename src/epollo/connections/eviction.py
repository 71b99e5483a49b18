"""Which network's connection is closed where all connections are taken and none of them is idle.

Decision: for a peer of a network that has fewer connections, one of the network that has most is
closed. A scan finds that network when it is needed; no connection is counted before.
Consequence: one address that takes all connections with halves of requests keeps no other address out.
Price: the scan costs a system call for each connection whose address is not known, so its rate is bounded
(`scan_throttle`).
"""

import heapq
from collections.abc import Iterable

from epollo.connections.addresses import Network, network_of
from epollo.connections.contract import Peer
from epollo.connections.scan_throttle import SCAN_EVERY_SECONDS, ScanThrottle
from epollo.loop import EventLoop


class Eviction:
    """The number of connections of each network at the last scan, and what gives way first."""

    __slots__ = (
        "_counts",
        "_heap",
        "_loop",
        "_members",
        "_peers",
        "_scans",
    )

    def __init__(self, peers: dict[Peer, None], loop: EventLoop) -> None:
        self._peers = peers
        self._loop = loop
        self._counts: dict[Network, int] = {}
        self._members: list[list[Peer]] = []
        """The peers of each network, the one that gives way first at the end."""
        self._heap: list[tuple[int, int]] = []
        """For each network: how many it has, negative, and where its members are."""
        self._scans = ScanThrottle(loop.clock)

    def make_room(self, address: str) -> int:
        """Close a connection of the network that has most, for a peer of one that will have fewer.

        Return how many it had; 0 if none gives way.
        """
        network = network_of(address)
        if not network:
            return 0
        if self._scans.may_begin:
            self._scan()
        heap = self._heap
        while heap:
            negative, place = heap[0]
            if -negative <= self._counts.get(network, 0) + 1:
                return 0
            members = self._members[place]
            peer = members.pop()
            if members:
                heapq.heapreplace(heap, (negative + 1, place))
            else:
                heapq.heappop(heap)
            if peer in self._peers:
                self._scans.note_closing()
                self._counts[network] = self._counts.get(network, 0) + 1
                peer.give_way()
                return -negative
        return 0

    def _scan(self) -> None:
        self._scans.begin(len(self._peers))
        if not self._heap:
            self._loop.call_at(self._loop.clock.now + SCAN_EVERY_SECONDS, self._forget)
        members: dict[Network, list[Peer]] = {}
        for peer in self._peers:
            network = network_of(peer.find_address())
            if network:
                members.setdefault(network, []).append(peer)
        self._counts = {network: len(peers) for network, peers in members.items()}
        self._members = [_order(peers) for peers in members.values()]
        self._heap = [(-count, place) for place, count in enumerate(self._counts.values())]
        heapq.heapify(self._heap)

    def _forget(self) -> None:
        """Hold no peer that may be gone."""
        self._members.clear()
        self._heap.clear()


def _order(peers: Iterable[Peer]) -> list[Peer]:
    """Return the peers of one network, given in the order of arrival; the last gives way first.

    Those without an answer under way give way first, the longest connected of them at once; then those
    with one, of them the latest first.
    """
    answered: list[Peer] = []
    others: list[Peer] = []
    for peer in peers:
        (answered if peer.is_answered else others).append(peer)
    others.reverse()
    return answered + others
