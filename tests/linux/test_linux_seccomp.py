"""The filter of system calls: the program that is made of the table, run by an interpreter."""

import errno
import itertools
import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.linux.seccomp import (
    ALLOW,
    REFUSE,
    RETURN,
    Instruction,
    compile_filter,
    encode_program,
)
from epollo.linux.system_calls import (
    _ARCHITECTURES,
    ALWAYS,
    NUMBERS,
    SECCOMP,
    Architecture,
    Condition,
    Permission,
    Refusal,
    Row,
    find_architecture,
    select_coder_calls,
    select_worker_calls,
)
from linux.packet_filter import run

PROCESS = 4711
ROWS = select_worker_calls(PROCESS)
ARCHITECTURES = pytest.mark.parametrize("name", sorted(_ARCHITECTURES))
EPERM = REFUSE | errno.EPERM
ENOSYS = REFUSE | errno.ENOSYS
VERDICTS = {ALLOW: "allowed", EPERM: "EPERM", ENOSYS: "ENOSYS"}

# As linux/sched.h numbers them.
CLONE_VM, CLONE_NEWUSER, CLONE_NEWNET, CLONE_PTRACE = 0x100, 0x1000_0000, 0x4000_0000, 0x2000
THREAD = 0x3D0F00
TIOCSTI, TIOCSCTTY, TIOCLINUX, TCGETS, SIOCOUTQ, FIONBIO = (
    0x5412,
    0x540E,
    0x541C,
    0x5401,
    0x5411,
    0x5421,
)
MAP = (0, 4096)
READ_WRITE, EXECUTE = 3, 4
HIGH = 1 << 32

# Call, arguments, verdict.
CALLS: list[tuple[str, tuple[int, ...], str]] = [
    ("recvfrom", (5, 0, 4096, 0x40, 0, 0), "allowed"),
    ("epoll_pwait", (4, 0, 1024, -1), "allowed"),
    ("sendto", (5, 0, 100, 0x40, 0, 0), "allowed"),
    ("sendto", (5, 0, 100, 0x2000_0000, 0, 0), "EPERM"),
    ("sendto", (5, 0, 100, 0x2000_0040, 0, 0), "EPERM"),
    ("sendto", (5, 0, 100, 0, 0x7FFF_0000_1000, 16), "EPERM"),
    ("sendto", (5, 0, 100, 0, HIGH, 16), "EPERM"),
    ("sendmsg", (5, 0, 0x4040), "allowed"),
    ("sendmsg", (5, 0, 0x2000_0000), "EPERM"),
    ("shutdown", (5, socket.SHUT_WR), "allowed"),
    ("shutdown", (5, socket.SHUT_RD), "EPERM"),
    ("shutdown", (5, socket.SHUT_RDWR), "EPERM"),
    ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "allowed"),
    ("openat", (-100, 0, os.O_PATH | os.O_DIRECTORY), "allowed"),
    ("openat", (-100, 0, os.O_WRONLY), "EPERM"),
    ("openat", (-100, 0, os.O_RDWR), "EPERM"),
    ("openat", (-100, 0, os.O_CREAT), "EPERM"),
    ("openat", (-100, 0, os.O_TRUNC), "EPERM"),
    ("openat", (-100, 0, os.O_RDWR | os.O_TMPFILE), "EPERM"),
    ("mmap", (*MAP, READ_WRITE, 0x22, -1, 0), "allowed"),
    ("mmap", (*MAP, READ_WRITE | EXECUTE, 0x22, -1, 0), "EPERM"),
    ("mmap", (*MAP, EXECUTE, 0x2, 7, 0), "EPERM"),
    ("mprotect", (*MAP, READ_WRITE), "allowed"),
    ("mprotect", (*MAP, 1 | EXECUTE), "EPERM"),
    ("clone", (THREAD,), "allowed"),
    ("clone", (THREAD | 0x400000,), "allowed"),
    ("clone", (17,), "EPERM"),
    ("clone", (THREAD & ~0x10000,), "EPERM"),
    ("clone", (THREAD & ~CLONE_VM,), "EPERM"),
    ("clone", (THREAD | CLONE_NEWUSER,), "EPERM"),
    ("clone", (THREAD | CLONE_NEWNET,), "EPERM"),
    ("clone", (THREAD | CLONE_PTRACE,), "EPERM"),
    ("clone", (HIGH | THREAD,), "EPERM"),
    ("clone3", (0, 88), "ENOSYS"),
    ("openat2", (-100, 0, 0, 24), "ENOSYS"),
    ("fcntl", (5, 3), "allowed"),
    ("fcntl", (5, 4, 0), "EPERM"),  # F_SETFL
    ("fcntl", (5, 1030, 3), "allowed"),
    ("fcntl", (5, 8, 1), "EPERM"),  # F_SETOWN
    ("fcntl", (5, 10, 9), "EPERM"),  # F_SETSIG
    ("fcntl", (5, 15, 0), "EPERM"),  # F_SETOWN_EX
    ("fcntl", (5, 1024, 0), "EPERM"),  # F_SETLEASE
    ("fcntl", (5, 1026, 0), "EPERM"),  # F_NOTIFY
    ("ioctl", (1, TCGETS), "allowed"),
    ("ioctl", (5, SIOCOUTQ), "allowed"),
    ("ioctl", (5, FIONBIO), "allowed"),
    ("ioctl", (5, HIGH | TIOCSTI), "EPERM"),
    ("ioctl", (1, TIOCSTI), "EPERM"),
    ("ioctl", (1, TIOCSCTTY), "EPERM"),
    ("ioctl", (1, TIOCLINUX), "EPERM"),
    ("setsockopt", (5, 6, 1), "allowed"),
    ("setsockopt", (5, 6, 25), "allowed"),
    ("setsockopt", (5, 1, socket.SO_LINGER), "allowed"),
    ("setsockopt", (5, 1, 26), "EPERM"),  # SO_ATTACH_FILTER
    ("setsockopt", (5, 1, 51), "EPERM"),  # SO_ATTACH_REUSEPORT_CBPF
    ("setsockopt", (5, 6, 19), "EPERM"),  # TCP_REPAIR
    ("setsockopt", (5, 0, 1), "EPERM"),
    ("setpriority", (0, 0, 19), "allowed"),
    ("setpriority", (0, 1, 19), "EPERM"),
    ("setpriority", (1, 0, 19), "EPERM"),
    ("prlimit64", (0, 7, 0, 0x7FFF_0000_1000), "allowed"),
    ("prlimit64", (0, 7, 0x7FFF_0000_1000, 0), "EPERM"),
    ("prlimit64", (0, 7, HIGH, 0), "EPERM"),
    ("prlimit64", (1, 7, 0, 0x7FFF_0000_1000), "EPERM"),
    ("kill", (PROCESS, 6), "allowed"),
    ("kill", (1, 0), "EPERM"),
    ("kill", (-1, 9), "EPERM"),
    ("kill", (0, 9), "EPERM"),
    ("kill", (-PROCESS, 9), "EPERM"),
    ("tgkill", (PROCESS, PROCESS + 1, 6), "allowed"),
    ("tgkill", (1, 1, 6), "EPERM"),
    ("prctl", (15, 0x7FFF_0000_1000), "allowed"),
    ("prctl", (22, 2), "EPERM"),
    ("prctl", (4, 1), "EPERM"),  # PR_SET_DUMPABLE
    ("prctl", (0x59616D61, -1), "EPERM"),  # PR_SET_PTRACER
]


def compiled(name: str) -> tuple[list[Instruction], Architecture]:
    architecture = _ARCHITECTURES[name]
    return compile_filter(ROWS, architecture), architecture


@ARCHITECTURES
@pytest.mark.parametrize(("call", "arguments", "verdict"), CALLS)
def test_verdict(name: str, call: str, arguments: tuple[int, ...], verdict: str) -> None:
    program, architecture = compiled(name)
    number = NUMBERS[call][architecture.column]
    assert number is not None
    assert VERDICTS[run(program, architecture.audit, number, arguments)] == verdict


# Calls of a worker that a coder does not have, and what it has.
CODER_CALLS = (
    *(
        (call, "EPERM")
        for call in ("openat", "accept4", "accept", "clone", "sendfile", "setsockopt")
    ),
    *(
        (call, "EPERM")
        for call in ("inotify_add_watch", "statx", "readlinkat", "getdents64", "lseek")
    ),
    *((call, "EPERM") for call in ("read", "dup", "shutdown", "prctl", "setpriority", "prlimit64")),
    *((call, "allowed") for call in ("recvmsg", "sendmsg", "pread64", "memfd_create", "close")),
)


@ARCHITECTURES
@pytest.mark.parametrize(("call", "verdict"), CODER_CALLS)
def test_verdict_for_a_coder(name: str, call: str, verdict: str) -> None:
    architecture = _ARCHITECTURES[name]
    program = compile_filter(select_coder_calls(PROCESS), architecture)
    number = NUMBERS[call][architecture.column]
    assert number is not None
    # What a worker may ask for with these arguments.
    arguments = (0, 0, 0, 0, 0, 0)
    assert VERDICTS[run(program, architecture.audit, number, arguments)] == verdict


def test_a_coder_may_do_nothing_that_a_worker_may_not() -> None:
    for call, row in select_coder_calls(PROCESS).items():
        assert ROWS[call] in {row, ALWAYS}


@ARCHITECTURES
def test_every_row_has_a_case(name: str) -> None:
    program, architecture = compiled(name)
    judged = {call for call, _, _ in CALLS}
    for call, row in ROWS.items():
        number = NUMBERS[call][architecture.column]
        if row == ALWAYS and number is not None:
            assert run(program, architecture.audit, number, (1, 2, 3, 4, 5, 6)) == ALLOW
        elif isinstance(row, Permission) and row != ALWAYS:
            assert call in judged | {"open"}


@ARCHITECTURES
def test_all_other_numbers_are_refused(name: str) -> None:
    program, architecture = compiled(name)
    known = {numbers[architecture.column] for numbers in NUMBERS.values()}
    for number in itertools.chain(range(468), (0x3FFF_FFFF, 0x4000_0000, 0x4000_0001, 0x7FFF_FFFF)):
        if number not in known:
            expected = ENOSYS if 467 < number < 0x4000_0000 else EPERM
            assert run(program, architecture.audit, number) == expected, number
    # A call that does not exist yet; -1 is what a tracer makes of one that it takes away.
    assert run(program, architecture.audit, 468) == ENOSYS
    assert run(program, architecture.audit, -1) == EPERM


@ARCHITECTURES
def test_calls_of_another_architecture_are_refused(name: str) -> None:
    program, _ = compiled(name)
    for audit in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028):
        if audit != _ARCHITECTURES[name].audit:
            assert {run(program, audit, number) for number in range(600)} == {EPERM}


@ARCHITECTURES
def test_a_program_that_the_kernel_takes(name: str) -> None:
    program, _ = compiled(name)
    assert len(program) < 4096, "BPF_MAXINSNS"
    octets = encode_program(program)
    assert len(octets) == 8 * len(program)
    for position, one in enumerate(program):
        furthest = max(one.when_true, one.when_false)
        assert furthest < 256
        assert one.code == RETURN or position + 1 + furthest < len(program)
        assert one.operand < HIGH
    # The most frequent call whose arguments are looked at.
    assert next(iter(ROWS)) == "sendto"


_words = st.integers(min_value=0, max_value=2**64 - 1)
_conditions = st.builds(
    Condition,
    st.integers(min_value=0, max_value=5),
    _words,
    st.sampled_from((0xFF, HIGH - 1, 2**64 - 1)),
)
_rows = st.one_of(
    st.just(Refusal(errno.ENOSYS)),
    st.lists(st.lists(_conditions, max_size=3).map(tuple), max_size=4).map(tuple).map(Permission),
)


def judge(row: Row | None, arguments: tuple[int, ...]) -> int:
    """Return what the table says, read as it stands."""
    if row is None:
        return EPERM
    if isinstance(row, Refusal):
        return REFUSE | row.errno
    holds = any(
        all(arguments[argument] & mask == value & mask for argument, value, mask in conditions)
        for conditions in row.alternatives
    )
    return ALLOW if holds else EPERM


@given(
    rows=st.dictionaries(st.sampled_from(("read", "sendto", "mmap", "kill")), _rows),
    call=st.sampled_from(("read", "sendto", "mmap", "kill", "close")),
    data=st.data(),
)
def test_a_program_says_what_its_table_says(
    rows: dict[str, Row], call: str, data: st.DataObject
) -> None:
    values = [
        one.value
        for row in rows.values()
        if isinstance(row, Permission)
        for conditions in row.alternatives
        for one in conditions
    ]
    argument = _words if not values else st.one_of(_words, st.sampled_from(values))
    arguments = tuple(data.draw(argument) for _ in range(6))
    architecture = _ARCHITECTURES["x86_64"]
    number = NUMBERS[call][architecture.column]
    assert number is not None
    program = compile_filter(rows, architecture)
    assert run(program, architecture.audit, number, arguments) == judge(rows.get(call), arguments)


_HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@ARCHITECTURES
def test_numbers_are_those_of_the_kernel(name: str) -> None:
    header = _HEADERS[name]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed (Debian: apt install linux-libc-dev)")
    found = dict(re.findall(r"(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text()))
    # By their names on machines of 64 bits.
    found.setdefault("newfstatat", found.get("fstatat", ""))
    column = _ARCHITECTURES[name].column
    compared = 0
    for call, numbers in NUMBERS.items():
        if call in found:
            assert str(numbers[column]) == found[call], call
            compared += 1
        else:
            # A call that is newer than the headers, or that this architecture never had.
            assert (numbers[column] or 999) > 450, call
    assert compared > 80
    assert str(SECCOMP[column]) == found["seccomp"]


@pytest.mark.parametrize(
    ("machine", "is_known"),
    [("x86_64", True), ("aarch64", True), ("riscv64", False), ("i686", False)],
)
def test_architecture(monkeypatch: pytest.MonkeyPatch, machine: str, is_known: bool) -> None:
    names = os.uname()
    fields = (names.sysname, names.nodename, names.release, names.version, machine)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))
    assert (find_architecture() is not None) == is_known
