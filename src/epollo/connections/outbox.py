"""What a peer has not taken yet: octets and parts of files, in their order.

An outbox is made when a peer does not take an answer at once, or when a file is too large to be kept
in memory; most answers never see one.
"""

import errno
import os
from _socket import MSG_DONTWAIT
from collections import deque
from collections.abc import Sequence
from itertools import islice

from epollo.annotations import Final
from epollo.connections.crowd import bound_unsent_octets
from epollo.http.message import File, FileSegment, Segment
from epollo.protocols.answer import STEP_OCTETS, Exchange
from epollo.transports import Kind, Transport

_READ_OCTETS: Final = 128 * 1024
"""At most this much of a file is read and sent at once, if sendfile(2) cannot send it."""
_PROTECTED_OCTETS: Final = 512 * 1024
"""At most this much is read and sent in one turn: to encrypt costs some three times as much as to
send."""
_COPIED_OCTETS: Final = 32 * 1024
"""A part of a file up to this length is read, so that it goes out together with what is around it.

An answer with 200 ranges is 200 such parts, each behind its own head. To send this much by copying
costs no more than ``sendfile``.
"""

NO_SENDFILE: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM))
"""A file system has no ``sendfile``, or a filter of system calls refuses it (sendfile(2), seccomp(2))."""

# sendmsg(2): at most IOV_MAX (1,024) buffers; answers that are pipelined rarely make more.
_BUFFERS: Final = 64


class VersionEndedError(Exception):
    """The file changed after its length was announced: the rest of the answer cannot be sent."""


class _FilePart:
    """What is left of a part of a file; ``offset`` and ``length`` are octets."""

    __slots__ = ("file", "length", "offset")

    def __init__(self, file: File, offset: int, length: int) -> None:
        self.file = file
        self.offset = offset
        self.length = length


class Outbox:
    """Segments in the order of their answers; ``octets`` of them are still to be sent."""

    __slots__ = ("_next", "_segments", "_sends_files", "octets", "unlogged")

    def __init__(self, kind: Kind) -> None:
        self._sends_files = kind.sends_files
        self._segments: deque[memoryview | _FilePart] = deque()
        # The part that is first, where the next step of it is sent without another look at the rest.
        self._next: _FilePart | None = None
        self.octets = 0
        self.unlogged: tuple[Sequence[Exchange], float] = ((), 0.0)
        """What is to be noted when it has been sent, and when its requests were received."""

    def put(self, segment: Segment, offset: int = 0) -> None:
        """Append a segment, without its first ``offset`` octets."""
        if isinstance(segment, FileSegment):
            file, begin, length = segment
            memory = None if self._sends_files else file.map()
            if memory is not None:
                self._segments.append(memory[begin + offset : begin + length])
                self.octets += length - offset
                return
            length -= offset
            part = _FilePart(file, begin + offset, length)
            if not self._segments and self._sends_files and length > _COPIED_OCTETS:
                self._next = part
            self._segments.append(part)
            self.octets += length
        elif offset < len(segment):
            view = memoryview(segment)[offset:]
            self._segments.append(view)
            self.octets += len(view)

    def send(
        self,
        transport: Transport,
        second: int,
        connections: int = 0,
        step_octets: int = STEP_OCTETS,
    ) -> None:
        """Send octets until the peer takes no more, and one step of a file at the most.

        A step is a stretch of one part, of ``step_octets`` at the most, or several short parts with the
        octets between them. A file is compared with its version before the last step, so that an answer
        which is not whole never looks whole. It is compared before other steps as often as the file
        asks for it, so that an answer which cannot become whole ends early.

        ``second`` is now, whole seconds since 1970. If a file has to be read, no more is read than may
        wait in the kernel for one of this many ``connections``. Raises `BlockingIOError` if the peer
        takes nothing now, `VersionEndedError` where a file is not what it was, and `OSError` where the
        peer is gone.
        """
        part = self._next
        if part is None or not part.file.is_settled:
            self._next = None
            limit = bound_unsent_octets(connections)
            part = self._send_before_step(transport, second, limit, step_octets)
            if part is None:
                return
            self._next = part
        file = part.file
        left_octets = length = part.length
        if length > step_octets:
            length = step_octets
            is_due = file.checked_second != second
        else:
            is_due = True
        if is_due and not file.is_sealed and not file.may_send_on(second):
            raise VersionEndedError
        try:
            sent = os.sendfile(transport.fileno(), file.descriptor, part.offset, length)
        except OSError as error:
            if error.errno not in NO_SENDFILE:
                raise
            self._next, self._sends_files = None, False
            self.send(transport, second, connections, step_octets)
            return
        if not sent:
            raise VersionEndedError
        self.octets -= sent
        if sent == left_octets:
            self._end_part(part)
        else:
            part.offset += sent
            part.length = left_octets - sent

    def close(self) -> None:
        """Give up what was not sent."""
        for segment in self._segments:
            if isinstance(segment, _FilePart):
                segment.file.close()
        self._segments.clear()
        self._next = None
        self.octets = 0

    def _send_before_step(
        self, transport: Transport, second: int, limit: int, step_octets: int
    ) -> _FilePart | None:
        """Send octets, and a step of a file that has to be read, until the peer takes no more.

        Return the part of a file that comes next, if a step of that may be sent now. ``limit`` is how
        many octets may wait in the kernel, 0 for no bound. Raises what `send` does.
        """
        read_octets = 0 if limit or self._sends_files else min(step_octets, _PROTECTED_OCTETS)
        limit = min(limit or _READ_OCTETS, _READ_OCTETS)
        while self._segments:
            is_file = len(self._segments) > 1 and self._read_short_parts(second, limit)
            first = self._segments[0]
            if isinstance(first, _FilePart):
                if self._sends_files and (first.file.is_settled or first.file.settle()):
                    return first
                read_octets -= limit
                if not self._send_read(transport, first, second, limit) or read_octets <= 0:
                    return None
                continue
            views = self._first_views()
            # Without MSG_MORE: a head that waits for the pages of its file makes the kernel copy them,
            # and costs 47 microseconds instead of 29 for 100 KiB.
            if len(views) == 1:
                sent = transport.send(views[0], MSG_DONTWAIT)
                is_whole = sent == len(views[0])
            else:
                sent = transport.sendmsg(views)
                is_whole = sent == sum(map(len, views))
            self._drop(sent)
            if is_file or not is_whole:
                return None
        return None

    def _read_short_parts(self, second: int, octets_limit: int) -> bool:
        """Replace short parts of files, among what is sent next, by their octets.

        Return whether there were any. What is read, and the octets between, stay within the limit.
        """
        octets_limit = min(octets_limit, _READ_OCTETS)
        read: dict[int, _FilePart] = {}
        for index, segment in enumerate(islice(self._segments, _BUFFERS)):
            if not isinstance(segment, _FilePart):
                octets_limit -= len(segment)
                continue
            if segment.length > min(octets_limit, _COPIED_OCTETS):
                break
            octets_limit -= segment.length
            read[index] = segment
        if not read:
            return False
        contents = [
            os.pread(part.file.descriptor, part.length, part.offset) for part in read.values()
        ]
        files = {id(part.file): part.file for part in read.values()}
        if any(
            len(octets) < part.length for octets, part in zip(contents, read.values(), strict=True)
        ) or not all(file.may_send_on(second) for file in files.values()):
            raise VersionEndedError
        for index, octets in zip(read, contents, strict=True):
            self._segments[index] = memoryview(octets)
        for file in files.values():
            self._close_unless_needed(file)
        return True

    def _first_views(self) -> list[memoryview]:
        """Return the octets that stand before the next file."""
        views = []
        for segment in islice(self._segments, _BUFFERS):
            if isinstance(segment, _FilePart):
                break
            views.append(segment)
        return views

    def _drop(self, sent: int) -> None:
        self.octets -= sent
        while sent:
            first = self._segments[0]
            assert isinstance(first, memoryview)  # noqa: S101 - for the type checker
            if sent < len(first):
                self._segments[0] = first[sent:]
                return
            sent -= len(first)
            self._segments.popleft()

    def _send_read(
        self, transport: Transport, part: _FilePart, second: int, octets_limit: int
    ) -> bool:
        """Read some of a part of a file and send it; return whether the peer took all of it.

        ``sendfile`` lends the kernel the pages of the file itself. If a process writes to them before
        the peer confirms them, the new octets may be sent. What is read is a copy. The file is compared
        each time, unless it is settled.
        """
        file = part.file
        is_last = part.length <= octets_limit
        octets = os.pread(file.descriptor, min(part.length, octets_limit), part.offset)
        length = len(octets)
        is_due = is_last or file.checked_second != second or not (file.is_settled or file.settle())
        if not octets or (is_due and not file.may_send_on(second)):
            raise VersionEndedError
        part.offset += length
        part.length -= length
        if not part.length:
            self._end_part(part)
        sent = 0
        try:
            sent = transport.send(octets, MSG_DONTWAIT)
        finally:
            self.octets -= sent
            if sent < length:
                self._segments.appendleft(memoryview(octets)[sent:])
        return sent == length

    def _end_part(self, part: _FilePart) -> None:
        """Take out the first part, which was sent."""
        self._segments.popleft()
        self._next = None
        self._close_unless_needed(part.file)

    def _close_unless_needed(self, file: File) -> None:
        """Close a file if no other part of it is owed."""
        if not any(isinstance(other, _FilePart) and other.file is file for other in self._segments):
            file.close()
