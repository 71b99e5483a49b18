"""The coder: a process that makes codings for those that hold the other end of a socket.

Facts: the libraries release the interpreter while they code, but a thread has to hold it between two
calls. A thread of low priority holds it for as long as other programs have the processor: a loop that
waited for it answered a page in 800 milliseconds instead of two. And four workers would make everything
four times.
Decision: a process of its own, of the lowest priority, for all workers. It hashes what it gets and
keeps what it made by that hash (BLAKE2b, 256 bits), so the next worker with the same content gets the
same file in memory. A request holds the content, never a name of it: up to 64 KiB in the message, more
as a descriptor. It is a child of the parent, or of the one process that serves, and each generation of
workers has one of its own. Its session has the lowest priority, too: autogroups count sessions first
(sched(7)).
Consequence: it believes no client. It reads what it is given into its own memory once, or hashes each
reading, so it notices whatever changes meanwhile. It decodes nothing: a thread of the worker looks at
sidecars.
Price: some 90 milliseconds of a processor when the first coding is wanted.

It opens no file and no socket: both come from its parent, and it ends with that.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

from epollo.annotations import Final
from epollo.coder.cache import SHARED_DESCRIPTORS_LIMIT, SHARED_OCTETS_LIMIT, CodingCache, Key
from epollo.coder.clients import HELD_OCTETS_LIMIT, Client, EndedError, Work
from epollo.coder.messages import Answer, Grade, Outcome
from epollo.coder.scheduler import Scheduler
from epollo.coder.sockets import ARE_YOU_THERE, CLIENT, CONTROL_DESCRIPTOR, HERE, IGNORED_SIGNALS
from epollo.errors import OperatorError, describe_fault
from epollo.http.validators import EntityTag
from epollo.linux.confinement import confine, filter_calls
from epollo.linux.descriptors import raise_descriptor_limit
from epollo.linux.system_calls import select_coder_calls
from epollo.linux.threads import lower_priority, lower_session_priority
from epollo.loop import EventLoop, Handler
from epollo.pollers import open_poller
from epollo.site.blake2 import blake2b
from epollo.site.codings import CODINGS, encode_pieces, worthwhile_octets
from epollo.site.entity_tags import tag_content, tag_pieces
from epollo.site.pieces import FileContent, read_pieces
from epollo.site.sealed import KEPT_FILE_OCTETS, Coded, SealedOctets, adopt_sealed, is_sealed, seal
from epollo.site.zstd import ZstdError

_DIGEST_OCTETS: Final = 32
_DESCRIPTORS_END: Final = 1 << 20
_LINE_OCTETS_LIMIT: Final = 1024
_REQUEST_SECONDS: Final = 0.0005
"""What each request counts in addition; to receive it and to answer takes less."""


class _TooLongError(Exception):
    """The coding is longer than its limit."""


class Coder(Handler):
    """The handler of the socket to the parent, and what does the work."""

    def __init__(
        self, loop: EventLoop, control: socket.socket, cache: CodingCache | None = None
    ) -> None:
        self.loop = loop
        self._control = control
        control.setblocking(False)
        self._cache = CodingCache() if cache is None else cache
        self._shared = CodingCache(SHARED_OCTETS_LIMIT, SHARED_DESCRIPTORS_LIMIT)
        self._scheduler = Scheduler()
        # The processor time of what was done within something else.
        self._inner_seconds = 0.0
        self.is_over = False
        loop.add(control.fileno(), self)

    def run(self) -> None:
        """Code until the parent has closed its end."""
        while not self.is_over:
            work = self._scheduler.pick(Grade.BEST)
            if work is None:
                self.loop.run_batch()
            else:
                self._do(work)
                self.loop.run_batch(0.0)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Accept another client, or handle that the parent has ended."""
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._control, 64, 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        for descriptor in descriptors:
            # With all arguments: without them, Python asks the system.
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
            self._scheduler.add(Client(self, connection, int(message[len(CLIENT) :])))
        if message == ARE_YOU_THERE:
            # The parent may be gone, which is heard of in its turn, or has much to read: it asks again.
            with contextlib.suppress(OSError):
                self._control.send(HERE)
        elif not message:
            self.loop.remove(self._control.fileno())
            self.is_over = True

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """End: a coder that cannot be told anything is of no use."""
        self.is_over = True

    def on_client_gone(self, client: Client) -> None:
        """Serve the others."""
        self._scheduler.remove(client)

    def on_client_waiting(self, client: Client) -> None:
        """Begin to count what is done for it."""
        self._scheduler.note_begin(client)

    def _do(self, work: Work) -> None:
        """Do something for a client, and count the processor time of it."""
        begun_seconds, outer_seconds = time.process_time(), self._inner_seconds
        self._inner_seconds = 0.0
        try:
            self._make_all(work)
        finally:
            seconds = time.process_time() - begun_seconds
            work.client.spent_seconds += _REQUEST_SECONDS + seconds - self._inner_seconds
            self._inner_seconds = outer_seconds + seconds

    def _make_all(self, work: Work) -> None:
        """Make what is wanted of a content, and send each coding when it is there."""
        if work.request.grade is Grade.SHARE:
            self._share(work)
            return
        request = work.request
        wanted = [place for place, limit in enumerate(request.limits) if limit]
        digest = b""
        for place in wanted:
            made = None
            try:
                digest = digest or self._hash(work)
                found = self._make(work, place, digest)
                if isinstance(found, Coded) and found.length <= request.limits[place]:
                    outcome, made = Outcome.MADE, found
                else:
                    outcome = Outcome.TOO_LONG
            except MemoryError:
                outcome = Outcome.LITTLE_MEMORY
            except (EndedError, OSError, ZstdError):
                # ZstdError: the file was cut off.
                outcome = Outcome.CHANGED
            if work.client.is_closed:
                return
            self._send(work, place, outcome, made, is_last=place == wanted[-1])

    def _share(self, work: Work) -> None:
        """Send the file of the same content that was offered first."""
        outcome, shared = Outcome.CHANGED, None
        with contextlib.suppress(EndedError, OSError):
            content = work.content
            if isinstance(content, FileContent) and is_sealed(content.descriptor):
                key = Key(self._hash(work, may_hold=False), 0, 0)
                found = self._shared.find(key, content.length)
                if isinstance(found, Coded):
                    shared = found
                else:
                    octets = adopt_sealed(content.take_descriptor(), content.length)
                    shared = Coded(octets, EntityTag(b"", is_weak=False))
                    self._shared.keep(key, shared)
                outcome = Outcome.MADE
        if not work.client.is_closed:
            self._send(work, 0, outcome, shared, is_last=True)

    def _send(
        self, work: Work, place: int, outcome: Outcome, made: Coded | None, *, is_last: bool
    ) -> None:
        content: bytes | None = None
        sealed: SealedOctets | None = None
        tag, length = b"", 0
        if made is not None:
            tag, length = made.entity_tag.opaque, made.length
            if isinstance(made.content, bytes):
                content = made.content
            else:
                sealed = made.content
        number = work.request.number
        answer = Answer(number, place, outcome, is_last, tag, length, content)
        work.client.send(answer, sealed)

    def _hash(self, work: Work, *, may_hold: bool = True) -> bytes:
        if work.content.length != work.request.octets:
            raise EndedError
        if may_hold:
            work.hold()
        hashed = blake2b(digest_size=_DIGEST_OCTETS)
        for piece in self._read(work):
            hashed.update(piece)
        return hashed.digest()

    def _make(self, work: Work, place: int, digest: bytes) -> Coded | int:
        """Return a coding that was made now or before, or a number of octets that it exceeds."""
        coding, limit = CODINGS[place], work.request.limits[place]
        level = work.request.grade.level_of(coding)
        key = Key(digest, place, level)
        known = self._cache.find(key, limit)
        if known is not None:
            return known
        hashed = blake2b(digest_size=_DIGEST_OCTETS)

        def read() -> Iterator[bytes]:
            for piece in self._read(work):
                hashed.update(piece)
                yield piece

        length = work.content.length
        most = min(worthwhile_octets(length), limit)
        reading = read()
        pieces = _limit(encode_pieces(coding, level, length, reading), most)
        made: Coded | int
        try:
            made = _join(pieces) if length <= HELD_OCTETS_LIMIT else _seal(pieces)
        except _TooLongError:
            made = most
            for _ in reading:
                # To the end: what is kept is of this content, and of no other.
                continue
        if hashed.digest() != digest:
            raise EndedError
        self._cache.keep(key, made)
        return made

    def _read(self, work: Work) -> Iterator[bytes]:
        """Yield the content in pieces; between two of them do what is more urgent."""
        for piece in read_pieces(work.content):
            self._give_way(work)
            yield piece

    def _give_way(self, work: Work) -> None:
        grade = work.request.grade
        if grade > Grade.QUICK:
            pick, less = self._scheduler.pick, Grade(grade - 1)
            self.loop.run_batch(0.0)
            while not self.is_over and (urgent := pick(less, work.client)) is not None:
                self._do(urgent)
                self.loop.run_batch(0.0)
        if self.is_over or work.client.is_closed or not work.is_unchanged():
            raise EndedError


def _limit(pieces: Iterator[bytes], octets: int) -> Iterator[bytes]:
    for piece in pieces:
        octets -= len(piece)
        if octets < 0:
            raise _TooLongError
        yield piece


def _join(pieces: Iterator[bytes]) -> Coded:
    octets = b"".join(pieces)
    tag = tag_content(octets)
    return Coded(octets if len(octets) < KEPT_FILE_OCTETS else seal((octets,)), tag)


def _seal(pieces: Iterator[bytes]) -> Coded:
    sealed = seal(pieces)
    tag = tag_pieces(read_pieces(sealed))
    return Coded(
        sealed if sealed.length >= KEPT_FILE_OCTETS else sealed.read(0, sealed.length), tag
    )


def main() -> None:
    """Code for the parent that started this; if that cannot be done, tell the parent why."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
    os.setsid()
    sandbox, user, *others = sys.argv[1:]
    descriptor = int(others[0]) if others else CONTROL_DESCRIPTOR
    # Whatever else the parent left open.
    os.closerange(descriptor + 1, _DESCRIPTORS_END)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    control.set_inheritable(False)

    def report(line: str) -> None:
        # It may be gone, or have much to read.
        with contextlib.suppress(OSError):
            control.send(line.encode(errors="backslashreplace")[:_LINE_OCTETS_LIMIT])

    try:
        lower_priority()
        lower_session_priority()
        raise_descriptor_limit()
        loop = EventLoop(open_poller("auto"), report)
        coder = Coder(loop, control)
        confine((), sandbox, user or None)
        filter_calls(sandbox, select_coder_calls)
    except OperatorError as mistake:
        report(str(mistake))
        sys.exit(2)
    except Exception as fault:
        report(describe_fault(fault))
        sys.exit(1)
    try:
        coder.run()
    except Exception as fault:
        report(describe_fault(fault))
        sys.exit(1)
