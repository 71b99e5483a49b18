"""What a service manager (systemd) hands over and wants to be told: sd_listen_fds(3), sd_notify(3)."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Final

_FIRST_PASSED: Final = 3
"""The first descriptor that is passed."""


def take_passed_descriptors() -> Sequence[int]:
    """Return the listening sockets that were passed to this very process.

    The variables are removed, so that no child takes them for its own.
    """
    number = os.environ.pop("LISTEN_FDS", "")
    process = os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or not (number.isascii() and number.isdigit()):
        return ()
    return range(_FIRST_PASSED, _FIRST_PASSED + int(number))


def notify_ready() -> None:
    """Tell that we serve, for the first time or again."""
    _notify("READY=1")


def notify_reloading() -> None:
    """Tell that new settings are being taken in; `notify_ready` ends it."""
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping() -> None:
    """Tell that this is the end."""
    _notify("STOPPING=1")


def notify_successor(process: int) -> None:
    """Tell that another process is the one to watch from now on."""
    _notify(f"MAINPID={process}")


def _notify(message: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        try:
            # A leading @ stands for the NUL of the abstract name space (unix(7)).
            one.connect("\0" + path[1:] if path.startswith("@") else path)
            one.send(message.encode())
        except OSError:
            # No service manager listens; nothing else changes.
            return
