"""An answer is of one version of the file, also while that is being rewritten."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Serve, Server, content_length, receive_content, receive_head

SECONDS = 3

# Each version says how long it is and what it consists of: "<length> <digit>" and a line of the digit.
# The file is written in several steps, so that readers meet it half done.
_REWRITE = """
import os, sys
path, shortest, longest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
number = 0
while True:
    number += 1
    length = shortest + number * 7919 % (longest - shortest)
    head = b"%012d %d " % (length, number % 10)
    content = head + b"%d" % (number % 10) * (length - len(head))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.ftruncate(descriptor, 0)
    for offset in range(0, length, length // 3 + 1):
        os.pwrite(descriptor, content[offset : offset + length // 3 + 1], offset)
    os.close(descriptor)
    sys.stdout.write(".")
    sys.stdout.flush()
"""

# Numbers that only grow, each a whole file that takes the place of the one before; and for each number,
# when it had been done, in a file of its own that is not served.
_REPLACE = """
import os, struct, sys
path, done, octets = sys.argv[1], sys.argv[2], int(sys.argv[3])
descriptor = os.open(done, os.O_WRONLY | os.O_CREAT)
number = 0
while True:
    number += 1
    with open(path + ".new", "wb") as file:
        file.write(b"%012d" % number + b"." * octets)
    os.rename(path + ".new", path)
    os.pwrite(descriptor, struct.pack("Q", number), 0)
"""


@contextmanager
def writer(script: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        assert process.poll() is None, "the writer gave up"
        process.kill()
        process.wait()


def is_whole(content: bytes) -> bool:
    """Return whether this is all of one version."""
    found = re.match(rb"(\d{12}) (\d) ", content)
    if found is None:
        return False
    return len(content) == int(found[1]) and set(content[found.end() :]) <= set(found[2])


@pytest.mark.parametrize(
    ("shortest", "longest", "keep"),
    [(1000, 20_000, 1_000_000), (1000, 20_000, 0), (200_000, 3_000_000, 0)],
    ids=["kept", "small, not kept", "large, not kept"],
)
def test_answers_while_a_file_is_rewritten_in_place(
    serve: Serve, tmp_path: Path, shortest: int, longest: int, keep: int
) -> None:
    path = tmp_path / "page.txt"
    path.write_bytes(b"")
    server = serve(tmp_path, "--quiet", "--keep-size", str(keep))
    whole = parts = cut = 0
    with writer(_REWRITE, path, shortest, longest):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with server.connect() as peer:
                try:
                    while time.monotonic() < end:
                        peer.sendall(b"GET /page.txt HTTP/1.1\r\nHost: a\r\n\r\n")
                        head, rest = receive_head(peer)
                        content = receive_content(peer, head, rest)
                        assert len(content) == content_length(head)
                        if not head.startswith(b"HTTP/1.1 200 "):
                            # Another file each time that it was opened, three times in a row.
                            assert head.startswith(b"HTTP/1.1 503 "), head
                            continue
                        if is_whole(content):
                            whole += 1
                        else:
                            parts += 1
                            # It was found half written: but then it is the start of one version.
                            assert keep or is_prefix(content), describe(content)
                except (AssertionError, ConnectionResetError) as error:
                    if "closed" not in str(error) and not isinstance(error, ConnectionResetError):
                        raise
                    cut += 1
    assert whole + parts + cut > 20


def is_prefix(content: bytes) -> bool:
    """Return whether this is the start of one version, with nothing of another in it."""
    found = re.match(rb"\d{12} (\d) ", content)
    if found is None:
        return len(content) < 15
    return set(content[found.end() :]) <= set(found[1])


def describe(content: bytes) -> str:
    return f"{content[:20]!r} {len(content)} {set(content[15:])}"


def test_download_of_a_file_that_is_truncated_is_cut(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    for _ in range(5):
        path.write_bytes(b"x" * 20_000_000)
        server = serve(tmp_path, "--quiet")
        with server.connect() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            head, content = receive_head(peer)
            assert content_length(head) == 20_000_000
            os.truncate(path, 1000)
            with pytest.raises(AssertionError, match="closed with"):
                receive_content(peer, head, content)
        server.stop()


def test_download_of_a_file_that_is_rewritten_and_given_its_old_time_is_cut(
    serve: Serve, tmp_path: Path
) -> None:
    """As ``rsync --inplace --times`` does, and all of it within a second."""
    path = tmp_path / "large.bin"
    server = serve(tmp_path, "--quiet")
    for _ in range(5):
        path.write_bytes(b"x" * 20_000_000)
        os.utime(path, ns=(7, 7))
        with server.connect() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            head, content = receive_head(peer)
            assert content_length(head) == 20_000_000
            with path.open("r+b") as file:
                file.write(b"y" * 20_000_000)
            os.utime(path, ns=(7, 7))
            with pytest.raises(AssertionError, match="closed with"):
                receive_content(peer, head, content)


def test_download_continues_where_the_file_is_replaced_deleted_or_renamed(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "large.bin"
    server = serve(tmp_path, "--quiet")
    for change in ("replace", "delete", "rename", "chmod"):
        path.write_bytes(b"x" * 20_000_000)
        with server.connect() as peer:
            peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            head, content = receive_head(peer)
            if change == "replace":
                (tmp_path / "new").write_bytes(b"y" * 100)
                (tmp_path / "new").replace(path)
            elif change == "delete":
                path.unlink()
            elif change == "rename":
                path.rename(tmp_path / "other.bin")
            else:
                path.chmod(0o600)
            assert receive_content(peer, head, content) == b"x" * 20_000_000


@pytest.mark.parametrize("octets", [100, 1_500_000], ids=["kept", "not kept"])
def test_no_answer_is_older_than_what_was_there_when_it_was_asked_for(
    serve: Serve, tmp_path: Path, octets: int
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = root / "page.txt"
    path.write_bytes(b"0" * 12)
    done = tmp_path / "done"
    done.write_bytes(bytes(8))
    server = serve(root, "--quiet")
    faults: list[str] = []
    counts: list[int] = []
    with writer(_REPLACE, path, done, octets):
        readers = [
            threading.Thread(target=read_numbers, args=(server, done, faults, counts))
            for _ in range(8)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert faults == []
    assert len(counts) == 8
    assert min(counts) > 5


def read_numbers(server: Server, done: Path, faults: list[str], counts: list[int]) -> None:
    """Ask again and again, and note each number that is lower than the one known before."""
    descriptor = os.open(done, os.O_RDONLY)
    count = 0
    end = time.monotonic() + SECONDS
    try:
        with server.connect() as peer:
            while time.monotonic() < end:
                known = int.from_bytes(os.pread(descriptor, 8, 0), "little")
                peer.sendall(b"GET /page.txt HTTP/1.1\r\nHost: a\r\n\r\n")
                head, rest = receive_head(peer)
                if not head.startswith(b"HTTP/1.1 200 "):
                    # Replaced faster than it could be opened, three times in a row.
                    assert head.startswith(b"HTTP/1.1 503 "), head
                    receive_content(peer, head, rest)
                    continue
                number = int(receive_content(peer, head, rest)[:12])
                if number < known:
                    faults.append(f"{number} after {known}")
                count += 1
        counts.append(count)
    except (AssertionError, OSError, ValueError) as error:
        faults.append(repr(error))
    finally:
        os.close(descriptor)
