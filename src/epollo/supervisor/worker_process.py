"""A worker as its parent sees it: a process, and the socket that both hold.

Workers are started by exec, not by fork alone: a new one runs the code that is installed now.
"""

import contextlib
import errno
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from epollo.annotations import Final, Protocol
from epollo.coder.supply import CoderSupply
from epollo.linux.inheritance import (
    open_end_of_file,
    open_for_writing,
    select_environment,
)
from epollo.loop import EventLoop, Handler
from epollo.loop.control import open_control
from epollo.settings import Settings
from epollo.settings.dumped import dump_settings
from epollo.supervisor.deliveries import Deliveries
from epollo.transports.pairs import Secrets
from epollo.worker.orders import (
    ARE_YOU_THERE,
    CODER,
    CODER_SILENT,
    DESCRIPTORS_LIMIT,
    HERE,
    IN_USE,
    LEAVING,
    LEFT_TO_SUPERVISOR,
    MISTAKE,
    ORDERS_VARIABLE,
    PASSWORDS,
    READY,
    ROOT_REPLACED,
    dump_secrets,
    write_orders,
)

_MESSAGE_OCTETS: Final = 65_536
_NUMBER_DIGITS_LIMIT: Final = 6
_LAST_MESSAGES_LIMIT: Final = 1000
_UNSENT_LIMIT: Final = 64
_UNSENT_SECONDS: Final = 1.0
# What sendmsg(2) fails with for now; else the worker is gone.
_NOT_NOW: Final = frozenset(
    (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)
)


class Parent(Protocol):
    """What is told what becomes of a worker."""

    loop: EventLoop

    def report(self, line: str) -> None:
        """Tell the operator, in one line."""

    def on_worker_ready(self, worker: "WorkerProcess") -> None:
        """Note that a worker serves."""

    def on_worker_here(self, worker: "WorkerProcess") -> None:
        """Note that a worker has answered."""

    def on_worker_leaving(self, worker: "WorkerProcess") -> None:
        """Note that another process told a worker to end."""

    def on_passwords_wanted(self, worker: "WorkerProcess", number: int) -> None:
        """Answer a worker that asks what the password file of one of its sites holds."""

    def on_root_replaced(self, worker: "WorkerProcess") -> None:
        """Note that the root was replaced by a folder that a worker may not read."""

    def on_worker_exit(self, worker: "WorkerProcess", status: int) -> None:
        """Note that a worker has ended."""


class WorkerProcess(Handler):
    """The handler of the socket to a worker; the end of the process is handled by `_Exit`."""

    def __init__(
        self,
        parent: Parent,
        place: int,
        settings: Settings,
        sockets: list[socket.socket],
        secrets: Secrets = Secrets(()),  # noqa: B008 - it is immutable
        *,
        coders: CoderSupply | None = None,
        deliveries: Deliveries | None = None,
    ) -> None:
        """Raise `OSError` if the system has no room for another process."""
        self._parent = parent
        self._loop = parent.loop
        self.place = place
        self._coders = coders
        self._deliveries = deliveries
        self.settings = settings
        self.ready_since = math.inf
        self.description = ""
        """What it told of itself, when it was ready."""
        self.mistake = ""
        """Why it could not start, if it knew."""
        self._is_heard = True
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        with open_control(self._loop, self) as (self._control, theirs):
            order = {
                "control": theirs.fileno(),
                "sockets": [one.fileno() for one in sockets],
                "settings": dump_settings(settings),
                "secrets": dump_secrets(secrets),
                "place": place,
                "has_coder": coders is not None,
            }
            self._process = _start_program(order, [theirs, *sockets])
        self._exit: _Exit | None = None
        # Where there is no descriptor for it, SIGCHLD tells of the end (`look_for_exit`).
        with contextlib.suppress(OSError, AttributeError):
            self._watch_exit(os.pidfd_open(self._process.pid))

    def _watch_exit(self, descriptor: int) -> None:
        """Watch for the end by a pidfd; raises `OSError` if it cannot be watched."""
        told = _Exit(self, descriptor)
        try:
            self._loop.add(descriptor, told)
        except OSError:
            os.close(descriptor)
            raise
        self._exit = told

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        return self.ready_since != math.inf

    def seconds_served(self) -> float:
        """Return how long it has served."""
        return max(0.0, time.monotonic() - self.ready_since)

    def tell(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send the worker a message, later if the system has no room for it now.

        One that is gone has its end handled soon.
        """
        if not self._unsent and self._send(message, descriptors):
            return
        if len(self._unsent) < _UNSENT_LIMIT:
            # Where there is no room for the descriptors either, the worker keeps those that it has.
            with contextlib.suppress(OSError):
                self._unsent.append((message, [os.dup(one) for one in descriptors]))
        self._loop.call_at(self._loop.clock.now + _UNSENT_SECONDS, self._send_on)

    def ask(self) -> None:
        """Have the worker give a sign of life."""
        self._send(ARE_YOU_THERE)

    def _send(self, message: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Try to send a message; return whether that is done, or can never be."""
        try:
            socket.send_fds(self._control, [message], descriptors[:DESCRIPTORS_LIMIT])
        except OSError as error:
            return error.errno not in _NOT_NOW
        return True

    def _send_on(self) -> None:
        """Try again to send what was not sent."""
        while self._unsent and self._send(*self._unsent[0]):
            _, descriptors = self._unsent.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        if self._unsent:
            self._loop.call_at(self._loop.clock.now + _UNSENT_SECONDS, self._send_on)

    def kill(self) -> None:
        """End it without asking."""
        self._process.kill()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Read what the worker says."""
        self._hear()

    def _hear(self) -> bool:
        """Read a message, or that none will come; return whether there was either."""
        try:
            message = self._control.recv(_MESSAGE_OCTETS)
        except BlockingIOError:
            return False
        except OSError:
            message = b""
        if not message:
            self._hear_no_more()
        else:
            self._take(message)
        return True

    def _hear_no_more(self) -> None:
        # A hang-up is reported again and again even if no event is watched for (epoll_ctl(2)).
        self._loop.remove(self._control.fileno())
        self._is_heard = False

    def _take(self, message: bytes) -> None:
        """Act on a message; one that no worker sends is from code that has broken into it."""
        if message.startswith(READY) and not self.is_ready:
            self.ready_since = time.monotonic()
            self.description = message[len(READY) :].decode(errors="backslashreplace")
            self._parent.on_worker_ready(self)
        elif message.startswith(MISTAKE):
            self.mistake = message[len(MISTAKE) :].decode(errors="backslashreplace")
        elif message == HERE:
            self._parent.on_worker_here(self)
        elif message == LEAVING:
            self._parent.on_worker_leaving(self)
        elif message.startswith(PASSWORDS):
            if (number := _parse_number(message[len(PASSWORDS) :])) is not None:
                self._parent.on_passwords_wanted(self, number)
        elif message.startswith(IN_USE) and self._deliveries is not None:
            if (number := _parse_number(message[len(IN_USE) :])) is not None:
                self._deliveries.confirm(self, number)
        elif message == CODER and self._coders is not None:
            self._coders.ask(self._give_coder, self.pid)
        elif message == CODER_SILENT and self._coders is not None:
            self._coders.look()
        elif message == ROOT_REPLACED:
            self._parent.on_root_replaced(self)

    def _give_coder(self, descriptor: int | None) -> None:
        """Pass a socket to a coder on; None if there is none."""
        if descriptor is None:
            self.tell(CODER)
        else:
            self.tell(CODER, [descriptor])
            os.close(descriptor)

    def look_for_exit(self) -> None:
        """Collect the exit status of a process that ended, where no descriptor tells of it."""
        if self._exit is None and self._process.poll() is not None:
            self.on_exit()

    def on_exit(self) -> None:
        """Collect the exit status, after the last words."""
        status = self._process.wait()
        if self._exit is not None:
            self._loop.remove(self._exit.descriptor)
            os.close(self._exit.descriptor)
        for _ in range(_LAST_MESSAGES_LIMIT):
            if not (self._is_heard and self._hear()):
                break
        if self._is_heard:
            # Code that broke into it may have given its end to another process, which still has it.
            self._hear_no_more()
        self._control.close()
        # To a socket that is closed nothing is ever sent.
        self._send_on()
        if self._deliveries is not None:
            self._deliveries.forget(self)
        self._parent.on_worker_exit(self, status)


def _parse_number(octets: bytes) -> int | None:
    """Return a number that a worker says; None if it is none."""
    return int(octets) if octets.isdigit() and len(octets) <= _NUMBER_DIGITS_LIMIT else None


def _start_program(
    order: dict[str, object], sockets: Sequence[socket.socket]
) -> "subprocess.Popen[bytes]":
    """Start a worker that has these sockets, by their numbers in its order. Raises `OSError`."""
    # Blocked signals stay so over exec (signal(7)): none can end it before it ignores them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_SUPERVISOR)
    opened: list[int] = []
    try:
        opened.append(first := write_orders(order))
        opened.append(stdin := open_end_of_file())
        opened.append(stdout := open_for_writing(1))
        opened.append(stderr := open_for_writing(2))
        # -P: the current folder may be the one that is served, which is no place for modules.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "epollo.worker"],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(first, *(one.fileno() for one in sockets)),
            env={**select_environment(os.environ), ORDERS_VARIABLE: str(first)},
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for descriptor in opened:
            os.close(descriptor)


class _Exit(Handler):
    """The handler of a pidfd, which becomes readable when the process ends (pidfd_open(2))."""

    def __init__(self, worker: WorkerProcess, descriptor: int) -> None:
        self._worker = worker
        self.descriptor = descriptor

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Collect the process."""
        self._worker.on_exit()
