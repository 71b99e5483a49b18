"""Hold connections open: ``idle.py HOST PORT TARGET COUNT``.

Each makes one request and reads its answer, so that it has been through all that a kept-alive
connection goes through; then it says nothing more. Prints ``open`` when all are; each line on
standard input is answered with the number that the server has not closed. Ends with its input.
"""

import resource
import select
import socket
import sys
import time

from wire import WrongAnswerError, format_request, read_answer

PER_SOURCE = 5_000
"""Connections from one source address, well below the 28,232 ephemeral ports of ip(7)."""

IP_BIND_ADDRESS_NO_PORT = 24
"""ip(7): choose the port at connect, where one that another connection has may be had again.

Without it each bind looks for a port of its own, which takes milliseconds when many are open.
"""
ALL_SECONDS = 120
"""How long it may take to open them all."""


def open_connection(address: tuple[str, int], source: str, request: bytes) -> socket.socket:
    peer = socket.socket()
    peer.settimeout(20)
    peer.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    peer.bind((source, 0))
    peer.connect(address)
    peer.sendall(request)
    with peer.makefile("rb") as stream:
        if read_answer(stream).status != 200:
            raise WrongAnswerError("an idle connection was not answered with 200")
    return peer


def count_alive(peers: list[socket.socket]) -> int:
    """Return how many peers have nothing to say: a close would make them readable."""
    poller = select.poll()
    for peer in peers:
        poller.register(peer, select.POLLIN | select.POLLRDHUP)
    return len(peers) - len(poller.poll(0))


def main() -> None:
    host, port, target, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = format_request(target, (("Host", f"{host}:{port}"),))
    peers: list[socket.socket] = []
    deadline = time.monotonic() + ALL_SECONDS
    try:
        for number in range(count):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{ALL_SECONDS} seconds are over")
            source = f"127.0.0.{2 + number // PER_SOURCE}"
            peers.append(open_connection((host, port), source, request))
    except (OSError, WrongAnswerError) as trouble:
        print(f"{len(peers)} of {count} idle connections, then {trouble}", flush=True)
        return
    print("open", flush=True)
    for _ in sys.stdin:
        print(count_alive(peers), flush=True)


if __name__ == "__main__":
    main()
