"""One TLS session without a socket: protected octets in, plain octets out, and the reverse.

The library is OpenSSL by `ssl.SSLObject` over memory. Beside ``SSLSocket`` this leaves flags, partial
sends and the file descriptor to `TlsTransport`, and it lets a thread do the dear part of a handshake.
"""

import ssl
from typing import Final

from epollo.transports.client_certificates import format_subject

PIECE_OCTETS: Final = 60 * 1024
"""So much is protected and sent at once: four records less their overhead, in one send."""
RECORD_OCTETS: Final = 16 * 1024
"""The most plain octets of one record (RFC 8446 section 5.1)."""
_READ_OCTETS: Final = 64 * 1024


class Session:
    """The server's side of one TLS connection.

    What is to be sent to the peer waits until `take` returns it. Not to be used by two threads at once.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "is_complete", "is_ended")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
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
        parts = []
        try:
            while part := self._object.read(_READ_OCTETS):
                parts.append(part)
                # To be told by an error that no more is there costs as much as to decrypt a request.
                if not (incoming.pending or self._object.pending()):
                    break
            else:
                self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def protect(self, octets: bytes | memoryview) -> None:
        """Have plain octets, `PIECE_OCTETS` at the most, be part of what is to be sent to the peer."""
        self._object.write(octets)

    def say_end(self) -> None:
        """Say that no more follows (close_notify)."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            # The peer has not said so yet, or has broken off.
            return

    def take(self) -> bytes:
        """Return what is to be sent to the peer: protected content, handshake, tickets, alerts."""
        return self._outgoing.read() if self._outgoing.pending else b""

    @property
    def verifies_client(self) -> bool:
        """Whether the client is asked for a certificate, which takes long to verify."""
        return self._object.context.verify_mode != ssl.CERT_NONE

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
