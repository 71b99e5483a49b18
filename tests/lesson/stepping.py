"""The programs of the lesson as processes, and what a client on a bare socket sees of them."""

import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LESSON = Path(__file__).resolve().parent.parent.parent / "lesson"
PROGRAMS = sorted(LESSON.glob("[0-9][0-9]_*.py"))
HEARING_SECONDS = 0.3
"""How long a client listens before it says that it was not answered; what follows proves it."""


class Step:
    """One program of the lesson, on a free port, with a folder to serve."""

    def __init__(
        self, program: Path, folder: Path, *arguments: str, descriptors: int | None = None
    ) -> None:
        self._stderr_path = folder.parent / f"stderr-{id(self)}"
        command = [sys.executable, str(program), "0", *arguments]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        with self._stderr_path.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # Ctrl-C is tried even where the tests run in the background, which ignores it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )
        assert self.process.stdout is not None
        found = re.search(rb"http://127\.0\.0\.1:(\d+)/", self.process.stdout.readline())
        assert found is not None, self.stderr
        self.port = int(found[1])

    @property
    def stderr(self) -> str:
        return self._stderr_path.read_text()

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def ask(self, target: str = "/small", version: str = "1.1") -> bytes:
        """Return the content of an answer 200, on a connection of its own."""
        with self.connect() as client:
            client.sendall(format_request(target, version))
            head, content = receive_answer(client)
            assert b" 200 OK" in head, head
            return content

    def exchange(self, octets: bytes) -> bytes:
        """Send octets, half-close, and return all that comes until the server closes."""
        with self.connect() as client:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            return receive_all(client)

    def end(self) -> str:
        """Wait until the program ends by itself; return what it wrote on stderr."""
        assert self.process.wait(20) != 0
        return self.stderr

    def cpu_seconds(self) -> float:
        """Return the processor time that the program has used (proc_pid_stat(5))."""
        fields = self._read_stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_octets(self) -> int:
        """Return the most memory that the program has had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the program in its sleep, so that all that happens meanwhile is ready in one batch."""
        while self._read_stat()[0] != "S":
            assert not self.is_over
        self.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield
        self.process.send_signal(signal.SIGCONT)

    def _read_stat(self) -> list[str]:
        """Return the fields from the state of the process on (proc_pid_stat(5))."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()

    def close(self) -> None:
        if not self.is_over:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


def find_program(number: int) -> Path:
    """Return the program of a step."""
    return PROGRAMS[number]


def format_request(
    target: str, version: str = "1.1", method: str = "GET", fields: str = ""
) -> bytes:
    return f"{method} {target} HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode()


def receive_head(client: socket.socket) -> bytes:
    """Return a head, and leave what follows it in the socket."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = client.recv(1)
        assert octet, f"the connection ended within a head: {head!r}"
        head += octet
    return head


def receive_answer(client: socket.socket) -> tuple[bytes, bytes]:
    """Return the head and the content of one answer."""
    head = receive_head(client)
    found = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    assert found is not None, head
    return head, receive_octets(client, int(found[1]))


def receive_octets(client: socket.socket, length: int) -> bytes:
    content = bytearray()
    while len(content) < length and (octets := client.recv(min(1 << 20, length - len(content)))):
        content += octets
    return bytes(content)


def receive_all(client: socket.socket) -> bytes:
    """Return what comes until the server closes, also where it resets the connection."""
    content = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while octets := client.recv(1 << 20):
            content += octets
    return bytes(content)


def hears(client: socket.socket, seconds: float = HEARING_SECONDS) -> bool:
    """Return whether something comes, or the end, within some time."""
    return bool(select.select([client], [], [], seconds)[0])


def reset(client: socket.socket) -> None:
    """Close a connection by RST (socket(7), SO_LINGER with no time)."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
