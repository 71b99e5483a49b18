"""What the soak takes for a right answer of a file that rsync writes in place."""

import math
import os
import socket
import threading
from pathlib import Path

import pytest

from doors import UNIX, Door
from inplace import LENGTHS, SyncedClient, SyncedFiles, Writing, compose

NAME = "synced.bin"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 3\r\n\r\nno\n"


def _give(listener: socket.socket, answer: bytes) -> None:
    with listener, listener.accept()[0] as peer:
        peer.recv(4096)
        peer.sendall(answer)


class _Files(SyncedFiles):
    """Files of which no process writes, with a history of their own."""

    def __init__(self, *history: Writing) -> None:
        self._history = {NAME: list(history)}


def _answer(content: bytes, length: int) -> bytes:
    return b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: %d\r\n\r\n%b' % (length, content)


QUIET = (Writing(1, 0.0, 0.0),)
WRITTEN = (Writing(1, 0.0, 0.0), Writing(2, 0.0, math.inf))
LATE = (Writing(1, 0.0, 0.0), Writing(2, 10.0, math.inf))
WHOLE = compose(NAME, 1)
MIXED = WHOLE[:1000] + compose(NAME, 2)[1000:]
FOREIGN = WHOLE[:1000] + compose(NAME, 3)[1000:]


@pytest.mark.parametrize(
    ("history", "answer", "kind", "wrong"),
    [
        (QUIET, _answer(WHOLE, LENGTHS[NAME]), "synced", 0),
        (QUIET, _answer(WHOLE[:-1], LENGTHS[NAME]), "synced-cut", 1),
        (WRITTEN, _answer(WHOLE[:-1], LENGTHS[NAME]), "synced-cut", 0),
        (QUIET, REFUSAL, "synced-refused", 1),
        (WRITTEN, REFUSAL, "synced-refused", 0),
        (WRITTEN, REFUSAL.replace(b"Retry-After: 1\r\n", b""), None, 1),
        (WRITTEN, REFUSAL.replace(b"503", b"500"), None, 1),
        (WRITTEN, _answer(MIXED, LENGTHS[NAME]), "synced", 1),
        (LATE, _answer(MIXED, LENGTHS[NAME]), "synced-lent", 0),
        (LATE, _answer(FOREIGN, LENGTHS[NAME]), "synced", 1),
    ],
)
def test_a_refusal_and_a_cut_are_right_only_while_the_file_is_written(
    history: tuple[Writing, ...],
    answer: bytes,
    kind: str | None,
    wrong: int,
    tmp_path: Path,
) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(tmp_path / "door"))
    listener.listen()
    giver = threading.Thread(target=_give, args=(listener, answer))
    giver.start()
    door = Door(UNIX, path=os.fspath(tmp_path / "door"))
    client = SyncedClient(door, _Files(*history), seed=0)
    client._ask(NAME)
    giver.join()
    assert dict(client.count.answers) == ({} if kind is None else {kind: 1})
    assert len(client.count.wrong) == wrong, client.count.wrong
