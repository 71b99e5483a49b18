"""A system that says no: programs for which chosen system calls fail, in them and in all that they start.

What a container, a service manager or a kernel refuses is imitated by a filter (seccomp(2)) that is there
before the program begins.
"""

import errno
import platform
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from epollo.linux.seccomp import ALLOW, AND, JUMP_IF_EQUAL, LOAD, REFUSE, RETURN, Instruction
from epollo.linux.seccomp import encode_program as encode

# asm/unistd_64.h, asm-generic/unistd.h.
_NUMBERS: Final[dict[str, tuple[int, int]]] = {
    "capget": (125, 90),
    "capset": (126, 91),
    "clone": (56, 220),
    "clone3": (435, 435),
    "dup": (32, 23),
    "epoll_create1": (291, 20),
    "fcntl": (72, 25),
    "getdents64": (217, 61),
    "getrandom": (318, 278),
    "getsockopt": (55, 209),
    "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26),
    "ioctl": (16, 29),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "memfd_create": (319, 279),
    "pidfd_open": (434, 434),
    "prctl": (157, 167),
    "pread64": (17, 67),
    "preadv2": (327, 286),
    "prlimit64": (302, 261),
    "readlinkat": (267, 78),
    "sched_getaffinity": (204, 123),
    "seccomp": (317, 277),
    "sendfile": (40, 71),
    "setpriority": (141, 140),
    "setsid": (112, 157),
    "setsockopt": (54, 208),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "tgkill": (234, 131),
    "vfork": (58, 1 << 20),
}
_COLUMN: Final = 1 if platform.machine() == "aarch64" else 0


class No(NamedTuple):
    """A call that fails with this number of errno(3), where an argument has these bits, if any."""

    call: str
    error: int
    argument: int = -1
    bits: int = 0
    mask: int = 0xFFFFFFFF

    def __str__(self) -> str:
        where = f"-{self.bits:x}" if self.argument >= 0 else ""
        return f"{self.call}{where}-{errno.errorcode[self.error]}"


_THREAD: Final = 0x10000
"""CLONE_THREAD. What clone3(2) asks for a filter cannot see; a C library does without that call."""
NO_THREADS: Final = (
    No("clone3", errno.ENOSYS),
    No("clone", errno.EAGAIN, 0, _THREAD, _THREAD),
)
NO_PROCESSES: Final = (
    No("clone3", errno.ENOSYS),
    No("clone", errno.EAGAIN),
    No("vfork", errno.EAGAIN),
)


def compile_refusals(refusals: Sequence[No]) -> list[Instruction]:
    """Return the program that refuses some calls and allows all others."""
    program: list[Instruction] = []
    for refusal in refusals:
        verdict = Instruction(RETURN, REFUSE | refusal.error)
        number = _NUMBERS[refusal.call][_COLUMN]
        if refusal.argument < 0:
            judgement = [verdict]
        else:
            judgement = [
                Instruction(LOAD, 16 + 8 * refusal.argument),
                Instruction(AND, refusal.mask),
                Instruction(JUMP_IF_EQUAL, refusal.bits, 0, 1),
                verdict,
            ]
        program += [
            Instruction(LOAD, 0),
            Instruction(JUMP_IF_EQUAL, number, 0, len(judgement)),
            *judgement,
        ]
    return [*program, Instruction(RETURN, ALLOW)]


_LAUNCHER = """
import ctypes, os, struct, sys
octets = bytes.fromhex(sys.argv[1])
program = ctypes.create_string_buffer(octets, len(octets))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
described = struct.pack("@HP", len(octets) // 8, ctypes.addressof(program))
assert libc.prctl(22, 2, described) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[2], sys.argv[2:])
"""


def refuse(refusals: Sequence[No], command: Sequence[str]) -> list[str]:
    """Return the command that runs another one to which these calls are refused."""
    octets = encode(compile_refusals(refusals))
    return [sys.executable, "-c", _LAUNCHER, octets.hex(), *command]
