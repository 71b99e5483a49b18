"""One inotify(7) descriptor for all sites of a worker, and what its events are of concern to.

Facts: the system gives a user 128 of these descriptors, and a worker serves hundreds of sites. The kernel
knows a folder once for each descriptor, however many sites lead there.
Decision: the watches of all sites (`watch`) share a descriptor; an event is told to each that watches the
folder.
Price: what one site wants to know of a folder, the kernel tells the others as well.
"""

import contextlib
import os
import sys
from fcntl import ioctl
from termios import FIONREAD
from typing import Final, Protocol

from epollo.linux.inotify import INotify, flags, list_events
from epollo.loop import Handler

_TURN_OCTETS: Final = 128 * 1024
"""Events of one turn, some four thousand of them; more are not told apart, as if they were lost."""


class Listener(Protocol):
    """What is told of events."""

    def note(self, number: int, mask: int, name: bytes) -> None:
        """Take in an event of a folder, by the number that it was given."""

    def note_loss(self) -> None:
        """Trust nothing to be current: events were lost."""

    def note_end(self) -> None:
        """Take in that the changes which were there have been read."""


class Events(Handler):
    """The handler of one inotify descriptor."""

    __slots__ = ("_inotify", "_listeners", "_numbers", "descriptor")

    def __init__(self) -> None:
        """Raise `OSError` where the system gives no inotify descriptor."""
        self._inotify = INotify(nonblocking=True)
        self.descriptor: int = self._inotify.fileno()
        # In the order in which they came; by the number of a folder, those that watch it.
        self._listeners: dict[Listener, None] = {}
        self._numbers: dict[int, dict[Listener, None]] = {}

    def join(self, listener: Listener) -> None:
        """Tell a listener of events from now on."""
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        """Tell a listener of nothing more; without any, stop watching."""
        self._listeners.pop(listener, None)
        for number in [one for one, listeners in self._numbers.items() if listener in listeners]:
            self.remove(listener, number)
        if not self._listeners:
            self._inotify.close()

    def add(self, listener: Listener, path: str, mask: int) -> int:
        """Watch what stands at a path for one more listener; return its number. Raises `OSError`."""
        number = int(self._inotify.add_watch(path, mask | flags.MASK_ADD))
        self._numbers.setdefault(number, {})[listener] = None
        return number

    def remove(self, listener: Listener, number: int) -> None:
        """Watch no longer for a listener."""
        listeners = self._numbers.get(number, {})
        listeners.pop(listener, None)
        if not listeners:
            self._numbers.pop(number, None)
            # The folder may be gone, and its watch with it.
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(number)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Read every change that is here when this is called, and tell of it."""
        try:
            octets = os.read(self.descriptor, _TURN_OCTETS)
        except BlockingIOError:
            return
        if len(octets) > _TURN_OCTETS // 2 and self._pass_over():
            self._note_loss()
        else:
            self._note(octets)
        for listener in list(self._listeners):
            listener.note_end()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """End everything: after a bug nothing is known to be current."""
        self._note_loss()

    def _note(self, octets: bytes) -> None:
        for number, mask, name in list_events(octets):
            if mask & flags.Q_OVERFLOW:
                self._note_loss()
                continue
            listeners = self._numbers.get(number)
            if listeners is None:
                continue
            for listener in list(listeners):
                listener.note(number, mask, name)
            if mask & flags.IGNORED:
                self._numbers.pop(number, None)

    def _note_loss(self) -> None:
        for listener in list(self._listeners):
            listener.note_loss()

    def _pass_over(self) -> bool:
        """Read what more is here now, without a look at it; return whether there was anything.

        What comes meanwhile is left to the next turn, so that a storm does not keep this one.
        """
        octets_left = int.from_bytes(ioctl(self.descriptor, FIONREAD, bytes(4)), sys.byteorder)
        has_more = octets_left > 0
        while octets_left > 0:
            octets_left -= len(os.read(self.descriptor, _TURN_OCTETS))
        return has_more
