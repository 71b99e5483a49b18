"""What a coder and its clients say to each other: one message of a socket each.

A request holds content, and no name for it: the coder hashes what it gets. So nothing that a worker says
of its content decides on what another worker is sent. What does not fit into a message comes as a
descriptor with it (SCM_RIGHTS, unix(7)).
"""

import re
import struct
from enum import IntEnum

from epollo.annotations import Final
from epollo.http.validators import EntityTag
from epollo.named_tuples import NamedTuple
from epollo.site.codings import CODED_OCTETS_LIMIT, CODINGS, LARGE_OCTETS, Coding

REQUESTS_LIMIT: Final = 16
"""How many requests of one client may wait for their last answer."""

_REQUEST: Final = struct.Struct(f"=QBQ{len(CODINGS)}Q")
_ANSWER: Final = struct.Struct("=QBB?18sQ")
_TAG: Final = re.compile(rb'"[A-Za-z0-9_-]{16}"')
_NO_TAG: Final = bytes(18)
"""Content that is shared keeps the tag that it has."""


class MessageError(Exception):
    """The other side sent what is no valid message."""


class Grade(IntEnum):
    """How well content is coded, the most urgent first."""

    QUICK = 0
    SHARE = 1
    """Not coded: the content is in a sealed file, and another of the same content is asked for."""
    LARGE = 2
    BEST = 3

    def level_of(self, coding: Coding) -> int:
        """Return the level of a coding."""
        effort = coding.effort
        return (effort.quick, 0, effort.large, effort.best)[self]


class Outcome(IntEnum):
    """What became of one coding of a request."""

    MADE = 0
    TOO_LONG = 1
    """Longer than the limit."""
    LITTLE_MEMORY = 2
    CHANGED = 3
    """The content is not what it was, or cannot be read."""


class Request(NamedTuple):
    """Content to be coded.

    ``octets`` is its length. ``limits`` say how long each of `CODINGS` may be, 0 if it is not wanted.
    ``content`` is None if a descriptor comes with the message.
    """

    number: int
    grade: Grade
    octets: int
    limits: tuple[int, ...]
    content: bytes | None


class Answer(NamedTuple):
    """One coding of what was asked for.

    ``place`` is that of the coding among `CODINGS`, ``octets`` how long it is. ``content`` is None if
    there is none, or a descriptor comes with the message. ``is_last`` is whether no other follows.
    """

    number: int
    place: int
    outcome: Outcome
    is_last: bool
    tag: bytes
    octets: int
    content: bytes | None

    @property
    def entity_tag(self) -> EntityTag:
        """The entity tag of the coding."""
        return EntityTag(self.tag, is_weak=False)


def format_request(request: Request) -> bytes:
    """Return a request as a message."""
    head = _REQUEST.pack(request.number, request.grade, request.octets, *request.limits)
    return head + (request.content or b"")


def parse_request(message: bytes, *, has_descriptor: bool) -> Request:
    """Return the request that a message is.

    Raises `MessageError` if it is none, or asks for more than a coder does.
    """
    if len(message) < _REQUEST.size:
        raise MessageError("no whole request")
    number, grade, octets, *limits = _REQUEST.unpack_from(message)
    content = message[_REQUEST.size :]
    is_whole = not content if has_descriptor else len(content) == octets
    is_bounded = octets <= CODED_OCTETS_LIMIT and max(limits) <= CODED_OCTETS_LIMIT
    if not is_whole or not is_bounded or grade not in tuple(Grade):
        raise MessageError("no request")
    if any(limits) == (grade == Grade.SHARE) or (grade == Grade.SHARE and not has_descriptor):
        raise MessageError("nothing that can be done")
    # The highest effort is for what is not large.
    if octets >= LARGE_OCTETS and grade not in {Grade.LARGE, Grade.SHARE}:
        raise MessageError("too much work")
    return Request(number, Grade(grade), octets, tuple(limits), None if has_descriptor else content)


def format_answer(answer: Answer) -> bytes:
    """Return an answer as a message."""
    head = _ANSWER.pack(
        answer.number, answer.place, answer.outcome, answer.is_last, answer.tag, answer.octets
    )
    return head + (answer.content or b"")


def parse_answer(message: bytes, *, has_descriptor: bool) -> Answer:
    """Return the answer that a message is. Raises `MessageError` if it is none."""
    if len(message) < _ANSWER.size:
        raise MessageError("no whole answer")
    number, place, outcome, is_last, tag, octets = _ANSWER.unpack_from(message)
    content = message[_ANSWER.size :]
    is_made = outcome == Outcome.MADE
    is_whole = not content if has_descriptor or not is_made else len(content) == octets
    if not is_whole or place >= len(CODINGS) or outcome not in tuple(Outcome):
        raise MessageError("no answer")
    # It becomes part of the heads of answers, and must end no line there.
    if is_made and tag != _NO_TAG and _TAG.fullmatch(tag) is None:
        raise MessageError("no entity tag")
    tag = tag if is_made and tag != _NO_TAG else b""
    held = content if is_made and not has_descriptor else None
    return Answer(number, place, Outcome(outcome), is_last, tag, octets, held)
