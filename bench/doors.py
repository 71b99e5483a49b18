"""Servers for a soak, and the doors of its clients: TCP, TLS, a unix-domain socket, PROXY."""

import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SOURCE: Final = Path(__file__).resolve().parent.parent / "src"
PATIENCE_SECONDS: Final = 30
"""An answer that makes no progress for so long is missing; so is the end of a server."""
TCP: Final = "tcp"
UNIX: Final = "unix"
PROXY: Final = "proxy"
TLS: Final = "tls"

# The same peer in both versions of the header (HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2).
PREAMBLES: Final = (
    b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 80\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\xc3\x50\x00\x50",
)


class Door(NamedTuple):
    """Where a server can be reached.

    ``path`` is that of a unix-domain socket, or of the authority that a client of TLS trusts.
    """

    kind: str
    port: int = 0
    path: str = ""

    def connect(self) -> socket.socket:
        """Return a connection on which requests may be sent."""
        if self.kind == UNIX:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PATIENCE_SECONDS)
            try:
                peer.connect(self.path)
            except OSError:
                peer.close()
                raise
            return peer
        peer = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
        if self.kind == PROXY:
            peer.sendall(random.choice(PREAMBLES))
        if self.kind == TLS:
            return self._secure(peer)
        return peer

    def _secure(self, peer: socket.socket) -> socket.socket:
        """Shake hands, now and then by the former version."""
        context = ssl.create_default_context(cafile=self.path)
        if random.random() < 0.25:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            return context.wrap_socket(peer, server_hostname="localhost")
        except OSError:
            peer.close()
            raise


class Reading(NamedTuple):
    """What servers and their workers take together."""

    resident_kib: int
    descriptors: int
    processes: int


class Server:
    """epollo as an operator starts it, serving one folder through one door."""

    def __init__(self, kind: str, root: Path, scratch: Path, arguments: list[str]) -> None:
        self.stderr_path = scratch / f"stderr-{kind}"
        path = scratch / f"{kind}.socket"
        listening = ["--unix", str(path)] if kind == UNIX else ["--port", "0"]
        if kind == PROXY:
            listening.append("--proxy-protocol")
        state = scratch / "state"
        if kind == TLS:
            path = state / "authority.pem"
            listening.append("--tls-self-signed")
        with self.stderr_path.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "epollo", str(root), *listening, "--quiet", *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=set_environment() | {"STATE_DIRECTORY": str(state)},
                text=True,
            )
        self.door = Door(kind, self._read_port(kind), str(path))

    def _read_port(self, kind: str) -> int:
        """Wait until the server says where it listens; return the port, 0 where it has none."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"https?://\S+?:(\d+)/", line)
            if found:
                return int(found[1])
            if kind == UNIX and "Ctrl-C" in line:
                return 0
        raise SystemExit(f"the server did not start: {self.stderr_path.read_text()}")

    def read(self) -> Reading:
        """Return what all processes of the server take at this moment."""
        resident, descriptors = 0, 0
        processes = list(_list_processes(self.process.pid))
        for process in processes:
            try:
                status = Path(f"/proc/{process}/status").read_text()
                descriptors += len(os.listdir(f"/proc/{process}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            found = re.search(r"VmRSS:\s+(\d+) kB", status)
            resident += int(found[1]) if found else 0
        return Reading(resident, descriptors, len(processes))

    def stop(self) -> int:
        """Ask the server to end, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()


def set_environment() -> dict[str, str]:
    """Return the environment in which the epollo beside this file is the one that runs."""
    paths = [str(SOURCE), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
    }


def _list_processes(process: int) -> Iterator[int]:
    """Return a process and all that it started (proc_pid_task_children(5))."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children.split():
        yield from _list_processes(int(child))
