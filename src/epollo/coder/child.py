"""A coder as its parent sees it: a process, the socket that both hold, and whether it does anything.

Fact: a coder that is stopped, or that reads a file of a dead disk, does not end, and no socket tells
that it hangs.
Decision: a client that waits says so. Then the coder is asked for a sign of life. It is given up if it
does nothing for some seconds, or does not answer after a minute of processor time.
Consequence: an idle coder is never asked, and one that only waits for a processor is not given up: it has
the lowest priority, and on a busy machine it answers late.

Fact: to start a program takes a millisecond, and tens of them on a busy machine (`linux.spawn`).
Decision: where the parent answers requests itself, a thread starts the coder.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from epollo.annotations import Final, TypeAlias
from epollo.coder.sockets import (
    ARE_YOU_THERE,
    CLIENT,
    CONTROL_DESCRIPTOR,
    HERE,
    IGNORED_SIGNALS,
    SOCKET_OCTETS,
)
from epollo.errors import explain
from epollo.linux.activity import Activity, read_activity
from epollo.linux.inheritance import open_end_of_file, select_environment
from epollo.linux.processes import describe_exit
from epollo.linux.threads import run_beside
from epollo.loop import CallInLoop, EventLoop, Handler
from epollo.loop.control import open_control

SILENT_TICKS: Final = 5
"""The ticks, about a second each, after which one that does nothing is given up."""
BUSY_SECONDS: Final = 60.0
"""The processor time after which one that does not answer is given up: no piece takes so long."""
_UNKNOWN_TICKS: Final = 60
"""The ticks after which it is given up where the system does not tell what it does."""
_TICK_SECONDS: Final = 0.5
"""The loop makes a call in the second after its instant."""
_LINE_OCTETS: Final = 1024
_LINES_LIMIT: Final = 8
"""A coder says why it cannot start, and what fault it had."""
_END_SECONDS: Final = 1.0
"""A process that was killed is waited for no longer: a call that does not return keeps it."""
_WAIT_SECONDS: Final = 0.002


Spawn: TypeAlias = Callable[
    [str, Sequence[str], Mapping[str, str], Sequence[tuple[int, int]], Collection[int]], int
]
"""Starts a program (`linux.spawn.spawn`)."""


class CoderProcess(Handler):
    """A coder as its parent sees it: a process, and the socket that both hold.

    ``on_end`` is told for how many seconds it lived, and how it ended, in words. With ``call_in_loop`` a
    thread starts it, and ``pid`` is 0 until it runs.
    """

    def __init__(
        self,
        loop: EventLoop,
        report: Callable[[str], None],
        on_end: Callable[[float, str], None],
        sandbox: str,
        user: str,
        *,
        call_in_loop: CallInLoop | None = None,
    ) -> None:
        """Raise `OSError` if the system has no room for another process."""
        _have_statuses_kept()
        self.pid = 0
        self._is_over = False
        self._loop = loop
        self._report = report
        self._on_end = on_end
        with open_control(loop, self) as (self._control, theirs):
            if call_in_loop is None:
                self.pid = _start(theirs.fileno(), sandbox, user)
            else:
                self._start_beside(os.dup(theirs.fileno()), sandbox, user, call_in_loop)
        self._started = loop.clock.now
        self._lines_left = _LINES_LIMIT
        self._is_asked = self._is_sent = False
        self._idle_ticks = self._ticks = 0
        self._asked_at: Activity | None = None
        self._last: Activity | None = None

    def connect(self, number: int) -> int:
        """Return the descriptor of a socket to it, which is the caller's to close.

        ``number`` is the client's; the coder closes the socket that it had before. Raises `OSError`.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                for one in (ours, theirs):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_OCTETS)
                socket.send_fds(self._control, [CLIENT + b"%d" % number], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours.detach()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Tell the operator what it says, or handle that it has ended."""
        try:
            message = self._control.recv(_LINE_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if message == HERE:
            self._is_asked = False
        elif message and self._lines_left:
            self._lines_left -= 1
            self._report(message.decode(errors="backslashreplace"))
        elif not message:
            self._give_up()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """End it: what cannot be heard is not to be relied on."""
        self._on_end(0.0, _describe(self.end()))

    def ask(self) -> None:
        """Have it give a sign of life, and give it up if none comes; once at a time."""
        if self.pid and self._asked_at is None and not self._is_over:
            self._is_asked, self._is_sent = True, False
            self._idle_ticks = self._ticks = 0
            self._asked_at = self._last = read_activity(self.pid)
            self._send_question()
            self._loop.call_at(self._loop.clock.now + _TICK_SECONDS, self._tick)

    def end(self) -> int | None:
        """End it; return its exit status, negative for a signal; None if it does not end soon."""
        self._is_over = True
        self._loop.remove(self._control.fileno())
        self._control.close()
        if not self.pid:
            # It is ended once it runs.
            return None
        os.kill(self.pid, signal.SIGKILL)
        until = time.monotonic() + _END_SECONDS
        while (status := self._collect()) is None and time.monotonic() < until:
            time.sleep(_WAIT_SECONDS)
        if status is None:
            self._collect_later()
        return status

    def _start_beside(
        self, control: int, sandbox: str, user: str, call_in_loop: CallInLoop
    ) -> None:
        """Start it in a thread; ``control`` is its end of the socket, and is closed when it runs."""

        def start() -> None:
            pid, refusal = 0, None
            try:
                # A parent that serves nothing needs none of it.
                from epollo.linux.spawn import spawn  # noqa: PLC0415

                pid = _start(control, sandbox, user, spawn)
            except Exception as error:
                refusal = error
            call_in_loop(partial(self._on_started, control, pid, refusal))

        if not run_beside(start):
            start()

    def _on_started(self, control: int, pid: int, refusal: Exception | None) -> None:
        # Not before: it would be reported to have ended while its number is not known.
        os.close(control)
        self.pid = pid
        if self._is_over:
            if pid:
                os.kill(pid, signal.SIGKILL)
                self._collect_later()
        elif refusal is not None:
            self.end()
            self._on_end(0.0, f"cannot start: {explain(refusal)}")

    def _tick(self) -> None:
        asked_at, last = self._asked_at, self._last
        if self._is_over or asked_at is None or last is None:
            return
        if not self._is_asked:
            self._asked_at = None
            return
        now = self._last = read_activity(self.pid)
        self._ticks += 1
        is_idle = not now.is_waiting and now.processor_seconds == last.processor_seconds
        self._idle_ticks = self._idle_ticks + 1 if is_idle and now.is_known else 0
        if (
            self._idle_ticks >= SILENT_TICKS
            or now.processor_seconds - asked_at.processor_seconds > BUSY_SECONDS
            or (not now.is_known and self._ticks >= _UNKNOWN_TICKS)
        ):
            self._give_up(f"does not answer for {self._ticks} s, and is killed")
        else:
            self._send_question()
            self._loop.call_at(self._loop.clock.now + _TICK_SECONDS, self._tick)

    def _send_question(self) -> None:
        # It may have so much to read that there is no room.
        if not self._is_sent:
            with contextlib.suppress(OSError):
                self._control.send(ARE_YOU_THERE)
                self._is_sent = True

    def _give_up(self, how: str = "") -> None:
        """End it, and tell how it ended."""
        lifetime_seconds = self._loop.clock.now - self._started
        status = self.end()
        self._on_end(lifetime_seconds, how or _describe(status))

    def _collect(self) -> int | None:
        """Return the exit status of a process that has ended; None if it has not."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _collect_later(self) -> None:
        if self._collect() is None:
            self._loop.call_at(self._loop.clock.now + _TICK_SECONDS, self._collect_later)


def _have_statuses_kept() -> None:
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # As the program left it that started this one. The kernel would keep no status (wait(2)), and
        # soon give the number of a coder that has ended to another process.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _spawn(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    moves: Sequence[tuple[int, int]],
    blocked: Collection[int],
) -> int:
    """Start a program as `linux.spawn` does, but hold the interpreter until it runs."""
    actions = [(os.POSIX_SPAWN_DUP2, *move) for move in moves]
    return os.posix_spawn(
        program, list(arguments), environment, file_actions=actions, setsigmask=blocked
    )


def _start(control: int, sandbox: str, user: str, spawn: Spawn = _spawn) -> int:
    """Start a coder; return its process number. Raises `OSError`.

    Not by subprocess: a server that has no children loads that for this alone, while it serves.
    """
    end_of_file = open_end_of_file()
    # What it has to say it says to its parent. The numbers are taken in this order.
    moves = [(end_of_file, 0), (end_of_file, 1), (end_of_file, 2), (control, CONTROL_DESCRIPTOR)]
    # -P: the current folder may be the one that is served, which is no place for modules.
    command = [sys.executable, "-P", "-m", "epollo.coder", sandbox, user]
    environment = select_environment(os.environ)
    try:
        return spawn(sys.executable, command, environment, moves, IGNORED_SIGNALS)
    except PermissionError:
        # A container's filter that does not know clone3(2) and refuses it (Docker 20.10).
        return _fork(control, command, environment, end_of_file)
    finally:
        os.close(end_of_file)


def _fork(control: int, command: list[str], environment: dict[str, str], end_of_file: int) -> int:
    """Start a coder by the older calls."""
    import subprocess  # noqa: PLC0415 - see `_start`

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED_SIGNALS)
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


def _describe(status: int | None) -> str:
    return "does not end although it was killed" if status is None else describe_exit(status)
