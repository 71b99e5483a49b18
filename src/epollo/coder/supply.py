"""Where coders come from: one is started when the first asks for it, and another when it died.

Decision: it is ended by SIGKILL, for it has nothing to finish, and no parent waits for a long coding. A
coder that dies early, again and again, is done without.
"""

import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from epollo.coder.sockets import CLIENT, CONTROL_DESCRIPTOR, SOCKET_OCTETS
from epollo.errors import explain
from epollo.linux.surroundings import open_end_of_file, select_environment
from epollo.loop import EventLoop, Handler

_SOUND_SECONDS: Final = 5.0
"""A coder that lived for less died of what may end the next one too."""
_FIRST_DELAY_SECONDS: Final = 1.0
_DEATHS_LIMIT: Final = 4
"""After this number of early deaths in a row there is none any more."""
_WAITING_LIMIT: Final = 1024
_LINE_OCTETS: Final = 1024
_HELD_SIGNALS: Final = frozenset(
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
)
"""Blocked from before the coder starts until it ignores them (signal(7))."""

Take: TypeAlias = Callable[[int | None], None]
"""Is given the descriptor of a socket to a coder, which is the taker's to close; None for none ever."""


class CoderSupply:
    """The coder of a parent and its children, while there is one.

    ``sandbox`` and ``user`` are as for `confine`; ``report`` tells the operator, in one line.
    """

    def __init__(
        self, loop: EventLoop, report: Callable[[str], None], sandbox: str, user: str
    ) -> None:
        self._loop = loop
        self._report = report
        self._sandbox = sandbox
        self._user = user
        self._coder: CoderProcess | None = None
        self._waiting: deque[Take] = deque()
        self._early_deaths = 0
        self._is_resting = False
        self._is_closed = False

    def ask(self, take: Take) -> None:
        """Have a socket to the coder given, now or when there is a coder again."""
        if self._is_closed or len(self._waiting) >= _WAITING_LIMIT:
            return
        self._waiting.append(take)
        if not self._is_resting:
            self._give()

    def close(self) -> None:
        """End the coder; nothing more is given."""
        self._is_closed = True
        self._waiting.clear()
        coder, self._coder = self._coder, None
        if coder is not None:
            coder.end()

    def _give(self) -> None:
        """Give all that wait what they wait for."""
        self._is_resting = False
        while self._waiting and not self._is_closed:
            if self._early_deaths >= _DEATHS_LIMIT:
                self._waiting.popleft()(None)
                continue
            try:
                if self._coder is None:
                    self._coder = CoderProcess(
                        self._loop, self._report, self._on_end, self._sandbox, self._user
                    )
                descriptor = self._coder.connect()
            except (BrokenPipeError, ConnectionResetError):
                # It has died, and will be heard to have.
                return
            except OSError as error:
                self._report(f"cannot start a coder: {explain(error)}")
                self._rest()
                return
            self._waiting.popleft()(descriptor)

    def _on_end(self, lifetime_seconds: float, how: str) -> None:
        """Take in that the coder has ended by itself."""
        self._coder = None
        if self._is_closed:
            return
        if lifetime_seconds >= _SOUND_SECONDS:
            self._early_deaths = 0
        self._report(f"the coder {how}; files are sent as they are until another one codes them")
        self._rest()

    def _rest(self) -> None:
        """Start no other for a while, the longer the more often it died early."""
        self._early_deaths += 1
        if self._early_deaths >= _DEATHS_LIMIT:
            self._report("no coder is started any more; each process codes for itself")
        delay_seconds = _FIRST_DELAY_SECONDS * 2 ** (self._early_deaths - 1)
        self._is_resting = True
        self._loop.call_at(self._loop.clock.now + delay_seconds, self._give)


class CoderProcess(Handler):
    """A coder as its parent sees it: a process, and the socket that both hold.

    ``on_end`` is told for how many seconds it lived, and how it ended, in words.
    """

    def __init__(
        self,
        loop: EventLoop,
        report: Callable[[str], None],
        on_end: Callable[[float, str], None],
        sandbox: str,
        user: str,
    ) -> None:
        """Raise `OSError` where the system has no room for another process."""
        self._loop = loop
        self._report = report
        self._on_end = on_end
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        try:
            with theirs:
                self.pid = _start(theirs.fileno(), sandbox, user)
        except OSError:
            self._control.close()
            raise
        self._started = loop.clock.now
        loop.add(self._control.fileno(), self)

    def connect(self) -> int:
        """Return the descriptor of a socket to it, which is the caller's to close. Raises `OSError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                for one in (ours, theirs):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_OCTETS)
                socket.send_fds(self._control, [CLIENT], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours.detach()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Tell the operator what it says, or take in that it is gone."""
        try:
            message = self._control.recv(_LINE_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if message:
            self._report(message.decode(errors="backslashreplace"))
            return
        lifetime_seconds = self._loop.clock.now - self._started
        self._on_end(lifetime_seconds, _describe(self.end()))

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """End it: what cannot be heard is not to be relied on."""
        self._on_end(0.0, _describe(self.end()))

    def end(self) -> int:
        """End it; return its exit status, negative for a signal."""
        self._loop.remove(self._control.fileno())
        self._control.close()
        os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _start(control: int, sandbox: str, user: str) -> int:
    """Start a coder; return its process number. Raises `OSError`.

    Not by subprocess: a server that has no children loads that for this alone, in the midst of serving.
    """
    end_of_file = open_end_of_file()
    # What it has to say it says to its parent. The numbers are taken in this order.
    moves = [(end_of_file, 0), (end_of_file, 1), (end_of_file, 2), (control, CONTROL_DESCRIPTOR)]
    # -P: the current folder may be the one that is served, which is no place for modules.
    command = [sys.executable, "-P", "-m", "epollo.coder", sandbox, user]
    environment = select_environment(os.environ)
    try:
        return os.posix_spawn(
            sys.executable,
            command,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, *move) for move in moves],
            setsigmask=_HELD_SIGNALS,
        )
    except PermissionError:
        # A container's filter that does not know clone3(2) and refuses it (Docker 20.10).
        return _fork(control, command, environment, end_of_file)
    finally:
        os.close(end_of_file)


def _fork(control: int, command: list[str], environment: dict[str, str], end_of_file: int) -> int:
    """Start a coder by the older calls."""
    import subprocess  # noqa: PLC0415 - see `_start`

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_SIGNALS)
    try:
        process = subprocess.Popen(
            [*command, str(control)],
            stdin=end_of_file,
            stdout=end_of_file,
            stderr=end_of_file,
            pass_fds=(control,),
            env=environment,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # It is waited for elsewhere.
    process.returncode = 0
    return process.pid


def _describe(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
