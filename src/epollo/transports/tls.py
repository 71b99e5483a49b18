"""A transport over TLS: a plain socket, and the session that protects what goes through it.

A socket takes any part of what is protected, but a record is worth nothing in part. So a piece counts
as sent when the socket has all of it. Until then `send` says that the peer takes nothing now, and the
caller comes back with the same octets; it can do nothing else, for they are the next ones.

No plain octets wait here: each `recv` returns all that the records which are complete contain.
"""

import contextlib
import ssl
from _socket import MSG_DONTWAIT, MSG_PEEK
from collections.abc import Iterable, Iterator

from epollo.annotations import Any, Final
from epollo.transports.contract import LAST, Buffer, Kind, Transport
from epollo.transports.session import ENDED, PIECE_OCTETS, RECORD_OCTETS, Buffers, Session

_OWED_OCTETS_LIMIT: Final = 128 * 1024
"""At most this much of a piece, and of what the library says by itself, waits for a peer."""
TLS: Final = Kind(b"https", sends_files=False, scope=b"https")
"""A socket whose content is protected by TLS."""


class TlsTransport:
    """A socket and its session; ``unsent`` is protected already and comes before all else."""

    __slots__ = (
        "_accepted",
        "_has_said_end",
        "_may_be_direct",
        "_rest",
        "_session",
        "_socket",
        "_unsent",
    )

    def __init__(
        self,
        plain: Transport,
        session: Session,
        unsent: bytes = b"",
        buffers: Buffers | None = None,
    ) -> None:
        self._socket = plain
        self._session = session
        if buffers is not None and session.incoming is not buffers.incoming:
            session.share(buffers)
        self._unsent: tuple[Buffer, ...] = (unsent,) if unsent else ()
        # How many of the plain octets that the caller will pass again are part of what is unsent.
        self._accepted = 0
        # Plain octets that the library has begun to send by itself.
        self._rest: Buffer | None = None
        self._may_be_direct = False
        self._has_said_end = False

    def recv(self, limit: int, flags: int = 0, /) -> bytes:
        """Return the plain octets that are here; none at the end.

        They may be a little more than ``limit`` if a record began earlier. With MSG_PEEK they are as
        they came, and say only that there are some. Raises `BlockingIOError` if no record is
        complete, and `ConnectionAbortedError` where the peer does not take the replies of the library
        that it causes.
        """
        # Compared, since the interpreter does that without a call: these are the flags nearly always.
        if flags == MSG_DONTWAIT:
            octets = self._socket.recv(limit, MSG_DONTWAIT)
        else:
            octets = self._socket.recv(limit, flags | MSG_DONTWAIT)
            if flags & MSG_PEEK:
                return octets
        if not octets or self._has_said_end:
            return octets
        session = self._session
        if session.is_ended:
            return b""
        if session.is_direct and self._rest is None:
            session.end_direct()
        try:
            plain = session.receive(octets)
        except ssl.SSLError:
            # The alert that says why is sent at the end; no other session may find it in the buffer.
            self._unsent = (*self._unsent, session.take())
            raise
        if session.outgoing.pending:
            # What came was refused with an alert; some alerts end nothing.
            answer = b"".join((*self._unsent, session.take()))
            self._unsent = ()
            with contextlib.suppress(BlockingIOError):
                self._flush(answer)
            if sum(map(len, self._unsent)) > _OWED_OCTETS_LIMIT:
                raise ConnectionAbortedError
        if plain or session.is_ended:
            return plain
        raise BlockingIOError

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Take plain octets; return how many the socket has as records."""
        octets = len(data)
        if self._accepted or octets > RECORD_OCTETS:
            return self._send_long(data, flags)
        session = self._session
        if session.is_direct:
            session.end_direct()
        protected = session.protect(data)
        if flags != MSG_DONTWAIT and flags & LAST and not self._has_said_end:
            self._has_said_end = True
            protected += session.say_end()
        if self._unsent:
            protected = b"".join((*self._unsent, protected))
            self._unsent = ()
        try:
            sent = self._socket.send(protected, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(protected):
            return octets
        self._accepted = octets
        self._unsent = (protected[sent:],)
        raise BlockingIOError

    def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancillary: Iterable[Any] = (),
        flags: int = 0,  # noqa: ARG002 - it never waits
        /,
    ) -> int:
        """Take plain octets of several buffers; otherwise like `send`.

        Short ones share a record; longer ones are not copied.
        """
        assert not ancillary  # noqa: S101 - no caller has any
        if self._accepted:
            self._flush()
            sent, self._accepted = self._accepted, 0
            return sent
        if self._session.is_direct:
            self._session.end_direct()
        sent = held = 0
        parts: list[Buffer] = []
        try:
            for plain in _cut(buffers):
                parts.append(plain)
                held += len(plain)
                if held >= PIECE_OCTETS:
                    self._send_piece(parts, held)
                    parts = []
                    sent += held
                    held = 0
            if held:
                self._send_piece(parts, held)
        except BlockingIOError:
            if not sent:
                raise
            return sent
        return sent + held

    def shutdown(self, how: int, /) -> None:
        """Say that no more follows, in the session first (RFC 8446 section 6.1)."""
        self._say_end()
        self._socket.shutdown(how)

    def setblocking(self, flag: bool, /) -> None:
        """Note whether the socket is one that does not wait; no call waits, whatever is set."""
        self._may_be_direct = not flag

    def fileno(self) -> int:
        """Return the descriptor that a poller watches."""
        return self._socket.fileno()

    def close(self) -> None:
        """Say that no more follows, if that was not said, and give the descriptor back."""
        if not self._has_said_end:
            try:
                self._say_end()
            except OSError:
                self._unsent = ()
        self._socket.close()
        # What is closed stays in memory until the second of its deadline is over (`loop.timers`); a
        # session takes 30 KiB.
        self._session = ENDED
        self._unsent = ()
        self._rest = None

    def _say_end(self) -> None:
        if self._has_said_end:
            return
        self._has_said_end = True
        session = self._session
        if session.is_direct and self._rest is None:
            session.end_direct()
        octets = session.say_end()
        if self._unsent or self._rest is not None:
            with contextlib.suppress(BlockingIOError):
                self._flush(octets)
            return
        try:
            sent = self._socket.send(octets, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(octets):
            self._unsent = (octets[sent:],)

    def _send_long(self, data: Buffer, flags: int) -> int:
        """Take octets of several records; otherwise like `send`.

        The library sends large parts by itself, so that they are copied neither to a buffer nor from it.
        """
        octets = len(data)
        if self._accepted or octets < PIECE_OCTETS or not self._begin_direct():
            return self.sendmsg((data,), (), flags)
        self._flush()
        try:
            self._session.write(data)
        except BlockingIOError:
            self._accepted, self._rest = octets, data
            raise
        return octets

    def _begin_direct(self) -> bool:
        """Have the library send to the socket; return whether it can."""
        session = self._session
        if self._may_be_direct and not session.is_direct:
            # Its calls have no MSG_DONTWAIT.
            self._socket.setblocking(False)
            session.begin_direct(self._socket.fileno())
        return session.is_direct

    def _send_piece(self, parts: Iterable[Buffer], plain_octets: int) -> None:
        """Protect parts and send them; note their octets where not all of it is taken."""
        # All of them by one call, and in one buffer, which `send` takes.
        protected = self._session.protect_parts(parts)
        try:
            self._flush(protected)
        except BlockingIOError:
            self._accepted = plain_octets
            raise

    def _flush(self, *parts: Buffer) -> None:
        """Send what is unsent, and parts behind it. Raises `BlockingIOError` if some is left."""
        if self._rest is not None:
            self._session.write(self._rest)
            self._rest = None
        unsent = (*self._unsent, *parts)
        self._unsent = unsent
        if not unsent:
            return
        if len(unsent) == 1:
            sent = self._socket.send(unsent[0], MSG_DONTWAIT)
        else:
            sent = self._socket.sendmsg(unsent, (), MSG_DONTWAIT)
        if sent < sum(map(len, unsent)):
            self._unsent = tuple(_skip(unsent, sent))
            raise BlockingIOError
        self._unsent = ()


def _skip(parts: Iterable[Buffer], octets: int) -> Iterator[Buffer]:
    """Yield parts without their first octets."""
    for part in parts:
        if octets < len(part):
            yield memoryview(part)[octets:] if octets else part
        octets = max(0, octets - len(part))


def _cut(buffers: Iterable[Buffer]) -> Iterator[Buffer]:
    """Yield the octets of buffers: a record where short ones are joined, else whole records uncopied."""
    joined: list[Buffer] = []
    room = RECORD_OCTETS
    for buffer in buffers:
        view = memoryview(buffer)
        while len(view) >= room:
            if joined:
                yield b"".join((*joined, view[:room]))
                joined = []
            else:
                room = min(len(view) // RECORD_OCTETS * RECORD_OCTETS, PIECE_OCTETS)
                yield view[:room]
            view = view[room:]
            room = RECORD_OCTETS
        if view:
            joined.append(view)
            room -= len(view)
    if joined:
        yield joined[0] if len(joined) == 1 else b"".join(joined)
