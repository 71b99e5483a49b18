"""How often each address may be wrong about a password."""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.generations import Generations

AT_ONCE: Final = 10
"""The guesses that an address has before it has to wait."""
EVERY_SECONDS: Final = 6.0
"""After these it has one more each time that this has passed."""

_ADDRESSES_LIMIT: Final = 16_384


class Guesses:
    """The guesses of each address, bounded in memory.

    ``network_of`` returns what an address counts as: all addresses that one client may use are one.
    """

    def __init__(self, network_of: Callable[[str], str | bytes]) -> None:
        self._network_of = network_of
        # By network, the instant at which all of its guesses are forgotten.
        self._until: Generations[str | bytes, float] = Generations(
            entries_limit=_ADDRESSES_LIMIT, octets_limit=0
        )

    def find_wait(self, address: str, now: float) -> float:
        """Return how many seconds an address has to wait before it may guess; 0 if it may now."""
        until = self._until.get(self._network_of(address)) or now
        return max(0.0, until - now - (AT_ONCE - 1) * EVERY_SECONDS)

    def note(self, address: str, now: float) -> None:
        """Count a guess."""
        network = self._network_of(address)
        until = self._until.get(network) or now
        self._until.put(network, max(until, now) + EVERY_SECONDS)

    def take_back(self, address: str) -> None:
        """Count a guess no longer: it was right."""
        network = self._network_of(address)
        until = self._until.get(network)
        if until is not None:
            self._until.put(network, until - EVERY_SECONDS)
