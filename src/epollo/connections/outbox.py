"""What a peer has not taken yet: octets and parts of files, in their order.

An outbox is made when a peer does not take an answer at once, or when a file is too large to be kept
in memory; most answers never see one.
"""

import _socket
import os
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from epollo.connections.answer import Exchange
from epollo.http.message import FileSegment, Segment

STEP_OCTETS: Final = 2 * 1024 * 1024
"""At most so much of a file is sent in one turn, so that a large download holds nobody up."""

_READ_OCTETS: Final = 128 * 1024
"""The same, of a file that has to be read first."""

# sendmsg(2): at most IOV_MAX (1,024) buffers; answers that are pipelined rarely make so many.
_BUFFERS: Final = 64


class VersionEndedError(Exception):
    """The file changed after its length was announced: the rest of the answer cannot be sent."""


def send_file_step(descriptor: int, segment: FileSegment) -> int:
    """Send one step of a file by the socket with this descriptor; return how many octets the peer took.

    It has to be non-blocking: sendfile(2) knows no MSG_DONTWAIT.

    Raises `VersionEndedError` where the file is not what it was, `OSError` where the peer is gone or
    takes nothing now.
    """
    file, offset, length = segment
    # Looked at before each step, the last one included: no rest that would make an answer look whole
    # follows octets of another version.
    if not file.is_sealed and not file.is_unchanged():
        raise VersionEndedError
    sent = os.sendfile(descriptor, file.fileno(), offset, min(length, STEP_OCTETS))
    if sent == 0:
        raise VersionEndedError
    return sent


class Outbox:
    """Segments in the order of their answers; ``octets`` of them are still to be sent."""

    __slots__ = ("_segments", "octets", "unlogged")

    def __init__(self) -> None:
        self._segments: deque[memoryview | FileSegment] = deque()
        self.octets = 0
        self.unlogged: tuple[Sequence[Exchange], float] = ((), 0.0)
        """What is to be noted when it has been sent, and when its requests were received."""

    def put(self, segment: Segment, offset: int = 0) -> None:
        """Append a segment, without its first ``offset`` octets."""
        if isinstance(segment, FileSegment):
            left = FileSegment(segment.file, segment.offset + offset, segment.length - offset)
            self._segments.append(left)
            self.octets += left.length
        elif offset < len(segment):
            view = memoryview(segment)[offset:]
            self._segments.append(view)
            self.octets += len(view)

    def send(self, peer: _socket.socket, unsent_octets_limit: int = 0) -> None:
        """Send octets until the peer takes no more, and one step of a file at the most.

        Of a file that has to be read, no more is read than may wait in the kernel, if that is bounded.
        Raises `BlockingIOError` where the peer takes nothing now, `VersionEndedError` where a file
        is not what it was, and `OSError` where the peer is gone.
        """
        while self._segments:
            first = self._segments[0]
            is_file = isinstance(first, FileSegment)
            if isinstance(first, FileSegment):
                if first.file.is_sealed or first.file.is_settled():
                    self._send_file(peer, first)
                    return
                self._read_file(first, min(unsent_octets_limit or _READ_OCTETS, _READ_OCTETS))
            views = self._first_views()
            # Without MSG_MORE: a head that waits for the pages of its file makes the kernel copy them,
            # and costs 47 microseconds instead of 29 for 100 KiB.
            sent = peer.sendmsg(views)
            is_whole = sent == sum(map(len, views))
            self._drop(sent)
            if is_file or not is_whole:
                return

    def close(self) -> None:
        """Give up what was not sent."""
        for segment in self._segments:
            if isinstance(segment, FileSegment):
                segment.file.close()
        self._segments.clear()
        self.octets = 0

    def _first_views(self) -> list[memoryview]:
        """Return the octets that stand before the next file."""
        views = []
        for segment in islice(self._segments, _BUFFERS):
            if isinstance(segment, FileSegment):
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

    def _send_file(self, peer: _socket.socket, segment: FileSegment) -> None:
        sent = send_file_step(peer.fileno(), segment)
        self.octets -= sent
        self._advance(segment, sent)

    def _read_file(self, segment: FileSegment, octets_limit: int) -> None:
        """Put a step of a file that somebody may be writing to before the rest of it, as octets.

        With ``sendfile`` the network holds the pages of the file itself, and what is written to them
        before they are acknowledged goes out in the place of what was there.
        """
        file, offset, length = segment
        octets = os.pread(file.fileno(), min(length, octets_limit), offset)
        if not octets or not file.is_unchanged():
            raise VersionEndedError
        self._advance(segment, len(octets))
        self._segments.appendleft(memoryview(octets))

    def _advance(self, segment: FileSegment, octets: int) -> None:
        """Go on to what stands behind so many octets of a file."""
        file, offset, length = segment
        if octets < length:
            self._segments[0] = FileSegment(file, offset + octets, length - octets)
            return
        self._segments.popleft()
        if not any(
            isinstance(other, FileSegment) and other.file is file for other in self._segments
        ):
            file.close()
