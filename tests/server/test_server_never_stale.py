"""A client writes a file, then asks for it: the answer has what was written, whatever the client came by.

The write falls between what makes the server's socket ready and the request, as close to it as a client
can come: one system call each.
"""

import os
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import POLLER_NAMES, Serve

GET = b"GET /number.txt HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_CONTENT = b"GET /number.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n"
CONTENT_OCTETS = 5


class Way(NamedTuple):
    """How a request comes: what is sent before the write, and what after it."""

    before: bytes = b""
    after: bytes = GET
    is_kept: bool = False
    answers: int = 1


WAYS = {
    "new": Way(),
    "kept": Way(is_kept=True),
    "pipelined": Way(before=GET, is_kept=True, answers=2),
    "in two": Way(before=GET[:20], after=GET[20:], is_kept=True),
    "new in two": Way(before=GET[:20], after=GET[20:]),
    "content": Way(before=WITH_CONTENT, after=b"hello", is_kept=True),
}


class Grounds:
    """A page that is written in place, and a server of it."""

    def __init__(
        self, serve: Serve, folder: Path, poller: str, *, is_unix: bool, is_proxied: bool
    ) -> None:
        root = folder / "site"
        root.mkdir()
        self.page = root / "number.txt"
        self.page.write_bytes(b"start")
        self._path = folder / "socket" if is_unix else None
        self._header = HEADER if is_proxied else b""
        arguments = ["--unix", str(self._path)] if is_unix else []
        if is_proxied:
            arguments.append("--proxy-protocol")
        self._server = serve(root, "--quiet", "--poller", poller, *arguments)

    def connect(self) -> socket.socket:
        if self._path is not None:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(10)
            peer.connect(str(self._path))
        else:
            peer = self._server.connect()
            # Else the second part waits until the first is acknowledged (RFC 9293 section 3.7.4).
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._header:
            peer.sendall(self._header)
        return peer

    def count_stale(self, way: Way, rounds: int) -> int:
        """Write and ask so often; return how often the answer was older than the write."""
        stale = 0
        peer = self.connect()
        descriptor = os.open(self.page, os.O_WRONLY)
        try:
            for number in range(rounds):
                content = b"%05d" % number
                if way.before:
                    peer.sendall(way.before)
                os.pwrite(descriptor, content, 0)
                peer.sendall(way.after)
                stale += receive_last(peer, way.answers) != content
                if not way.is_kept:
                    peer.close()
                    peer = self.connect()
        finally:
            peer.close()
            os.close(descriptor)
        return stale


def receive_last(peer: socket.socket, answers: int) -> bytes:
    """Return the content of the last of ``answers`` answers."""
    octets = content = b""
    for _ in range(answers):
        while b"\r\n\r\n" not in octets:
            octets += peer.recv(65536)
        head, _, octets = octets.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        while len(octets) < CONTENT_OCTETS:
            octets += peer.recv(65536)
        content, octets = octets[:CONTENT_OCTETS], octets[CONTENT_OCTETS:]
    return content


@pytest.mark.parametrize("rounds", [50, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("poller", POLLER_NAMES)
@pytest.mark.parametrize("is_proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
def test_what_was_written_before_the_request_is_answered(
    serve: Serve, tmp_path: Path, poller: str, is_unix: bool, is_proxied: bool, rounds: int
) -> None:
    grounds = Grounds(serve, tmp_path, poller, is_unix=is_unix, is_proxied=is_proxied)
    stale = {name: grounds.count_stale(way, rounds) for name, way in WAYS.items()}
    print(
        poller, "unix" if is_unix else "tcp", "proxied" if is_proxied else "direct", rounds, stale
    )
    assert not any(stale.values()), stale
