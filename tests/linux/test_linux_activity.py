"""What is told of another process: whether it runs, waits for a processor, or does nothing."""

import os
import signal
import subprocess
import sys
import time
from typing import NoReturn

import pytest

from epollo.linux.activity import read_activity

_BUSY = "print('ready', flush=True)\nwhile True: pass"


def test_a_process_that_is_busy_uses_a_processor_and_one_that_is_stopped_none() -> None:
    command = [sys.executable, "-c", _BUSY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            first = read_activity(process.pid)
            assert first.is_known
            assert first.is_waiting
            while read_activity(process.pid).processor_seconds <= first.processor_seconds:
                time.sleep(0)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            stopped = read_activity(process.pid)
            assert stopped.is_known
            assert not stopped.is_waiting
            assert read_activity(process.pid).processor_seconds == stopped.processor_seconds
        finally:
            process.kill()


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert not read_activity(2**22).is_known


def test_without_proc_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> NoReturn:
        raise FileNotFoundError(path, mode)

    monkeypatch.setattr("builtins.open", refuse)
    activity = read_activity(os.getpid())
    assert not activity.is_known
    assert activity.processor_seconds > 0
