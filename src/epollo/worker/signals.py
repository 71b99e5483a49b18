"""What signals mean to a worker: one alone stops by them, one under a supervisor leaves them to it."""

import signal
from collections.abc import Callable

from epollo.annotations import Final, Protocol
from epollo.linux.systemd import notify_stopping
from epollo.loop import Wakeup
from epollo.worker.orders import LEAVING, Orders

_NO_SUCCESSOR: Final = (
    "another program can take over only where there are --workers; this one serves on"
)


class Stoppable(Protocol):
    """What signals stop."""

    @property
    def is_ending(self) -> bool:
        """Whether it was asked to stop."""

    def stop(self) -> None:
        """Finish what is under way, within the grace."""

    def stop_at_once(self) -> None:
        """Finish nothing."""

    def reopen_log(self) -> None:
        """Write the access log to another file of the same name from now on."""


def handle_signals(worker: Stoppable, wakeup: Wakeup, report: Callable[[str], None]) -> None:
    """Have the signals of this process act on a worker without a supervisor, from now on."""

    def on_stop() -> None:
        """Begin to stop; at the second signal, stop at once."""
        if worker.is_ending:
            worker.stop_at_once()
        else:
            notify_stopping()
            worker.stop()

    wakeup.on_signal(signal.SIGTERM, on_stop)
    wakeup.on_signal(signal.SIGINT, on_stop)
    wakeup.on_signal(signal.SIGUSR1, worker.reopen_log)
    wakeup.on_signal(signal.SIGUSR2, lambda: report(_NO_SUCCESSOR))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Its terminal is gone; where nohup(1) had this process ignore that, it serves on.
        wakeup.on_signal(signal.SIGHUP, on_stop)


def leave_signals(wakeup: Wakeup, supervisor: Orders) -> None:
    """Have SIGTERM ask the supervisor for another worker in this place.

    It may be that all are to stop, which the supervisor knows. All other signals are left to it
    (`LEFT_TO_SUPERVISOR`).
    """
    wakeup.on_signal(signal.SIGTERM, lambda: supervisor.say(LEAVING))
