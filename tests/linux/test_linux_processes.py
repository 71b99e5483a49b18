"""How the end of a process is told."""

import signal

import pytest

from epollo.linux.processes import describe_exit


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with status 0"),
        (2, "ended with status 2"),
        (-signal.SIGKILL, "was ended by SIGKILL"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        # Real-time signals between the first and the last have no names.
        (-(signal.SIGRTMIN + 1), f"was ended by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_how_a_process_ended(status: int, words: str) -> None:
    assert describe_exit(status) == words
