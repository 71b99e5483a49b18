"""Which log the settings ask for: lines for a person, lines for programs, or both."""

import os
import sys
from collections.abc import Callable

from epollo.access_log.destination import STDOUT, Destination, open_destination
from epollo.connections.contract import AccessLog
from epollo.settings import Settings


def open_log(
    settings: Settings,
    report: Callable[[str], None],
    open_again: Callable[[], int] | None = None,
) -> AccessLog | None:
    """Return the log that the settings ask for, if any.

    Files are opened now, before rights are given up. Where the log cannot be opened here any more after
    a rotation, ``open_again`` returns a descriptor to continue with. If there is a log for programs, a
    person gets lines only on a terminal that nothing else is written to. Raises `OperatorError`.
    """
    name = settings.access_log
    # Each kind of lines is loaded for servers that write some.
    if not name:
        if settings.quiet:
            return None
        from epollo.access_log.terminal_log import TerminalLog  # noqa: PLC0415

        return TerminalLog()
    from epollo.access_log.batches import BatchedLog  # noqa: PLC0415
    from epollo.access_log.formats import FORMATS  # noqa: PLC0415

    destination = Destination(
        open_destination(name), open_again or (lambda: open_destination(name)), report
    )
    log = BatchedLog(FORMATS[settings.access_log_format], destination)
    if settings.quiet or name == STDOUT or not sys.stdout.isatty():
        return log
    from epollo.access_log.terminal_log import TerminalLog, TwoLogs  # noqa: PLC0415

    return TwoLogs(log, TerminalLog())


def explain_no_reopening(settings: Settings) -> str:
    """Return why this very process, which gave up rights, cannot open the log again after a rotation.

    Nothing if it can. The parent of workers gives up no rights, and opens it for them.
    """
    name = settings.access_log
    if name in {"", STDOUT}:
        return ""
    if settings.sandbox == "on":
        return "the sandbox lets no file be written"
    folder = os.path.dirname(name) or "."
    if settings.user and not os.access(folder, os.W_OK | os.X_OK):
        return f"user {settings.user} may make no file in {folder}"
    return ""
