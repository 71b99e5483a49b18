"""One process that serves: joins a loop, a site and the listening sockets, and lets go of them again.

As a program (``python -m epollo.worker``) it is started by the supervisor, which tells it in a variable
of the environment what to do, and holds the other end of a socket: the worker says there when it is
ready, is told there to finish, and stops when the supervisor is gone.
"""

import contextlib
import gc
import json
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from epollo.access_log import open_log
from epollo.connections.admission import Admission, claim_descriptors
from epollo.connections.connection import Connection
from epollo.connections.listener import Listener
from epollo.connections.listening import BACKLOG, adopt, is_listening
from epollo.connections.proxied import Preamble, ProxiedAdmission, parse_networks
from epollo.connections.recall import Recall
from epollo.connections.service import AccessLog, Capacity, Service, Timeouts
from epollo.errors import OperatorError, describe_fault
from epollo.linux.confinement import confine
from epollo.linux.readiness_signal import signal_readiness
from epollo.linux.systemd import notify_stopping
from epollo.loop import EventLoop, Wakeup
from epollo.pollers import FD_SETSIZE, open_poller
from epollo.protocols.http1 import HeadReader, Limits
from epollo.settings import Settings, load_settings
from epollo.site.cache_policy import CachePolicy
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.mounts import Mounts, open_mounts
from epollo.site.respond import Site
from epollo.site.tagging import Tagging
from epollo.terminal import open_streams, report

# Requests leave nothing behind that only a collection could find. Where 10,000 files are known, the
# default of 700 objects has everyone wait for a full collection (a third of a second on a machine with
# other work) with every 30,000 requests that are new; so, none was seen in 96,000.
_COLLECTION_THRESHOLD: Final = 50_000


WORKER_VARIABLE: Final = "EPOLLO_WORKER"
"""The variable with a worker's orders: settings, and the descriptors of its sockets."""

# What a worker says to its supervisor, one message each; some go on with a text.
READY: Final = b"ready "
MISTAKE: Final = b"mistake "
ROOT_REPLACED: Final = b"root replaced"
LEAVING: Final = b"leaving"

# What it is told.
DRAIN: Final = b"drain"
STOP: Final = b"stop"
STOP_AT_ONCE: Final = b"stop at once"
COVER: Final = b"cover"
"""With descriptors: the sockets, besides its own, on which nobody else accepts at the moment."""
REOPEN: Final = b"reopen"
"""With a descriptor: the access log from now on."""
DESCRIPTORS_LIMIT: Final = 253
"""So many are passed with one message (SCM_RIGHTS, unix(7))."""

LEFT_TO_SUPERVISOR: Final = frozenset(
    (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
)
"""Signals that a terminal or an operator sends to all processes together, and that a worker ignores:
the supervisor says what they mean. They are blocked from before the worker is started on."""


_NO_SUCCESSOR: Final = (
    "another program can take over only where there are --workers; this one goes on"
)


class Worker:
    """A server in one process and one thread.

    ``supervisor`` is the way to whoever replaces this worker when it cannot go on, if anybody does.
    ``mounts`` tells of mounts, and is opened by the caller, before the worker gives up its rights.
    """

    def __init__(
        self,
        settings: Settings,
        listening: Sequence[socket.socket],
        report: Callable[[str], None],
        log: AccessLog | None,
        supervisor: "Orders | None" = None,
        *,
        mounts: Mounts | None = None,
    ) -> None:
        """Raise `OperatorError` where the settings ask for what cannot be had."""
        # Looked at in any case: what is wrong there is to be known before it is needed.
        proxies = parse_networks(settings.proxies)
        connections_limit = claim_descriptors()
        self._settings = settings
        self._report = report
        self._supervisor = supervisor
        self._drained_by = math.inf
        self._idle_until = math.inf
        self.poller_name, poller = open_poller(settings.poller)
        self._mounts = mounts
        # These tell of no order, or of everything at all times.
        self._asks_for_mounts = self.poller_name in {"select", "busy"}
        self.sandbox = _confine(settings, is_replaceable=supervisor is not None)
        self._loop = EventLoop(poller)
        self._catalogue = Catalogue(
            settings.root,
            self._loop.clock,
            report,
            lambda: self._service.forget(),  # noqa: PLW0108 - it is made below
            self._on_root_out_of_reach,
            cache_octets=settings.cache_octets,
            kept_octets_limit=settings.kept_octets_limit,
        )
        self._wakeup = Wakeup(self._loop)
        self._catalogue.tagging = Tagging(self._wakeup.call)
        self._compressor = Compressor(self._wakeup.call) if settings.compress else None
        self._service = Service(
            self._loop,
            Site(
                self._catalogue,
                self._loop.clock,
                self._compressor,
                CachePolicy(settings.cache_control, report),
                is_behind_gateway=settings.has_proxy_protocol,
            ).respond,
            HeadReader(
                Limits(
                    settings.request_line_octets_limit,
                    settings.head_octets_limit,
                    settings.fields_limit,
                    settings.content_octets_limit,
                )
            ),
            timeouts=Timeouts(
                head=settings.head_seconds,
                idle=settings.idle_seconds,
                send=settings.send_seconds,
                octets_per_second=settings.slowest_octets_per_second,
            ),
            report=report,
            look_for_changes=self._look_for_changes,
            is_report_instant=self.poller_name == "epoll",
            log=log,
            recall=Recall() if settings.recall else None,
            capacity=Capacity(
                settings.connections_limit or connections_limit,
                settings.connections_per_address_limit,
                settings.requests_limit,
            ),
        )
        if log is not None:
            log.begin(self._loop)
        # From here on a signal is not lost: it waits for the loop.
        if supervisor is None:
            self._wakeup.on_signal(signal.SIGTERM, self._on_stop)
            self._wakeup.on_signal(signal.SIGINT, self._on_stop)
            self._wakeup.on_signal(signal.SIGUSR1, self.reopen_log)
            self._wakeup.on_signal(signal.SIGUSR2, lambda: report(_NO_SUCCESSOR))
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                # Its terminal is gone, for which nohup(1) has it go on.
                self._wakeup.on_signal(signal.SIGHUP, self._on_stop)
        else:
            self._wakeup.on_signal(signal.SIGTERM, self._ask_to_leave)
            supervisor.begin(self, self._loop)
        if self._catalogue.watch is not None:
            self._loop.add_first(self._catalogue.watch.descriptor, self._catalogue.watch)
            signal_readiness(self._catalogue.watch.descriptor, self._service.note_change)
        if self._mounts is not None:
            self._mounts.on_change = self._catalogue.look_anew
        if self._mounts is not None and not self._asks_for_mounts:
            self._loop.add_first(self._mounts.descriptor, self._mounts)
        self._descriptor_limit = FD_SETSIZE if self.poller_name == "select" else math.inf
        self._admission = Admission(self._service)
        if settings.has_proxy_protocol:
            self._admission = ProxiedAdmission(self._service, proxies)
        self._listeners = self._accept_from(listening)
        self._covering: list[Listener] = []

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP; then finish what is under way, within the grace."""
        gc.set_threshold(_COLLECTION_THRESHOLD)
        try:
            self._loop.run()
            self._drain()
        finally:
            self._close()

    def retire(self) -> None:
        """Finish with every peer in its own time: others serve from now on.

        What is being sent is finished, however long that takes. A connection between two requests is
        kept for the grace: the next one may be under way.
        """
        if not self._service.is_draining:
            self._idle_until = self._loop.clock.now + self._settings.grace_seconds
            self._begin_to_drain()

    def stop(self) -> None:
        """Finish what is under way, within the grace."""
        if self._drained_by == math.inf:
            self._drained_by = self._loop.clock.now + self._settings.grace_seconds
            self._idle_until = 0.0
            self._begin_to_drain()

    def stop_at_once(self) -> None:
        """Finish nothing."""
        self.stop()
        self._drained_by = 0.0

    def cover(self, listening: Sequence[socket.socket]) -> None:
        """Accept from these too, as long as nobody else does, and no more from those of last time."""
        for listener in self._covering:
            listener.close()
        self._covering = []
        if self._service.is_draining:
            for one in listening:
                one.close()
        else:
            self._covering = self._accept_from(listening)

    def reopen_log(self) -> None:
        """Write the access log to another file of the same name from now on."""
        if self._service.log is not None:
            self._service.log.reopen()

    def _accept_from(self, listening: Sequence[socket.socket]) -> list[Listener]:
        return [
            Listener(one, self._service, self._descriptor_limit, self._admission)
            for one in listening
        ]

    def _on_stop(self) -> None:
        """Begin to stop; being asked for a second time, stop at once."""
        if self._service.is_draining:
            self.stop_at_once()
        else:
            notify_stopping()
            self.stop()

    def _ask_to_leave(self) -> None:
        """Let another take this place; it may be that all are to stop, which the supervisor knows."""
        self._say(LEAVING)

    def _on_root_out_of_reach(self, reason: str, is_news: bool) -> None:
        """Ask for a worker that may read what stands where the root was; else say that there is none."""
        self._say(ROOT_REPLACED)
        if self._supervisor is None and is_news:
            self._report(f"the folder was replaced: {reason}; the former one is served on")

    def _say(self, message: bytes) -> None:
        if self._supervisor is not None:
            self._supervisor.say(message)

    def _begin_to_drain(self) -> None:
        self._service.drain()
        self._loop.stop()

    def _drain(self) -> None:
        for listener in [*self._listeners, *self._covering]:
            listener.close()
        self._listeners = self._covering = []
        clock = self._loop.clock
        while self._service.connections and clock.now < self._drained_by:
            if clock.now >= self._idle_until:
                self._idle_until = math.inf
                self._close_idle()
                continue
            until = min(self._drained_by, self._idle_until)
            self._loop.run_batch(until - clock.now)

    def _close_idle(self) -> None:
        for handler in self._loop.handlers():
            if isinstance(handler, Connection | Preamble):
                handler.on_drain()

    def _close(self) -> None:
        for handler in self._loop.handlers():
            if isinstance(handler, Connection | Preamble | Listener):
                handler.close()
        if self._compressor is not None:
            self._compressor.close()
        if self._service.log is not None:
            self._service.log.close()
        self._wakeup.close(gives_back=False)
        self._loop.close()
        self._catalogue.close()
        if self._mounts is not None:
            self._mounts.close()

    def _look_for_changes(self) -> None:
        self._service.is_report_instant = self.poller_name == "epoll"
        if self._catalogue.watch is not None:
            self._catalogue.watch.on_ready(0)
        if self._mounts is not None and self._asks_for_mounts:
            self._mounts.look()


class Orders:
    """The handler of what the supervisor says, and the way to answer."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._worker: Worker | None = None
        self._loop: EventLoop | None = None
        self._log_descriptors: list[int] = []
        self.deadline = math.inf

    def begin(self, worker: Worker, loop: EventLoop) -> None:
        """Follow orders from now on; those that have come already are waiting."""
        self._worker, self._loop = worker, loop
        loop.add(self._control.fileno(), self)

    def say(self, message: bytes) -> None:
        """Tell the supervisor something."""
        # It is gone, which the loop tells too, or has so much to read that it knows.
        with contextlib.suppress(OSError):
            self._control.send(message)

    def give_up(self, mistake: str) -> NoReturn:
        """End with status 2, and have the supervisor say why."""
        self.say(MISTAKE + mistake.encode(errors="backslashreplace"))
        sys.exit(2)

    def take_log_descriptor(self) -> int:
        """Return the descriptor that the access log is to go on with."""
        return self._log_descriptors.pop()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Follow an order; without a supervisor there is nobody to serve for."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, 64, DESCRIPTORS_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        worker = self._worker
        if worker is None or self._loop is None:
            return
        if message == DRAIN:
            worker.retire()
        elif message == STOP:
            worker.stop()
        elif message == STOP_AT_ONCE:
            worker.stop_at_once()
        elif message == COVER:
            worker.cover(adopt(descriptors))
        elif message == REOPEN:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                self._log_descriptors.append(descriptor)
                worker.reopen_log()
        elif not message:
            self._loop.remove(self._control.fileno())
            worker.stop()

    def on_deadline(self) -> None:
        """Nothing here waits for an instant."""

    def on_fault(self, fault: Exception) -> None:
        """Stop: a worker that cannot be told anything must not go on."""
        report(describe_fault(fault))
        if self._worker is not None:
            self._worker.stop()


def _confine(settings: Settings, *, is_replaceable: bool) -> str:
    """Give up what serving does not need; return, for a person, what is in force."""
    sandbox = settings.sandbox
    if sandbox == "auto" and not is_replaceable:
        # A root that is replaced is another folder to the kernel, and no right can be won back; only
        # another worker can follow there.
        sandbox = "off"
    try:
        root = os.open(settings.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # The catalogue says what is wrong with it.
        return "off"
    try:
        return confine(root, sandbox, settings.user or None)
    finally:
        os.close(root)


def main() -> None:
    """Serve as the supervisor ordered; it is told of an operator's mistake, and the status is 2."""
    for number in LEFT_TO_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_SUPERVISOR)
    orders = json.loads(os.environ.pop(WORKER_VARIABLE))
    control = socket.socket(fileno=orders["control"])
    control.setblocking(False)
    control.set_inheritable(False)
    supervisor = Orders(control)
    settings = load_settings(orders["settings"])
    open_streams()
    try:
        listening = adopt(orders["sockets"])
        log = open_log(settings, report, supervisor.take_log_descriptor)
        worker = Worker(settings, listening, report, log, supervisor, mounts=open_mounts(report))
        for one in listening:
            if not is_listening(one):
                one.listen(BACKLOG)
    except OperatorError as mistake:
        supervisor.give_up(str(mistake))
    except OSError as error:
        supervisor.give_up(f"cannot serve {settings.root}: {error.strerror}")
    supervisor.say(READY + f"{worker.poller_name}\n{worker.sandbox}".encode())
    worker.run()


if __name__ == "__main__":
    main()
