"""Which system calls a worker may make once it serves, with which arguments, and their numbers.

What is not in the table is refused. If a worker is to make another call, the call gets a row here, and
a condition for what it may ask for. If an argument is a pointer, the kernel's filter sees only the
address; so a call that could do harm by what it points to is not in the table.
"""

import errno
import os
import socket
import struct
from collections.abc import Mapping

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

_ALL: Final = (1 << 64) - 1
_INT: Final = (1 << 32) - 1
"""The kernel looks at these bits of an ``int``; those above it in the register count for nothing."""


class Condition(NamedTuple):
    """Holds where an argument, numbered from 0, has this value in the bits of the mask."""

    argument: int
    value: int
    mask: int = _INT


class Permission(NamedTuple):
    """A call is allowed where any of the alternatives holds: where all conditions of one of them do."""

    alternatives: tuple[tuple[Condition, ...], ...] = ()


class Refusal(NamedTuple):
    """A call fails with this number (errno(3))."""

    errno: int


Row = Permission | Refusal

ALWAYS: Final = Permission(((),))


def _one_of(argument: int, *values: int) -> Permission:
    return Permission(tuple((Condition(argument, value),) for value in values))


def _none_of(argument: int, bits: int) -> Permission:
    return Permission(((Condition(argument, 0, bits),),))


_PROT_EXEC: Final = 4
_TCP_FAST_OPEN: Final = 0x20000000
"""MSG_FASTOPEN: to send is to connect (tcp(7))."""
_OPENING_TO_WRITE: Final = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
_THREAD_FLAGS: Final = 0x3D0F00
"""What pthread_create(3) starts a thread with: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS,
PARENT_SETTID and CHILD_CLEARTID (clone(2)). A process or a namespace has others."""
_IGNORED_THREAD_FLAG: Final = 0x400000
"""CLONE_DETACHED, which musl sets and the kernel ignores."""
_SOL_TCP: Final = socket.IPPROTO_TCP
_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_SNDBUF),
    (socket.SOL_SOCKET, socket.SO_RCVBUF),
    (socket.SOL_SOCKET, socket.SO_LINGER),
    (_SOL_TCP, socket.TCP_NODELAY),
    (_SOL_TCP, 3),  # TCP_CORK
    (_SOL_TCP, 9),  # TCP_DEFER_ACCEPT
    (_SOL_TCP, 25),  # TCP_NOTSENT_LOWAT
)
"""The options of sockets that may be set, as level and name (socket(7), tcp(7))."""
_DEVICE_REQUESTS: Final = (
    0x5401,  # TCGETS: the interpreter asks whether a descriptor is a terminal
    0x5411,  # TIOCOUTQ, which is SIOCOUTQ
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
)
"""asm-generic/ioctls.h; so TIOCSTI, which types into a terminal, is refused."""
_DESCRIPTOR_COMMANDS: Final = (
    1,  # F_GETFD
    2,  # F_SETFD
    3,  # F_GETFL
    1030,  # F_DUPFD_CLOEXEC
    1033,  # F_ADD_SEALS
    1034,  # F_GET_SEALS
)
"""fcntl.h, linux/fcntl.h. F_SETOWN and F_SETSIG are refused: by them, the kernel would send signals to
other processes. So is F_SETFL: it could take O_APPEND from a log, whose lines could then be written
over. A descriptor is made non-blocking by ioctl(2)."""
_PR_SET_NAME: Final = 15
_PR_SET_VMA: Final = 0x53564D41

_FREE: Final = (
    # Peers that are connected or connect; no socket is made.
    *("recvfrom", "accept4", "accept", "recvmsg"),
    *("getsockname", "getpeername", "getsockopt", "sendfile"),
    # Waiting.
    *("epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "epoll_create1"),
    *("poll", "ppoll", "select", "pselect6", "nanosleep", "clock_nanosleep"),
    # Files: open descriptors, and what Landlock holds to the root.
    *("read", "pread64", "readv", "preadv", "preadv2", "write", "writev", "lseek", "close"),
    *("dup", "dup2", "dup3", "fstat", "fstatfs", "newfstatat", "stat", "lstat", "statx"),
    *("faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd"),
    "memfd_create",
    *("inotify_init1", "inotify_add_watch", "inotify_rm_watch"),
    # Memory and threads.
    *("brk", "munmap", "mremap", "madvise", "futex", "set_robust_list", "rseq"),
    *("sched_yield", "sched_getaffinity", "getcpu", "exit", "exit_group"),
    # Signals to this process.
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack"),
    "restart_syscall",
    # What the process asks about itself and the machine.
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid"),
    *("getresuid", "getresgid", "getgroups", "getrlimit", "getrusage", "times"),
    *("clock_gettime", "clock_getres", "gettimeofday", "time"),
    *("getrandom", "uname", "sysinfo"),
)
_LATER_ALTERNATIVES: Final = (
    "clone3",
    "openat2",
    "close_range",
    "futex_waitv",
    "fchmodat2",
)
"""They fail with ENOSYS: then a C library makes the older call, whose arguments can be judged here."""


def select_worker_calls(process: int) -> Mapping[str, Row]:
    """Return what the worker with this process number may call, the most frequent calls first."""
    itself = _one_of(0, process)
    rows: dict[str, Row] = {
        # With an address, it could send to another peer.
        "sendto": Permission(((Condition(3, 0, _TCP_FAST_OPEN), Condition(4, 0, _ALL)),)),
        "sendmsg": _none_of(2, _TCP_FAST_OPEN),
    }
    rows |= dict.fromkeys(_FREE, ALWAYS)
    rows |= {
        # SHUT_WR does nothing to a listening socket. SHUT_RD would end it for all processes that have
        # it, and leave a socket that can be connected (inet_shutdown in the kernel's
        # net/ipv4/af_inet.c).
        "shutdown": _one_of(1, socket.SHUT_WR),
        "openat": _none_of(2, _OPENING_TO_WRITE),
        "open": _none_of(1, _OPENING_TO_WRITE),
        "mmap": _none_of(2, _PROT_EXEC),
        "mprotect": _none_of(2, _PROT_EXEC),
        "clone": Permission(((Condition(0, _THREAD_FLAGS, _ALL & ~_IGNORED_THREAD_FLAG),),)),
        "fcntl": _one_of(1, *_DESCRIPTOR_COMMANDS),
        "ioctl": _one_of(1, *_DEVICE_REQUESTS),
        "setsockopt": Permission(
            tuple((Condition(1, level), Condition(2, name)) for level, name in _OPTIONS)
        ),
        # 0 is the thread that calls.
        "setpriority": Permission(((Condition(0, os.PRIO_PROCESS), Condition(1, 0)),)),
        # Its own limits, to be read and not set.
        "prlimit64": Permission(((Condition(0, 0), Condition(2, 0, _ALL)),)),
        "kill": itself,
        "tgkill": itself,
        "prctl": _one_of(0, _PR_SET_NAME, _PR_SET_VMA),
    }
    return rows | dict.fromkeys(_LATER_ALTERNATIVES, Refusal(errno.ENOSYS))


_CODER_FREE: Final = (
    # The parent, and clients; no socket is made.
    *("recvmsg", "getsockname", "epoll_wait", "epoll_pwait", "epoll_ctl"),
    # Descriptors that are open, and files without a name; no file is opened.
    *("pread64", "fstat", "newfstatat", "write", "memfd_create", "close"),
    *("brk", "munmap", "mremap", "madvise", "futex", "sched_yield", "getcpu", "rseq"),
    *("exit", "exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    "restart_syscall",
    *("getpid", "gettid", "clock_gettime", "gettimeofday", "time", "getrandom"),
)


def select_coder_calls(process: int) -> Mapping[str, Row]:
    """Return what the coder with this process number may call: far less than a worker."""
    worker = select_worker_calls(process)
    kept = (
        "sendto",
        "sendmsg",
        "mmap",
        "mprotect",
        "fcntl",
        "ioctl",
        "kill",
        "tgkill",
        *_LATER_ALTERNATIVES,
    )
    return dict.fromkeys(_CODER_FREE, ALWAYS) | {name: worker[name] for name in kept}


class Architecture(NamedTuple):
    """``audit`` is its number in linux/audit.h; a call has the number in this column of `NUMBERS`."""

    audit: int
    column: int


_ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, 0),
    "aarch64": Architecture(0xC00000B7, 1),
}

SECCOMP: Final = (317, 277)

NUMBERS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "brk": (12, 214),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "close_range": (436, 436),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "epoll_wait": (232, None),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fchmodat2": (452, 452),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "futex": (202, 98),
    "futex_waitv": (449, 449),
    "getcpu": (309, 168),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getgroups": (115, 158),
    "getpeername": (52, 205),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getrandom": (318, 278),
    "getresgid": (120, 150),
    "getresuid": (118, 148),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "getsockname": (51, 204),
    "getsockopt": (55, 209),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26),
    "inotify_rm_watch": (255, 28),
    "ioctl": (16, 29),
    "kill": (62, 129),
    "lseek": (8, 62),
    "lstat": (6, None),
    "madvise": (28, 233),
    "memfd_create": (319, 279),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "nanosleep": (35, 101),
    "newfstatat": (262, 79),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "poll": (7, None),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "preadv2": (327, 286),
    "prlimit64": (302, 261),
    "pselect6": (270, 72),
    "read": (0, 63),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "select": (23, None),
    "sendfile": (40, 71),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "set_robust_list": (273, 99),
    "setpriority": (141, 140),
    "setsockopt": (54, 208),
    "shutdown": (48, 210),
    "sigaltstack": (131, 132),
    "stat": (4, None),
    "statx": (332, 291),
    "sysinfo": (99, 179),
    "tgkill": (234, 131),
    "time": (201, None),
    "times": (100, 153),
    "uname": (63, 160),
    "write": (1, 64),
    "writev": (20, 66),
}
"""x86_64 (asm/unistd_64.h) and aarch64 (asm-generic/unistd.h); None if it has no such call."""


def find_architecture() -> Architecture | None:
    """Return the architecture of this process; None if `NUMBERS` has none of its calls."""
    is_wide = struct.calcsize("P") == 8
    return _ARCHITECTURES.get(os.uname().machine) if is_wide else None
