"""What a connection needs of a peer's bytes, by the names of ``_socket.socket``.

The plain socket *is* a transport, as ``select.epoll`` is a poller, so that the hot path has no call more.
What differs between transports and is known beforehand is data of the listener (`Kind`), never asked for
at a call.
"""

from _socket import MSG_EOR
from collections.abc import Iterable

from epollo.annotations import Any, Final, Protocol, TypeAlias
from epollo.named_tuples import NamedTuple

Buffer: TypeAlias = bytes | memoryview

LAST: Final = MSG_EOR
"""A flag of `send`: nothing follows these octets but the end (`close`), so that it may go out with them.

TCP sends them as ever. It would hold them back with MSG_MORE (tcp(7)), but a socket that is closed with
octets unread drops what was held back.
"""


class Transport(Protocol):
    """One peer's bytes, in both directions."""

    def recv(self, limit: int, flags: int = 0, /) -> bytes:
        """Return at most ``limit`` bytes; none at the end.

        Raises `BlockingIOError` if nothing is here now, `OSError` where the peer is gone.
        """

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Take bytes for the peer; return how many were taken.

        Raises `BlockingIOError` if none can be taken now, `OSError` where the peer is gone.
        """

    def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancillary: Iterable[Any] = (),
        flags: int = 0,
        /,
    ) -> int:
        """Take bytes of several buffers in their order; otherwise like `send`."""

    def shutdown(self, how: int, /) -> None:
        """Say that no more bytes follow. Raises `OSError` if the peer is gone."""

    def setblocking(self, flag: bool, /) -> None:
        """Let calls return at once instead of waiting, with False."""

    def fileno(self) -> int:
        """Return the descriptor that a poller watches."""

    def close(self) -> None:
        """Give the descriptor back."""


class Kind(NamedTuple):
    """What is known of a transport from its begin: by its listener, but for the subject."""

    scheme: bytes
    """``http`` or ``https`` (RFC 9110 section 4.2)."""
    sends_files: bool
    """Whether ``sendfile`` to the descriptor reaches the peer as content."""
    scope: bytes
    """The scheme; if sites verify clients in different ways, with the number of the way in which this
    one was verified. An answer that was made for one scope is given to no other."""
    subject: str = ""
    """Whose certificate the client has shown; empty without one."""


PLAIN: Final = Kind(b"http", sends_files=True, scope=b"http")
"""A socket without encryption."""


def format_scope(way: int) -> bytes:
    """Return the scope of clients that are verified in this one of several ways, which count from 0."""
    return b"https %d" % way if way else b"https"
