"""A system that says no once, or from some moment on: chosen calls of a server and of all that it starts.

The calls are stopped by a filter (seccomp_unotify(2)) that is there before the program begins, and each
is decided here, while it waits: let through, or failed with a number of errno(3). So one server can be
refused one call after another, at any time of its life.
"""

import array
import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from epollo.linux.seccomp import ALLOW, JUMP_IF_EQUAL, LOAD, RETURN, Instruction, encode_program
from server.refusing import read_numbers

_NOTIFY: Final = 0x7FC00000
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_CONTINUE: Final = 1
# struct seccomp_notif, struct seccomp_notif_resp (linux/seccomp.h).
_NOTICE: Final = struct.Struct("=QIIiIQ6Q")
_REPLY: Final = struct.Struct("=QqiI")
_CONTROL: Final = 777
"""The descriptor over which the launcher hands over the listener: its calls are let through."""

_LAUNCHER = """
import array, ctypes, os, socket, struct, sys
octets = bytes.fromhex(sys.argv[1])
control, seccomp = int(sys.argv[2]), int(sys.argv[3])
peer = socket.socket(fileno=control)
program = ctypes.create_string_buffer(octets, len(octets))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
described = struct.pack("@HP", len(octets) // 8, ctypes.addressof(program))
rights = array.array("i", [0])
# A signal interrupts no call that the listener has received; kernels before 5.19 cannot promise that.
number = libc.syscall(seccomp, 1, 8 | 32, described)
if number < 0:
    number = libc.syscall(seccomp, 1, 8, described)
if number < 0:
    os._exit(77)
rights[0] = number
peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
peer.detach()
os.close(control)
os.close(number)
os.execv(sys.argv[4], sys.argv[4:])
"""


class Fault(NamedTuple):
    """A call fails with this number: at its n-th time from now on, and then also ever after, or not.

    With a ``descriptor``, only calls are counted whose first argument it is.
    """

    call: str
    error: int
    time: int = 1
    is_lasting: bool = False
    descriptor: int | None = None

    def __str__(self) -> str:
        kind = "from" if self.is_lasting else "at"
        return f"{self.call} {errno.errorcode[self.error]} {kind} {self.time}"


class NoInjectorError(Exception):
    """Calls cannot be decided here: by this kernel, or in this container."""


class Injector:
    """Decides the calls of the programs that it runs; a thread of the tests' process answers them."""

    def __init__(self, calls: Sequence[str], operations: Mapping[str, int]) -> None:
        """Of a call with an operation, only those with it as second argument are decided."""
        numbers = read_numbers()
        self._numbers = {numbers[call]: call for call in calls if call in numbers}
        self._operations = operations
        self._seccomp = numbers["seccomp"]
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self.fault: Fault | None = None
        """What was armed last."""
        self._counts: Counter[str] = Counter()
        self._hits = 0
        self._pid = 0
        self._near, self._far = socket.socketpair()
        self._stop_reading, self._stop_writing = os.pipe()
        self._listener = -1
        self._thread = threading.Thread(target=self._decide_all)

    def popen(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        """Start a program; raises `NoInjectorError`."""
        program = []
        for number, call in self._numbers.items():
            operation = self._operations.get(call)
            judgement = [
                Instruction(LOAD, 16),
                Instruction(JUMP_IF_EQUAL, _CONTROL, 1, 0),
                Instruction(RETURN, _NOTIFY),
            ]
            if operation is not None:
                judgement[:2] = [
                    Instruction(LOAD, 24),
                    Instruction(JUMP_IF_EQUAL, operation, 0, 1),
                ]
            program += [
                Instruction(LOAD, 0),
                Instruction(JUMP_IF_EQUAL, number, 0, len(judgement)),
                *judgement,
            ]
        program.append(Instruction(RETURN, ALLOW))
        os.dup2(self._far.fileno(), _CONTROL)
        launcher = [sys.executable, "-c", _LAUNCHER, encode_program(program).hex()]
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            [*launcher, str(_CONTROL), str(self._seccomp), *command],
            pass_fds=(_CONTROL,),
            **options,
        )
        os.close(_CONTROL)
        self._far.close()
        octets, rights, _, _ = self._near.recvmsg(1, socket.CMSG_SPACE(4))
        if not octets:
            process.kill()
            process.communicate()
            self.close()
            raise NoInjectorError
        self._listener = array.array("i", rights[0][2])[0]
        self._thread.start()
        return process

    def arm(self, fault: Fault, pid: int = 0) -> None:
        """Begin to count, and fail a call, in any process or in one; what was armed before is over."""
        with self._lock:
            self._fault, self._pid = fault, pid
            self.fault = fault
            self._counts.clear()
            self._hits = 0

    def disarm(self) -> int:
        """Let everything through; return how many calls have failed."""
        with self._lock:
            self._fault = None
            return self._hits

    @property
    def hits(self) -> int:
        """How many calls have failed since `arm`."""
        with self._lock:
            return self._hits

    def count(self) -> None:
        """Begin to count calls, and fail none."""
        with self._lock:
            self._fault = None
            self._counts.clear()

    @property
    def counts(self) -> Counter[str]:
        """How often each call was made since `arm` or `count`."""
        with self._lock:
            return self._counts.copy()

    def close(self) -> None:
        """Decide no more; what still runs has its calls fail with ENOSYS."""
        os.close(self._stop_writing)
        if self._thread.is_alive():
            self._thread.join()
        for descriptor in (self._stop_reading, self._listener):
            if descriptor >= 0:
                os.close(descriptor)
        self._near.close()

    def _decide_all(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._stop_reading, select.POLLIN)
        while True:
            for descriptor, events in poll.poll():
                if descriptor == self._stop_reading or events & select.POLLHUP:
                    return
                # A call that a signal has interrupted is gone by now.
                with contextlib.suppress(FileNotFoundError, InterruptedError):
                    self._decide()

    def _decide(self) -> None:
        notice = bytearray(_NOTICE.size)
        fcntl.ioctl(self._listener, _RECEIVE, notice)
        mark, pid, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        error = self._judge(self._numbers[number], pid, arguments[0] & 0xFFFFFFFF)
        reply = _REPLY.pack(mark, 0, -error, 0 if error else _CONTINUE)
        fcntl.ioctl(self._listener, _SEND, bytearray(reply))

    def _judge(self, call: str, pid: int, descriptor: int) -> int:
        with self._lock:
            fault = self._fault
            if self._pid and pid != self._pid:
                return 0
            if fault is None or fault.call != call:
                self._counts[call] += 1
                return 0
            if fault.descriptor not in {None, descriptor}:
                return 0
            self._counts[call] += 1
            count = self._counts[call]
            if count == fault.time or (fault.is_lasting and count > fault.time):
                self._hits += 1
                return fault.error
            return 0
