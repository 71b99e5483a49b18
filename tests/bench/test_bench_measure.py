import mmap
import os
import subprocess
import sys

import pytest

from measure import (
    Load,
    count_answers,
    cpu_seconds,
    parse_load,
    process_tree,
    pss_octets,
    wrk_command,
)

OUTPUT = """\
Running 1s test @ http://127.0.0.1:8000/1k.html
  1 threads and 64 connections
Requests/sec:  60568.33
report {"requests": 60569, "duration_microseconds": 1000010, "octets": 76498647, \
"connect_errors": 1, "read_errors": 2, "write_errors": 4, "status_errors": 8, "timeouts": 16, \
"p50_microseconds": 956, "p99_microseconds": 2804}
"""


def test_the_report_line_is_read_and_all_kinds_of_errors_are_added() -> None:
    assert parse_load(OUTPUT) == Load(
        requests=60569,
        seconds=1.00001,
        octets=76498647,
        errors=31,
        p50_microseconds=956,
        p99_microseconds=2804,
    )


def test_an_output_without_report_is_an_error() -> None:
    with pytest.raises(ValueError, match="no report"):
        parse_load("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_large_answers_under_way_count_by_their_part() -> None:
    load = Load(requests=2, seconds=1, octets=250, errors=0, p50_microseconds=1, p99_microseconds=1)
    assert count_answers(load, 100) == 2.5


def test_wrk_is_told_whole_seconds_and_every_field() -> None:
    command = wrk_command(
        ("127.0.0.1", 8000),
        "/1k.html",
        (("Range", "bytes=0-99"),),
        script="report.lua",
        connections=64,
        seconds=2.0,
    )
    assert command[command.index("--duration") + 1] == "2s"
    assert command[command.index("-H") + 1] == "Range: bytes=0-99"
    assert command[-1] == "http://127.0.0.1:8000/1k.html"


def test_children_belong_to_the_tree() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdout.readline()
        tree = process_tree(parent.pid)
        parent.stdin.close()
    assert tree[0] == parent.pid
    assert len(tree) == 2


def test_cpu_time_agrees_with_the_processes_own_account() -> None:
    before = cpu_seconds([os.getpid()])
    sum(range(300_000))
    after = cpu_seconds([os.getpid()])
    times = os.times()
    assert after > before > 0
    assert after == pytest.approx(times.user + times.system, abs=0.1)


def test_processes_that_are_gone_cost_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert cpu_seconds([gone.pid]) == 0
    assert pss_octets([gone.pid]) == 0


def test_memory_grows_with_what_is_touched() -> None:
    before = pss_octets([os.getpid()])
    # Pages that no part of this process has used before.
    with mmap.mmap(-1, 1 << 24) as held:
        held[:] = bytes(len(held))
        assert pss_octets([os.getpid()]) >= before + len(held) // 2
