"""What a connection needs of a protocol: bytes in, queries out; answers in, framed bytes out.

A protocol does no input or output and knows no clock (*sans-IO*), and all that changes its state is
in it.
"""

from collections.abc import Sequence

from epollo.annotations import Protocol, TypeVar
from epollo.http.message import Request, Response, Segment
from epollo.named_tuples import NamedTuple
from epollo.protocols.answer import Answer


class Refusal(NamedTuple):
    """Octets that are no valid request: the status to answer with before the connection is closed.

    ``is_head`` is whether they ask by HEAD, so that no content may follow the answer (RFC 9110
    section 9.3.2). ``reason`` is for the operator.
    """

    status: int
    is_head: bool = False
    reason: str = ""


Query = TypeVar("Query")
"""What asks for an answer, as a protocol calls it: it hands queries out and takes them back."""


class Machine(Protocol[Query]):
    """One connection's state in a protocol."""

    @property
    def is_between(self) -> bool:
        """Whether no part of a request is here, and no content of the last one is missing."""

    def receive(self, octets: bytes, /) -> None:
        """Receive what the peer sent."""

    def next(self) -> Query | Refusal | None:
        """Return the next query or refusal; None if more octets are needed."""

    def reduce(self, query: Query, /) -> bytes | Refusal:
        """Return the part of a query on which an answer may depend: equal keys have equal answers."""

    def read(self, query: Query, key: bytes, /) -> Request | Refusal | None:
        """Return the request of a query that was reduced to ``key``.

        None if its content has to be read past first: a later `next` returns the query again.
        """

    def render(self, request: Request, response: Response, /, *, may_persist: bool) -> Answer:
        """Return the answer that a response is to the request that was read last."""

    def refuse(self, refusal: Refusal, /) -> Answer:
        """Return the last answer to a peer whose octets make no request."""

    def answer(self, query: Query, answer: Answer, date: bytes, /) -> Sequence[Segment]:
        """Return an answer to a query as it is sent, with this value of Date."""

    def describe(self, query: Query, /) -> bytes:
        """Return for the log what was asked, as the head of an HTTP/1 request."""
