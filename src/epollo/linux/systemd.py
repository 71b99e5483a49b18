"""The service manager (systemd): the sockets that it passes on, and what it is told of this process."""

import contextlib
import os
import re
import socket
import time
from collections.abc import Sequence

from epollo.annotations import Final
from epollo.errors import OperatorError

_FIRST_PASSED: Final = 3
"""The first descriptor that is passed."""


def take_passed_descriptors() -> Sequence[int]:
    """Return the listening sockets that were passed to this very process.

    The variables are removed, so that no child takes them for its own (sd_listen_fds(3)). Raises
    `OperatorError` if ``LISTEN_FDS`` is no number.
    """
    number = os.environ.pop("LISTEN_FDS", "")
    process = os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not number or process != str(os.getpid()):
        return ()
    if not re.fullmatch(r"[0-9]{1,6}", number):
        raise OperatorError(f"LISTEN_FDS is no number of sockets: {number!r}")
    return range(_FIRST_PASSED, _FIRST_PASSED + int(number))


def notify_ready() -> None:
    """Tell the manager that this process serves, for the first time or again (sd_notify(3))."""
    _notify("READY=1")


def notify_reloading() -> None:
    """Tell that new settings are being taken in; `notify_ready` ends it."""
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping() -> None:
    """Tell the manager that this process ends."""
    _notify("STOPPING=1")


def notify_successor(process: int) -> None:
    """Tell that another process is the one to watch from now on."""
    _notify(f"MAINPID={process}")


class _Manager:
    """The way to the service manager, where it is kept: a sandbox would not let us open it later."""

    descriptor = -1


def keep_manager() -> None:
    """Connect to the service manager now, for a process that may make no sockets later."""
    _Manager.descriptor = _connect()


def _notify(message: str) -> None:
    descriptor = _connect() if _Manager.descriptor < 0 else _Manager.descriptor
    if descriptor < 0:
        return
    # If the manager is gone, or does not read, this process serves all the same.
    with contextlib.suppress(OSError):
        os.write(descriptor, message.encode())
    if descriptor != _Manager.descriptor:
        os.close(descriptor)


def _connect() -> int:
    """Return the descriptor of a socket to the service manager; -1 if there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    # A leading @ stands for the NUL of the abstract name space (unix(7)).
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError):
        if path:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
                one.setblocking(False)
                one.connect(address)
                return one.detach()
    return -1
