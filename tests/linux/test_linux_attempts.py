"""What code inside a worker tries against the machine beside files: each attempt works outside.

The filter of system calls is in force, and Landlock where the kernel has it. What is tried goes past
the C library where that would have other ways: a call by its number.
"""

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.linux.system_calls import find_architecture
from linux.confined import attempt

pytestmark = pytest.mark.skipif(
    find_architecture() is None, reason="there is no filter for this architecture"
)

# asm/unistd_64.h and asm-generic/unistd.h.
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone": (56, 220),
    "clone3": (435, 435),
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "memfd_secret": (447, 447),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "rt_sigqueueinfo": (129, 138),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}
_COLUMN = 1 if platform.machine() == "aarch64" else 0

_OURS = {name: numbers[_COLUMN] for name, numbers in _NUMBERS.items()}
# There when the worker begins: a child to be attacked, and sockets and a terminal that were left open.
BEFORE = f"""
import ctypes, fcntl, mmap, pty, resource, select, struct, tempfile, termios
NUMBERS = {_OURS!r}
LIBC = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(name, *arguments):
    wide = (one if isinstance(one, (bytes, ctypes.Array)) else ctypes.c_long(one) for one in arguments)
    return check(LIBC.syscall(ctypes.c_long(NUMBERS[name]), *wide))
def end(child):
    '''End a child that was made by an attempt.'''
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
word = ctypes.create_string_buffer(b"secret!", 8)
def vector():
    return struct.pack("@PN", ctypes.addressof(word), 8)
VICTIM = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
victim = VICTIM.pid
victim_descriptor = os.pidfd_open(victim)
ours = os.pidfd_open(os.getpid())
open_tcp, open_fast, open_message = socket.socket(), socket.socket(), socket.socket()
open_bound = socket.socket(); open_bound.bind(("127.0.0.1", 0))
open_spare = socket.socket()
shared = socket.create_server(("127.0.0.1", 0))
accepting = socket.create_server(("127.0.0.1", 0))
connected = socket.create_connection(accepting.getsockname()); former, _ = accepting.accept()
master, terminal = pty.openpty()
program = os.memfd_create("program")
os.write(program, open("/bin/true", "rb").read())
reading, writing = os.pipe()
namespace = os.open("/proc/self/ns/uts", os.O_RDONLY)
mine = OUTSIDE + "/log"
"""

SOCKETS = {
    "a TCP socket": "socket.socket().close()",
    "a TCP socket of IPv6": "socket.socket(socket.AF_INET6).close()",
    "MPTCP": "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close()",
    "a UDP socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()",
    "a unix-domain socket": "socket.socket(socket.AF_UNIX).close()",
    "a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()",
    "a packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()",
    "a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()",
    "a socket to the host": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()",
    "the kernel's ciphers": "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()",
    "a socket pair": "[one.close() for one in socket.socketpair()]",
    "listen without bind": "open_spare.listen()",
    "listen where it was bound": "open_bound.listen()",
    "bind": "open_tcp.bind(('127.0.0.1', 0))",
    "connect": "open_tcp.connect(('127.0.0.1', PORT))",
    "TCP fast open": "open_fast.sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', PORT))",
    "TCP fast open by a message": (
        "open_message.sendmsg([b'x'], [], socket.MSG_FASTOPEN, ('127.0.0.1', PORT))"
    ),
    # The first step to make another one of a connection that was accepted.
    "let go of a connection": "check(LIBC.connect(former.fileno(), bytes(16), 16))",
    "end a listening socket for all": "shared.shutdown(socket.SHUT_RD)",
    "TCP fast open from a listening socket": (
        "accepting.shutdown(socket.SHUT_RD)\n"
        "accepting.sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', PORT))"
    ),
    "a filter on a listening socket": (
        "accepting.setsockopt(socket.SOL_SOCKET, 26, struct.pack('@HP', 1, ctypes.addressof("
        "ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0xffff)))))"
    ),
}
PROGRAMS = {
    "fork": "end(os.fork())",
    "clone": "end(call('clone', signal.SIGCHLD, 0, 0, 0, 0))",
    "clone3": ("end(call('clone3', struct.pack('=8Q', 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64))"),
    "spawn": "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
    "run a program in memory": (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: os.execve(program, ['true'], {})\n"
        "    except OSError: os._exit(13)\n"
        "if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]): raise PermissionError"
    ),
    "become a program in memory": (
        # The path does not exist: that it is looked for shows that the call is made.
        "try: call('execveat', program, b'/nothing', 0, 0, 0)\nexcept FileNotFoundError: pass"
    ),
    "memory to be executed": "mmap.mmap(-1, 4096, prot=7).close()",
    "a file to be executed": (
        "mmap.mmap(program, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)"
    ),
    "make memory executable": (
        "memory = mmap.mmap(-1, 4096)\n"
        "check(LIBC.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory))),"
        " ctypes.c_size_t(4096), 7))"
    ),
    "executable by default": "call('personality', 0x0400000); call('personality', 0)",
}
OTHERS = {
    "signal a child": "os.kill(victim, 0)",
    "signal all": "os.kill(0, 0)",
    "signal a thread of another": "call('tgkill', victim, victim, 0)",
    "signal by a descriptor": "signal.pidfd_send_signal(victim_descriptor, 0)",
    "signal with a value": (
        "call('rt_sigqueueinfo', victim, 0, struct.pack('=iii', 0, 0, -1) + bytes(116))"
    ),
    "signal by readiness": "fcntl.fcntl(reading, fcntl.F_SETOWN, victim)",
    "open a process": "os.close(os.pidfd_open(victim))",
    "take a descriptor of another": "os.close(call('pidfd_getfd', victim_descriptor, 0, 0))",
    "limit another": "resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0))",
    "read the memory of another": "call('process_vm_readv', victim, vector(), 1, vector(), 0, 0)",
    "write to the memory of another": (
        "call('process_vm_writev', victim, vector(), 1, vector(), 0, 0)"
    ),
    "trace another": "call('ptrace', 0x4206, victim, 0, 0)",
    "compare with another": "call('kcmp', os.getpid(), victim, 2, 0, 0)",
    "slow another down": "os.setpriority(os.PRIO_PROCESS, victim, 19)",
    "slow all of the user down": (
        "os.setpriority(os.PRIO_USER, os.getuid(), os.getpriority(os.PRIO_USER, os.getuid()))"
    ),
    "schedule another": "os.sched_setaffinity(victim, os.sched_getaffinity(victim))",
    "type into the terminal": "fcntl.ioctl(terminal, termios.TIOCSTI, b'x')",
    "take the terminal over": "os.setsid(); fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)",
    "change the terminal": "fcntl.ioctl(terminal, termios.TCSETS, bytes(60))",
}
KERNEL = {
    "io_uring": "os.close(call('io_uring_setup', 4, ctypes.create_string_buffer(120)))",
    "userfaultfd": "os.close(call('userfaultfd', 1))",
    "bpf": "os.close(call('bpf', 0, struct.pack('=IIII', 2, 4, 8, 1) + bytes(112), 128))",
    "performance counters": (
        "os.close(call('perf_event_open', struct.pack('=IIQQQQQ', 1, 128, 0, 0, 0, 0, 0x60)"
        " + bytes(80), 0, -1, -1, 0))"
    ),
    "watch the whole machine": "os.close(call('fanotify_init', 0, 0))",
    "secret memory": "os.close(call('memfd_secret', 0))",
    "a key": "call('add_key', b'user', b'epollo-test', b'x', 1, -2)",
    "a keyring": "call('keyctl', 1, 0)",
    "shared memory of System V": "call('shmget', 0, 4096, 0o1600)",
    "semaphores of System V": "call('semget', 0, 1, 0o1600)",
    "messages of System V": "call('msgget', 0, 0o1600)",
    "a message queue": "os.close(call('mq_open', b'epollo-test', os.O_CREAT | os.O_RDWR, 0o600, 0))",
    "another namespace": "call('setns', namespace, 0)",
    "the log of the kernel": "call('syslog', 10, 0, 0)",
    "give pages to a pipe": "call('vmsplice', writing, vector(), 1, 0)",
    "the handle of a file": (
        "call('name_to_handle_at', -100, ROOT.encode() + b'\\0',"
        " ctypes.create_string_buffer(struct.pack('=Ii', 128, 0), 136), bytes(4), 0)"
    ),
    "its own limits": "call('prlimit64', 0, 4, bytes(16), 0)",
    "another filter": (
        "check(LIBC.prctl(38, 1, 0, 0, 0));"
        "check(LIBC.prctl(22, 2, struct.pack('@HP', 1, ctypes.addressof(allow))))"
    ),
}
# Afterwards a process is not what it was.
LAST = {
    "a namespace of mounts": "call('unshare', 0x20000)",
    "a namespace of users": "call('unshare', 0x10000000)",
}
# Of what its user owns, which Landlock leaves alone.
FILES = {
    "change the mode of a file": "os.chmod(mine, 0o600)",
    "change the times of a file": "os.utime(mine)",
    "give a file an attribute": "os.setxattr(mine, 'user.epollo', b'x')",
    "take a file": "os.chown(mine, os.getuid(), os.getgid())",
    "lock a file": "fcntl.flock(log, fcntl.LOCK_EX)",
    "write over a log": "fcntl.fcntl(log, fcntl.F_SETFL, 0)",
    "write to a file of its own": "open(mine, 'a').close()",
    "a file without a name": "os.close(os.open(OUTSIDE, os.O_TMPFILE | os.O_RDWR))",
    "lengthen an open file": "os.ftruncate(log.fileno(), 0)",
    "go to another folder": "os.chdir(OUTSIDE)",
    "ask what may be done": "if not os.access('/', os.R_OK): raise PermissionError",
}
ATTEMPTS = SOCKETS | PROGRAMS | OTHERS | KERNEL | FILES | LAST
# A kernel may have been built without; then nothing is shown of them.
OPTIONAL = {
    "MPTCP",
    "a TCP socket of IPv6",
    "a socket to the host",
    "the kernel's ciphers",
    "io_uring",
    "bpf",
    "performance counters",
    "userfaultfd",
    "secret memory",
    "a message queue",
    "give a file an attribute",
    "type into the terminal",
}
# Only root may try them.
PRIVILEGED = {
    "a packet socket",
    "a raw socket",
    "bpf",
    "performance counters",
    "watch the whole machine",
    "another namespace",
    "a namespace of mounts",
    "the log of the kernel",
    "type into the terminal",
}
# What serving takes; more of it is in test_linux_confinement.py and in the tests of the server.
GRANTED = {
    "read a file of the root": "open(ROOT + '/page.html').read()",
    "a thread": "thread = threading.Thread(target=int); thread.start(); thread.join()",
    "a lower priority": "os.setpriority(os.PRIO_PROCESS, 0, 19)",
    "memory": "bytearray(50_000_000)",
    "sealed memory": (
        "one = os.memfd_create('x', os.MFD_ALLOW_SEALING); os.write(one, b'x');"
        "fcntl.fcntl(one, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)"
    ),
    "abort a thread of its own": "signal.raise_signal(signal.SIGCONT)",
    "its own limits": "resource.getrlimit(resource.RLIMIT_NOFILE)",
    "answer a peer": "ours_, theirs = PAIR; ours_.send(b'x'); ours_.sendmsg([b'y']); theirs.recv(9)",
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "page.html").write_text("page")
    return root, outside


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


BEFORE += "allow = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0x7fff0000), 8)\n"
BEFORE += "PAIR = socket.socketpair()\n"
_WITHOUT_LANDLOCK = """
import epollo.linux.confinement as confinement
def find_abi(): raise OSError(38, "Function not implemented")
confinement.find_abi = find_abi
"""
# The child that was attacked ends.
_END = {"the end": "VICTIM.stdin.close()"}


def test_each_attempt_works_outside(folders: tuple[Path, Path], port: int) -> None:
    outcomes = attempt(ATTEMPTS | GRANTED | _END, *folders, sandbox=None, port=port, before=BEFORE)
    failed = {name: outcome for name, outcome in outcomes.items() if outcome != "done"}
    excused = OPTIONAL if os.geteuid() == 0 else OPTIONAL | PRIVILEGED
    assert {name: outcome for name, outcome in failed.items() if name not in excused} == {}


@pytest.mark.parametrize("has_landlock", [True, False])
def test_no_attempt_works_inside(folders: tuple[Path, Path], port: int, has_landlock: bool) -> None:
    before = BEFORE if has_landlock else BEFORE + _WITHOUT_LANDLOCK
    outcomes = attempt(
        ATTEMPTS | _END,
        *folders,
        sandbox="auto",
        port=port,
        before=before,
        filters=True,
    )
    assert outcomes.pop("in force").endswith("no new sockets, programs or processes (seccomp)")
    assert outcomes.pop("the end") == "done"
    # So that a C library makes its threads by clone(2), whose flags can be looked at.
    assert outcomes.pop("clone3") == "OSError"
    assert {name: one for name, one in outcomes.items() if one != "PermissionError"} == {}


def test_what_is_granted(folders: tuple[Path, Path], port: int) -> None:
    outcomes = attempt(
        GRANTED | _END, *folders, sandbox="auto", port=port, before=BEFORE, filters=True
    )
    outcomes.pop("in force")
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "done"} == {}


_WITHOUT_FILTER = """
import epollo.linux.confinement as confinement
def install_filter(*_): raise OSError(22, "Invalid argument")
confinement.install_filter = install_filter
try: outcome = filter_calls({sandbox!r})
except Exception as error: outcome = str(error)
"""


@pytest.mark.parametrize(
    ("sandbox", "line"),
    [
        ("off", ""),
        ("auto", "no filter of system calls here: Invalid argument"),
        ("on", "--sandbox on: system calls cannot be filtered (seccomp): Invalid argument"),
    ],
)
def test_a_kernel_without_filters(folders: tuple[Path, Path], sandbox: str, line: str) -> None:
    attempts = {"filter": _WITHOUT_FILTER.format(sandbox=sandbox)}
    assert attempt(attempts, *folders, sandbox=None) == {"filter": line}


def test_a_machine_without_a_table(folders: tuple[Path, Path]) -> None:
    source = (
        "import epollo.linux.confinement as confinement\n"
        "confinement.find_architecture = lambda: None\n"
        "outcome = filter_calls('auto')"
    )
    outcomes = attempt({"filter": source}, *folders, sandbox=None)
    assert outcomes == {
        "filter": f"no filter of system calls here: no table of calls for {platform.machine()}"
    }


def test_threads_that_run_already_are_judged_too(folders: tuple[Path, Path]) -> None:
    source = (
        "begin = threading.Event(); seen = []\n"
        "def try_it(begin=begin, seen=seen):\n"
        "    begin.wait()\n"
        "    try: socket.socket().close()\n"
        "    except PermissionError as error: seen.append(error)\n"
        "thread = threading.Thread(target=try_it); thread.start()\n"
        "import epollo.linux.libc as libc; libc.set_no_new_privileges()\n"
        "filter_calls('on'); begin.set(); thread.join()\n"
        "if seen: raise seen[0]"
    )
    assert attempt({"thread": source}, *folders, sandbox=None) == {"thread": "PermissionError"}
