"""Finds the worker that does not answer: stopped, swapped out, or in a call that does not return.

Fact: the socket of a worker that hangs keeps its share of the clients that come; they wait there.
Decision: the parent, which holds the listening sockets too, has the loop report that a client waits to be
accepted. Then it asks every worker for a sign of life, and does not watch the sockets for a moment. So an
idle server asks nothing, and a busy one once in two seconds.
Consequence: an idle server sleeps. A worker that hangs is found by the first client that waits for it.
Price: clients that are connected to it already wait until then.

Seconds are counted by the ticks of this process, so that a machine that slept, or a parent that was
stopped itself, takes no worker for silent.
"""

from collections.abc import Callable, Sequence
from socket import socket

from epollo.annotations import Final, Generic, Protocol, TypeVar
from epollo.loop import EventLoop, Handler

SILENT_SECONDS: Final = 5
_REST_SECONDS: Final = 2
_TICK_SECONDS: Final = 0.5
"""The loop makes a call in the second after its instant."""


class Watched(Protocol):
    """What the watchdog needs of a worker."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    def ask(self) -> None:
        """Have it give a sign of life."""

    def kill(self) -> None:
        """End it without asking."""


W = TypeVar("W", bound=Watched)


class Watchdog(Handler, Generic[W]):
    """The handler of the listening sockets in the parent, which accepts from none.

    ``list_workers`` returns those that serve, ``on_silent`` is told of each that has not answered for
    ``SILENT_SECONDS``.
    """

    def __init__(
        self,
        loop: EventLoop,
        report: Callable[[str], None],
        list_workers: Callable[[], Sequence[W]],
        on_silent: Callable[[W], None],
    ) -> None:
        self._loop = loop
        self._report = report
        self._list_workers = list_workers
        self._on_silent = on_silent
        self._sockets: list[int] = []
        self._watched: list[int] = []
        self._is_watching = True
        self._asked: set[W] = set()
        self._ticks = 0
        self._kill_ticks: dict[W, tuple[int, str]] = {}
        """After this number of ticks they are killed, unless they answer; and the line that says so."""
        self._is_ticking = False

    def watch(self, sockets: Sequence[socket]) -> None:
        """Watch these from now on; to be called before the former ones are closed."""
        self._unwatch()
        self._sockets = [one.fileno() for one in sockets]
        if not self._asked and self._ticks == 0:
            self._watch_on()

    def kill_unless_alive(self, worker: W, seconds: int, reason: str) -> None:
        """Kill a worker that gives no sign of life in time; ``reason`` is such as "is not ready"."""
        line = f"worker {worker.pid} {reason} after {seconds} s, and is killed"
        self._kill_ticks[worker] = (seconds, line)
        self._tick_on()

    def note_alive(self, worker: W) -> None:
        """Note a sign of life, or that the end of a worker is known."""
        self._asked.discard(worker)
        self._kill_ticks.pop(worker, None)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Ask the workers: a client waits, which a worker most often accepts in a moment."""
        if not self._is_watching:
            return
        self._unwatch()
        self._asked = set(self._list_workers())
        for worker in self._asked:
            worker.ask()
        self._tick_on()

    def _watch_on(self) -> None:
        self._is_watching = True
        try:
            for descriptor in self._sockets:
                self._loop.add(descriptor, self)
                self._watched.append(descriptor)
        except OSError:
            # There is no room to watch one more (epoll_ctl(2)): there may be after a rest.
            self._unwatch()
            self._tick_on()

    def _unwatch(self) -> None:
        if self._is_watching:
            self._is_watching = False
            for descriptor in self._watched:
                self._loop.remove(descriptor)
            self._watched.clear()

    def _tick_on(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_at(self._loop.clock.now + _TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        silent: set[W] = set()
        if not self._is_watching:
            self._ticks += 1
            if self._ticks >= (SILENT_SECONDS if self._asked else _REST_SECONDS):
                silent, self._asked = self._asked, set()
                self._ticks = 0
                self._watch_on()
        for worker, (seconds, line) in list(self._kill_ticks.items()):
            self._kill_ticks[worker] = (seconds - 1, line)
            if seconds <= 1:
                del self._kill_ticks[worker]
                self._report(line)
                worker.kill()
        for worker in silent:
            self._on_silent(worker)
        if not self._is_watching or self._kill_ticks:
            self._tick_on()
