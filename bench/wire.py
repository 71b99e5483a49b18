"""One request and its answer on a plain blocking socket, as RFC 9112 section 6.3 reads it.

The benchmark checks every server with it before it counts anything, so that a fast wrong answer is
never taken for a fast server.
"""

import gzip
import hashlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

Fields = tuple[tuple[str, str], ...]


class WrongAnswerError(Exception):
    """The server answered, but not with what was asked for; the text says how."""


@dataclass(frozen=True)
class Answer:
    """A response; field names are in lower case, ``octets`` is its length on the wire."""

    status: int
    fields: dict[str, str]
    content: bytes
    octets: int


def format_request(target: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def read_answer(stream: BinaryIO) -> Answer:
    """Read one response to a GET; raise WrongAnswerError where it is cut short or no HTTP/1."""
    octets = 0

    def read_line() -> bytes:
        nonlocal octets
        line = stream.readline(65536)
        octets += len(line)
        if not line.endswith(b"\n"):
            raise WrongAnswerError("the answer ends within a line")
        return line.rstrip(b"\r\n")

    def read_exactly(length: int) -> bytes:
        nonlocal octets
        content = stream.read(length)
        octets += len(content)
        if len(content) != length:
            raise WrongAnswerError(
                f"{len(content)} octets of content where {length} were announced"
            )
        return content

    version, _, rest = read_line().partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise WrongAnswerError("the answer does not begin with a status line")
    status = int(rest[:3])
    fields: dict[str, str] = {}
    while line := read_line():
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.lower()] = value.strip()

    content = b""
    if status in {204, 304}:
        pass
    elif fields.get("transfer-encoding", "").lower() == "chunked":
        while length := int(read_line().partition(b";")[0], 16):
            content += read_exactly(length)
            read_line()
        while read_line():
            pass
    elif "content-length" in fields:
        content = read_exactly(int(fields["content-length"]))
    else:
        content = stream.read()
        octets += len(content)
    return Answer(status, fields, content, octets)


def ask(address: tuple[str, int], requests: bytes, answers: int = 1) -> list[Answer]:
    """Send these octets on a new connection and read this many answers."""
    with socket.create_connection(address, timeout=30) as peer:
        peer.sendall(requests)
        with peer.makefile("rb") as stream:
            return [read_answer(stream) for _ in range(answers)]


def check_answer(answer: Answer, status: int, content: bytes, coding: str) -> None:
    """Raise WrongAnswerError unless status, content coding and (decoded) content are these."""
    if answer.status != status:
        raise WrongAnswerError(f"status {answer.status}, not {status}")
    if answer.fields.get("content-encoding", "") != coding:
        said = answer.fields.get("content-encoding", "none")
        raise WrongAnswerError(f"content coding {said}, not {coding or 'none'}")
    received = gzip.decompress(answer.content) if coding == "gzip" else answer.content
    if len(received) != len(content):
        raise WrongAnswerError(f"{len(received)} octets of content, not {len(content)}")
    if hashlib.sha256(received).digest() != hashlib.sha256(content).digest():
        raise WrongAnswerError("the content is another than the file's")
