"""A system that says no: programs for which chosen system calls fail, in them and in all that they start.

What a container, a service manager or a kernel refuses is imitated by a filter (seccomp(2)) that is there
before the program begins.
"""

import errno
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
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
    "mmap": (9, 222),
    "mprotect": (10, 226),
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
        number = _find_number(refusal.call)
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


def _find_number(call: str) -> int:
    return _NUMBERS[call][_COLUMN] if call in _NUMBERS else read_numbers()[call]


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
    return [sys.executable, "-c", _LAUNCHER, compile_program(refusals).hex(), *command]


def compile_program(refusals: Sequence[No]) -> bytes:
    """Return the same program as the kernel takes it; nothing where nothing is refused."""
    return encode(compile_refusals(refusals)) if refusals else b""


# What Docker's default profile does not list for a container without added capabilities (moby/profiles).
_DOCKER_REFUSED: Final = """
acct add_key bpf chroot clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen
fspick get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount
move_pages open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise quotactl
quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node setdomainname sethostname setns
settimeofday swapoff swapon syslog umount2 unshare userfaultfd vhangup
"""
_NEW_NAMESPACES: Final = (
    0x20000,
    0x2000000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
# Of the time before kernels had them.
_NEWER: Final = ("landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "clone3")
_HEADERS: Final = (
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm-generic/unistd.h"),
)


@cache
def read_numbers() -> dict[str, int]:
    """Return the numbers of all calls; none where the kernel's headers are not installed."""
    header = _HEADERS[_COLUMN]
    text = header.read_text() if header.exists() else ""
    found = re.findall(r"(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)$", text)
    return {name: int(number) for name, number in found}


def imitate_docker(*, is_old: bool = False) -> tuple[No, ...]:
    """Return what a container may not call; ``is_old`` is Docker 20.10.

    That one says of clone3(2) that it is not permitted, where a C library expects that it is not there.
    """
    numbers = read_numbers()
    refused = tuple(No(call, errno.EPERM) for call in _DOCKER_REFUSED.split() if call in numbers)
    namespaces = tuple(No("clone", errno.EPERM, 0, bit, bit) for bit in _NEW_NAMESPACES)
    if is_old:
        return (*refused, *namespaces, *(No(call, errno.EPERM) for call in _NEWER))
    return (*refused, *namespaces, No("clone3", errno.ENOSYS))


def imitate_systemd(unit: str) -> tuple[No, ...]:
    """Return what a service may not call by the lines of its unit (systemd.exec(5)).

    None where systemd is not installed to say what its groups of calls are.
    """
    allowed: set[str] = set()
    for value in re.findall(r"(?m)^SystemCallFilter=(.*)$", unit):
        named = {call for one in value.removeprefix("~").split() for call in _expand(one)}
        allowed = (
            allowed - named if value.startswith("~") else allowed | named | _expand("@default")
        )
    refused = [No(call, errno.EPERM) for call in read_numbers() if call not in allowed]
    if "MemoryDenyWriteExecute=yes" in unit:
        refused.append(No("mmap", errno.EPERM, 2, 6, 6))
        refused.append(No("mprotect", errno.EPERM, 2, 4, 4))
    families = re.findall(r"(?m)^RestrictAddressFamilies=(.*)$", unit)
    if families:
        known = {int(getattr(socket, family)) for family in families[0].split()}
        refused += [
            No("socket", errno.EAFNOSUPPORT, 0, family)
            for family in range(46)
            if family not in known
        ]
    return tuple(refused)


def _expand(name: str) -> frozenset[str]:
    """Return the calls of a group, or the one of this name."""
    if not name.startswith("@"):
        return frozenset((name,))
    return frozenset(call for one in _read_groups()[name] for call in _expand(one))


@cache
def _read_groups() -> dict[str, list[str]]:
    """Return what systemd says is in each of its groups: calls and groups."""
    text = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    groups: dict[str, list[str]] = {}
    members: list[str] = []
    for line in text.splitlines():
        if line.startswith("@"):
            members = groups[line] = []
        elif line.startswith("    ") and not line.startswith("    #"):
            members.append(line.strip())
    return groups
