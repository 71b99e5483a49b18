"""A client of TLS 1.3 that says what no library would: records of any content, protected.

The library shakes hands and writes down the secret of the client's traffic, from which the keys are made
here (RFC 8446 section 7.3).
"""

import contextlib
import socket
import ssl
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
KEY_UPDATE = b"\x18\0\0\x01"
"""Behind it comes 1 where the other side is to change its keys too (RFC 8446 section 4.6.3)."""
CLOSE_NOTIFY = b"\x01\x00"
USER_CANCELED = b"\x01\x5a"
_ALGORITHMS: dict[str, tuple[int, hashes.HashAlgorithm]] = {
    "TLS_AES_128_GCM_SHA256": (16, hashes.SHA256()),
    "TLS_AES_256_GCM_SHA384": (32, hashes.SHA384()),
}


class ForgingClient:
    """A connection on which the handshake is complete, and nothing else was said yet."""

    def __init__(self, plain: socket.socket, trusted: bytes, folder: Path, name: str) -> None:
        self.socket = plain
        secrets = folder / "secrets"
        context = ssl.create_default_context(cadata=trusted.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.keylog_filename = str(secrets)
        self._incoming = ssl.MemoryBIO()
        outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, outgoing, server_hostname=name)
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                self._incoming.write(plain.recv(65536))
            else:
                break
        plain.sendall(outgoing.read())
        cipher = self._session.cipher()
        assert cipher is not None
        self._key_octets, self._hash = _ALGORITHMS[cipher[0]]
        lines = [line.split() for line in secrets.read_text().splitlines()]
        secrets.unlink()
        self._secret = bytes.fromhex(
            next(line[2] for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0")
        )
        self._use_secret()

    def forge(self, kind: int, content: bytes, padding_octets: int = 0) -> bytes:
        """Return a protected record (RFC 8446 section 5.2)."""
        inner = content + bytes((kind,)) + bytes(padding_octets)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(self._iv, "big") ^ self._number).to_bytes(12, "big")
        self._number += 1
        return head + self._cipher.encrypt(nonce, inner, head)

    def change_keys(self) -> None:
        """Use the next keys, as after a KeyUpdate."""
        self._secret = self._expand(self._secret, b"traffic upd", len(self._secret))
        self._use_secret()

    def receive(self, octets: int) -> bytes:
        """Return what the server says, at least as much as wanted; less at the end of the connection."""
        said = b""
        while len(said) < octets:
            try:
                part = self._session.read(65536)
                if not part:
                    break
                said += part
            except ssl.SSLWantReadError:
                came = self.socket.recv(65536)
                if not came:
                    break
                self._incoming.write(came)
            except ssl.SSLZeroReturnError:
                break
        return said

    def receive_end(self) -> str:
        """Return how the connection ends: `close_notify`, an alert, or without a word."""
        while True:
            try:
                if not self._session.read(65536):
                    return "close_notify"
            except ssl.SSLWantReadError:
                came = b""
                with contextlib.suppress(ConnectionResetError):
                    came = self.socket.recv(65536)
                if not came:
                    return "without a word"
                self._incoming.write(came)
            except ssl.SSLZeroReturnError:
                return "close_notify"
            except ssl.SSLError as error:
                return error.reason or str(error)

    def _use_secret(self) -> None:
        self._cipher = AESGCM(self._expand(self._secret, b"key", self._key_octets))
        self._iv = self._expand(self._secret, b"iv", 12)
        self._number = 0

    def _expand(self, secret: bytes, label: bytes, octets: int) -> bytes:
        label = b"tls13 " + label
        info = octets.to_bytes(2, "big") + bytes((len(label),)) + label + b"\0"
        return HKDFExpand(self._hash, octets, info).derive(secret)
