"""Connections that end after a number of requests, so that a peer is dealt anew to a worker."""

import _socket
from collections.abc import Sequence

from epollo.connections.answer import Answer, Exchange, end_answer
from epollo.connections.connection import Connection
from epollo.connections.service import Service


class CountedConnection(Connection):
    """A connection whose last answer says that it is the last (RFC 9112 section 9.6)."""

    __slots__ = ("_requests_left",)

    def __init__(
        self, service: Service, peer: _socket.socket, descriptor: int, address: str | None = None
    ) -> None:
        super().__init__(service, peer, descriptor, address)
        self._requests_left = service.capacity.requests

    def _send_answer(self, answer: Answer, head: bytes) -> None:
        self._requests_left -= 1
        super()._send_answer(answer if self._requests_left > 0 else end_answer(answer), head)

    def _send_answers(self, exchanges: Sequence[Exchange]) -> None:
        left = max(1, self._requests_left)
        self._requests_left -= len(exchanges)
        if self._requests_left <= 0:
            for _, answer in exchanges[left:]:
                answer.close()
            head, last = exchanges[left - 1]
            exchanges = [*exchanges[: left - 1], (head, end_answer(last))]
        super()._send_answers(exchanges)

    def _finish(self, unconfirmed_octets: int = 0) -> None:
        if self._requests_left <= 0:
            # The end is our wish, and the peer may have sent another request already.
            self._linger(unconfirmed_octets)
        else:
            super()._finish(unconfirmed_octets)
