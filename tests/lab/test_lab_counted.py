"""The server's own tally, held against strace(1) and the kernel's accounting."""

import contextlib
import importlib
import os
import pkgutil
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import epollo
from conftest import POLLER_NAMES
from epollo.lab.accounting import cpu_seconds, pss_octets
from epollo.lab.counted import _FUNCTIONS
from epollo.lab.counters import SYSTEM_CALLS, Counters
from epollo.lab.measure import Party

# strace's names for calls that have one name with us.
_NAMES = {
    "ppoll": "poll",
    "pselect6": "select",
    "_newselect": "select",
    "epoll_pwait": "epoll_wait",
    "newfstatat": "stat",
    "fstat": "stat",
    "lstat": "stat",
    "statx": "stat",
    "pread64": "read",
}
_CALL = re.compile(r"(?m)^(?:\d+ +)?(\w+)\(")
# Not answers to a request: the allocator's, and what a signal to stop and continue brings with it.
_NOT_COUNTED = {"brk", "mmap", "munmap", "madvise", "restart_syscall"}


@contextlib.contextmanager
def party(poller: str, folder: Path, *, counts: bool) -> Iterator[Party]:
    (folder / "dish").write_bytes(b"." * 1024)
    one = Party(poller, folder, counts=counts)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("poller", POLLER_NAMES)
def test_the_tally_agrees_with_strace_within_two_percent(
    poller: str, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trace = tmp_path_factory.mktemp("trace") / "trace"
    with party(poller, root, counts=True) as one:
        assert one.order("open", 20)["idle"] == 20
        one.order("ask", 0.1, 4)
        counters = Counters(one.counters)
        server = one.processes[0]
        # Stopped at both ends, so that both look at the same calls.
        os.kill(server, signal.SIGSTOP)
        strace = subprocess.Popen(
            ["strace", "-f", "-s", "0", "-o", str(trace), "-p", str(server)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert strace.stderr is not None
        line = strace.stderr.readline()
        if "attached" not in line:
            strace.kill()
            strace.communicate()
            pytest.skip(f"strace may not attach here: {line}")
        before = counters.read()
        os.kill(server, signal.SIGCONT)
        asked = one.order("ask", 1.0, 4)
        os.kill(server, signal.SIGSTOP)
        _await_stopped(server)
        after = counters.read()
        counters.close()
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=15)
        os.kill(server, signal.SIGCONT)
    assert asked["requests"] > 50
    counted = {name: after[name] - before[name] for name in SYSTEM_CALLS}
    seen = Counter(_NAMES.get(name, name) for name in _CALL.findall(trace.read_text()))
    total = sum(number for name, number in seen.items() if name not in _NOT_COUNTED)
    assert sum(counted.values()) == pytest.approx(total, rel=0.02), (counted, seen)
    for name in ("recvfrom", "sendto", "read"):
        assert counted[name] == pytest.approx(seen[name], rel=0.02, abs=5), (counted, seen)


def _await_stopped(process: int) -> None:
    """Wait until a process that was told to stop has stopped."""
    for _ in range(100_000):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        if state in {"T", "t"}:
            return
    raise AssertionError("it does not stop")


def test_epoll_needs_as_many_calls_for_any_number_of_peers_and_busy_one_for_each(
    root: Path,
) -> None:
    calls: dict[tuple[str, int], float] = {}
    for poller in ("busy", "epoll"):
        with party(poller, root, counts=True) as one:
            for idle in (0, 200):
                assert one.order("open", idle)["idle"] == idle
                asked = one.order("ask", 0.2, 2)
                if poller == "epoll":
                    # But for a look, when each of the two that ask was let in, whether more knocked.
                    assert asked["counted"]["in_vain"] <= 2
                number = sum(asked["counted"][name] for name in SYSTEM_CALLS)
                calls[poller, idle] = number / asked["requests"]
    assert calls["epoll", 200] == pytest.approx(calls["epoll", 0], abs=0.7)
    assert calls["epoll", 200] < 4
    # Two ask at once: half of a turn at the least is for each of their requests.
    assert calls["busy", 200] > calls["busy", 0] + 90


def test_no_module_has_a_name_of_its_own_for_what_is_counted() -> None:
    """What is wrapped is the function in ``os``: one that was imported before would not be counted."""
    counted = {getattr(os, name) for name in _FUNCTIONS}
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(epollo.__path__, "epollo.")
        if not found.name.endswith("__main__")
    ]
    assert len(modules) > 80
    for module in modules:
        held = [
            name
            for name, value in vars(module).items()
            # Not every one that can be called has a hash.
            if any(value is function for function in counted)
        ]
        assert not held, f"{module.__name__} holds {held}"


@pytest.mark.parametrize("poller", ["select", "poll"])
def test_a_look_for_changed_files_is_no_try_that_found_nothing(poller: str, root: Path) -> None:
    with party(poller, root, counts=True) as one:
        asked = one.order("ask", 0.2, 2)
    # It reads before each answer, where epoll would tell; no connection was asked without need.
    assert asked["counted"]["read"] > asked["requests"] / 2
    assert asked["counted"]["in_vain"] < asked["requests"] / 10


def test_the_cpu_clock_agrees_with_the_kernels_accounting(root: Path) -> None:
    with party("busy", root, counts=False) as one:
        begun = cpu_seconds(one.processes)
        # As long as it takes until it has run for a while: others want the processors too.
        for _ in range(60):
            one.order("wait", 0.5)
            before = _ticks_seconds(one.processes[0])
            spent = cpu_seconds(one.processes)
            after = _ticks_seconds(one.processes[0])
            assert before - 0.02 <= spent <= after + 0.02
            if spent - begun > 0.2:
                break
        assert spent - begun > 0.2
        assert pss_octets(one.processes) > 1024 * 1024


def _ticks_seconds(process: int) -> float:
    """Return the processor time of a process in whole ticks (proc_pid_stat(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_waiting_costs_the_busy_server_a_processor_and_epoll_nothing(root: Path) -> None:
    with party("busy", root, counts=False) as one:
        one.order("open", 50)
        before = _runnable_seconds(one.processes[0])
        waited = one.order("wait", 0.5)
        wanted = _runnable_seconds(one.processes[0]) - before
        # It wants all that there is: what others take of the processor makes no difference to that.
        assert wanted / waited["seconds"] > 0.9
        assert 0 < waited["cpu_seconds"] <= wanted
    with party("epoll", root, counts=False) as one:
        one.order("open", 50)
        waited = one.order("wait", 0.5)
        assert waited["cpu_seconds"] / waited["seconds"] < 0.02


def _runnable_seconds(process: int) -> float:
    """Return for how long a process has run or waited for a processor (kernel: sched-stats)."""
    running, waiting, _ = Path(f"/proc/{process}/schedstat").read_text().split()
    return (int(running) + int(waiting)) / 1e9


def test_guests_take_the_server_with_them(root: Path) -> None:
    """However the lab ended, nothing that it started is left."""
    with party("epoll", root, counts=False) as one:
        held = os.pidfd_open(one.processes[0])
        try:
            assert one.guests.stdin is not None
            one.guests.stdin.close()
            # A pidfd is readable when its process has ended (pidfd_open(2)).
            assert select.select([held], [], [], 10)[0]
        finally:
            os.close(held)
