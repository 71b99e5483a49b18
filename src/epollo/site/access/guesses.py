"""How often each address may be wrong about a password."""

import ipaddress
from typing import Final

from epollo.generations import Generations

AT_ONCE: Final = 10
"""The guesses that an address has before it has to wait."""
EVERY_SECONDS: Final = 6.0
"""After these it has one more each time that this has passed."""

_ADDRESSES_LIMIT: Final = 16_384
_IPV6_PREFIX: Final = 64
"""The length of the prefix that one client has for itself (RFC 6177 section 2)."""


class Guesses:
    """The guesses of each address, bounded in memory.

    All addresses of an IPv6 prefix that one client has count as one.
    """

    def __init__(self) -> None:
        # For each address the instant at which all that it guessed would be forgotten.
        self._until: Generations[str, float] = Generations(
            entries_limit=_ADDRESSES_LIMIT, octets_limit=0
        )

    def find_wait(self, address: str, now: float) -> float:
        """Return how many seconds an address has to wait before it may guess; 0 where it may now."""
        until = self._until.get(_find_network(address)) or now
        return max(0.0, until - now - (AT_ONCE - 1) * EVERY_SECONDS)

    def note(self, address: str, now: float) -> None:
        """Count a guess."""
        network = _find_network(address)
        until = self._until.get(network) or now
        self._until.put(network, max(until, now) + EVERY_SECONDS)

    def take_back(self, address: str) -> None:
        """Count a guess no longer: it was right."""
        network = _find_network(address)
        until = self._until.get(network)
        if until is not None:
            self._until.put(network, until - EVERY_SECONDS)


def _find_network(address: str) -> str:
    """Return what stands for all addresses of one client."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        # Of a unix-domain socket's peer there is none.
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(ipaddress.ip_network((parsed.packed, _IPV6_PREFIX), strict=False).network_address)
