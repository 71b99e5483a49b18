"""How much of what is sent may wait for each of many peers.

Facts: what is sent waits in the kernel until the peer takes it, up to four megabytes, and takes 2.4
times its octets where the peer has the segments small. Where all of it reaches a limit (the second of
tcp_mem, tcp(7); here 1.5 GB), the kernel holds every connection back for seconds; and to put it there
takes so long that others wait for their turns.
Decision: few may have much, many have little each. The bound is halved each time that their number
doubles, so that all together have hardly more however many there are.
Consequence: two thousand peers that take nothing hold 0.8 GB, two thirds of it the first 128, and ten
thousand hardly more.
Price: of a large download to one of a crowd, about as much CPU time again.
"""

from typing import Final

_CROWD: Final = 128
"""From this number of connections on, what may wait for each is bounded."""
_CROWD_OCTETS: Final = 16 * 1024 * 1024
"""What may wait for all peers that connect while their number doubles once."""
_OCTETS_MINIMUM: Final = 16 * 1024
_TURN_OCTETS: Final = 256 * 1024
"""A turn with several answers ends when it owes the peer more than this."""


def bound_unsent_octets(connections: int) -> int:
    """Return how many octets may wait for a peer if this many are connected; 0 for no bound."""
    if connections < _CROWD:
        return 0
    doublings = connections.bit_length() - 1
    return max(_OCTETS_MINIMUM, _CROWD_OCTETS >> doublings)


def bound_turn_octets(connections: int) -> int:
    """Return how many octets may be owed to a peer when its turn ends, if this many are connected."""
    return min(_TURN_OCTETS, bound_unsent_octets(connections) or _TURN_OCTETS)
