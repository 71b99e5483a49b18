"""The socket to a coder, as its client sees it: requests, few at a time, and answers as they come."""

import os
import socket
from collections.abc import Callable

from epollo.annotations import Final
from epollo.coder.jobs import Job
from epollo.coder.messages import (
    REQUESTS_LIMIT,
    Answer,
    MessageError,
    Outcome,
    format_request,
    parse_answer,
)
from epollo.coder.sockets import HELLO, MESSAGE_OCTETS
from epollo.loop import EventLoop, Handler
from epollo.pollers.contract import READABLE, WRITABLE
from epollo.site.compressor import TOO_LITTLE_MEMORY
from epollo.site.sealed import Coded, adopt_sealed

_SEVERAL: Final = 16
_PATIENCE_SECONDS: Final = 1.0
"""If no answer comes for this long, the coder is asked whether it lives."""


class CoderLink(Handler):
    """The handler of the socket to a coder.

    ``take_next`` returns what is to be asked for next. ``on_answered`` gets what has all its answers,
    ``on_end`` what lacks some when the coder is gone. ``on_silent`` is called if no answer came for a
    while. ``report`` tells the operator, in one line.
    """

    def __init__(
        self,
        loop: EventLoop,
        connection: socket.socket,
        *,
        take_next: Callable[[], Job | None],
        on_answered: Callable[[Job], None],
        on_end: Callable[[list[Job]], None],
        on_silent: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._take_next = take_next
        self._on_answered = on_answered
        self._on_end = on_end
        self._on_silent = on_silent
        self._report = report
        self._under_way: dict[int, Job] = {}
        self._number = 0
        self._unsent: Job | None = None
        self._is_greeted = False
        self._is_closed = False
        self._has_heard = False
        self._is_waiting = False
        connection.setblocking(False)
        loop.add(connection.fileno(), self)
        self._wait()

    def on_ready(self, events: int) -> None:
        """Take answers in, and ask for more."""
        if events & ~WRITABLE:
            for _ in range(_SEVERAL):
                if not self._receive():
                    break
        self.ask()

    def ask(self) -> None:
        """Ask for what waits, as far as the coder takes it: one that has died may be connected to."""
        while self._is_greeted and not self._is_closed and len(self._under_way) < REQUESTS_LIMIT:
            job = self._unsent or self._take_next()
            if job is None:
                return
            was_unsent, self._unsent = self._unsent is not None, None
            try:
                request, descriptor, _keeps_open = job.describe(self._number)
            except OSError:
                # There is no descriptor to send it with: the content is served as it is.
                continue
            descriptors = [] if descriptor < 0 else [descriptor]
            try:
                socket.send_fds(self._connection, [format_request(request)], descriptors)
            except BlockingIOError:
                self._unsent = job
                if not was_unsent:
                    self._loop.modify(self._connection.fileno(), READABLE | WRITABLE)
                return
            except OSError:
                self._unsent = job
                self._end()
                return
            if was_unsent:
                self._loop.modify(self._connection.fileno(), READABLE)
            self._under_way[self._number] = job
            self._number += 1
            self._wait()

    def close(self) -> None:
        """Ask for nothing more."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove(self._connection.fileno())
            self._connection.close()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """Continue with another coder."""
        self._end()

    def _wait(self) -> None:
        """See in a while whether there were answers."""
        if not self._is_waiting:
            self._is_waiting, self._has_heard = True, False
            self._loop.call_at(self._loop.clock.now + _PATIENCE_SECONDS, self._look)

    def _look(self) -> None:
        self._is_waiting = False
        if not self._is_closed and (self._under_way or not self._is_greeted):
            if not self._has_heard:
                self._on_silent()
            self._wait()

    def _end(self) -> None:
        """Tell of what was not answered."""
        if not self._is_closed:
            self.close()
            rest = [*self._under_way.values(), *filter(None, [self._unsent])]
            self._under_way, self._unsent = {}, None
            self._on_end(rest)

    def _receive(self) -> bool:
        """Take an answer in; return whether there may be another."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._connection, MESSAGE_OCTETS, 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        except OSError:
            message, descriptors = b"", []
        self._has_heard = True
        if not self._is_greeted and message == HELLO:
            self._is_greeted = True
            return True
        try:
            answer = parse_answer(message, has_descriptor=bool(descriptors))
            coded = _make_coded(answer, descriptors)
        except (MessageError, OSError):
            for descriptor in descriptors:
                os.close(descriptor)
            self._end()
            return False
        job = self._under_way.get(answer.number)
        if job is None or not job.is_answered_by(answer, coded):
            self._end()
            return False
        if answer.outcome is Outcome.LITTLE_MEMORY:
            self._report(TOO_LITTLE_MEMORY)
        if answer.is_last:
            del self._under_way[answer.number]
        job.take(answer, coded)
        if answer.is_last:
            self._on_answered(job)
        return not self._is_closed


def _make_coded(answer: Answer, descriptors: list[int]) -> Coded | None:
    """Return the coding of an answer, and take its descriptor. Raises `OSError`."""
    if answer.content is not None:
        return Coded(answer.content, answer.entity_tag)
    if not descriptors:
        return None
    return Coded(adopt_sealed(descriptors.pop(), answer.octets), answer.entity_tag)
