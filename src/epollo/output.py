"""Lines for stdout or stderr, whose reader may stop for a while (a pager, Ctrl-S, a slow terminal).

Decision: writing never waits. Lines that are not taken now wait here, up to `_WAITING_OCTETS`, and are
tried again with the next line, and each second by the loop. Lines beyond that are left out, and how many
is said in their place.
"""

import math
import os
import time
from collections.abc import Callable

from epollo.annotations import Final
from epollo.linux.nonblocking import Write, await_room, choose_write
from epollo.loop import EventLoop, Handler

_WAITING_OCTETS: Final = 64 * 1024
_PARTING_SECONDS: Final = 1.0
"""A slow reader is waited for at most this long at the end."""


class Output(Handler):
    """Takes lines for one stream, and never waits; owns its descriptor, one of `open_nonblocking`.

    ``format_omission`` returns the line that says how many were left out. ``on_failure`` is called, once,
    with why nothing can be written any more: then lines are thrown away.
    """

    def __init__(
        self,
        descriptor: int,
        format_omission: Callable[[int], bytes],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._descriptor = descriptor
        self._write: Write = choose_write(descriptor)
        self._format_omission = format_omission
        self._on_failure = on_failure
        self._has_failed = False
        self._waiting = b""
        self._omitted = 0
        self._loop: EventLoop | None = None
        self.deadline = math.inf

    def put(self, line: bytes) -> None:
        """Write a line, or keep it until it can be written."""
        if self._waiting:
            self._settle()
        if self._omitted or len(self._waiting) + len(line) > _WAITING_OCTETS:
            self._omitted += 1
        elif self._waiting:
            self._waiting += line
        else:
            self._waiting = self._try(line)
        self._await_deadline()

    def attend(self, loop: EventLoop | None) -> None:
        """Have a loop write what waits, from now on; with None, no loop."""
        self.deadline = math.inf
        self._loop = loop
        self._await_deadline()

    def on_deadline(self) -> None:
        """Try again what waits."""
        self.deadline = math.inf
        self._settle()
        self._await_deadline()

    def close(self) -> None:
        """Write what waits, if need be for a moment, and give the descriptor back."""
        self.attend(None)
        until = time.monotonic() + _PARTING_SECONDS
        self._settle()
        while self._waiting and await_room(self._descriptor, until - time.monotonic()):
            self._settle()
        os.close(self._descriptor)

    def _settle(self) -> None:
        """Write what waits and, once all of that is written, how many lines were left out."""
        self._waiting = self._try(self._waiting)
        if self._omitted and not self._waiting:
            omission, self._omitted = self._format_omission(self._omitted), 0
            self._waiting = self._try(omission)

    def _try(self, octets: bytes) -> bytes:
        """Write what is taken now; return the rest."""
        try:
            while octets and not self._has_failed:
                octets = octets[self._write(octets) :]
        except BlockingIOError:
            return octets
        except OSError as error:
            self._has_failed = True
            self._on_failure(error)
        return b""

    def _await_deadline(self) -> None:
        if self._waiting and self.deadline == math.inf and self._loop is not None:
            self.deadline = self._loop.clock.now + 1
            self._loop.note_deadline(self, self.deadline)
