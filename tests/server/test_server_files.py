"""Large files that change while they are sent: cut, never padded, never whole with other octets."""

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
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
from server.workers import await_true

PATIENCE_SECONDS = 60
MEBIBYTE = 1024 * 1024
# More than the buffers of the kernel take on both sides (tcp(7), tcp_rmem and tcp_wmem).
LARGE_OCTETS = 32 * MEBIBYTE
PAGE = b"<!doctype html><title>small</title>\n"


def compose(word: bytes, octets: int = LARGE_OCTETS) -> bytes:
    """Return content of which every 4,096 octets tell where they stand and what they belong to."""
    return b"".join(
        (b"%b %012d " % (word, offset)).ljust(4096, b".") for offset in range(0, octets, 4096)
    )


_NUMBERS = itertools.count()


@cache
def old_content() -> bytes:
    return compose(b"old")


@cache
def new_content() -> bytes:
    return compose(b"new")


@pytest.fixture(scope="module", params=["busy", "epoll"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("site")
    (root / "page.html").write_bytes(PAGE)
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(root, "--quiet", "--poller", request.param)


def keeps_folder_open(server: Server) -> bool:
    """Have a name looked for in the folder; return whether the folder stays open."""
    with server.connect() as peer:
        # One that was never asked for.
        peer.sendall(f"GET /absent-{next(_NUMBERS)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert receive_head(peer)[0].startswith(b"HTTP/1.1 404 ")
    server.settled_descriptors()
    # Beside the one that the root itself is.
    return server.descriptors_of(server.root) == 2


@pytest.fixture
def large(server: Server) -> Iterator[Path]:
    """The large file with the old content, made anew for each test."""
    path = server.root / "large.bin"
    path.unlink(missing_ok=True)
    path.write_bytes(old_content())
    # For seconds after a test that has written there without end the folder is not watched, nor kept.
    assert await_true(lambda: keeps_folder_open(server))
    descriptors = server.settled_descriptors()
    yield path
    # The open file is shared by all answers with a version, and closed when the version ends. It stays
    # for the next test: another file of its inode would inherit that it has too many events.
    with contextlib.suppress(FileNotFoundError):
        path.replace(server.root.with_name("former.bin"))
    assert server.await_descriptors(descriptors) <= descriptors
    assert server.stderr == ""


class Download:
    """The large file, of which the head and the first octets have come."""

    def __init__(self, server: Server) -> None:
        self.peer = server.connect()
        self.peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        self.head, self.content = receive_head(self.peer)
        self.length = content_length(self.head)

    def stall(self, server: Server) -> None:
        """Wait until the kernel takes no more of it, so that the server does not look at the file."""
        before = -1
        stalled_times = 0
        while stalled_times < 10:
            server.get("/page.html")
            here = int.from_bytes(fcntl.ioctl(self.peer, termios.FIONREAD, bytes(4)), sys.byteorder)
            stalled_times = stalled_times + 1 if here == before else 0
            before = here

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
    assert Download(server).finish() == old_content()


@pytest.mark.parametrize("octets", [0, MEBIBYTE, LARGE_OCTETS - 1])
def test_truncated(server: Server, large: Path, octets: int) -> None:
    """What stands in the kernel's buffers is memory of the file itself (sendfile(2), Notes).

    So what was truncated may still arrive as zeros, but only in an answer that is cut.
    """
    old = old_content()
    download = Download(server)
    os.truncate(large, octets)
    received = download.finish()
    assert len(received) < LARGE_OCTETS
    assert received[:octets] == old[: min(octets, len(received))]
    for offset in range(octets, len(received), 256):
        assert received[offset] in {0, old[offset]}


def test_made_anew_under_its_name(server: Server, large: Path) -> None:
    download = Download(server)
    large.write_bytes(new_content())
    received = download.finish()
    assert len(received) < LARGE_OCTETS
    assert server.get("/large.bin") == new_content()


def test_written_over_in_place(server: Server, large: Path) -> None:
    download = Download(server)
    with large.open("r+b") as file:
        file.write(new_content())
    assert len(download.finish()) < LARGE_OCTETS
    assert server.get("/large.bin") == new_content()


def test_grown(server: Server, large: Path) -> None:
    """What was promised has not changed; the next answer has the rest, too."""
    download = Download(server)
    with large.open("ab") as file:
        file.write(b"more")
    assert download.finish() == old_content()
    assert server.get("/large.bin") == old_content() + b"more"


def test_replaced(server: Server, large: Path) -> None:
    """A client that has begun with the old content gets all of it; the next one gets the new."""
    download = Download(server)
    other = new_content()[:-MEBIBYTE]
    incoming = large.with_name("incoming")
    incoming.write_bytes(other)
    incoming.rename(large)
    next_download = Download(server)
    assert download.finish() == old_content()
    assert next_download.finish() == other
    assert download.head != next_download.head


def test_deleted(server: Server, large: Path) -> None:
    download = Download(server)
    large.unlink()
    assert server.exchange(b"GET /large.bin HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert download.finish() == old_content()


def test_renamed_and_touched(server: Server, large: Path) -> None:
    download = Download(server)
    large.chmod(0o600)
    large.rename(large.with_name("moved.bin"))
    assert download.finish() == old_content()


def test_a_range(server: Server, large: Path) -> None:
    first, last = 10 * MEBIBYTE - 7, 30 * MEBIBYTE
    with server.connect() as peer:
        peer.sendall(
            b"GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n" % (first, last)
        )
        head, begin = receive_head(peer)
        assert head.startswith(b"HTTP/1.1 206 ")
        assert receive_content(peer, head, begin) == old_content()[first : last + 1]


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
    for content in (old_content(), PAGE, old_content()):
        head, _, octets = octets.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert content_length(head) == len(content)
        assert octets.startswith(content)
        octets = octets[len(content) :]
    assert octets == b""
    assert b"\r\nConnection: close" in head


CHANGES: list[Callable[[Path], object]] = [
    lambda path: path.chmod(0o600),
    lambda path: path.touch(),
    lambda path: path.open("r+b").close(),
    lambda path: path.rename(path.with_name("moved.bin")).rename(path),
    lambda path: path.with_name("moved.bin").hardlink_to(path),
]


@pytest.mark.parametrize("change", CHANGES, ids=["chmod", "touch", "open", "rename", "link"])
def test_rewritten_in_place_with_its_old_time_after_another_change(
    server: Server, large: Path, change: Callable[[Path], object]
) -> None:
    """The change ends the resource; what is under way has to hear of the write all the same."""
    date_ns = large.stat().st_mtime_ns
    download = Download(server)
    change(large)
    download.stall(server)
    with large.open("r+b") as file:
        file.write(new_content())
    os.utime(large, ns=(date_ns, date_ns))
    large.with_name("moved.bin").unlink(missing_ok=True)
    assert len(download.finish()) < LARGE_OCTETS
    assert server.get("/large.bin") == new_content()


@pytest.mark.parametrize("change", CHANGES, ids=["chmod", "touch", "open", "rename", "link"])
def test_a_change_that_is_no_write_cuts_nothing(
    server: Server, large: Path, change: Callable[[Path], object]
) -> None:
    download = Download(server)
    change(large)
    server.get("/page.html")
    large.with_name("moved.bin").unlink(missing_ok=True)
    assert download.finish() == old_content()


def test_written_through_another_name(server: Server, large: Path) -> None:
    other = large.with_name("moved.bin")
    download = Download(server)
    download.stall(server)
    other.hardlink_to(large)
    with other.open("r+b") as file:
        file.write(new_content())
    other.unlink()
    assert len(download.finish()) < LARGE_OCTETS
    assert server.get("/large.bin") == new_content()


def tag_of(head: bytes) -> bytes:
    return next(line for line in head.split(b"\r\n") if line.startswith(b"ETag: "))


@contextlib.contextmanager
def appender(path: Path, seconds: float) -> Iterator[None]:
    """Another process that keeps appending a line to a file."""
    script = (
        "import sys, time\n"
        "while True:\n"
        "    with open(sys.argv[1], 'ab') as file:\n"
        "        file.write(b'a line of a log\\n')\n"
        "    time.sleep(float(sys.argv[2]))\n"
    )
    octets = path.stat().st_size
    with subprocess.Popen([sys.executable, "-c", script, path, str(seconds)]) as process:
        try:
            while path.stat().st_size == octets:
                assert process.poll() is None
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_a_log_that_grows_all_the_time_is_sent_to_the_promised_length(
    server: Server, large: Path, seconds: float
) -> None:
    with appender(large, seconds):
        for _ in range(3):
            download = Download(server)
            content = download.finish()
            assert len(content) == content_length(download.head) > LARGE_OCTETS
            assert content.startswith(old_content())
            assert set(content[LARGE_OCTETS:]) <= set(b"a line of a log\n")
        first, last = 10 * MEBIBYTE - 7, 30 * MEBIBYTE
        with server.connect(PATIENCE_SECONDS) as peer:
            peer.sendall(
                b"GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n" % (first, last)
            )
            head, begin = receive_head(peer)
            assert head.startswith(b"HTTP/1.1 206 ")
            assert receive_content(peer, head, begin) == old_content()[first : last + 1]


def test_a_log_that_is_written_over_while_it_grows_is_cut(server: Server, large: Path) -> None:
    download = Download(server)
    for _ in range(5):
        with large.open("ab") as file:
            file.write(b"a line of a log\n")
        server.get("/page.html")
    with large.open("r+b") as file:
        file.write(new_content())
    assert len(download.finish()) < LARGE_OCTETS


@pytest.mark.skipif(shutil.which("rsync") is None, reason="there is no rsync here")
def test_whole_answers_are_of_one_state_of_a_file_that_rsync_copies_in_place(
    server: Server, tmp_path: Path
) -> None:
    """Two contents of one length and date: whole answers are of one of them, or of the file as far as it
    was copied; and one entity tag is of one content.
    """
    octets = 3_000_000
    path = server.root / "copied.bin"
    for word in (b"a", b"b"):
        source = tmp_path / word.decode()
        source.write_bytes(word * octets)
        os.utime(source, (10**9, 10**9))
    copy = ["rsync", "--inplace", "--times", "--ignore-times", "--whole-file"]
    subprocess.run([*copy, tmp_path / "a", path], check=True)
    is_over = threading.Event()

    def copy_in_turn() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            subprocess.run([*copy, tmp_path / "ab"[number % 2], path], check=True)
            path.chmod((0o644, 0o600)[number % 2])

    copier = threading.Thread(target=copy_in_turn)
    copier.start()
    contents: dict[bytes, bytes] = {}
    answers = 0
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end or not contents:
            with server.connect() as peer:
                peer.sendall(b"GET /copied.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                head, _, content = receive_all(peer).partition(b"\r\n\r\n")
            answers += 1
            if not head.startswith(b"HTTP/1.1 200 ") or len(content) < content_length(head):
                continue
            # Copied from its begin on: the new one, then what is left of the old one.
            word = content[:1]
            begin = len(content) - len(content.lstrip(word))
            assert len(set(content[begin:])) <= 1
            assert contents.setdefault(tag_of(head), content) == content
    finally:
        is_over.set()
        copier.join()
        path.unlink()
    assert answers > 10
