"""Networks as an operator names them; the peers in them are proxies that are trusted."""

import ipaddress

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.generations import Generations

_ADDRESSES_LIMIT: Final = 4096


class Networks:
    """The addresses of some networks; what was found for an address is remembered.

    A peer of a unix-domain socket has no address and counts as inside: the file system decides which
    programs may connect there.
    """

    def __init__(self, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._networks = networks
        # To read an address takes six microseconds, to look it up a quarter of one.
        self._known: Generations[str, bool] = Generations(
            entries_limit=_ADDRESSES_LIMIT, octets_limit=0
        )

    def has(self, address: str) -> bool:
        """Return whether an address is in one of the networks."""
        known = self._known.get(address)
        if known is None:
            known = not address or self._is_within(address)
            self._known.put(address, known)
        return known

    def _is_within(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def parse_networks(text: str) -> Networks:
    """Return the networks of a list with commas: addresses, or CIDR prefixes (RFC 4632).

    Raises `OperatorError` for anything else.
    """
    networks = []
    for word in text.split(","):
        try:
            networks.append(ipaddress.ip_network(word.strip()))
        except ValueError:
            raise OperatorError(
                f"{word.strip()!r} is no address and no network such as 10.0.0.0/8"
                f"{_suggest_network(word.strip())}"
            ) from None
    return Networks(networks)


def _suggest_network(word: str) -> str:
    """Return the network that an address with a prefix length is in, as a question."""
    try:
        return f"; is {ipaddress.ip_network(word, strict=False)} meant?"
    except ValueError:
        return ""
