"""One inotify(7) descriptor for all sites of a worker, whose events are told to each site concerned.

Facts: the system gives a user 128 of these descriptors, and a worker serves hundreds of sites. The kernel
knows a folder once for each descriptor, however many sites lead there.
Decision: the watches of all sites (`watch`) share a descriptor; an event is told to each that watches the
folder.
Price: what one site wants to know of a folder, the kernel tells the others as well.

Facts: a program that writes a log in the folder causes hundreds of thousands of events a second. To read
them takes as long as to cause them, and no event of another folder can be read before them.
Decision: a folder with too many events is not watched for some seconds. Meanwhile whatever rests on
it ends at each look for changes, and each request has a look (`on_storm`).
Price: in such a folder, and below it, nothing is recalled until the storm is over.
"""

import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable

from epollo.annotations import Final, Protocol
from epollo.linux.inotify import INotify, flags, list_events
from epollo.loop import Handler

_TURN_OCTETS: Final = 128 * 1024
_STORM_TURN_OCTETS: Final = _TURN_OCTETS // 2
"""Events that are too many at once: some two thousand of them."""
_STORM_SECOND_OCTETS: Final = 512 * 1024
"""Events that are too many in a second: some sixteen thousand, which the kernel keeps (inotify(7))."""
_STORM_SECONDS: Final = 2.0
_STORM_FOLDERS_LIMIT: Final = 64
"""How many folders with too many events are found at once."""
_REST_READS_LIMIT: Final = 8


class Listener(Protocol):
    """What is told of events."""

    def note(self, number: int, mask: int, name: bytes) -> None:
        """Act on an event of a folder, by the number that it was given."""

    def doubt(self, number: int, *, is_last: bool) -> None:
        """Trust nothing in a folder that is not watched now; with ``is_last``, it has no number more."""

    def note_loss(self) -> None:
        """Trust nothing to be current: events were lost."""

    def note_end(self) -> None:
        """Note that the changes which were there have been read."""


class Events(Handler):
    """The handler of one inotify descriptor; ``now`` returns monotonic time in seconds."""

    __slots__ = (
        "_inotify",
        "_listeners",
        "_now",
        "_numbers",
        "_second",
        "_second_octets",
        "_storms",
        "descriptor",
        "on_storm",
    )

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Raise `OSError` if the system gives no inotify descriptor."""
        self._now = now
        self._inotify = INotify(nonblocking=True)
        self.descriptor: int = self._inotify.fileno()
        # In the order in which they came; by the number of a folder, those that watch it.
        self._listeners: dict[Listener, None] = {}
        self._numbers: dict[int, dict[Listener, None]] = {}
        # By the number of a folder with too many events, until when it is not watched.
        self._storms: dict[int, float] = {}
        self._second = -math.inf
        self._second_octets = 0
        self.on_storm: Callable[[], None] = lambda: None
        """Called when a folder is no longer watched: from now on each request has a look (`is_blind`)."""

    @property
    def is_blind(self) -> bool:
        """Whether there may be changes that do not make the descriptor ready."""
        return bool(self._storms)

    def is_in_storm(self, number: int) -> bool:
        """Return whether a folder is not watched for now, though it has a number."""
        return number in self._storms

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
            self._storms.pop(number, None)
            # The folder may be gone, and its watch with it.
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(number)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Read every change that is here when this is called, and tell of it."""
        storms = self._storms
        try:
            octets = os.read(self.descriptor, _TURN_OCTETS)
        except BlockingIOError:
            if not storms:
                return
            octets = b""
        except OSError:
            self._note_loss()
            return
        if octets and self._is_storm(len(octets)):
            octets = self._calm(octets)
        self._note(octets)
        if storms:
            self._doubt()
        for listener in list(self._listeners):
            listener.note_end()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """End everything: after a bug nothing is known to be current."""
        self._note_loss()

    def _note(self, octets: bytes) -> None:
        for number, mask, name in list_events(octets, self._storms):
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

    def _is_storm(self, octets: int) -> bool:
        """Return whether there were too many events, now or in this second."""
        second = self._now() // 1
        if second != self._second:
            self._second = second
            self._second_octets = 0
        self._second_octets += octets
        return octets > _STORM_TURN_OCTETS or self._second_octets > _STORM_SECOND_OCTETS

    def _calm(self, octets: bytes) -> bytes:
        """Stop watching the folders with the most events; return all events that are here.

        Those of other folders are behind them. Where these are too many as well, they are as good as
        lost.
        """
        counts = Counter(number for number, _, _ in list_events(octets, self._storms))
        until = self._now() + _STORM_SECONDS
        uncounted = counts.total() // 2
        for number, count in counts.most_common(_STORM_FOLDERS_LIMIT):
            if number in self._numbers:
                self._storms[number] = until
                with contextlib.suppress(OSError):
                    self._inotify.rm_watch(number)
            uncounted -= count
            if uncounted <= 0:
                break
        self._second_octets = 0
        self.on_storm()
        return octets + b"".join(self._read_rest())

    def _read_rest(self) -> list[bytes]:
        parts: list[bytes] = []
        while len(parts) < _REST_READS_LIMIT:
            try:
                parts.append(os.read(self.descriptor, _TURN_OCTETS))
            except BlockingIOError:
                return parts
        self._note_loss()
        return parts

    def _doubt(self) -> None:
        """Have nothing trusted in folders that are not watched; watch those anew whose time is over."""
        now = self._now()
        for number, until in list(self._storms.items()):
            is_last = now >= until
            listeners = list(self._numbers.get(number, ()))
            if is_last:
                self._storms.pop(number, None)
                self._numbers.pop(number, None)
            for listener in listeners:
                listener.doubt(number, is_last=is_last)
