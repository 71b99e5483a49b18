"""What is kept is bounded by --cache-size, as the process is seen from outside: by its resident size."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Serve, Server
from epollo.quantities import MEBIBYTE

CACHE_OCTETS = 12 * MEBIBYTE
FILES = 2400
FOLDERS = 20
FILE_OCTETS = 4096
BATCH = 40
# A fifth of it for what the allocator cannot use again, and what is bounded for itself: recollections of
# lines and treatments, fingerprints, frames of a second.
ALLOWED_OCTETS = CACHE_OCTETS * 6 // 5 + 10 * MEBIBYTE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    for folder in range(FOLDERS):
        (root / f"{folder}").mkdir()
    for number in range(FILES):
        content = f"{number:04} ".encode() * (FILE_OCTETS // 5)
        (root / f"{number % FOLDERS}" / f"{number}.bin").write_bytes(content)
    return root


def files(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"/%d/%d.bin" % (number % FOLDERS, number % FILES)


def queries(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"/%d/%d.bin?%d" % (number % FOLDERS, number % 40, number)


def absences(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"/%d/page-%d.html" % (number % FOLDERS, number)


def ask(server: Server, paths: Iterator[bytes]) -> None:
    """Ask for everything, some at a time; nothing that is received is kept here."""
    with server.connect(60) as peer:
        while batch := [path for path, _ in zip(paths, range(BATCH), strict=False)]:
            for path in batch:
                peer.sendall(b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            peer.sendall(b"HEAD /end HTTP/1.1\r\nHost: a\r\n\r\n")
            received = b""
            while received.count(b"\r\n\r\n") <= len(batch):
                part = peer.recv(262_144)
                assert part
                received += part


@pytest.mark.parametrize("kind", [files, queries, absences])
def test_what_is_kept_is_bounded(
    serve: Serve, root: Path, kind: Callable[[int], Iterator[bytes]]
) -> None:
    server = serve(root, "--quiet", "--cache-size", f"{CACHE_OCTETS}")
    server.get("/0/0.bin")
    before = server.resident_octets()
    for more in (b"", b"?again"):
        ask(server, (path + more for path in kind(FILES)))
    if kind is not files:
        ask(server, kind(12_000))
    assert server.resident_octets() - before < ALLOWED_OCTETS


def test_what_is_kept_fills_what_is_allowed(serve: Serve, root: Path) -> None:
    """So that the bound above is not one of another kind."""
    server = serve(root, "--quiet", "--cache-size", f"{8 * CACHE_OCTETS}")
    server.get("/0/0.bin")
    before = server.resident_octets()
    ask(server, files(FILES))
    assert server.resident_octets() - before > FILES * FILE_OCTETS
