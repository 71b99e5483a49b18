"""One TLS session without a socket: protected octets in, plain octets out, and the reverse.

The library is OpenSSL by `ssl.SSLObject` over memory. Beside ``SSLSocket`` this leaves flags, partial
sends and the file descriptor to `TlsTransport`, and it lets a thread do the dear part of a handshake.

Kernel TLS. Facts: OpenSSL turns it on for a socket of its own only. To set the keys by ourselves (TLS_TX)
takes secrets that Python tells to a file alone, the number of the record at which the kernel continues,
and an answer to each request for new keys; a mistake in them is content in the clear, or two records
under one nonce.
Decision: the process encrypts. Price: 10 MiB is copied twice more than ``sendfile`` would.

rustls. Facts: ``rtls`` 2026.9.21 (beta) takes some 300 microseconds for a connection where OpenSSL 3.0
takes 405, and 32 where OpenSSL takes 24 for 60 KiB. Its server does not tell close_notify from "nothing
yet", so truncation cannot be noticed; it closes after an error without an alert, serves a client without
a certificate although ``CERT_REQUIRED`` is set, sends tickets that it does not take back, and has one
pair of certificate and key.
Decision: OpenSSL.
"""

import ssl
from itertools import islice
from typing import Final

from epollo.linux.openssl import release_memory
from epollo.transports.client_certificates import format_subject

RECORD_OCTETS: Final = 16 * 1024
"""The most plain octets of one record (RFC 8446 section 5.1)."""
PIECE_OCTETS: Final = 4 * RECORD_OCTETS
"""So much is sent at once, and waits for a peer that takes nothing."""
_RELEASED_LIMIT: Final = 1000
"""The most sessions that give memory back in one second, which takes two milliseconds."""
_READ_OCTETS: Final = 64 * 1024


class Session:
    """The server's side of one TLS connection.

    What is to be sent to the peer waits until `take` returns it. Not to be used by two threads at once.
    """

    __slots__ = ("_incoming", "_object", "is_complete", "is_ended", "outgoing", "verifies_client")

    def __init__(self, context: ssl.SSLContext, *, verifies_client: bool = False) -> None:
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        """What `take` returns; nothing while it is not ``pending``."""
        self._object = context.wrap_bio(self._incoming, self.outgoing, server_side=True)
        self.verifies_client = verifies_client
        """Whether the client is asked for a certificate, which takes long to verify."""
        self.is_complete = False
        """Whether the handshake is over."""
        self.is_ended = False
        """Whether the peer said that no more follows (RFC 8446 section 6.1)."""

    def shake_hands(self, octets: bytes) -> bool:
        """Continue the handshake with what the peer sent; return whether it is complete.

        Raises `ssl.SSLError` where it failed; the alert that says so is to be taken.
        """
        self._incoming.write(octets)
        try:
            self._object.do_handshake()
            self.is_complete = True
        except ssl.SSLWantReadError:
            pass
        return self.is_complete

    def receive(self, octets: bytes) -> bytes:
        """Return the plain octets of what the peer sent; none where no record is complete.

        Raises `ssl.SSLError` where it is no TLS, or not what the peer's keys protect.
        """
        incoming = self._incoming
        incoming.write(octets)
        if not incoming.pending:
            return b""
        plain = b""
        try:
            # A call returns the whole of a record. To be told by an error that no other follows costs
            # as much as to decrypt a request.
            while incoming.pending:
                part = self._object.read(_READ_OCTETS)
                if not part:
                    self.is_ended = True
                    break
                plain += part
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        return plain

    def protect(self, octets: bytes | memoryview) -> bytes:
        """Return plain octets, `PIECE_OCTETS` at the most, as the peer is to get them.

        What `take` would have returned comes before them.
        """
        self._object.write(octets)
        return self.outgoing.read()

    def release(self) -> None:
        """Give back memory that was needed for much at once."""
        release_memory(self.outgoing)

    def say_end(self) -> None:
        """Say that no more follows (close_notify)."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            # The peer has not said so yet, or has broken off.
            return

    def take(self) -> bytes:
        """Return what is to be sent to the peer: protected content, handshake, tickets, alerts."""
        return self.outgoing.read() if self.outgoing.pending else b""

    @property
    def protocol(self) -> str | None:
        """What is spoken, by the names of ALPN; None where the client did not say."""
        return self._object.selected_alpn_protocol()

    def find_subject(self) -> str:
        """Return whose certificate the client has shown, as a log tells it; empty without one."""
        return format_subject(self._object.getpeercert())

    def describe(self) -> str:
        """Return version and cipher suite, as OpenSSL names them."""
        cipher = self._object.cipher()
        return f"{self._object.version()} {cipher[0] if cipher else ''}"


class Buffers:
    """The sessions that sent much of late, which give memory back when they did not for a second.

    Facts: a buffer of the library keeps 81 KiB after an answer of 100 KiB. To give it back takes two
    calls, and it has to grow again: after each answer that would be a third more processor time.
    """

    __slots__ = ("_former", "_recent")

    def __init__(self) -> None:
        self._former: set[Session] = set()
        self._recent: set[Session] = set()

    def note(self, session: Session) -> None:
        """Note that a session sends much."""
        self._recent.add(session)

    def forget(self, session: Session) -> None:
        """Keep nothing of a session that is over."""
        self._recent.discard(session)
        self._former.discard(session)

    def begin_second(self) -> None:
        """Have sessions that are at rest give memory back."""
        resting = self._former - self._recent
        released = set(islice(resting, _RELEASED_LIMIT))
        for session in released:
            session.release()
        self._former = self._recent | (resting - released)
        self._recent = set()
