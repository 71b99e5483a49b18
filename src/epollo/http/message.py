"""Request and response as values: what a protocol reads and what the site answers (RFC 9110 section 6).

Everything that came over the wire or goes onto it is octets (``bytes``). Field names are in lower
case. Field lines of one name are combined with ``", "`` in their order (RFC 9110 section 5.3), so a
field section is a plain dictionary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from epollo.http.target import Target


class File(Protocol):
    """An open file, one version of it; whoever made it knows how to read it and when it changed."""

    descriptor: int
    """What ``sendfile`` reads from."""
    is_sealed: bool
    """Whether nobody can ever change it, so that it need not be asked whether somebody did."""
    is_settled: bool
    """Whether nobody had been writing to it for a while when `settle` was asked."""

    @property
    def checked_second(self) -> int:
        """The second (since 1970) for whose rest it need not be asked again whether it `may_send_on`."""

    def settle(self) -> bool:
        """Tell whether nobody has been writing to the file lately, and note that in `is_settled`."""

    def may_send_on(self, second: int) -> bool:
        """Return in this second whether the file still has what was announced of it."""

    def is_unchanged(self, second: int) -> bool:
        """Return in this second whether the same may be announced of the file again."""

    def close(self) -> None:
        """Give the descriptor back."""


class FileSegment(NamedTuple):
    """A part of a file too large to be kept in memory.

    ``offset`` and ``length`` are octets.
    """

    file: File
    offset: int
    length: int


Segment: TypeAlias = bytes | FileSegment
FieldLine: TypeAlias = tuple[bytes, bytes]


@dataclass(slots=True)
class Request:
    """A request whose head was received and found to be valid.

    ``fields`` has a name once, in lower case.
    """

    method: bytes
    target: Target
    fields: Mapping[bytes, bytes]


class Response:
    """What the site answers; shared by all requests that get the same answer.

    ``fields`` are complete but for those that belong to the connection (Date, Connection).
    ``content`` is what follows the head of an answer to anything but HEAD; ``length`` is its octets.
    ``is_recallable`` says that the same request gets the same answer until the site says otherwise.
    """

    __slots__ = ("content", "fields", "is_recallable", "length", "rendered", "status")

    def __init__(
        self,
        status: int,
        fields: tuple[FieldLine, ...] = (),
        content: tuple[Segment, ...] = (),
        *,
        is_recallable: bool = False,
    ) -> None:
        self.status = status
        self.fields = fields
        self.content = content
        self.length = sum(
            len(segment) if isinstance(segment, bytes) else segment.length for segment in content
        )
        self.is_recallable = is_recallable
        self.rendered: bytes | None = None
        """A place for the protocol to keep its rendering of status and fields."""
