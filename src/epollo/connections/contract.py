"""What is behind connections, and what they are bound by: the responder, the log, clients, limits."""

import math
from collections.abc import Callable

from epollo.annotations import Protocol, TypeAlias
from epollo.http.message import Later, Request, Response
from epollo.loop import EventLoop, Handler
from epollo.named_tuples import NamedTuple
from epollo.protocols.answer import Answer

Responder: TypeAlias = Callable[[Request], Response | Later]
"""The site, as a connection sees it; if it returns a `Later`, the connection waits for that."""


class Clients(Protocol):
    """What knows clients behind proxies."""

    def is_trusted(self, address: str, /) -> bool:
        """Return whether an address is that of a proxy."""

    def find_client(self, address: str, head: bytes, /) -> str:
        """Return the address of the client that sent this head through a peer with this address."""


class AccessLog(Protocol):
    """Where answers are noted."""

    names_peers: bool
    """Whether the log wants the addresses of the peers."""

    def note(
        self,
        peer: str | None,
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",
    ) -> None:
        """Note an answer that was handed to the kernel, with ``content_octets`` of its content.

        ``head`` is that of the request as it came, or what came in its place. ``begun`` is the instant
        (monotonic, seconds) at which it was received. ``subject`` names the owner of the certificate
        that the client has shown; it is empty without one.
        """

    def begin(self, loop: EventLoop) -> None:
        """Write by this loop from now on."""

    def reopen(self) -> None:
        """Continue with another file of the same name, after a rotation."""

    def close(self) -> None:
        """Write what is not written yet, before the loop is closed."""


class Timeouts(NamedTuple):
    """How long a peer may take, in seconds, and how slow it may be."""

    head: float = 10.0
    """For the whole of a request, from its first octet; and before the first request."""
    idle: float = 75.0
    """Between two requests."""
    send: float = 30.0
    """To take anything at all of what it is owed."""
    linger: float = 2.0
    """To stop sending after the last answer."""
    octets_per_second: float = 0.0
    """At least this much of its answers a peer has to take, averaged over `pace.WINDOW_SECONDS`."""


class Capacity(NamedTuple):
    """How many may be served; 0 stands for no limit."""

    connections: float = math.inf
    """Open at once."""
    per_address: int = 0
    """Open at once from one address."""
    requests: int = 0
    """Answered on one connection."""


class Peer(Handler):
    """What serves one peer: a connection, or a stage before it."""

    __slots__ = ()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return False

    def try_give_way(self) -> bool:
        """Close, so that there is room for another; return whether nothing was under way."""
        return False

    @property
    def is_answered(self) -> bool:
        """Whether an answer is under way."""
        return False

    def find_address(self) -> str:
        """Return the address that this peer came from; empty if it has none."""
        return ""

    def give_way(self) -> None:
        """Close, whatever is under way, so that there is room for another."""
        self.close()

    def on_drain(self) -> None:
        """Close if nothing is under way; otherwise the answer under way is the last one."""
        self.close()
