"""How much of what is sent may wait for each of many peers.

Facts: what is sent waits in the kernel until the peer takes it: up to four megabytes, which take 2.4
times as much memory if the peer asks for small segments. If all of it together reaches a limit (the
second number of tcp_mem, tcp(7); here 1.5 GB), the kernel holds every connection back for seconds. And
while the kernel copies it, others wait for their turns.
Decision: few peers may have much, many have little each. The bound is halved each time that their
number doubles, so all together hold hardly more, however many there are.
Consequence: two thousand peers that take nothing hold 0.8 GB, two thirds of it the first 128. Ten
thousand hold hardly more.
Price: a large download to a peer in a crowd costs about twice the CPU time.
"""

from epollo.annotations import Final

CROWD: Final = 128
"""From this number of connections on, what may wait for each is bounded."""
_CROWD_OCTETS: Final = 16 * 1024 * 1024
"""What may wait for all peers that connect while their number doubles once."""
_OCTETS_MINIMUM: Final = 16 * 1024
_TURN_OCTETS: Final = 256 * 1024
"""A turn with several answers ends when it owes the peer more than this."""


def bound_unsent_octets(connections: int) -> int:
    """Return how many octets may wait for each peer if this many are connected; 0 for no bound."""
    if connections < CROWD:
        return 0
    doublings = connections.bit_length() - 1
    return max(_OCTETS_MINIMUM, _CROWD_OCTETS >> doublings)


def bound_turn_octets(connections: int) -> int:
    """Return how many octets may be owed to a peer when its turn ends, if this many are connected."""
    return min(_TURN_OCTETS, bound_unsent_octets(connections) or _TURN_OCTETS)
