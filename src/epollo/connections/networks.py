"""Networks, as an operator names them: whose peers are proxies that are trusted."""

import ipaddress
from typing import TypeAlias

from epollo.errors import OperatorError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(text: str) -> list[Network]:
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
            ) from None
    return networks
