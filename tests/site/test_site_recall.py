"""Recalled or not, every answer is the same, octet for octet."""

import os
import random
import re
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Serve, content_length
from site_grounds import replace, switch_link

STEPS = 1200

NAMES = ("a.txt", "b.html", "c.bin", "folder/index.html", "folder/a.txt", "404.html", "large.bin")
TARGETS = (
    *(f"/{name}" for name in NAMES),
    "/",
    "/folder",
    "/folder/",
    "/link",
    "/way/a.txt",
    "/nothing",
    "/a.txt?query",
    "/%61.txt",
    "/.hidden",
    "/folder/../a.txt",
)
PATIENCE_SECONDS = 30


def find_passing(answer: bytes, names: bytes) -> tuple[bytes, ...]:
    """Return the lines of an answer that pass by themselves: fields of these names."""
    head = answer.partition(b"\r\n\r\n")[0]
    return tuple(re.findall(rb"\r\n((?:" + names + rb"): [^\r]*)", head))


class TwoServers:
    """A connection to each of two servers on one root."""

    def __init__(self, ports: tuple[int, int]) -> None:
        self._ports = ports
        self._peers = [self._connect(port) for port in ports]

    @staticmethod
    def _connect(port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 10)

    def ask(self, octets: bytes, *, is_head: bool) -> None:
        """Send the same to both within a second, and see that they answer the same.

        The tag of a large file, and of no other, changes once, when the background has read the file
        (`tagging`): in each of them at its own time.
        """
        names = b"Date|ETag" if b"large.bin" in octets else b"Date"
        end = time.monotonic() + PATIENCE_SECONDS
        answers = self._ask_both(octets, is_head=is_head)
        while (
            len({find_passing(answer, names) for answer in answers}) > 1 and time.monotonic() < end
        ):
            answers = self._ask_both(octets, is_head=is_head)
        assert answers[0] == answers[1], octets

    def _ask_both(self, octets: bytes, *, is_head: bool) -> list[bytes]:
        answers = []
        for number, port in enumerate(self._ports):
            try:
                answer, persists = exchange(self._peers[number], octets, is_head=is_head)
            except ConnectionError:
                # RFC 9112 section 9.3.1: a connection may end between two requests, as where a file
                # changed just after the last of it was sent; a client then asks again.
                self._peers[number].close()
                self._peers[number] = self._connect(port)
                answer, persists = exchange(self._peers[number], octets, is_head=is_head)
            answers.append(answer)
            if not persists:
                self._peers[number].close()
                self._peers[number] = self._connect(port)
        return answers

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


def exchange(peer: socket.socket, request: bytes, *, is_head: bool) -> tuple[bytes, bool]:
    """Return all octets of an answer, and whether another may follow."""
    peer.sendall(request)
    octets = b""
    while b"\r\n\r\n" not in octets:
        part = peer.recv(65536)
        if not part:
            assert not octets, "closed in the middle of a head"
            raise ConnectionResetError
        octets += part
    head, separator, _ = octets.partition(b"\r\n\r\n")
    status = int(head[9:12])
    length = 0 if is_head or status in {204, 304} else content_length(head)
    missing = len(head) + len(separator) + length - len(octets)
    while missing > 0:
        part = peer.recv(65536)
        assert part, "closed"
        octets += part
        missing -= len(part)
    assert missing == 0
    return octets, b"\r\nConnection: close" not in head


def change_files(chance: random.Random, root: Path) -> None:
    """Change something: a file, a folder, a link."""
    path = root / chance.choice(NAMES)
    content = chance.randbytes(4) * chance.choice((0, 1, 10, 3000))
    if path.name == "large.bin":
        content += bytes(20_000)

    def write() -> None:
        path.write_bytes(content)

    def append() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    def swap_folders() -> None:
        (root / "folder").rename(root / "third")
        (root / "other").rename(root / "folder")
        (root / "third").rename(root / "other")

    def remake_folder() -> None:
        shutil.rmtree(root / "folder")
        (root / "folder").mkdir()

    chance.choice(
        (
            write,
            write,
            append,
            lambda: replace(path, content),
            lambda: path.unlink(missing_ok=True),
            lambda: os.utime(path, (1000, chance.randrange(5000))) if path.exists() else None,
            lambda: switch_link(root / "link", chance.choice(("a.txt", "b.html", "nothing", ".."))),
            lambda: switch_link(root / "way", chance.choice(("folder", "other", "/etc", "."))),
            swap_folders,
            remake_folder,
        )
    )()


def make_request(chance: random.Random) -> tuple[bytes, bool]:
    """Return a request, often one of a few, and whether it is HEAD."""
    method = chance.choice(("GET",) * 8 + ("HEAD", "OPTIONS", "POST"))
    fields = [f"Host: {chance.choice('ab')}"]
    some: tuple[Callable[[], str], ...] = (
        lambda: "Accept: */*",
        lambda: f"Cookie: user={chance.randrange(3)}",
        lambda: f"Cookie: user={chance.random()}",
        lambda: "Cookie: user=" + chance.choice(("\x00", "\x7f", "\r", "\t")),
        lambda: f"Range: bytes={chance.choice(('0-0', '-3', '2-', '0-1,5-6', '9999-', 'x'))}",
        lambda: "If-None-Match: *",
        lambda: "If-Modified-Since: Thu, 01 Jan 1970 00:30:00 GMT",
        lambda: 'If-Match: "a"',
        lambda: "Connection: close",
        lambda: "Authorization: Basic YTpi",
    )
    fields += [field() for field in some if chance.random() < 0.07]
    line = f"{method} {chance.choice(TARGETS)} HTTP/1.{chance.choice('1111110')}"
    return "\r\n".join((line, *fields, "\r\n")).encode(), method == "HEAD"


@pytest.mark.parametrize("seed", range(4))
def test_answers_with_and_without_recall(serve: Serve, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root = tmp_path / "root"
    for folder in ("folder", "other"):
        (root / folder).mkdir(parents=True)
        (root / folder / "a.txt").write_text(folder)
    for name in NAMES:
        (root / name).write_bytes(name.encode() * 3)
    options = ("--quiet", "--no-compress", "--keep-size", "15000")
    servers = TwoServers(
        (serve(root, "--recall", *options).port, serve(root, "--no-recall", *options).port)
    )
    try:
        asked: list[tuple[bytes, bool]] = []
        for _ in range(STEPS):
            if chance.random() < 0.1:
                change_files(chance, root)
            if asked and chance.random() < 0.6:
                octets, is_head = chance.choice(asked[-20:])
            else:
                octets, is_head = make_request(chance)
                asked.append((octets, is_head))
            servers.ask(octets, is_head=is_head)
    finally:
        servers.close()
