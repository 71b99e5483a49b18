"""Signals, and the results of threads, as readiness of a descriptor.

Fact: each signal of the process, even one that is not served here, writes an octet to the socket pair
(signal.set_wakeup_fd). If the pair is full, the octet is lost.
Decision: an octet only ends the sleep. Which call to make is noted by the handler of the signal.
"""

import contextlib
import signal
import socket
from collections import deque
from collections.abc import Callable
from types import FrameType

from epollo.annotations import TypeAlias
from epollo.errors import EpolloError
from epollo.loop.event_loop import EventLoop
from epollo.loop.handler import Handler

CallInLoop: TypeAlias = Callable[[Callable[[], None]], None]
"""Has the thread of the loop make a call."""


class Wakeup(Handler):
    """The handler of a socket pair whose other end is written to by signals and by threads.

    Everything is called by the loop, in the loop's thread, never in the middle of anything else.
    """

    __slots__ = (
        "_calls",
        "_loop",
        "_previous",
        "_reading",
        "_writing",
    )

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._calls: deque[Callable[[], None]] = deque()
        self._previous: dict[int, object] = {}
        loop.add(self._reading.fileno(), self)

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        """Have the loop call when the process gets this signal; for the main thread only."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self.call(call)

        if not self._previous:
            signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._previous[number] = signal.signal(number, note)

    def call(self, call: Callable[[], None]) -> None:
        """Have the loop make this call; may be used by any thread."""
        self._calls.append(call)
        try:
            self._writing.send(b"\0")
        except OSError:
            # Full of octets that will wake the loop as well; or closed, and no loop waits for it.
            return

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Make the calls that were asked for."""
        with contextlib.suppress(OSError):
            self._reading.recv(4096)
        while self._calls:
            self._calls.popleft()()

    def on_fault(self, fault: Exception) -> None:
        """Let a bug in a signal's call end the process: it may be the call that stops the process."""
        raise EpolloError(f"a signal or a thread could not be served: {fault!r}") from fault

    def close(self, *, gives_back: bool = True) -> None:
        """Give signals back to their former handlers, unless the process ends."""
        if self._previous:
            signal.set_wakeup_fd(-1)
        if gives_back:
            for number, previous in self._previous.items():
                signal.signal(number, previous)  # type: ignore[arg-type]
        self._loop.remove(self._reading.fileno())
        self._reading.close()
        self._writing.close()
