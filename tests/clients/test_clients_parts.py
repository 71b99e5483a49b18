"""Clients that take many parts of a file at once: zsync, zchunk, curl; and a strict reader."""

import os
import random
import re
import shutil
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from conftest import Serve, Server, receive_content, receive_head

BLOCK_OCTETS = 2048
BLOCKS = 1024
CHANGED = sorted(random.Random(0).sample(range(BLOCKS), 400))
"""The blocks that the client does not have, in hundreds of stretches."""
# A file of 2 MiB that is kept in memory, and one that is read while it is sent.
KEEPS = pytest.mark.parametrize("keep_size", ["4194304", "65536"], ids=["kept", "read"])
ENVIRONMENT = {**os.environ, "no_proxy": "*", "NO_PROXY": "*"}


def has(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def contents() -> tuple[bytes, bytes]:
    """What the client has, and what the server has."""
    chance = random.Random(1)
    new = [chance.randbytes(BLOCK_OCTETS) for _ in range(BLOCKS)]
    old = list(new)
    for block in CHANGED:
        old[block] = chance.randbytes(BLOCK_OCTETS)
    return b"".join(old), b"".join(new)


def run(directory: Path, *command: str | Path) -> str:
    """Run a client to its end, and return what it says."""
    done = subprocess.run(
        command, cwd=directory, env=ENVIRONMENT, capture_output=True, timeout=30, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said


def read_requests(server: Server, name: str) -> list[tuple[str, int]]:
    """Stop the server; return status and octets of each answer with this file."""
    stdout = server.process.stdout
    assert stdout is not None
    server.process.terminate()
    lines = stdout.read().decode().splitlines()
    found = [re.match(rf"GET /{re.escape(name)} (\d+) (\d+)", line) for line in lines]
    return [(one[1], int(one[2])) for one in found if one is not None]


@has("zsync", "zsyncmake")
@KEEPS
def test_zsync(
    serve: Serve, site: Path, tmp_path: Path, contents: tuple[bytes, bytes], keep_size: str
) -> None:
    old, new = contents
    (site / "image.bin").write_bytes(new)
    (tmp_path / "seed").write_bytes(old)
    run(site, "zsyncmake", "-b", str(BLOCK_OCTETS), "-u", "image.bin", "image.bin")
    server = serve(site, "--keep-size", keep_size)
    said = run(tmp_path, "zsync", "-i", "seed", "-o", "image.bin", f"{server.url}/image.bin.zsync")
    assert "checksum matches OK" in said
    assert (tmp_path / "image.bin").read_bytes() == new
    answers = read_requests(server, "image.bin")
    # zsync asks for twenty ranges at once.
    assert {status for status, _ in answers} == {"206"}
    assert len(answers) <= len(CHANGED) // 10
    # It takes what it lacks, the blocks beside it, and the heads of the parts.
    assert sum(octets for _, octets in answers) < len(new)


@has("zck", "zckdl")
@KEEPS
def test_zchunk(
    serve: Serve, site: Path, tmp_path: Path, contents: tuple[bytes, bytes], keep_size: str
) -> None:
    """What dnf takes its lists of packages with: it begins with 255 ranges, and 127 are answered."""
    # A chunk begins with each of these words.
    old, new = (
        b"".join(
            b"CHUNK" + content[start : start + BLOCK_OCTETS]
            for start in range(0, len(content), BLOCK_OCTETS)
        )
        for content in contents
    )
    (site / "new").write_bytes(new)
    (tmp_path / "old").write_bytes(old)
    run(site, "zck", "--manual", "--split", "CHUNK", "--output", "list.zck", "new")
    run(tmp_path, "zck", "--manual", "--split", "CHUNK", "--output", "old.zck", "old")
    whole = (site / "list.zck").read_bytes()
    server = serve(site, "--keep-size", keep_size)
    run(tmp_path, "zckdl", "--source", "old.zck", f"{server.url}/list.zck")
    assert (tmp_path / "list.zck").read_bytes() == whole
    answers = read_requests(server, "list.zck")
    assert len(answers) <= 12
    assert sum(octets for status, octets in answers if status == "206") < len(whole)


@has("curl")
@KEEPS
def test_curl_and_a_strict_reader(
    serve: Serve, site: Path, tmp_path: Path, contents: tuple[bytes, bytes], keep_size: str
) -> None:
    _, content = contents
    (site / "image.bin").write_bytes(content)
    server = serve(site, "--keep-size", keep_size, "--quiet")
    ranges = [(block * BLOCK_OCTETS + 7, block * BLOCK_OCTETS + 1300) for block in range(200)]
    value = ",".join(f"{first}-{last}" for first, last in ranges)
    run(
        tmp_path, "curl", "-q", "--silent", "--fail", "--range", value,
        "--dump-header", "head", "--output", "content", f"{server.url}/image.bin",
    )  # fmt: skip
    status_line, _, fields = (tmp_path / "head").read_bytes().partition(b"\r\n")
    octets = (tmp_path / "content").read_bytes()
    assert status_line == b"HTTP/1.1 206 Partial Content"
    assert f"Content-Length: {len(octets)}\r\n".encode() in fields
    assert_parts(fields + octets, content, ranges)


@KEEPS
def test_a_connection_stays_open_after_many_parts(
    serve: Serve, site: Path, contents: tuple[bytes, bytes], keep_size: str
) -> None:
    """Short parts, long ones and those between them, pipelined."""
    _, content = contents
    (site / "image.bin").write_bytes(content)
    server = serve(site, "--keep-size", keep_size, "--quiet")
    sets = [
        [(first, first) for first in range(0, 1000, 5)],
        [(first, first + 40_000) for first in range(0, 1_000_000, 100_000)],
        [(0, 5), (100, 100_000), (200_000, 200_005), (300_000, 700_000), (2_000_000, 2_097_151)],
    ]
    with server.connect() as peer:
        for ranges in sets:
            value = ",".join(f"{first}-{last}" for first, last in ranges)
            peer.sendall(
                f"GET /image.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={value}\r\n\r\n".encode()
            )
        received = b""
        for ranges in sets:
            while b"\r\n\r\n" not in received:
                received += peer.recv(65536)
            head, _, received = received.partition(b"\r\n\r\n")
            length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
            while len(received) < length:
                received += peer.recv(65536)
            octets, received = received[:length], received[length:]
            assert_parts(head.partition(b"\r\n")[2] + b"\r\n\r\n" + octets, content, ranges)
        assert received == b""
        peer.sendall(b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n")
        head, rest = receive_head(peer)
        assert receive_content(peer, head, rest) == (site / "index.html").read_bytes()


def assert_parts(message: bytes, content: bytes, ranges: list[tuple[int, int]]) -> None:
    """Read fields and content of an answer as a multipart message, in which nothing may be odd."""
    read = message_from_bytes(message, policy=policy.strict.clone(utf8=False))
    assert read.get_content_type() == "multipart/byteranges"
    assert not read.preamble
    assert not read.epilogue
    parts = read.get_payload()
    assert isinstance(parts, list)
    assert len(parts) == len(ranges)
    boundary = read.get_boundary()
    assert boundary is not None
    # The reader takes a CRLF within binary content for a line end: octets are compared as they are.
    delimiter = b"\r\n--" + boundary.encode()
    preamble, *sections, end = message.partition(b"\r\n\r\n")[2].split(delimiter)
    assert (preamble, end) == (b"", b"--\r\n")
    for part, section, (first, last) in zip(parts, sections, ranges, strict=True):
        assert part["Content-Range"] == f"bytes {first}-{last}/{len(content)}"
        assert section.partition(b"\r\n\r\n")[2] == content[first : last + 1]
