"""The answers of HTTP/1 if there is no room, sent at once and without waiting, or after a fault."""

import contextlib
from _socket import MSG_DONTWAIT

from epollo.annotations import Final
from epollo.connections.door import RECEIVE_OCTETS, Arrival
from epollo.connections.service import Service
from epollo.http.caching import NO_CACHE_FIELD
from epollo.http.message import FieldLine, Response
from epollo.http.status import respond_plainly
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import refuse, render_refusal
from epollo.transports import Transport

RETRY_FIELDS: Final[tuple[FieldLine, ...]] = ((b"Retry-After", b"5"),)
"""Retry-After of an answer 503, in seconds (RFC 9110 section 10.2.3)."""
UNAVAILABLE: Final = respond_plainly(503, (NO_CACHE_FIELD, *RETRY_FIELDS))
"""The response if its making takes too long."""

_HANDSHAKE: Final = b"\x16\x03"
"""What a client that speaks TLS begins with (RFC 8446 section 5.1)."""


def warn_of_handshake(service: Service, received: bytes) -> None:
    """Tell the operator of a client that speaks TLS where HTTP is spoken."""
    if received.startswith(_HANDSHAKE):
        service.tell_of_handshake(
            "a client speaks TLS to a port of plain http (--tls-cert speaks https)"
        )


def turn_away(service: Service, arrival: Arrival) -> None:
    """Send the answer 503 and close, without waiting for anything."""
    received = arrival.received
    transport = arrival.transport
    # A socket that is closed with octets unread resets the connection (RFC 9112 section 9.6).
    with contextlib.suppress(OSError):
        received = received or transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
    send_last(service, transport, render_refusal(refuse(503, received), RETRY_FIELDS))
    transport.close()


def send_last(service: Service, transport: Transport, answer: Answer) -> None:
    """Send what the peer takes now of an answer after which its transport is closed."""
    with contextlib.suppress(OSError):
        transport.send(service.frames.frame(answer), MSG_DONTWAIT)


def respond_to_fault(fault: Exception) -> Response:
    """Return the answer where the site has failed."""
    # Memory may be free again in a moment; a bug does not go away.
    status, fields = (503, RETRY_FIELDS) if isinstance(fault, MemoryError) else (500, ())
    return respond_plainly(status, (NO_CACHE_FIELD, *fields))
