"""The report of most pollers is not of one moment: a change may fall between two looks of theirs."""

import contextlib
import socket
from pathlib import Path

import pytest

from conftest import POLLER_NAMES, Serve, receive_content, receive_head
from site_grounds import replace

CHANGES = 200
IDLE_CONNECTIONS = 100


def get_content(peer: socket.socket) -> bytes:
    peer.sendall(b"GET /number.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    return receive_content(peer, *receive_head(peer))


@pytest.mark.parametrize("poller", POLLER_NAMES)
def test_replaced_with_many_idle(serve: Serve, tmp_path: Path, poller: str) -> None:
    root = tmp_path / "top" / "site"
    root.mkdir(parents=True)
    page = root / "number.txt"
    page.write_bytes(b"start")
    server = serve(root, "--quiet", "--poller", poller)
    with contextlib.ExitStack() as idle:
        for _ in range(IDLE_CONNECTIONS):
            assert get_content(idle.enter_context(server.connect())) == b"start"
        with server.connect() as peer:
            for number in range(CHANGES):
                content = b"%05d" % number
                replace(page, content)
                assert get_content(peer) == content
