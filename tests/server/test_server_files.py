"""Large files that change while they are sent: cut, never padded, never whole with other octets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import (
    Server,
    content_length,
    managed_servers,
    receive_all,
    receive_content,
    receive_head,
)

MEBIBYTE = 1024 * 1024
# More than the buffers of the kernel take on both sides (tcp(7), tcp_rmem and tcp_wmem).
LARGE_OCTETS = 32 * MEBIBYTE
PAGE = b"<!doctype html><title>small</title>\n"


def compose(word: bytes, octets: int = LARGE_OCTETS) -> bytes:
    """Return content of which every 4,096 octets tell where they stand and what they belong to."""
    return b"".join(
        (b"%b %012d " % (word, offset)).ljust(4096, b".") for offset in range(0, octets, 4096)
    )


OLD = compose(b"old")
NEW = compose(b"new")


@pytest.fixture(scope="module", params=["busy", "epoll"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("site")
    (root / "page.html").write_bytes(PAGE)
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(root, "--quiet", "--poller", request.param)


@pytest.fixture
def large(server: Server) -> Iterator[Path]:
    """The large file with the old content, made anew for each test."""
    path = server.root / "large.bin"
    path.unlink(missing_ok=True)
    path.write_bytes(OLD)
    server.get("/page.html")
    descriptors = server.settled_descriptors()
    yield path
    # The open file is shared by all answers with a version, and closed when the version ends.
    path.unlink(missing_ok=True)
    assert server.await_descriptors(descriptors) == descriptors
    assert server.stderr == ""


class Download:
    """The large file, of which the head and the first octets have come."""

    def __init__(self, server: Server) -> None:
        self.peer = server.connect()
        self.peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        self.head, self.content = receive_head(self.peer)
        self.length = content_length(self.head)

    def finish(self) -> bytes:
        """Return the content that came until the server closed, or until it was whole."""
        with self.peer:
            missing = self.length - len(self.content)
            parts = [self.content]
            try:
                while missing > 0 and (part := self.peer.recv(min(missing, MEBIBYTE))):
                    parts.append(part)
                    missing -= len(part)
            except ConnectionResetError:
                pass
        return b"".join(parts)


def test_whole_when_nothing_changes(server: Server, large: Path) -> None:
    assert Download(server).finish() == OLD


@pytest.mark.parametrize("octets", [0, MEBIBYTE, LARGE_OCTETS - 1])
def test_truncated(server: Server, large: Path, octets: int) -> None:
    """What stands in the kernel's buffers is memory of the file itself (sendfile(2), Notes).

    So what was truncated may still arrive as zeros, but only in an answer that is cut.
    """
    download = Download(server)
    os.truncate(large, octets)
    received = download.finish()
    assert len(received) < LARGE_OCTETS
    assert received[:octets] == OLD[: min(octets, len(received))]
    for offset in range(octets, len(received), 256):
        assert received[offset] in {0, OLD[offset]}


def test_made_anew_under_its_name(server: Server, large: Path) -> None:
    download = Download(server)
    large.write_bytes(NEW)
    received = download.finish()
    assert len(received) < LARGE_OCTETS
    assert server.get("/large.bin") == NEW


def test_written_over_in_place(server: Server, large: Path) -> None:
    download = Download(server)
    with large.open("r+b") as file:
        file.write(NEW)
    assert len(download.finish()) < LARGE_OCTETS
    assert server.get("/large.bin") == NEW


def test_grown(server: Server, large: Path) -> None:
    """What was promised has not changed; the next answer has the rest, too."""
    download = Download(server)
    with large.open("ab") as file:
        file.write(b"more")
    assert download.finish() == OLD
    assert server.get("/large.bin") == OLD + b"more"


def test_replaced(server: Server, large: Path) -> None:
    """Whoever has begun with the old content gets all of it; the next one gets the new."""
    download = Download(server)
    other = NEW[:-MEBIBYTE]
    incoming = large.with_name("incoming")
    incoming.write_bytes(other)
    incoming.rename(large)
    next_download = Download(server)
    assert download.finish() == OLD
    assert next_download.finish() == other
    assert download.head != next_download.head


def test_deleted(server: Server, large: Path) -> None:
    download = Download(server)
    large.unlink()
    assert server.exchange(b"GET /large.bin HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert download.finish() == OLD


def test_renamed_and_touched(server: Server, large: Path) -> None:
    download = Download(server)
    large.chmod(0o600)
    large.rename(large.with_name("moved.bin"))
    assert download.finish() == OLD


def test_a_range(server: Server, large: Path) -> None:
    first, last = 10 * MEBIBYTE - 7, 30 * MEBIBYTE
    with server.connect() as peer:
        peer.sendall(
            b"GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n" % (first, last)
        )
        head, begin = receive_head(peer)
        assert head.startswith(b"HTTP/1.1 206 ")
        assert receive_content(peer, head, begin) == OLD[first : last + 1]


def test_head_says_the_length_and_sends_nothing(server: Server, large: Path) -> None:
    answer = server.exchange(b"HEAD /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert content_length(answer) == LARGE_OCTETS
    assert answer.endswith(b"\r\n\r\n")


def test_downloads_that_share_a_connection(server: Server, large: Path) -> None:
    with server.connect() as peer:
        peer.sendall(
            b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        octets = receive_all(peer)
    for content in (OLD, PAGE, OLD):
        head, _, octets = octets.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert content_length(head) == len(content)
        assert octets.startswith(content)
        octets = octets[len(content) :]
    assert octets == b""
    assert b"\r\nConnection: close" in head
