"""Nothing that is written to waits for its reader, and nothing that is shared is changed."""

import os
import pty
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.linux.nonblocking import await_relays, choose_write, open_nonblocking

FULL_OCTETS = 1024 * 1024


def fill(descriptor: int) -> int:
    """Write until no more is taken; return how many octets were."""
    write = choose_write(descriptor)
    taken = 0
    try:
        while taken < FULL_OCTETS:
            taken += write(b"0123456789abcde\n" * 16)
    except BlockingIOError:
        return taken
    raise AssertionError("it is never full")


def read_all(descriptor: int) -> bytes:
    octets = b""
    while part := os.read(descriptor, 65536):
        octets += part
    return octets


def make_pipe() -> tuple[int, int]:
    return os.pipe()


def make_terminal() -> tuple[int, int]:
    return pty.openpty()


def make_sockets() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


@pytest.fixture(params=[make_pipe, make_terminal, make_sockets])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A reading end and a writing end."""
    reading, writing = request.param()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def refuse_to_open(*_: object, **__: object) -> int:
    raise PermissionError(13, "Permission denied")


def test_a_reader_that_stopped_is_not_waited_for(ends: tuple[int, int]) -> None:
    _, writing = ends
    descriptor = open_nonblocking(writing)
    assert fill(descriptor) > 1000
    assert os.get_blocking(writing)
    os.close(descriptor)


def test_a_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb", buffering=0) as file:
        file.write(b"first\n")
        descriptor = open_nonblocking(file.fileno())
        assert choose_write(descriptor)(b"line\n") == 5
        file.write(b"last\n")
        os.close(descriptor)
    assert path.read_bytes() == b"first\nline\nlast\n"


@pytest.mark.parametrize("is_shared_one_blocking", [True, False])
def test_a_pipe_of_another_user_is_written_to_by_a_thread(
    monkeypatch: pytest.MonkeyPatch, is_shared_one_blocking: bool
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, is_shared_one_blocking)
    monkeypatch.setattr(os, "open", refuse_to_open)
    descriptor = open_nonblocking(writing)
    taken = fill(descriptor)
    # A pipe holds that much (pipe(7)); the thread may have taken more of it.
    assert taken >= 65536
    os.close(descriptor)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(read_all(reading)))
    reader.start()
    await_relays(30)
    os.close(writing)
    reader.join()
    assert len(seen[0]) == taken
    assert set(seen[0].splitlines()) == {b"0123456789abcde"}
    os.close(reading)


def test_a_reader_that_is_gone_is_an_error_also_behind_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(os, "open", refuse_to_open)
    descriptor = open_nonblocking(writing)
    choose_write(descriptor)(b"lost\n")
    await_relays(30)
    with pytest.raises(BrokenPipeError):
        choose_write(descriptor)(b"more\n")
    os.close(descriptor)
    os.close(writing)


def test_without_a_thread_there_is_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reading, writing = os.pipe()
    monkeypatch.setattr(os, "open", refuse_to_open)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No thread can be started"):
        open_nonblocking(writing)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(reading)
    os.close(writing)
