"""A session by OpenSSL, as Python has it (`ssl.SSLObject` over memory).

Unlike ``SSLSocket``, this leaves flags, partial sends and the file descriptor to `TlsTransport`.

Kernel TLS. Facts: OpenSSL turns it on only for a socket of its own. To set the keys here (TLS_TX) would
take secrets that Python writes only to a file, the number of the record at which the kernel continues,
and an answer to each request for new keys. After a mistake, content is sent in the clear, or two
records have one nonce.
Decision: the process encrypts. Price: 10 MiB is copied twice more than ``sendfile`` would.

Buffers. Fact: a buffer in memory never shrinks (BIO_s_mem(3)): after an answer of 100 KiB it takes 81
KiB for as long as its connection lasts.
Decision: all sessions of a loop use the same two buffers, and each call leaves them empty. A session
whose handshake a thread makes uses them from the end of the handshake on. Price: that takes four more
calls of the library; where these cannot be made, such a session keeps its own buffers.

Large files. Facts: by way of a buffer, content is copied twice more than by the library's own sends,
and the copies push each other out of the cache. 10 MiB by a buffer took 1.13 and 1.19 times what nginx
took; by the library's sends 0.94 and 1.05 times (medians of two runs on a busy machine, each of both
ways).
Decision: parts of 64 KiB and more are written to the socket, record by record (`Session.write`), if the
library can be called in this way.
"""

import contextlib
import ssl
from collections.abc import Iterable
from ssl import SSLWantReadError

from epollo.annotations import Any, Final
from epollo.linux.openssl import say_end, set_buffers, set_outgoing, set_socket
from epollo.transports.client_certificates import format_subject
from epollo.transports.session import RECORD_OCTETS, Buffers

_DROPPED_OCTETS: Final = 4096


class OpensslSession:
    """A session by OpenSSL; its methods are those of the contract (`session.Session`)."""

    __slots__ = (
        "_engine",
        "incoming",
        "is_complete",
        "is_direct",
        "is_ended",
        "outgoing",
    )

    def __init__(self, context: ssl.SSLContext, buffers: Buffers | None = None) -> None:
        """Without ``buffers``, which sessions of one thread share, a session has its own."""
        if buffers is None:
            buffers = Buffers()
        self.incoming = buffers.incoming
        """What was received behind the handshake, while it is ``pending``."""
        self.outgoing = buffers.outgoing
        """What `take` returns; nothing while it is not ``pending``."""
        # What `ssl.SSLObject` does besides is to call it: two frames less for each request, and four for
        # each connection.
        # The last argument is ``server_side``.
        self._engine: Any = context._wrap_bio(  # type: ignore[attr-defined]
            self.incoming, self.outgoing, True
        )
        self.is_complete = False
        """Whether the handshake is over."""
        self.is_direct = False
        """Whether what is written goes to a socket, and nothing to what `take` returns."""
        self.is_ended = False
        """Whether the peer said that no more follows (RFC 8446 section 6.1)."""

    def shake_hands(self, octets: bytes) -> bytes:
        """Continue the handshake with what the peer sent; return what it is to be sent.

        Raises `ssl.SSLError` if it failed; the alert that says so is to be taken.
        """
        self.incoming.write(octets)
        try:
            self._engine.do_handshake()
            self.is_complete = True
        except SSLWantReadError:
            pass
        except BaseException as fault:
            _drop(self.incoming)
            if not isinstance(fault, ssl.SSLError):
                _drop(self.outgoing)
            raise
        try:
            return self.outgoing.read()
        except MemoryError:
            _drop(self.outgoing)
            raise

    def share(self, buffers: Buffers) -> None:
        """Use buffers that other sessions of this thread use too; its own have to be empty."""
        if self.incoming is not buffers.incoming and set_buffers(
            self._engine, buffers.incoming, buffers.outgoing
        ):
            self.incoming, self.outgoing = buffers.incoming, buffers.outgoing

    def begin_direct(self, descriptor: int) -> bool:
        """Have `write` send to a non-blocking socket from now on; return whether the library can."""
        self.is_direct = self.is_direct or set_socket(self._engine, descriptor)
        return self.is_direct

    def end_direct(self) -> None:
        """Let what is to be sent wait for `take` again."""
        set_outgoing(self._engine, self.outgoing)
        self.is_direct = False

    def write(self, plain: bytes | memoryview) -> None:
        """Protect plain octets and send them, record by record, to the socket.

        Raises `BlockingIOError` if it does not take all of them; the next call is to have the same
        octets then. Raises `OSError` if the peer is gone.
        """
        try:
            self._engine.write(plain)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None

    def receive(self, octets: bytes) -> bytes:
        """Return the plain octets of what the peer sent; none where no record is complete.

        What the library says to it waits until `take`. Raises `ssl.SSLError` if it is no TLS, or not
        what the peer's keys protect.
        """
        incoming = self.incoming
        plain = b""
        try:
            incoming.write(octets)
            # A call returns the whole of a record, and most requests are one. To be told by an error that
            # no other follows costs as much as to decrypt a request.
            part = plain = self._engine.read(RECORD_OCTETS)
            while part and incoming.pending:
                part = self._engine.read(RECORD_OCTETS)
                plain += part
            if not part:
                self.is_ended = True
        except SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        except BaseException:
            _drop(incoming)
            raise
        if self.is_ended:
            _drop(incoming)
        return plain

    def protect(self, plain: bytes | memoryview) -> bytes:
        """Return plain octets as the peer is to get them, in records of their own.

        What `take` would have returned comes before them.
        """
        try:
            self._engine.write(plain)
            return self.outgoing.read()
        except BaseException:
            # Another session that uses the buffer would send it to its own peer.
            _drop(self.outgoing)
            raise

    def protect_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """Return several parts as `protect` does, together."""
        try:
            for part in parts:
                self._engine.write(part)
            return self.outgoing.read()
        except BaseException:
            _drop(self.outgoing)
            raise

    def say_end(self) -> bytes:
        """Return what `take` would have, and that no more follows (close_notify)."""
        if not say_end(self._engine):
            # It raises an error if the peer has not said so yet, or has broken off.
            with contextlib.suppress(ssl.SSLError):
                self._engine.shutdown()
        return self.take()

    def take(self) -> bytes:
        """Return what is to be sent to the peer: protected content, handshake, tickets, alerts."""
        try:
            return self.outgoing.read()
        except MemoryError:
            # Another session that uses the buffer would send it to its own peer.
            _drop(self.outgoing)
            raise

    @property
    def protocol(self) -> str | None:
        """What is spoken, by the names of ALPN; None if the client did not say."""
        return self._engine.selected_alpn_protocol()  # type: ignore[no-any-return]

    def find_subject(self) -> str:
        """Return whose certificate the client has shown, as a log tells it; empty without one."""
        return format_subject(self._engine.getpeercert())


def _drop(buffer: ssl.MemoryBIO) -> None:
    """Empty a buffer, in parts: there may be no memory for all of it."""
    while buffer.pending:
        buffer.read(_DROPPED_OCTETS)
