"""Answers: responses rendered by a protocol, except for what belongs to one second.

An answer is given again for as long as what it was made of stands, so nothing in it tells the time: the
status line and Date stand in a prefix that all answers of one status share for a second. The content is
that of the representation, never a copy.
"""

from collections.abc import Callable, Iterable

from epollo.annotations import Final, TypeAlias
from epollo.http.message import ENDED, Basis, File, FileSegment, Later, Request, Segment
from epollo.named_tuples import NamedTuple

JOINED_OCTETS: Final = 16 * 1024
"""Content up to this length is joined with its head when it is sent; longer content is not copied."""
STEP_OCTETS: Final = 2 * 1024 * 1024
"""At most this much of a file is sent in one turn, so that a large download holds up no other peer."""
STEP_OCTETS_MINIMUM: Final = 128 * 1024
"""A smaller step costs more than it sends, so this much is never divided."""


class Waiting(NamedTuple):
    """A request that was read, and whose response is not there yet."""

    later: Later
    request: Request
    head: bytes
    reduced: bytes


class Answer:
    """A rendered answer: its fields, what ends its head, short content, and long content as ``rest``.

    ``length`` is the octets of the content. The log is told ``method`` and ``status``; what else it shows
    stands in the head of the request. ``persists`` is whether the connection stays open after it.
    ``basis`` is what it rests on; while that stands, the same request has this answer.
    """

    __slots__ = (
        "__weakref__",
        "basis",
        "content",
        "end",
        "fields",
        "file",
        "framed",
        "is_established",
        "kept_octets",
        "length",
        "method",
        "part",
        "part_pattern",
        "persists",
        "rest",
        "status",
        "uses",
    )

    def __init__(
        self,
        status: int,
        fields: bytes,
        end: bytes,
        content: tuple[Segment, ...],
        *,
        persists: bool,
        method: bytes,
        length: int,
        basis: Basis = ENDED,
    ) -> None:
        self.status = status
        self.fields = fields
        self.end = end
        self.content = b""
        self.rest: tuple[Segment, ...] = content
        self.file: File | None = None
        """A file that the content is read from, and that may change before the answer is given again."""
        self.part: FileSegment | None = None
        """All of ``rest``, where that is one part of a file, not to be copied and not to be divided."""
        self.persists = persists
        self.method = method
        self.length = length
        self.basis = basis
        self.framed: bytes | None = None
        """Head and short content as they are sent in this second; None if they are not kept so."""
        self.kept_octets = 0
        """What recall counts for it."""
        self.uses = 0
        """How often it was framed since recall looked last: once a second, if what was framed is kept."""
        self.part_pattern: bytes | None = None
        """A pattern of the fields of an answer with a part of this content (`http1.part`); None until
        there is one."""
        self.is_established = False
        """Whether recall knows it to be asked for again and again."""
        if length <= JOINED_OCTETS and len(content) == 1 and isinstance(content[0], bytes):
            self.content = content[0]
            self.rest = ()
        elif content:
            self._take(content)

    def _take(self, content: tuple[Segment, ...]) -> None:
        if self.length <= JOINED_OCTETS:
            if all(isinstance(one, bytes) for one in content):
                self.content = b"".join(content)  # type: ignore[arg-type]
                self.rest = ()
                return
        elif self.length <= STEP_OCTETS_MINIMUM and len(content) == 1:
            segment = content[0]
            if not isinstance(segment, bytes):
                self.part = segment
        for segment in content:
            if not isinstance(segment, bytes) and not segment.file.is_sealed:
                self.file = segment.file

    def add_lines(self, lines: bytes) -> None:
        """Add whole field lines to the head."""
        self.fields += lines
        self.part_pattern = None

    def release(self) -> None:
        """Release the content: what the answer rests on has ended, and it is not given again."""
        self.basis = ENDED
        self.content = b""
        self.rest = ()
        self.framed = self.file = self.part = None


Exchange: TypeAlias = tuple[bytes, Answer]
"""The head of a request, for the log, and its answer."""


def count_content(
    exchanges: Iterable[Exchange], unsent_octets: int, count_head: Callable[[Answer], int]
) -> list[int]:
    """Return how many octets of content each answer was sent with.

    The answers are in the order of sending; the last ``unsent_octets`` of all together were not sent.
    ``count_head`` returns the octets of an answer that come before its content.
    """
    answers = [answer for _, answer in exchanges]
    if not unsent_octets:
        return [answer.length for answer in answers]
    counts = []
    for answer in reversed(answers):
        counts.append(max(0, answer.length - unsent_octets))
        unsent_octets -= min(count_head(answer) + answer.length, unsent_octets)
    return counts[::-1]
