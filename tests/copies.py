"""Servers and commands for tests, each a copy of a process that has loaded epollo: a fifth of a start.

Fact: to load its modules is nine tenths of a server's start, and the tests start a thousand.
Decision: one process for each pytest loads them once, and forks for each server or command. Descriptors,
folder, words and environment are what a shell would give it, pytest is its parent, and it ends as an
interpreter ends.
Price: what a test wants of the environment of an interpreter, of mounts, or of a start as such, takes a
process that is started in full.
"""

import atexit
import ctypes
import io
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

_MESSAGE_OCTETS = 1 << 17
# Of pytest, at each test; no program looks at it.
_TOLD_APART = "PYTEST_CURRENT_TEST"
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != _TOLD_APART}


def _namespace() -> str:
    """Return the mounts that a process started now would see (mount_namespaces(7))."""
    return os.readlink("/proc/thread-self/ns/mnt")


_ENVIRONMENT = _environment()
_NAMESPACE = _namespace()


class Original:
    """The process that has loaded epollo, as its parent sees it."""

    def __init__(self, options: Sequence[str]) -> None:
        """``options`` are those of the interpreter."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *options, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**_ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
            )
        atexit.register(self._close)

    def copy(
        self, words: Sequence[str], folder: str, stdout: int, stderr: int, program: bytes
    ) -> int:
        """Start a server with these words behind its name; return its number. It is our child.

        ``program`` is the filter of its system calls, if there is one (seccomp(2)).
        """
        message = json.dumps([list(words), folder, program.hex()]).encode()
        with _Foster():
            socket.send_fds(self._control, [message], [stdout, stderr])
            number = self._control.recv(32)
        assert number, "the process that has loaded epollo has ended"
        return int(number)

    def _close(self) -> None:
        self._control.close()
        self._process.wait()


class _Foster:
    """While this is entered, what has lost its parent is a child of this process (prctl(2)).

    Not for longer: tests look at what becomes of workers whose parent is gone.
    """

    def __enter__(self) -> None:
        _set_subreaper(1)

    def __exit__(self, *_: object) -> None:
        _set_subreaper(0)


def _set_subreaper(value: int) -> None:
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0) == 0


class Copy(subprocess.Popen[bytes]):
    """A child that this process has not started itself."""

    def __init__(
        self, pid: int, words: Sequence[str], stdout: IO[bytes], stderr: IO[bytes] | None
    ) -> None:
        # What `Popen` keeps of a process that it has started.
        self.args = words
        self.pid = pid
        self.returncode = None
        self.stdin = None
        self.stdout = stdout
        self.stderr = stderr
        self.encoding = self.errors = self.text_mode = None
        self._child_created = True
        self._communication_started = False
        self._input = None
        self._waitpid_lock = threading.Lock()


@cache
def _find_original(options: tuple[str, ...]) -> Original:
    return Original(options)


def start(
    command: Sequence[str],
    stderr: IO[bytes] | None = None,
    folder: Path | None = None,
    program: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Start ``python [OPTIONS] -m epollo WORDS``, as a copy where that is the same.

    Its stdout is read from the process, and so is its stderr where none is given. A ``program`` filters
    the system calls of the copy, and of all that it starts, from before it reads its first word.
    """
    module = command.index("-m")
    if _environment() != _ENVIRONMENT or _namespace() != _NAMESPACE:
        assert not program
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr or subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            cwd=folder,
        )
    original = _find_original(tuple(command[1:module]))
    reading, writing = os.pipe()
    said = None
    error_reading, error_writing = (-1, stderr.fileno()) if stderr else os.pipe()
    try:
        place = str(folder or Path.cwd())
        pid = original.copy(command[module + 2 :], place, writing, error_writing, program)
    finally:
        os.close(writing)
        if stderr is None:
            os.close(error_writing)
            said = open(error_reading, "rb")  # noqa: SIM115
    return Copy(pid, command, open(reading, "rb"), said)


def run(
    command: Sequence[str],
    folder: Path | None = None,
    timeout_seconds: float = 60,
    program: bytes = b"",
) -> subprocess.CompletedProcess[str]:
    """Run ``python [OPTIONS] -m epollo WORDS`` to its end."""
    with start(command, folder=folder, program=program) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_seconds)
        except BaseException:
            process.kill()
            raise
    said = (octets.decode(errors="surrogateescape") for octets in (stdout, stderr))
    return subprocess.CompletedProcess(command, process.returncode, *said)


def _serve(control: socket.socket) -> None:
    """Fork for each message; return in the child, which is one of the process above this one."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_OCTETS, 2)
        if not message:
            sys.exit()
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid != 0:
                os.write(writing, b"%d" % pid)
                # Its child is given to the next process above that takes it.
                os._exit(0)
            for one in (reading, writing):
                os.close(one)
            control.close()
            _become_server(message, descriptors)
            return
        os.waitpid(between, 0)
        control.send(os.read(reading, 32))
        for one in (reading, writing, *descriptors):
            os.close(one)


def _become_server(message: bytes, descriptors: Sequence[int]) -> None:
    """Have the words, the folder and the streams that a server is to have."""
    words, folder, program = json.loads(message)
    os.chdir(folder)
    sys.argv = ["epollo", *words]
    for number, one in enumerate(descriptors, 1):
        os.dup2(one, number)
        os.close(one)
    # As an interpreter opens them that is to buffer nothing (`-u`).
    sys.stdout = _open_stream(1, "strict")
    sys.stderr = _open_stream(2, "backslashreplace")
    if program:
        _filter_calls(bytes.fromhex(program))


def _filter_calls(program: bytes) -> None:
    """Have the kernel decide each system call by a program from now on (seccomp(2))."""
    octets = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(octets))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    failed = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described)
    assert not failed, os.strerror(ctypes.get_errno())


def _open_stream(number: int, errors: str) -> io.TextIOWrapper:
    octets = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(octets, "utf-8", errors, newline="\n", write_through=True)


if __name__ == "__main__":
    import epollo.access_log.choice
    import epollo.cli
    import epollo.command_line
    import epollo.site.mounts
    import epollo.worker.process  # noqa: F401 - loaded for the copies
    from epollo.__main__ import main

    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
