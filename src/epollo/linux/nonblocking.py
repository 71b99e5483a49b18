"""Writing to what this process was started with, a terminal or a pipe, without waiting for its reader.

Facts: whether writing waits is a property of the open file description (fcntl(2)), which this process
shares with the shell that started it. A pipe or a terminal can be opened anew, by /proc/self/fd, for a
description of its own, but only by the user that made it (not after su(1)). A socket cannot be opened
anew (proc_pid_fd(5)), but each call can say that it does not wait (send(2)). A file never has a writer
wait.
Decision: what cannot be opened anew is written to by a thread, which reads the octets from a pipe.
Price: octets that are in that pipe, up to 64 KiB, count as written.
"""

import _socket
import contextlib
import errno
import os
import select
import socket
import stat
import time
from collections.abc import Callable
from functools import partial

from epollo.annotations import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from threading import Thread

Write: TypeAlias = Callable[[bytes | memoryview], int]
"""Writes as much as is taken now, and returns how much; raises `BlockingIOError` if that is nothing."""

_RELAYED_OCTETS: Final = 4096

_relays: list["Thread"] = []


def open_nonblocking(descriptor: int) -> int:
    """Return another descriptor for what can be written to by this one, to be used by `choose_write`.

    The one that is given stays open for as long as the other is used.
    Raises `OSError` if there is none.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
        # Opened anew, a file would be written over from its beginning.
        return os.dup(descriptor)
    # O_NOCTTY: of a session without a terminal this one would become the terminal (open(2)).
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return begin_relay(descriptor)


def choose_write(descriptor: int) -> Write:
    """Return the call that writes to a descriptor of `open_nonblocking`."""
    is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    return partial(_send if is_socket else _write, descriptor)


def await_room(descriptor: int, seconds: float) -> bool:
    """Wait until something can be written; return False if these seconds are over before."""
    if seconds <= 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def await_relays(seconds: float) -> None:
    """Let threads pass on what was written before their descriptors closed, for at most this long."""
    until = time.monotonic() + seconds
    while _relays:
        _relays.pop().join(max(0.0, until - time.monotonic()))


def _write(descriptor: int, octets: bytes | memoryview) -> int:
    return os.write(descriptor, octets)


def _send(descriptor: int, octets: bytes | memoryview) -> int:
    # For a descriptor that exists already, family and type need not be right.
    one = _socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor)
    try:
        return one.send(octets, socket.MSG_DONTWAIT)
    finally:
        one.detach()


def begin_relay(descriptor: int) -> int:
    """Return the end of a pipe from which a thread passes octets on to a descriptor, which stays open.

    Raises `OSError` if there is no room for pipe or thread.
    """
    # Imported here: few servers need it, and it would slow down the start of all.
    from threading import Thread  # noqa: PLC0415

    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writing, False)
    thread = Thread(target=_relay, args=(reading, descriptor), daemon=True)
    try:
        thread.start()
    except RuntimeError:
        os.close(reading)
        os.close(writing)
        raise OSError(errno.EAGAIN, "No thread can be started") from None
    _relays.append(thread)
    return writing


def _relay(reading: int, descriptor: int) -> None:
    """Pass octets on until there are no more, or no reader."""
    with contextlib.suppress(OSError):
        while octets := os.read(reading, _RELAYED_OCTETS):
            while octets:
                try:
                    octets = octets[os.write(descriptor, octets) :]
                except BlockingIOError:
                    # Another process has made the shared description one that does not wait.
                    select.select((), (descriptor,), ())
    # What is written from now on finds no reader.
    os.close(reading)
