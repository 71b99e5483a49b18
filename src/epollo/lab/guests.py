"""The guests, in a process of their own: ``python -m epollo.lab.guests PORT COUNTERS PID...``.

Most of them sit and say nothing; a few ask, get their answer, and ask again. What the server spends is
read here, right before and after the time in which they ask, from the kernel's books and from the
server's own tally (``COUNTERS`` is its descriptor, -1 for a server that does not count).

Each line on stdin is a command in JSON, each line on stdout its result. When stdin ends, the guests
end, and the server with them: nothing is left behind, however the lab itself ended.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

from epollo.annotations import Any, Final
from epollo.lab.accounting import cpu_seconds
from epollo.lab.counters import Counters
from epollo.linux.descriptors import raise_descriptor_limit

REQUEST: Final = b"GET /dish HTTP/1.1\r\nHost: lab\r\n\r\n"

_CONNECTIONS_PER_SOURCE: Final = 20_000
"""Connections from one source address, below the 28,232 ephemeral ports of ip(7)."""
_TOGETHER: Final = 256
"""How many connect before an answer to the first is awaited."""
_ANSWER_SECONDS: Final = 60.0
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""ip(7): choose the port at connect; else each bind looks for a free one, and that takes time."""
# Closing resets the connection: no port is kept for a minute afterwards (tcp(7), socket(7)).
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class TurnedAwayError(Exception):
    """The server closed a connection instead of answering."""


class Guests:
    """Connections to one server, and the books on it."""

    def __init__(self, port: int, counters: Counters | None, processes: list[int]) -> None:
        self._port = port
        self._counters = counters
        self._processes = processes
        self._idle: list[socket.socket] = []
        self._asking: list[socket.socket] = []
        self._answer_octets = 0

    def open(self, total: int) -> dict[str, Any]:
        """Open connections until ``total`` are idle; each is answered once and then silent.

        Return how many there are: fewer than ``total`` if the server turned one away.
        """
        try:
            while len(self._idle) < total:
                self._open_some(self._idle, min(total - len(self._idle), _TOGETHER))
        except (TurnedAwayError, OSError) as trouble:
            return {"idle": len(self._idle), "trouble": str(trouble) or type(trouble).__name__}
        return {"idle": len(self._idle), "trouble": ""}

    def wait(self, seconds: float) -> dict[str, Any]:
        """Ask nothing for a while; return what the server spent meanwhile."""
        before = self._read_books()
        time.sleep(seconds)
        return self._close_books(before)

    def ask(self, seconds: float, connections: int) -> dict[str, Any]:
        """Keep some connections asking, each again as soon as it is answered; return what that took.

        Latencies are microseconds.
        """
        try:
            if len(self._asking) < connections:
                self._open_some(self._asking, connections - len(self._asking))
            before = self._read_books()
            latencies = self._ask(self._asking[:connections], seconds)
            spent = self._close_books(before)
        except (TurnedAwayError, OSError) as trouble:
            return {"trouble": str(trouble) or type(trouble).__name__}
        latencies.sort()
        last = len(latencies) - 1
        return {
            "trouble": "",
            "requests": len(latencies),
            "p50": latencies[last // 2] * 1e6,
            "p99": latencies[last * 99 // 100] * 1e6,
            "worst": latencies[last] * 1e6,
            **spent,
        }

    def close(self) -> None:
        """Leave."""
        for peer in (*self._idle, *self._asking):
            peer.close()

    def _ask(self, peers: list[socket.socket], seconds: float) -> list[float]:
        """Return how long each answer took, in seconds."""
        latencies: list[float] = []
        by_descriptor = {peer.fileno(): peer for peer in peers}
        missing = dict.fromkeys(by_descriptor, self._answer_octets)
        asked: dict[int, float] = {}
        now = time.perf_counter()
        end = now + seconds
        with select.epoll() as poller:
            for descriptor, peer in by_descriptor.items():
                poller.register(descriptor, select.EPOLLIN)
                asked[descriptor] = now
                peer.send(REQUEST)
            while asked:
                ready = poller.poll(_ANSWER_SECONDS)
                if not ready:
                    raise TurnedAwayError(f"no answer within {_ANSWER_SECONDS:.0f} seconds")
                for descriptor, _ in ready:
                    octets = by_descriptor[descriptor].recv(65536)
                    if not octets:
                        raise TurnedAwayError("the server closed a connection")
                    missing[descriptor] -= len(octets)
                    if missing[descriptor] > 0:
                        continue
                    missing[descriptor] = self._answer_octets
                    now = time.perf_counter()
                    latencies.append(now - asked.pop(descriptor))
                    if now < end:
                        asked[descriptor] = now
                        by_descriptor[descriptor].send(REQUEST)
        return latencies

    def _open_some(self, peers: list[socket.socket], number: int) -> None:
        """Open connections together; all that were answered are kept."""
        new: list[socket.socket] = []
        try:
            new.extend(self._connect(len(peers) + position) for position in range(number))
            for peer in new:
                peer.sendall(REQUEST)
            while new:
                self._receive_answer(new[0])
                peers.append(new.pop(0))
        finally:
            for peer in new:
                peer.close()

    def _connect(self, position: int) -> socket.socket:
        peer = socket.socket()
        try:
            peer.settimeout(_ANSWER_SECONDS)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            peer.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.bind((f"127.0.0.{2 + position // _CONNECTIONS_PER_SOURCE}", 0))
            peer.connect(("127.0.0.1", self._port))
        except BaseException:
            peer.close()
            raise
        return peer

    def _receive_answer(self, peer: socket.socket) -> None:
        octets = b""
        while not self._answer_octets or len(octets) < self._answer_octets:
            part = peer.recv(65536)
            if not part:
                raise TurnedAwayError("the server closed a connection unanswered")
            octets += part
            if not self._answer_octets and b"\r\n\r\n" in octets:
                self._answer_octets = measure_answer(octets)
        if not octets.startswith(b"HTTP/1.1 200 "):
            raise TurnedAwayError(octets.partition(b"\r\n")[0].decode("latin-1"))

    def _read_books(self) -> tuple[float, float, dict[str, int]]:
        counted = {} if self._counters is None else self._counters.read()
        return time.perf_counter(), cpu_seconds(self._processes), counted

    def _close_books(self, before: tuple[float, float, dict[str, int]]) -> dict[str, Any]:
        begun, cpu_before, counted_before = before
        cpu = cpu_seconds(self._processes) - cpu_before
        counted = {} if self._counters is None else self._counters.read()
        return {
            "seconds": time.perf_counter() - begun,
            "cpu_seconds": cpu,
            "counted": {name: counted[name] - counted_before[name] for name in counted},
        }


def measure_answer(octets: bytes) -> int:
    """Return the octets of an answer, head and content, from its head. Raises `TurnedAwayError`."""
    head = octets.partition(b"\r\n\r\n")[0]
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if found is None:
        raise TurnedAwayError("an answer without Content-Length")
    return len(head) + 4 + int(found[1])


def main() -> None:
    """Do what stdin says until it ends."""
    port, descriptor, *processes = map(int, sys.argv[1:])
    raise_descriptor_limit()
    # The lab ends us; Ctrl-C is for the lab.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counters = None if descriptor < 0 else Counters(descriptor)
    guests = Guests(port, counters, processes)
    held = []
    for process in processes:
        with contextlib.suppress(OSError):
            held.append(os.pidfd_open(process))
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "open": guests.open,
        "wait": guests.wait,
        "ask": guests.ask,
    }
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(commands[name](*arguments)), flush=True)
    finally:
        # Each close resets a connection. The server is ended first, so that it need not act on all of
        # them.
        for process in held:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        guests.close()


if __name__ == "__main__":
    main()
