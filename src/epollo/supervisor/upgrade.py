"""Another program takes the place of this one: the same command line, the same sockets, newer code.

The old program starts the new one and still serves. When the new one serves it says so through a
socket that both hold, and the old one finishes; when it ends before, nothing has happened.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable

from epollo.annotations import Final
from epollo.loop import EventLoop, Handler
from epollo.loop.control import open_control
from epollo.supervisor.listening_sockets import Asked, Listening
from epollo.transports.listening import BoundPath, adopt

_VARIABLE: Final = "EPOLLO_UPGRADE"
_SERVING: Final = b"serving"


class Upgrade(Handler):
    """The handler of what the new program says."""

    def __init__(
        self,
        loop: EventLoop,
        listening: Listening,
        on_outcome: Callable[[int | None], None],
    ) -> None:
        """Start it; ``on_outcome`` is told the process that serves, or None.

        Raises `OSError` if the system has no room for another process.
        """
        # A process that serves by itself starts no other, and loads this module too.
        import json  # noqa: PLC0415
        import subprocess  # noqa: PLC0415

        self._loop = loop
        self._on_outcome = on_outcome
        with open_control(loop, self) as (self._control, theirs):
            descriptors = [one.fileno() for one in listening.sockets]
            order = {
                "control": theirs.fileno(),
                "sockets": descriptors,
                "asked": listening.asked,
                "path": listening.path,
            }
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "epollo", *sys.argv[1:]],
                pass_fds=(theirs.fileno(), *descriptors),
                env={**os.environ, _VARIABLE: json.dumps(order)},
            )

    def end(self, number: signal.Signals) -> None:
        """Have the new program end: it is not wanted any more."""
        self._process.send_signal(number)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Handle that the new program serves, or that it has ended."""
        try:
            message = self._control.recv(64)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        self._loop.remove(self._control.fileno())
        self._control.close()
        if message == _SERVING:
            # It lives on as the child of no process here, which Popen would complain of.
            self._process.returncode = 0
            self._on_outcome(self._process.pid)
        else:
            self._process.wait()
            self._on_outcome(None)


def take_over() -> tuple[Listening | None, Callable[[], None]]:
    """Return what the program listens on whose place this one takes, and what tells it that we serve.

    None if there is no such program. Until it is told, the path of its socket is not ours.
    """
    text = os.environ.pop(_VARIABLE, "")
    if not text:
        return None, lambda: None
    # Few take over from another.
    import json  # noqa: PLC0415

    order = json.loads(text)
    control = socket.socket(fileno=order["control"])
    control.set_inheritable(False)
    listening = Listening(
        adopt(order["sockets"]),
        None if order["asked"] is None else Asked(*order["asked"]),
        None if order["path"] is None else BoundPath(*order["path"]),
    )
    listening.may_remove_path = False

    def tell() -> None:
        listening.may_remove_path = True
        # It may have ended meanwhile; we serve all the same.
        with control, contextlib.suppress(OSError):
            control.send(_SERVING)

    return listening, tell
