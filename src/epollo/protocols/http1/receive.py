"""HTTP/1 as a closed machine: octets in, queries out; answers in (RFC 9112 sections 2.2, 6.3 and 9.3).

A complete head is handed out as octets first. A caller that knows an answer to these octets need not
have them reduced; one that knows an answer to the reduced head need not have it read.
"""

import re
from collections.abc import Sequence

from epollo.annotations import Final, TypeAlias
from epollo.http.message import Request, Response, Segment
from epollo.named_tuples import NamedTuple
from epollo.protocols.answer import Answer
from epollo.protocols.contract import Refusal
from epollo.protocols.http1.content import ChunkReader, LengthReader, Progress
from epollo.protocols.http1.framing import Head
from epollo.protocols.http1.head import HeadReader, refuse
from epollo.protocols.http1.render import end_answer, frame_answer, render_answer, render_refusal

_EMPTY_LINE: Final = b"\r\n"
_EMPTY_LINES: Final = re.compile(rb"\A(?:\r\n)+")
_HEAD_END: Final = b"\r\n\r\n"


class Finished(NamedTuple):
    """A request whose content was read past."""

    head: bytes


Query: TypeAlias = bytes | Finished
"""A head as it came, which may be the whole of a request; or a request whose content was read past."""


class Http1:
    """One connection's state in HTTP/1; ``requests_limit`` is the most that it answers, 0 for any."""

    __slots__ = (
        "_content",
        "_count",
        "_finished",
        "_head",
        "_inbox",
        "_judged",
        "_minor_version",
        "_noted",
        "_persists",
        "_reader",
        "_request",
        "_requests_left",
        "_start",
        "is_ended_here",
        "is_whole",
    )

    def __init__(self, reader: HeadReader, requests_limit: int = 0) -> None:
        self._reader = reader
        # Octets that are not part of anything complete yet.
        self._inbox = b""
        # Of the request that was read last: its head as it came, and how it may be answered.
        self._head = b""
        self._request: Request | None = None
        self._minor_version = 1
        self._persists = True
        self._content: LengthReader | ChunkReader | None = None
        # A request whose content was read past, until it is taken.
        self._finished: Request | None = None
        self.is_whole = True
        """Whether the request that was read last consists of its head alone."""
        # How far the lines of an incomplete head have been judged, and its octets.
        self._start = 0
        self._count = 0
        self._judged = 0
        # A head, what it was reduced to, and the fields that were relevant then.
        self._noted: tuple[bytes, bytes, frozenset[bytes]] | None = None
        self._requests_left = requests_limit or -1
        self.is_ended_here = False
        """Whether the last answer ended the connection unasked: the peer may send more."""

    @property
    def is_between(self) -> bool:
        """Whether nothing of another request, nor of the last one's content, is missing.

        Half an empty line may be here then.
        """
        return self._request is None and self._inbox in {b"", b"\r"}

    @property
    def is_empty(self) -> bool:
        """Whether no octet waits here."""
        return not self._inbox

    def receive(self, octets: bytes) -> None:
        """Receive what the peer sent."""
        self._inbox = self._inbox + octets if self._inbox else octets

    def next(self) -> Query | Refusal | None:
        """Return a complete head, the one whose content was read past, or a refusal.

        None: more octets are needed.
        """
        if self._content is not None:
            return self._read_content()
        inbox = self._inbox
        if not self._count and inbox.startswith(_EMPTY_LINE):
            # RFC 9112 section 2.2: an empty line before a request is to be ignored.
            inbox = self._inbox = _EMPTY_LINES.sub(b"", inbox, count=1)
        if not inbox:
            return None
        start = self._start
        # Not `max`: a call takes longer.
        end = inbox.find(_HEAD_END, start - 2 if start > 2 else 0)
        limit = self._reader.head_octets_limit
        if 0 <= end <= limit - 4:
            self._inbox = inbox[end + 4 :]
            self._start = self._count = self._judged = 0
            return inbox[: end + 4]
        octets = inbox[:limit]
        refusal, self._start, self._count = self._reader.judge_lines(
            octets, self._start, self._count, self._judged
        )
        self._judged = len(octets)
        if refusal is None and len(inbox) >= limit:
            refusal = refuse(431, octets)
        return refusal

    def note_reduction(self, head: bytes, reduced: bytes) -> None:
        """Note what a head was reduced to, for a later turn; no octets if it was not reduced."""
        if reduced:
            self._noted = head, reduced, self._reader.relevant_fields

    def take_reduction(self, query: Query) -> bytes:
        """Return what the head of a query was reduced to, if that was noted and still holds.

        It does not hold if answers depend on other fields now: a line that was left out may count.
        """
        noted = self._noted
        if noted is None:
            return b""
        self._noted = None
        head, reduced, relevant_fields = noted
        is_valid = relevant_fields is self._reader.relevant_fields and head == query
        return reduced if is_valid else b""

    def reduce(self, query: Query) -> bytes | Refusal:
        """Return the head without the lines that no answer depends on."""
        if isinstance(query, Finished):
            return b""
        reduced = self._reader.reduce(query)
        if isinstance(reduced, Refusal):
            self._take_back(query)
        return reduced

    def read(self, query: Query, key: bytes) -> Request | Refusal | None:
        """Return the request of a query that was reduced to ``key``.

        None: content follows, and the query is returned again when it has been read past.
        """
        if isinstance(query, Finished):
            request, self._finished = self._finished, None
            return request
        head = self._reader.read(key, query)
        if isinstance(head, Refusal):
            self._take_back(query)
            return head
        self._head = query
        self._minor_version, self._persists = head.minor_version, head.persists
        self.is_whole = head.content_length == 0
        return head.request if self.is_whole else self._expect_content(head)

    def render(self, request: Request, response: Response, *, may_persist: bool) -> Answer:
        """Return the answer that a response is to the request that was read last."""
        return render_answer(
            request, response, self._minor_version, persists=self._persists and may_persist
        )

    def refuse(self, refusal: Refusal) -> Answer:
        """Return the last answer to a peer whose octets make no request."""
        return render_refusal(refusal)

    def refuse_unfinished(self, status: int) -> Answer:
        """Return the last answer to a peer whose request is not complete."""
        return render_refusal(self._refuse(status))

    def conclude(self, answer: Answer) -> Answer:
        """Count an answer, and return it as it is to be given: the last one says that it is the last."""
        self._requests_left -= 1
        if self._requests_left:
            return answer
        self.is_ended_here = True
        return end_answer(answer)

    def answer(self, query: Query, answer: Answer, date: bytes) -> Sequence[Segment]:  # noqa: ARG002
        """Return an answer as it is sent, with this value of Date."""
        return (frame_answer(answer, date), *answer.rest)

    def describe(self, query: Query | None = None) -> bytes:
        """Return the head of a query as it came; without one, what is here of a head."""
        if query is not None:
            return query.head if isinstance(query, Finished) else query
        return self._inbox if self._request is None else self._head

    def _refuse(self, status: int) -> Refusal:
        """Return the refusal, with this status, of the request that is under way."""
        if self._request is not None:
            return Refusal(status, self._request.method == b"HEAD")
        return refuse(status, self._inbox)

    def _take_back(self, octets: bytes) -> None:
        """Take back a head that was refused.

        Where its message ends is not known: nothing that follows is between requests.
        """
        self._inbox = octets + self._inbox

    def _expect_content(self, head: Head) -> Request | None:
        self._request = head.request
        limit = self._reader.limits.content_octets
        length = head.content_length
        is_too_large = length is not None and length > limit
        # RFC 9110 section 10.1.1: a final answer takes the place of 100; whether content follows it
        # nevertheless cannot be known, so nothing that comes then may be taken for a request.
        if is_too_large or head.expects_continue:
            self._persists = False
            return self._request
        self._content = ChunkReader(limit) if length is None else LengthReader(length)
        return None

    def _read_content(self) -> Query | Refusal | None:
        assert self._content is not None  # noqa: S101 - for the type checker
        progress, position = self._content.read(self._inbox, 0)
        self._inbox = self._inbox[position:]
        if progress is Progress.UNFINISHED:
            return None
        if progress is Progress.MALFORMED:
            return self._refuse(400)
        self._finished = self._request
        if progress is Progress.TOO_LARGE:
            # The request is answered, and stays: nothing that follows is between requests.
            self._persists = False
        else:
            self._content = self._request = None
        return Finished(self._head)
