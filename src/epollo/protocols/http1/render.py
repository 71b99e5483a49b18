"""Responses as octets (RFC 9112 sections 4 and 5).

A head is sent as three parts: a prefix that belongs to a status and a second, the fields of the response,
and an end that says whether the connection persists (`Frames`).
"""

from epollo.annotations import Final
from epollo.http.caching import NO_CACHE_FIELD
from epollo.http.message import ENDED, FieldLine, Request, Response
from epollo.http.status import REASONS, respond_plainly
from epollo.http.target import parse_target
from epollo.protocols.answer import Answer
from epollo.protocols.contract import Refusal

_PREFIX: Final = b"HTTP/1.1 %d %b\r\nServer: epollo\r\nDate: %b\r\n"
_KEPT_OCTETS: Final = 1024 * 1024
_ENTRY_OCTETS: Final = 512

# A connection of HTTP/1.1 persists unless its end is announced; one of HTTP/1.0 ends unless it is
# announced that it persists (RFC 9112 section 9.3).
_END: Final = b"\r\n"
_END_KEPT: Final = b"Connection: keep-alive\r\n\r\n"
_END_CLOSED: Final = b"Connection: close\r\n\r\n"


def frame_answer(answer: Answer, date: bytes) -> bytes:
    """Return what an answer begins with at a time, given as the value of Date; nothing is kept."""
    return _join(_format_prefix(answer.status, date), answer)


def _format_prefix(status: int, date: bytes) -> bytes:
    return _PREFIX % (status, REASONS[status], date)


def _join(prefix: bytes, answer: Answer) -> bytes:
    return b"".join((prefix, answer.fields, answer.end, answer.content))


class _Prefixes(dict[int, bytes]):
    """What begins each answer of a status in one second, by the status."""

    __slots__ = ("date",)

    def __init__(self, date: bytes) -> None:
        super().__init__()
        self.date = date

    def __missing__(self, status: int) -> bytes:
        self[status] = prefix = _format_prefix(status, self.date)
        return prefix


class Frames:
    """Answers as they are sent in one second: head and short content, joined.

    A join takes as long as all other work for an answer that is recalled. So what was joined is kept for
    the rest of its second, up to `_KEPT_OCTETS`, unless the answer is given once. It is kept with the
    answer: an attribute takes less time than a dictionary. A use of an answer is counted at the join: one
    that is kept costs nothing more.
    """

    __slots__ = ("_prefixes", "_room_octets", "kept")

    def __init__(self, date: bytes) -> None:
        self.kept: list[Answer] = []
        """The answers that are framed now."""
        self._prefixes = _Prefixes(date)
        self._room_octets = _KEPT_OCTETS

    def begin(self, date: bytes) -> None:
        """Begin another second, which Date shows as this value."""
        for answer in self.kept:
            answer.framed = None
        self.kept.clear()
        self._prefixes = _Prefixes(date)
        self._room_octets = _KEPT_OCTETS

    def count_head(self, answer: Answer) -> int:
        """Return the octets of an answer that come before its content."""
        return len(self._prefixes[answer.status]) + len(answer.fields) + len(answer.end)

    def frame(self, answer: Answer) -> bytes:
        """Return what an answer begins with in this second: all but the long part of its content."""
        if answer.framed is not None:
            return answer.framed
        answer.uses += 1
        octets = _join(self._prefixes[answer.status], answer)
        if len(octets) <= self._room_octets and answer.basis is not ENDED:
            self._room_octets -= _ENTRY_OCTETS + len(octets)
            answer.framed = octets
            self.kept.append(answer)
        return octets


def render_answer(
    request: Request, response: Response, minor_version: int, *, persists: bool
) -> Answer:
    """Return the answer that this response is to this request.

    ``minor_version`` is the client's; ``persists`` is whether the connection stays open.
    """
    content, length = response.content, response.length
    if content and not has_content(request.method, response.status):
        for segment in content:
            if not isinstance(segment, bytes):
                segment.file.close()
        content, length = (), 0
    fields = render_fields(response)
    end = (_END if minor_version else _END_KEPT) if persists else _END_CLOSED
    return Answer(
        response.status,
        fields,
        end,
        content,
        persists=persists,
        method=request.method,
        length=length,
        basis=ENDED if response.basis is None else response.basis,
    )


def render_refusal(
    refusal: Refusal, fields: tuple[FieldLine, ...] = (), *, link: bytes = b""
) -> Answer:
    """Return the last answer to a peer whose octets make no request.

    With more ``fields``, and with a ``link`` to the place that has what the client wants.
    """
    response = respond_plainly(refusal.status, (NO_CACHE_FIELD, *fields), link=link)
    rendered = render_fields(response)
    return Answer(
        refusal.status,
        rendered,
        _END_CLOSED,
        () if refusal.is_head else response.content,
        persists=False,
        method=b"-",
        length=0 if refusal.is_head else response.length,
    )


def end_answer(answer: Answer) -> Answer:
    """Return the same answer as the last one of its connection (RFC 9112 section 9.6)."""
    if not answer.persists:
        return answer
    content = (answer.content,) if answer.content else answer.rest
    return Answer(
        answer.status,
        answer.fields,
        _END_CLOSED,
        content,
        persists=False,
        method=answer.method,
        length=answer.length,
    )


def render_fields(response: Response) -> bytes:
    """Return the field lines of a response, which the response keeps."""
    rendered = response.rendered
    if rendered is None:
        rendered = b"\r\n".join([*map(b": ".join, response.fields), b""])
        response.rendered = rendered
    return rendered


def has_content(method: bytes, status: int) -> bool:
    """Return whether content follows the head of this answer (RFC 9110 section 6.4.1)."""
    return method != b"HEAD" and status != 304 and status >= 200


def describe_target(answer: Answer, head: bytes) -> bytes:
    """Return the target of a request for the log: the path with its query, or the host of a CONNECT.

    ``head`` is what was answered; it is empty if that was no request.
    """
    target = None if answer.method == b"-" else parse_target(head.split(b" ", 2)[1])
    if target is None:
        return b"-"
    if target.query is not None:
        return b"%b?%b" % (target.path, target.query)
    return target.path or target.authority or b"*"
