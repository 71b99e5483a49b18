"""The last octets to a peer that gets no session, or speaks plain HTTP where TLS is spoken."""

import contextlib
from _socket import MSG_DONTWAIT

from epollo.connections.door import RECEIVE_OCTETS, Arrival
from epollo.connections.service import Service
from epollo.protocols.http1 import refuse, render_refusal
from epollo.protocols.tls import Alert, find_link, format_alert


def refuse_at_once(arrival: Arrival, octets: bytes) -> None:
    """Send last octets, without waiting for anything, and close."""
    # A socket that is closed with octets unread resets the connection (RFC 9112 section 9.6).
    with contextlib.suppress(OSError):
        arrival.transport.recv(RECEIVE_OCTETS, MSG_DONTWAIT)
    with contextlib.suppress(OSError):
        arrival.transport.send(octets, MSG_DONTWAIT)
    arrival.transport.close()


def format_refusal(service: Service, received: bytes, alert: Alert) -> bytes:
    """Return the alert for what is no ClientHello, or for plain HTTP an answer that leads to https."""
    link = find_link(received)
    if link is None:
        return format_alert(alert)
    answer = render_refusal(refuse(400, received), link=link)
    return b"".join(
        (service.frames.frame(answer), *(one for one in answer.rest if isinstance(one, bytes)))
    )
