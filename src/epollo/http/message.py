"""Request and response as values: what a protocol reads and what the site answers (RFC 9110 section 6).

Everything that came over the wire or goes onto it is octets (``bytes``). Field names are in lower
case. Field lines of one name are combined with ``", "`` in their order (RFC 9110 section 5.3), so a
field section is a plain dictionary.
"""

from collections.abc import Callable, Iterable, Mapping

from epollo.annotations import Final, Protocol, TypeAlias
from epollo.http.target import Target
from epollo.named_tuples import NamedTuple


class File(Protocol):
    """An open file, one version of it; its maker knows how to read it and when it changed."""

    descriptor: int
    """What ``sendfile`` reads from."""
    is_sealed: bool
    """Whether its content can never change, so that it need not be compared."""
    is_settled: bool
    """Whether no process had written to it for a while when `settle` was called."""

    @property
    def checked_second(self) -> int:
        """The second (since 1970) in which `may_send_on` was asked last; it still holds in that."""

    def settle(self) -> bool:
        """Return whether no process has written to the file lately, and note that in `is_settled`."""

    def may_send_on(self, second: int) -> bool:
        """Return in this second whether the file still has what was announced of it."""

    def is_unchanged(self, second: int) -> bool:
        """Return in this second whether the same may be announced of the file again."""

    def map(self) -> memoryview | None:
        """Return all of the content as memory; None if it may change, or cannot be mapped."""

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


def count_octets(segment: Segment) -> int:
    """Return how many octets a segment has."""
    return len(segment) if isinstance(segment, bytes) else segment.length


def close_files(segments: Iterable[Segment]) -> None:
    """Give back the files of segments that are not sent."""
    for segment in segments:
        if not isinstance(segment, bytes):
            segment.file.close()


class Basis:
    """What an answer rests on: while it stands, the answer may be given again."""

    __slots__ = ("checked_second",)

    checked_second: int
    """The second (since 1970) in which this was found to stand last; -1 when it has ended.

    In this second it stands without another look.
    """

    def stands(self, second: int) -> bool:
        """Return in this second whether this still stands; once it has not, it never does again."""
        raise NotImplementedError

    def hold(self, answer: "Releasable") -> None:
        """Have an answer that is kept release its content when this ends."""


class Releasable(Protocol):
    """What is kept and refers to content; ``basis`` is what it rests on."""

    basis: Basis

    def release(self) -> None:
        """Release the content."""


class _Permanent(Basis):
    __slots__ = ()

    def __init__(self) -> None:
        self.checked_second = -1

    def stands(self, second: int) -> bool:  # noqa: ARG002
        """Return that this stands."""
        return True


class _Ended(Basis):
    __slots__ = ()

    def __init__(self) -> None:
        self.checked_second = -1

    def stands(self, second: int) -> bool:  # noqa: ARG002
        """Return that this has ended."""
        return False


ENDED: Final[Basis] = _Ended()
"""The basis of an answer that is not to be given again."""

PERMANENT: Final[Basis] = _Permanent()
"""The basis of an answer that depends on its request alone."""


class OneSecond(Basis):
    """A basis that stands for the rest of one second (since 1970), for what depends on the time."""

    __slots__ = ("_second",)

    def __init__(self, second: int) -> None:
        self.checked_second = -1
        self._second = second

    def stands(self, second: int) -> bool:
        """Return whether this is still that second."""
        return second == self._second


class AllOf(Basis):
    """Several bases; all of them have to stand.

    If one look in a second is enough for each of them, it is enough for all: an answer that is held is
    released when one of them ends.
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: Basis) -> None:
        self.checked_second = -1
        self.parts = parts

    def stands(self, second: int) -> bool:
        """Return whether all parts stand."""
        for part in self.parts:
            if part.checked_second != second and not part.stands(second):
                return False
        # A look need not hold for the rest of the second, and it may have ended an earlier part.
        for part in self.parts:
            if part.checked_second != second:
                return True
        self.checked_second = second
        return True

    def hold(self, answer: Releasable) -> None:
        """Have an answer that is kept release its content when a part ends."""
        for part in self.parts:
            part.hold(answer)


class Request:  # noqa: PLW1641 - it can be changed
    """A request whose head was received and found to be valid.

    ``fields`` has a name once, in lower case. ``scheme`` is that of the connection, ``scope`` tells in
    which way its client was verified (`Kind`). ``is_authenticated`` is whether the credentials in it were
    verified.
    """

    __slots__ = ("fields", "is_authenticated", "method", "scheme", "scope", "target")

    def __init__(
        self,
        method: bytes,
        target: Target,
        fields: Mapping[bytes, bytes],
        scheme: bytes = b"http",
        scope: bytes = b"http",
        *,
        is_authenticated: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.scheme = scheme
        self.scope = scope
        self.is_authenticated = is_authenticated

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and self._list_parts() == other._list_parts()

    def __repr__(self) -> str:
        return f"Request{self._list_parts()!r}"

    def _list_parts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def replace_fields(self, fields: Mapping[bytes, bytes]) -> "Request":
        """Return the same request with other fields."""
        return Request(
            self.method,
            self.target,
            fields,
            self.scheme,
            self.scope,
            is_authenticated=self.is_authenticated,
        )


ANY_SCOPE: Final = b"*"
"""The scope of a request that no client has sent (``epollo why``): each site takes it as its own."""


def select_host(request: Request) -> bytes:
    """Return the host that a request is for, in lower case and without a port (RFC 9110 section 7.2)."""
    host = request.target.authority or request.fields.get(b"host", b"")
    if not host.endswith(b"]"):
        name, colon, port = host.rpartition(b":")
        if colon and b"]" not in port:
            host = name
    return host.lower()


class Response:
    """What the site answers; shared by all requests that get the same answer.

    ``fields`` are complete except for those that belong to the connection (Date, Connection).
    ``content`` is what follows the head of an answer to anything but HEAD; ``length`` is its octets.
    ``basis`` is what it rests on: while that stands, the same request has the same response. None if
    it is to be made anew each time.
    """

    __slots__ = ("basis", "content", "fields", "length", "rendered", "status")

    def __init__(
        self,
        status: int,
        fields: tuple[FieldLine, ...] = (),
        content: tuple[Segment, ...] = (),
        *,
        basis: Basis | None = None,
        length: int | None = None,
    ) -> None:
        """``length`` need not be given; to count again makes another number, which is kept."""
        self.status = status
        self.fields = fields
        self.content = content
        if length is None:
            length = 0
            for segment in content:
                length += len(segment) if isinstance(segment, bytes) else segment.length
        self.length = length
        self.basis = basis
        self.rendered: bytes | None = None
        """A place for the protocol to keep its rendering of the fields."""

    def on(self, basis: Basis | None) -> "Response":
        """Return the same response on another basis."""
        other = Response(self.status, self.fields, self.content, basis=basis, length=self.length)
        other.rendered = self.rendered
        return other


class Later:
    """A response that has to wait for a result: of a thread, of another process, of more turns.

    ``begin`` is told the address of the client, and has `finish` called in the loop's thread. Then
    ``conclude`` makes the response of what stands at that moment, or has the client wait for something
    else. The address may decide how long a client waits, never what it is answered: an answer is
    recalled for all clients.
    """

    __slots__ = ("_before", "_begin", "conclude", "is_done", "is_wanted", "on_done")

    def __init__(
        self,
        begin: Callable[["Later", str], None],
        conclude: Callable[[], "Response | Later"],
        before: "Later | None" = None,
    ) -> None:
        """``before`` is another one, whose result this one waits for."""
        self._begin = begin
        self._before = before
        self.conclude: Callable[[], Response | Later] = conclude
        self.on_done: Callable[[], None] | None = None
        """Called by `finish`."""
        self.is_done = False
        self.is_wanted = True
        """Whether the client still waits."""

    def begin(self, address: str) -> None:
        """Begin to wait on behalf of an address, empty if it has none; it may be done at once."""
        self._begin(self, address)

    def finish(self) -> None:
        """Note that the result is there."""
        self.is_done = True
        if self.on_done is not None:
            self.on_done()

    def abandon(self) -> None:
        """Note that the client is gone."""
        self.is_wanted = False
        self.on_done = None
        if self._before is not None:
            self._before.abandon()


def alter(response: Response | Later, change: Callable[[Response], Response]) -> Response | Later:
    """Return a response with a change; if it is a `Later`, one whose response will have the change."""
    if not isinstance(response, Later):
        return change(response)
    before = response

    def begin(later: Later, address: str) -> None:
        before.begin(address)
        if before.is_done:
            later.finish()
        else:
            before.on_done = later.finish

    return Later(begin, lambda: alter(before.conclude(), change), before)
