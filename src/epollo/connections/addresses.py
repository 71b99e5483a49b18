"""The address of a peer, what it counts as, and how many connections each has open.

A peer of IPv4 has one address, and may share it with others. A peer of IPv6 has a /64 at the least, and
may use another address of it for each connection (RFC 6177, RFC 7934): an address of IPv6 counts as its
/64.
"""

import _socket
import socket
from collections.abc import Callable
from operator import not_

from epollo.annotations import Final, TypeAlias

Network: TypeAlias = str | bytes
"""An address of IPv4, or the first eight octets of one of IPv6; empty for none."""

_MAPPED: Final = "::ffff:"
"""What an IPv6 socket writes before an address of IPv4 (RFC 4291 section 2.5.5.2)."""


def read_address(name: object) -> str:
    """Return the address in the name of a peer."""
    # The peer of a unix-domain socket has no name (unix(7)).
    return str(name[0]).removeprefix(_MAPPED) if isinstance(name, tuple) else ""


def ask_address(descriptor: int) -> str:
    """Return the address of the peer of a socket (getpeername(2)), empty if it has none any more."""
    one = _socket.socket(fileno=descriptor)
    try:
        return read_address(one.getpeername())
    except OSError:
        return ""
    finally:
        one.detach()


def network_of(address: str) -> Network:
    """Return what an address counts as."""
    if ":" not in address:
        return address
    try:
        # A zone, as in fe80::1%eth0, is no part of the address (RFC 4007 section 11).
        return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8]
    except OSError:
        return address


class Addresses:
    """Counts by network; only networks with open connections take room.

    ``is_shared`` returns whether an address is that of a proxy, whose connections are those of many
    clients and are not counted.
    """

    __slots__ = ("_counts", "_is_shared", "limit")

    def __init__(self, limit: int, is_shared: Callable[[str], bool] = not_) -> None:
        self.limit = limit
        self._is_shared = is_shared
        self._counts: dict[Network, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more connection; return False if its network has as many as the limit already.

        A peer without an address, of a unix-domain socket, is not counted.
        """
        if not address or self._is_shared(address):
            return True
        network = network_of(address)
        count = self._counts.get(network, 0)
        if count >= self.limit:
            return False
        self._counts[network] = count + 1
        return True

    def leave(self, address: str) -> None:
        """Count one connection less."""
        if self._is_shared(address):
            return
        network = network_of(address)
        count = self._counts[network] - 1
        if count:
            self._counts[network] = count
        else:
            del self._counts[network]

    def __len__(self) -> int:
        return len(self._counts)
