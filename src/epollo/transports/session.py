"""One TLS session without a socket: protected octets in, plain octets out, and the reverse.

A thread may do the expensive part of a handshake, since a session knows no descriptor and no loop. Which
library it is of is decided for each certificate (`certificates`).
"""

import ssl
from collections.abc import Callable, Iterable

from epollo.annotations import Any, Final, Protocol, TypeAlias

RECORD_OCTETS: Final = 16 * 1024
"""The most plain octets of one record (RFC 8446 section 5.1)."""
PIECE_OCTETS: Final = 4 * RECORD_OCTETS
"""At most this much is sent at once, and waits for a peer that takes nothing."""
ENDED: Final[Any] = None
"""In the place of a session that is over: one takes up to 30 KiB."""


class Waiting(Protocol):
    """Octets that wait, as `ssl.MemoryBIO` says it."""

    @property
    def pending(self) -> int:
        """Not 0 while there are any."""


class Buffers:
    """What is received and what is to be sent, of the sessions that are served by one thread."""

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


class Session(Protocol):
    """The server's side of one TLS connection.

    What is to be sent to the peer waits until `take` returns it. Not to be used by two threads at once.
    """

    @property
    def incoming(self) -> Waiting:
        """What was received behind the handshake, until `receive` returns it."""

    @property
    def outgoing(self) -> Waiting:
        """What `take` returns."""

    @property
    def is_complete(self) -> bool:
        """Whether the handshake is over."""

    @property
    def is_direct(self) -> bool:
        """Whether what is written goes to a socket, and nothing to what `take` returns."""

    @property
    def is_ended(self) -> bool:
        """Whether the peer said that no more follows (RFC 8446 section 6.1)."""

    @property
    def protocol(self) -> str | None:
        """What is spoken, by the names of ALPN; None if the client did not say."""

    def shake_hands(self, octets: bytes) -> bytes:
        """Continue the handshake with what the peer sent; return what it is to be sent.

        Raises `ssl.SSLError` if it failed; the alert that says so is to be taken.
        """

    def share(self, buffers: Buffers) -> None:
        """Use buffers that other sessions of this thread use too; its own have to be empty."""

    def receive(self, octets: bytes) -> bytes:
        """Return the plain octets of what the peer sent; none where no record is complete.

        What the library says to it waits until `take`. Raises `ssl.SSLError` if it is no TLS, or not
        what the peer's keys protect.
        """

    def protect(self, plain: bytes | memoryview) -> bytes:
        """Return plain octets as the peer is to get them, in records of their own.

        What `take` would have returned comes before them.
        """

    def protect_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """Return several parts as `protect` does, together."""

    def say_end(self) -> bytes:
        """Return what `take` would have, and that no more follows (close_notify)."""

    def take(self) -> bytes:
        """Return what is to be sent to the peer: protected content, handshake, tickets, alerts."""

    def begin_direct(self, descriptor: int) -> bool:
        """Have `write` send to a non-blocking socket from now on; return whether the library can."""

    def end_direct(self) -> None:
        """Let what is to be sent wait for `take` again."""

    def write(self, plain: bytes | memoryview) -> None:
        """Protect plain octets and send them, record by record, to the socket.

        Raises `BlockingIOError` if it does not take all of them; the next call is to have the same
        octets then. Raises `OSError` if the peer is gone.
        """

    def find_subject(self) -> str:
        """Return whose certificate the client has shown, as a log tells it; empty without one."""


MakeSession: TypeAlias = Callable[[Buffers | None], Session]
"""Begins a session; without buffers, which sessions of one thread share, it has its own."""
