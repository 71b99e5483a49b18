"""The socket by which a process talks with one that it starts, from before that one runs."""

import contextlib
import socket
from collections.abc import Iterator

from epollo.loop.event_loop import EventLoop
from epollo.loop.handler import Handler


@contextlib.contextmanager
def open_control(
    loop: EventLoop, handler: Handler
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Have two connected sockets in a block that starts a process: ours, and that of the process.

    Ours is in the loop first: a process that runs and could not be heard would be left without a parent.
    If the block raises, ours is closed, and out of the loop again. Theirs is closed in any case. Raises
    `OSError` where the system has no room for one more.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        ours.setblocking(False)
        loop.add(ours.fileno(), handler)
        undo.callback(loop.remove, ours.fileno())
        yield ours, theirs
        undo.pop_all()
