"""The socket between a process and one that it starts; it is open before the other runs."""

import contextlib
import socket
from collections.abc import Iterator

from epollo.loop.event_loop import EventLoop
from epollo.loop.handler import Handler


@contextlib.contextmanager
def open_control(
    loop: EventLoop, handler: Handler
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two connected sockets to a block that starts a process: ours, and that of the process.

    The loop watches ours before the process starts: no process runs that is not heard. If the block
    raises, ours is taken out of the loop and closed. Theirs is closed in any case. Raises `OSError` if
    the system has no room for one more.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        ours.setblocking(False)
        loop.add(ours.fileno(), handler)
        undo.callback(loop.remove, ours.fileno())
        yield ours, theirs
        undo.pop_all()
