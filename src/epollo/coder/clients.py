"""The clients of a coder: their requests, and the answers that they did not take yet."""

import contextlib
import os
import socket
import stat
from collections import deque

from epollo.annotations import Final, Protocol
from epollo.coder.messages import (
    REQUESTS_LIMIT,
    Answer,
    Grade,
    MessageError,
    Request,
    format_answer,
    parse_request,
)
from epollo.coder.sockets import HELLO, MESSAGE_OCTETS
from epollo.loop import EventLoop, Handler
from epollo.pollers.contract import READABLE, WRITABLE
from epollo.site.pieces import FileContent, HeldContent, read_pieces
from epollo.site.sealed import SealedOctets
from epollo.site.version import version_of

HELD_OCTETS_LIMIT: Final = 1024 * 1024
"""Content up to this length is read once; what is longer is hashed each time that it is read."""
_SEVERAL: Final = 16


class EndedError(Exception):
    """The content is not what it was, or no client waits for its coding any more."""


class Work:
    """A request, and whose it is. ``content`` is open, or in memory."""

    def __init__(self, client: "Client", request: Request, content: HeldContent | FileContent):
        self.client = client
        self.request = request
        self.content = content

    def is_unchanged(self) -> bool:
        """Return whether the content is what it was when it came."""
        content = self.content
        return isinstance(content, HeldContent) or content.is_unchanged()

    def hold(self) -> None:
        """Read content that is not long into memory. Raises `EndedError` if it changed."""
        content = self.content
        if isinstance(content, FileContent) and content.length <= HELD_OCTETS_LIMIT:
            octets = b"".join(read_pieces(content))
            if len(octets) != content.length or not content.is_unchanged():
                raise EndedError
            self.content = HeldContent(octets)


class Owner(Protocol):
    """What is told of clients."""

    loop: EventLoop

    def on_client_gone(self, client: "Client") -> None:
        """Note that a client has closed its socket, or breaks the rules of messages."""

    def on_client_waiting(self, client: "Client") -> None:
        """Note that a client that waited for nothing has asked for something."""


class Client(Handler):
    """The handler of the socket to a client: its requests, and the answers that it did not take yet."""

    def __init__(self, owner: Owner, connection: socket.socket, number: int) -> None:
        self._owner = owner
        self.number = number
        self._connection = connection
        connection.setblocking(False)
        self.queues: tuple[deque[Work], ...] = tuple(deque() for _ in Grade)
        self.under_way = 0
        self.spent_seconds = 0.0
        """Processor time that was spent for it."""
        self._unsent: deque[tuple[bytes, SealedOctets | None]] = deque()
        self.is_closed = False
        owner.loop.add(connection.fileno(), self)
        # If the client is gone, its own turn tells.
        with contextlib.suppress(OSError):
            connection.send(HELLO)

    @property
    def is_blocked(self) -> bool:
        """Whether it has to take answers before more is done for it."""
        return bool(self._unsent)

    def on_ready(self, events: int) -> None:
        """Take requests in, and send what was not taken."""
        if self._unsent:
            self._send_unsent()
            return
        if not events & ~WRITABLE:
            return
        for _ in range(_SEVERAL):
            try:
                message, descriptors, _, _ = socket.recv_fds(
                    self._connection, MESSAGE_OCTETS, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            try:
                if not message:
                    raise MessageError("gone")
                self._take(message, descriptors)
            except (MessageError, OSError):
                for descriptor in descriptors:
                    os.close(descriptor)
                self.close()
                return

    def send(self, answer: Answer, octets: SealedOctets | None) -> None:
        """Send an answer, or keep it until the client takes it."""
        self.under_way -= answer.is_last
        self._unsent.append((format_answer(answer), octets))
        if len(self._unsent) == 1:
            self._send_unsent()

    def close(self) -> None:
        """Forget what it asked for."""
        if not self.is_closed:
            self.is_closed = True
            self._owner.loop.remove(self._connection.fileno())
            self._connection.close()
            for queue in self.queues:
                queue.clear()
            self._unsent.clear()
            self._owner.on_client_gone(self)

    def _take(self, message: bytes, descriptors: list[int]) -> None:
        request = parse_request(message, has_descriptor=bool(descriptors))
        if self.under_way >= REQUESTS_LIMIT:
            raise MessageError("too many requests")
        if request.content is not None:
            work = Work(self, request, HeldContent(request.content))
        else:
            status = os.fstat(descriptors[0])
            if not stat.S_ISREG(status.st_mode):
                raise MessageError("no file")
            work = Work(self, request, FileContent(descriptors.pop(), version_of(status)))
        if not self.under_way:
            self._owner.on_client_waiting(self)
        self.under_way += 1
        self.queues[request.grade].append(work)

    def _send_unsent(self) -> None:
        loop, number = self._owner.loop, self._connection.fileno()
        try:
            while self._unsent:
                message, octets = self._unsent[0]
                descriptors = [] if octets is None else [octets.descriptor]
                socket.send_fds(self._connection, [message], descriptors)
                self._unsent.popleft()
        except BlockingIOError:
            loop.modify(number, WRITABLE)
        except OSError:
            self.close()
        else:
            loop.modify(number, READABLE)
