"""Programs that are started without the interpreter being held."""

import os
import signal

import pytest

from epollo.linux.spawn import spawn


def test_a_program_has_what_it_is_given() -> None:
    reading, writing = os.pipe()
    try:
        pid = spawn(
            "/bin/sh",
            ["sh", "-c", 'echo "$0 $A"; exec grep SigBlk /proc/self/status', "a b"],
            {"A": "é="},
            [(writing, 1), (writing, 7)],
            (),
        )
        os.close(writing)
        assert os.waitpid(pid, 0) == (pid, 0)
        assert os.read(reading, 100).startswith("a b é=\nSigBlk:\t0000".encode())
    finally:
        os.close(reading)


def test_signals_are_blocked_from_the_beginning() -> None:
    pid = spawn("/bin/sleep", ["sleep", "60"], {}, [], (signal.SIGTERM, signal.SIGUSR2))
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGUSR2)
    os.kill(pid, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGINT


@pytest.mark.parametrize(
    ("program", "descriptor", "error"),
    [
        ("/nowhere", 2, FileNotFoundError),
        ("/bin", 2, PermissionError),
        ("/bin/true", 9999, OSError),
    ],
)
def test_what_cannot_be_started_is_refused(
    program: str, descriptor: int, error: type[OSError]
) -> None:
    with pytest.raises(error):
        spawn(program, ["program"], {}, [(descriptor, 2)], ())
