"""Answers: responses as the octets that one connection sends."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from epollo.http.caching import NO_CACHE_FIELD
from epollo.http.message import File, Request, Response, Segment
from epollo.http.status import respond_plainly
from epollo.http.target import Target
from epollo.protocols.http1 import Refusal, format_head, has_content

JOINED_OCTETS: Final = 16 * 1024
"""Content up to this length is joined with its head into one buffer; longer content is not copied."""
STEP_OCTETS: Final = 2 * 1024 * 1024
"""At most so much of a file is sent in one turn, so that a large download holds nobody up."""


class Answer:
    """A rendered answer: the octets of its head and of short content, and long content as ``rest``.

    What the access log wants to know is kept with it. ``file`` is one that the content is read from
    and that may have changed when the answer is given again. ``sealed`` is the rest where that is part
    of one file that cannot change: its descriptor, where the part begins, and how much of it may be sent
    in one turn (octets).
    """

    __slots__ = (
        "file",
        "length",
        "method",
        "octets",
        "persists",
        "rest",
        "sealed",
        "status",
        "target",
    )

    def __init__(
        self,
        octets: bytes,
        rest: tuple[Segment, ...],
        *,
        persists: bool,
        method: bytes,
        target: bytes,
        status: int,
        length: int,
    ) -> None:
        self.octets = octets
        self.rest = rest
        self.file: File | None = None
        self.sealed: tuple[int, int, int] | None = None
        for segment in rest:
            if isinstance(segment, bytes):
                continue
            if not segment.file.is_sealed:
                self.file = segment.file
            elif len(rest) == 1:
                self.sealed = (
                    segment.file.descriptor,
                    segment.offset,
                    min(segment.length, STEP_OCTETS),
                )
        self.persists = persists
        self.method = method
        self.target = target
        self.status = status
        self.length = length

    def close(self) -> None:
        """Give up content that will not be sent."""
        for segment in self.rest:
            if not isinstance(segment, bytes):
                segment.file.close()


Exchange: TypeAlias = tuple[bytes, Answer]
"""The octets of a request's head, as they came, and the answer."""


def count_content(exchanges: Iterable[Exchange], unsent_octets: int) -> list[int]:
    """Return how many octets of content each answer was sent with.

    The answers were to be sent one after the other, and the last ``unsent_octets`` of them all were
    not.
    """
    answers = [answer for _, answer in exchanges]
    if not unsent_octets:
        return [answer.length for answer in answers]
    counts = []
    for answer in reversed(answers):
        octets = len(answer.octets) + (answer.length if answer.rest else 0)
        counts.append(max(0, answer.length - unsent_octets))
        unsent_octets -= min(octets, unsent_octets)
    return counts[::-1]


def end_answer(answer: Answer) -> Answer:
    """Return the same answer as the last one of its connection (RFC 9112 section 9.6)."""
    if not answer.persists:
        return answer
    head, end, content = answer.octets.partition(b"\r\n\r\n")
    head = head.removesuffix(b"\r\nConnection: keep-alive")
    return Answer(
        b"".join((head, b"\r\nConnection: close", end, content)),
        answer.rest,
        persists=False,
        method=answer.method,
        target=answer.target,
        status=answer.status,
        length=answer.length,
    )


def render_answer(
    request: Request, response: Response, date: bytes, minor_version: int, *, persists: bool
) -> Answer:
    """Return the answer that this response is to this request.

    ``date`` is the value of Date, ``minor_version`` the client's; ``persists`` is whether the
    connection goes on.
    """
    head = format_head(response, date, minor_version, persists=persists)
    content = response.content
    length = response.length
    target = request.target
    if not has_content(request.method, response.status):
        for segment in content:
            if not isinstance(segment, bytes):
                segment.file.close()
        content, length = (), 0
    if length <= JOINED_OCTETS and all(isinstance(segment, bytes) for segment in content):
        head = b"".join((head, *content))  # type: ignore[arg-type]
        content = ()
    return Answer(
        head,
        content,
        persists=persists,
        method=request.method,
        target=_show_target(target),
        status=response.status,
        length=length,
    )


def _show_target(target: Target) -> bytes:
    if target.query is not None:
        return b"%b?%b" % (target.path, target.query)
    return target.path or target.authority or b"*"


def render_refusal(refusal: Refusal, date: bytes) -> Answer:
    """Return the last answer to a peer whose octets make no request."""
    response = respond_plainly(refusal.status, (NO_CACHE_FIELD,))
    octets = format_head(response, date, 1, persists=False)
    length = 0
    if not refusal.is_head:
        octets = b"".join((octets, *response.content))  # type: ignore[arg-type]
        length = response.length
    return Answer(
        octets,
        (),
        persists=False,
        method=b"-",
        target=b"-",
        status=refusal.status,
        length=length,
    )
