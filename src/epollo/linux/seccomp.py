"""seccomp: a process has the kernel judge its system calls by a program, and cannot take that back.

The program is one of the classic Berkeley Packet Filter (seccomp(2); the kernel's
userspace-api/seccomp_filter). It sees the number of a call, the architecture and six arguments, and
decides what becomes of the call. Here it is made of a table (`system_calls`).

Facts: the bindings to libseccomp want a shared library that base systems lack, or were last maintained
years ago. A kernel since 5.11 remembers which calls a program always allows, and does not run it for
them.
Decision: the program is compiled here: a table of 100 calls and sixty lines of code fit on a page or
two. The tests run each call through an interpreter of such programs. Calls whose arguments are looked
at come first, so that a send passes few instructions.
Decision: what is not allowed fails with EPERM, and the process continues. If a library tries a call
that it can do without, that is no reason to end clients' connections.
"""

import ctypes
import errno
import struct
from collections.abc import Iterator, Mapping

from epollo.annotations import Final
from epollo.linux.libc import call
from epollo.linux.system_calls import (
    NUMBERS,
    SECCOMP,
    Architecture,
    Condition,
    Permission,
    Row,
)
from epollo.named_tuples import NamedTuple

_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1
"""For every thread of the process."""
_FLAG_SPEC_ALLOW: Final = 4
"""Without it, kernels before 5.16 slow the process down to guard it against attacks by speculation. A
process whose filter is its own needs no such guard."""

ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000
"""With a number of errno(3) in the lower half (linux/seccomp.h)."""

# linux/bpf_common.h, linux/filter.h.
LOAD: Final = 0x20
"""A word of `struct seccomp_data`, by its offset."""
AND: Final = 0x54
JUMP_IF_EQUAL: Final = 0x15
JUMP_IF_GREATER: Final = 0x25
RETURN: Final = 0x06

_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")

# struct seccomp_data, on machines whose lower half of a word comes first.
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16

_NEWEST: Final = 467
"""The highest number that is known here (asm-generic/unistd.h of Linux 6.16)."""
_HALF: Final = 0xFFFFFFFF


class Instruction(NamedTuple):
    """``when_true`` and ``when_false`` are how many instructions a jump leaves out."""

    code: int
    operand: int
    when_true: int = 0
    when_false: int = 0


def compile_filter(rows: Mapping[str, Row], architecture: Architecture) -> list[Instruction]:
    """Return the program that lets through what the rows allow, in their order.

    Everything else is refused with EPERM, also the calls of another architecture. Calls that are newer
    than this table fail with ENOSYS, so that a C library does without them.
    """
    refusal = Instruction(RETURN, REFUSE | errno.EPERM)
    program = [
        Instruction(LOAD, _ARCHITECTURE),
        Instruction(JUMP_IF_EQUAL, architecture.audit, 1, 0),
        refusal,
        Instruction(LOAD, _NUMBER),
    ]
    for name, row in rows.items():
        number = NUMBERS[name][architecture.column]
        if number is not None:
            judgement = list(_judge(row))
            program += (Instruction(JUMP_IF_EQUAL, number, 0, len(judgement)), *judgement)
    # Those of x32 on x86_64 are numbered far above all others.
    x32 = 1 << 30
    program += (
        Instruction(JUMP_IF_GREATER, x32 - 1, 2, 0),
        Instruction(JUMP_IF_GREATER, _NEWEST, 0, 1),
        Instruction(RETURN, REFUSE | errno.ENOSYS),
        refusal,
    )
    return program


def _judge(row: Row) -> Iterator[Instruction]:
    """Return the instructions for a call of this row; each way through them ends in a verdict."""
    if not isinstance(row, Permission):
        yield Instruction(RETURN, REFUSE | row.errno)
        return
    for conditions in row.alternatives:
        if not conditions:
            yield Instruction(RETURN, ALLOW)
            return
        tests = [test for condition in conditions for test in _test(condition)]
        # A test that fails jumps behind the verdict of this alternative.
        length = sum(map(len, tests))
        position = 0
        for test in tests:
            position += len(test)
            *before, jump = test
            yield from before
            yield jump._replace(when_false=length - position + 1)
        yield Instruction(RETURN, ALLOW)
    yield Instruction(RETURN, REFUSE | errno.EPERM)


def _test(condition: Condition) -> Iterator[list[Instruction]]:
    """Return a test for each half of an argument about which the condition says something."""
    argument, value, mask = condition
    for half in range(2):
        shift = 32 * half
        part, wanted = mask >> shift & _HALF, (value & mask) >> shift & _HALF
        if part:
            test = [Instruction(LOAD, _ARGUMENTS + 8 * argument + 4 * half)]
            if part != _HALF:
                test.append(Instruction(AND, part))
            yield [*test, Instruction(JUMP_IF_EQUAL, wanted)]


def encode_program(program: list[Instruction]) -> bytes:
    """Return a program as the kernel reads it: an array of `struct sock_filter`."""
    return b"".join(
        _INSTRUCTION.pack(one.code, one.when_true, one.when_false, one.operand) for one in program
    )


def install_filter(program: list[Instruction], architecture: Architecture) -> None:
    """Have every thread of this process, and those it starts, judged by a program from now on.

    Raises `OSError`: EACCES where no_new_privs is not set, EINVAL or ENOSYS where the kernel was built
    without, EPERM where another filter refuses.
    """
    octets = encode_program(program)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    described = _PROGRAM.pack(len(program), ctypes.addressof(buffer))
    number = SECCOMP[architecture.column]
    flags = _FLAG_TSYNC | _FLAG_SPEC_ALLOW
    if thread := call("syscall", number, _SET_MODE_FILTER, flags, described):
        raise OSError(errno.EBUSY, f"thread {thread} has a filter of its own")
