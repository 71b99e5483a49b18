"""One peer's side of HTTP/1: octets in, requests out (RFC 9112 sections 2.2, 6.3 and 9.3).

A head that is complete is handed out as octets first: who has answered the same octets before need
not have them read again. Who has not has them reduced, may know the answer to that, and only then has
it read by `Http1.read_head`.
"""

import re
from typing import Final, NamedTuple

from epollo.http.message import Request
from epollo.protocols.http1.content import ChunkReader, LengthReader, Progress
from epollo.protocols.http1.head import Head, HeadReader, Refusal, refuse

_EMPTY_LINE: Final = b"\r\n"
_EMPTY_LINES: Final = re.compile(rb"\A(?:\r\n)+")
_HEAD_END: Final = b"\r\n\r\n"


class Incoming(NamedTuple):
    """A request that has been received whole, and how to answer it.

    ``persists`` is whether the connection may go on after the answer. ``may_recall`` is whether the
    octets of the head were the whole request, and answer for nobody in particular.
    """

    request: Request
    minor_version: int
    persists: bool
    may_recall: bool


class Http1:
    """The receiving half of a connection."""

    __slots__ = ("_content", "_count", "_judged", "_pending", "_reader", "_start", "head", "inbox")

    def __init__(self, reader: HeadReader) -> None:
        self._reader = reader
        self.inbox = b""
        """Octets that are not part of anything complete yet."""
        self.head = b""
        """The head of the request whose content is awaited, for whoever wants to know it later."""
        self._content: LengthReader | ChunkReader | None = None
        self._pending: Incoming | None = None
        # How far the lines of an incomplete head have been judged, and its octets.
        self._start = 0
        self._count = 0
        self._judged = 0

    @property
    def is_between_requests(self) -> bool:
        """Tell whether nothing of another request, nor of the last one's content, is missing.

        Half an empty line may be here then.
        """
        return self._pending is None and self.inbox in {b"", b"\r"}

    def receive(self, octets: bytes) -> None:
        """Take in what the peer sent."""
        self.inbox = self.inbox + octets if self.inbox else octets

    def next_event(self) -> bytes | Incoming | Refusal | None:
        """Return the octets of a complete head, a request whose content was read past, or a refusal.

        None: more octets are needed.
        """
        if self._content is not None:
            return self._read_content()
        inbox = self.inbox
        if not self._count and inbox.startswith(_EMPTY_LINE):
            # RFC 9112 section 2.2: an empty line before a request is to be ignored.
            inbox = self.inbox = _EMPTY_LINES.sub(b"", inbox, count=1)
        if not inbox:
            return None
        end = inbox.find(_HEAD_END, max(0, self._start - 2))
        limit = self._reader.limits.head_octets
        if 0 <= end <= limit - 4:
            self.inbox = inbox[end + 4 :]
            self._start = self._count = self._judged = 0
            return inbox[: end + 4]
        octets = inbox[:limit]
        refusal, self._start, self._count = self._reader.judge_lines(
            octets, self._start, self._count, self._judged
        )
        self._judged = len(octets)
        if refusal is None and len(inbox) >= limit:
            refusal = self.refuse(431)
        return refusal

    def read_head(self, octets: bytes) -> Incoming | Refusal | None:
        """Read the head that `next_event` handed out, as reduced by the reader.

        None: content follows, the request comes with a later event.
        """
        head = self._reader.read(octets)
        if isinstance(head, Refusal):
            self.take_back(octets)
            return head
        if head.content_length == 0:
            request = head.request
            return Incoming(
                request,
                head.minor_version,
                head.persists,
                request.method in _RECALLED_METHODS
                and not head.expects_continue
                and b"authorization" not in request.fields,
            )
        return self._expect_content(head)

    def take_back(self, octets: bytes) -> None:
        """Take back a head that was refused.

        Where its message ends is not known: nothing that follows is between requests.
        """
        self.inbox = octets + self.inbox

    def refuse(self, status: int) -> Refusal:
        """Return the refusal, with this status, of the request that is under way."""
        if self._pending is not None:
            return Refusal(status, self._pending.request.method == b"HEAD")
        return refuse(status, self.inbox)

    def _expect_content(self, head: Head) -> Incoming | None:
        limit = self._reader.limits.content_octets
        length = head.content_length
        is_too_large = length is not None and length > limit
        # RFC 9110 section 10.1.1: a final answer takes the place of 100; whether content follows it
        # nevertheless cannot be known, so nothing that comes then may be taken for a request.
        if is_too_large or head.expects_continue:
            self._pending = Incoming(
                head.request, head.minor_version, persists=False, may_recall=False
            )
            return self._pending
        self._content = ChunkReader(limit) if length is None else LengthReader(length)
        self._pending = Incoming(head.request, head.minor_version, head.persists, may_recall=False)
        return None

    def _read_content(self) -> Incoming | Refusal | None:
        assert self._content is not None  # noqa: S101 - for the type checker
        assert self._pending is not None  # noqa: S101
        progress, position = self._content.read(self.inbox, 0)
        self.inbox = self.inbox[position:]
        if progress is Progress.UNFINISHED:
            return None
        if progress is Progress.MALFORMED:
            return self.refuse(400)
        request = self._pending
        if progress is Progress.TOO_LARGE:
            return request._replace(persists=False)
        self._content = self._pending = None
        return request


_RECALLED_METHODS: Final = frozenset((b"GET", b"HEAD"))
