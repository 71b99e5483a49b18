"""What a worker gets of its parent's environment, and descriptors that can only be written to."""

import errno
import os
import pty
import tty
from pathlib import Path

import pytest

from epollo.linux.inheritance import (
    open_end_of_file,
    open_for_writing,
    select_environment,
)
from epollo.linux.nonblocking import await_relays


@pytest.mark.parametrize(
    ("name", "is_needed"),
    [
        ("LANG", True),
        ("LC_ALL", True),
        ("TZ", True),
        ("PYTHONPATH", True),
        ("PYTHONUTF8", True),
        ("LD_LIBRARY_PATH", True),
        ("PATH", False),
        ("HOME", False),
        ("AWS_SECRET_ACCESS_KEY", False),
        ("NOTIFY_SOCKET", False),
        ("SSH_AUTH_SOCK", False),
        ("LD_PRELOAD", False),
        ("MY_LANG", False),
    ],
)
def test_environment(name: str, is_needed: bool) -> None:
    assert select_environment({name: "x"}) == ({name: "x"} if is_needed else {})


def test_a_terminal_can_be_written_to_and_not_read_from() -> None:
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    descriptor = open_for_writing(terminal)
    try:
        os.write(descriptor, b"line")
        assert os.read(master, 10) == b"line"
        os.write(master, b"typed")
        with pytest.raises(OSError, match="Bad file descriptor") as refusal:
            os.read(descriptor, 10)
        assert refusal.value.errno == errno.EBADF
        # It is another one than that of the shell, whose state it does not share.
        os.set_blocking(descriptor, False)
        assert os.get_blocking(terminal)
        assert not os.get_inheritable(descriptor)
    finally:
        for one in (master, terminal, descriptor):
            os.close(one)


def test_a_pipe_is_written_to_as_it_is() -> None:
    reading, writing = os.pipe()
    descriptor = open_for_writing(writing)
    os.write(descriptor, b"line")
    assert os.read(reading, 10) == b"line"
    for one in (reading, writing, descriptor):
        os.close(one)


def test_a_file_keeps_its_position(tmp_path: Path) -> None:
    """What the parent has printed is not written over."""
    with (tmp_path / "lines").open("w+b", buffering=0) as file:
        file.write(b"first ")
        descriptor = open_for_writing(file.fileno())
        os.write(descriptor, b"second")
        os.close(descriptor)
    assert (tmp_path / "lines").read_bytes() == b"first second"


def test_nothing_can_be_read_of_stdin() -> None:
    descriptor = open_end_of_file()
    assert os.read(descriptor, 1) == b""
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        open_for_writing(descriptor)


def test_a_terminal_of_another_user_is_written_to_by_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After su(1) it cannot be opened anew; a worker gets the end of a pipe."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    open_anew = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path.startswith("/proc/self/fd/"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_anew(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    descriptor = open_for_writing(terminal)
    os.write(descriptor, b"line")
    assert os.read(master, 10) == b"line"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(descriptor, 10)
    os.close(descriptor)
    await_relays(10)
    os.close(terminal)
    os.close(master)
