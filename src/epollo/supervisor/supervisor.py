"""Starts, watches, replaces and stops workers.

Everything reaches it as an event: a worker's end through its pidfd, what a worker has to say through a
socket that both hold, signals through the wakeup. Facts that it rests on:

* A listening socket lives as long as a process holds it. The parent holds them all, so a client that
  waits to be accepted still waits when a worker dies.
* With SO_REUSEPORT the kernel deals connections out evenly to the sockets of one address (socket(7)).
  Every worker's place has a socket of its own; the worker that takes the place takes the socket.

Decision: workers come in *generations* of the same settings. A new one takes over when all of it
serves, and until then nothing of the old one is touched.

It is one class because every event, a signal as well as a worker's end, may come while a generation is
coming, going or both. What can be said of one of them alone is in `generation`, `watchdog`, `backoff` and
`upgrade`.
"""

import gc
import math
import os
import signal
import socket
import time
from collections.abc import Callable

from epollo.access_log.destination import open_destination
from epollo.annotations import Final
from epollo.errors import explain
from epollo.linux.processes import describe_exit
from epollo.linux.systemd import (
    notify_ready,
    notify_reloading,
    notify_stopping,
    notify_successor,
)
from epollo.loop import EventLoop, Wakeup
from epollo.pollers import open_poller
from epollo.settings import Settings
from epollo.supervisor.backoff import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, Backoff, Restarts
from epollo.supervisor.generation import Generation
from epollo.supervisor.listening_sockets import (
    NOWHERE,
    Listening,
    change_listening,
    count_workers,
)
from epollo.supervisor.password_files import PasswordFiles
from epollo.supervisor.root_backoff import RootBackoff
from epollo.supervisor.upgrade import Upgrade
from epollo.supervisor.watchdog import SILENT_SECONDS, Watchdog
from epollo.supervisor.worker_process import WorkerProcess
from epollo.worker.orders import DRAIN, REOPEN, STOP, STOP_AT_ONCE

_STARTING_SECONDS: Final = 60
_MUTE_SECONDS: Final = 20
"""A worker that was silent is killed, unless it answers within this time."""
_LATE_SECONDS: Final = 5.0
"""A worker bounds its own end by the grace; one that is so late after it is killed."""


class Supervisor:
    """The parent.

    ``load`` returns the settings as they are now, and raises `OperatorError` if they are wrong.
    ``inherited`` are listening sockets that another process opened. ``on_serving`` is called with each
    generation when all of it serves: its settings, its sockets, and what a worker tells of itself.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        report: Callable[[str], None],
        on_serving: Callable[[Settings, list[socket.socket], str], None],
        inherited: Listening | None,
    ) -> None:
        self._load = load
        self._report = report
        self._on_serving = on_serving
        settings = load()
        present = inherited or NOWHERE
        self._first_listening = change_listening(present, settings)
        try:
            self.loop = EventLoop(open_poller("auto"), report)
            self._wakeup = Wakeup(self.loop)
        except OSError:
            self._first_listening.close()
            raise
        self._watchdog = Watchdog(self.loop, report, self._list_ready, self._on_silent)
        self.on_passwords_wanted = PasswordFiles(report).answer
        self._serving = Generation(settings, present)
        """Without workers until the first generation serves; then what was inherited is closed."""
        self._coming: Generation | None = None
        self._retiring: set[WorkerProcess] = set()
        self._backoff = Backoff()
        self._restarts = Restarts()
        self._upgrade: Upgrade | None = None
        self._is_started = False
        self._is_reload_wanted = False
        self._is_ending = False
        self._is_told_to_stop = False
        self._is_replaced = False
        self._has_terminal = os.isatty(0)
        self._exit_status = 0
        self._root_backoff = RootBackoff()
        self._kill_at = math.inf

    def run(self) -> int:
        """Keep workers serving until a signal says to stop; return the exit status."""
        for number, call in (
            (signal.SIGTERM, self._on_stop),
            (signal.SIGINT, self._on_stop),
            (signal.SIGHUP, self._on_hangup),
            (signal.SIGUSR1, self._on_reopen),
            (signal.SIGUSR2, self._on_upgrade),
            (signal.SIGCHLD, self._on_child),
        ):
            self._wakeup.on_signal(number, call)
        self._begin(self._serving.settings, self._first_listening)
        # What a start has made stays.
        gc.freeze()
        gc.enable()
        try:
            while not self._is_ending or self._retiring or self._upgrade is not None:
                self.loop.run_batch(self._seconds_to_next())
                self._act_on_time()
        finally:
            self._serving.listening.close()
            self._wakeup.close(gives_back=False)
            self.loop.close()
        return self._exit_status

    def report(self, line: str) -> None:
        """Tell the operator, in one line."""
        self._report(line)

    def on_worker_ready(self, worker: WorkerProcess) -> None:
        """Let a new generation take over once all of it serves."""
        self._watchdog.note_alive(worker)
        coming = self._coming
        if coming is not None and worker in coming.workers:
            if all(one.is_ready for one in coming.workers):
                self._take_over(coming)
        elif worker in self._serving.workers:
            self._report(f"worker {worker.pid} serves in its place")
            self._serving.cover()

    def on_worker_here(self, worker: WorkerProcess) -> None:
        """Note that a worker does not hang."""
        self._watchdog.note_alive(worker)

    def on_worker_leaving(self, worker: WorkerProcess) -> None:
        """Replace a worker that another process told to end."""
        if worker in self._serving.workers:
            self._serving.workers.remove(worker)
            self._retire(worker)
            # All may have been asked, this process too, which would be the next event.
            self._restart(worker, "was asked to end", FIRST_DELAY_SECONDS)

    def on_worker_exit(self, worker: WorkerProcess, status: int) -> None:
        """Replace a worker that died; give up new ones that cannot start."""
        self._watchdog.note_alive(worker)
        coming = self._coming
        if worker in self._retiring:
            self._retiring.discard(worker)
            if status and worker.is_ready and not self._is_told_to_stop:
                self._report(f"worker {worker.pid} {describe_exit(status)} while it finished")
        elif coming is not None and worker in coming.workers:
            coming.workers.remove(worker)
            self._exit_status = max(status, 0) or 1
            self._abandon(worker.mistake or f"worker {worker.pid} {describe_exit(status)}")
        elif worker in self._serving.workers:
            self._serving.workers.remove(worker)
            reason = f": {worker.mistake}" if worker.mistake else ""
            self._restart(worker, describe_exit(status) + reason, self._backoff.find(worker))

    def on_root_replaced(self, worker: WorkerProcess) -> None:
        """Start workers that may read the new root; the sandbox of the old ones cannot be widened."""
        is_wanted = worker in self._serving.workers and self._coming is None
        if is_wanted and not self._root_backoff.is_too_soon(self._serving.settings):
            self._report("the root was replaced; new workers take over")
            self._begin(self._serving.settings, self._serving.listening)

    def _begin(self, settings: Settings, listening: Listening) -> None:
        """Start a generation."""
        coming = self._coming = Generation(settings, listening)
        try:
            coming.open(self.loop, self._wakeup.call, self._report, self._serving)
            for place in coming.places:
                coming.workers.append(self._start(coming, place))
        except Exception as error:
            self._exit_status = 2
            self._abandon(f"cannot start a worker: {explain(error)}")

    def _start(self, generation: Generation, place: int) -> WorkerProcess:
        worker = WorkerProcess(
            self,
            place,
            generation.settings,
            generation.sockets_of(place),
            generation.secrets,
            coders=generation.coders,
            deliveries=generation.deliveries,
        )
        self._watchdog.kill_unless_alive(worker, _STARTING_SECONDS, "is not ready")
        return worker

    def _take_over(self, coming: Generation) -> None:
        """Let the generation that was coming serve, and the one before finish."""
        former, self._serving, self._coming = self._serving, coming, None
        self._watchdog.watch(coming.listening.sockets)
        self._restarts.clear()
        self._backoff.clear()
        former.close()
        if coming.tls is not None:
            coming.tls.begin()
        for worker in former.workers:
            self._retire(worker)
        if self._is_started:
            self._report(f"{len(coming.workers)} new workers serve; the old ones finish")
        else:
            self._is_started = True
        first = coming.workers[0]
        self._on_serving(coming.settings, coming.listening.sockets, first.description)
        if former.listening is not coming.listening:
            # Workers hold theirs until they have stopped accepting. At the first start they are the
            # former program's, which has been told by now.
            former.listening.close(kept=coming.listening)
        self._end_reload()

    def _abandon(self, reason: str) -> None:
        """Stop the rest of a generation of which one could not start."""
        coming, self._coming = self._coming, None
        if coming is None:
            return
        coming.close()
        for worker in coming.workers:
            self._retire(worker)
        if coming.listening is not self._serving.listening:
            coming.listening.close(kept=self._serving.listening)
        if not self._is_started:
            self._report(reason)
            self._is_ending = True
            return
        self._exit_status = 0
        self._root_backoff.note_failure(coming.settings)
        self._report(f"nothing was changed: {reason}")
        self._end_reload()

    def _end_reload(self) -> None:
        notify_ready()
        if self._is_reload_wanted:
            self._is_reload_wanted = False
            self._reload()

    def _retire(self, worker: WorkerProcess) -> None:
        self._retiring.add(worker)
        worker.tell(DRAIN)

    def _restart(self, worker: WorkerProcess, reason: str, delay_seconds: float) -> None:
        """Have another worker take this place."""
        self._serving.cover()
        soon = f"in {delay_seconds:.1f} s" if delay_seconds else "now"
        self._report(f"worker {worker.pid} {reason}; another starts {soon}")
        self._restarts.add(worker.place, time.monotonic() + delay_seconds)

    def _list_all(self) -> list[WorkerProcess]:
        coming = [] if self._coming is None else self._coming.workers
        return [*self._serving.workers, *coming, *self._retiring]

    def _list_ready(self) -> list[WorkerProcess]:
        return self._serving.list_ready()

    def _on_silent(self, worker: WorkerProcess) -> None:
        """Have another worker take the place of one that hangs; if that comes to, it finishes."""
        if worker in self._serving.workers:
            self._serving.workers.remove(worker)
            self._retire(worker)
            self._watchdog.kill_unless_alive(worker, _MUTE_SECONDS, "still does not answer")
            self._restart(worker, f"does not answer for {SILENT_SECONDS} s", 0.0)

    def _act_on_time(self) -> None:
        """Do what is due by now."""
        now = time.monotonic()
        for place in self._restarts.take_due(now):
            try:
                self._serving.workers.append(self._start(self._serving, place))
            except Exception as error:
                self._report(f"cannot start a worker: {explain(error)}; trying again")
                self._restarts.add(place, now + LONGEST_DELAY_SECONDS)
        if now >= self._kill_at:
            self._kill_at = math.inf
            for worker in self._retiring:
                worker.kill()
            if self._upgrade is not None:
                self._upgrade.end(signal.SIGKILL)

    def _seconds_to_next(self) -> float:
        return min(self._kill_at, self._restarts.next_instant) - time.monotonic()

    def _retire_all(self) -> None:
        """Begin to end: no worker is started or replaced from now on."""
        self._is_ending = True
        self._watchdog.watch(())
        self._restarts.clear()
        for generation in (self._serving, self._coming):
            if generation is not None:
                generation.close()
                for worker in generation.workers:
                    self._retire(worker)
        self._serving.workers.clear()
        if self._coming is not None:
            if self._coming.listening is not self._serving.listening:
                self._coming.listening.close(kept=self._serving.listening)
            self._coming = None
        # No client shall wait for what does not come: connections are refused from now on.
        listening, self._serving.listening = self._serving.listening, NOWHERE
        listening.close()

    def _on_stop(self) -> None:
        """Have every worker finish; being asked for a second time, have them stop at once."""
        is_second, self._is_told_to_stop = self._is_told_to_stop, True
        if not is_second and not self._is_replaced:
            notify_stopping()
        if self._upgrade is not None:
            self._upgrade.end(signal.SIGTERM)
        self._retire_all()
        for worker in self._retiring:
            worker.tell(STOP_AT_ONCE if is_second else STOP)
        grace_seconds = 0.0 if is_second else self._serving.settings.grace_seconds
        self._kill_at = time.monotonic() + grace_seconds + _LATE_SECONDS

    def _on_child(self) -> None:
        """Look which worker has ended, where that is all the system tells."""
        for worker in self._list_all():
            worker.look_for_exit()

    def _on_hangup(self) -> None:
        """Reload the settings; but stop if the hang-up is that of our terminal."""
        if self._has_terminal and not os.isatty(0):
            self._on_stop()
        elif self._coming is not None or self._upgrade is not None:
            # What is under way may have read the settings before they were changed.
            self._is_reload_wanted = True
        elif not self._is_ending:
            self._reload()

    def _reload(self) -> None:
        """Start a generation with the settings, and the code, as they are now."""
        notify_reloading()
        try:
            settings = self._load()
            count_workers(settings)
            listening = change_listening(self._serving.listening, settings)
        except Exception as error:
            # A bug in reading what is new must not end the workers that serve.
            self._report(f"nothing was changed: {explain(error)}")
            notify_ready()
            return
        self._begin(settings, listening)

    def _on_reopen(self) -> None:
        """Open the access log anew; workers cannot, in their sandbox."""
        name = self._serving.settings.access_log
        if not name:
            return
        try:
            descriptor = open_destination(name)
        except Exception as error:
            self._report(f"{explain(error)}; the old file stays in use")
            return
        for worker in self._list_all():
            worker.tell(REOPEN, [descriptor])
        os.close(descriptor)

    def _on_upgrade(self) -> None:
        """Start another program, which takes the sockets, and finish when it serves."""
        if self._upgrade is not None or self._coming is not None or self._is_ending:
            self._report("another program cannot start now: something else is under way")
            return
        try:
            self._upgrade = Upgrade(self.loop, self._serving.listening, self._on_upgrade_outcome)
        except Exception as error:
            self._report(f"cannot start another program: {explain(error)}")

    def _on_upgrade_outcome(self, pid: int | None) -> None:
        """Finish, if another program serves on these sockets; else continue."""
        self._upgrade = None
        if pid is not None:
            self._report(f"process {pid} has taken over; this one finishes")
            notify_successor(pid)
            self._is_replaced = True
            self._serving.listening.may_remove_path = False
            self._retire_all()
        elif not self._is_ending:
            self._report("the other program did not start; this one serves on")
            self._end_reload()
