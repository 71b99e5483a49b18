"""The last stage of HTTP/1: makes a connection, unless a peer wants one answer only and that is known.

Such a peer is sent the answer at once, and is closed. Nothing is waited for, so that no connection object
is needed: this saves half of the work for it.
"""

from _socket import MSG_DONTWAIT

from epollo.connections.door import Arrival
from epollo.connections.http1 import Http1Connection
from epollo.connections.service import Service
from epollo.protocols.answer import Answer
from epollo.transports import LAST


def serve(service: Service, arrival: Arrival) -> None:
    """Serve a peer that was admitted: the last stage of a listener."""
    # Unpacked: each name of a named tuple takes as long as a look-up.
    transport, descriptor, address, received, _, kind, is_watched = arrival
    answer = _find_last(service, kind.scope, received) if received else None
    octets = b""
    sent_octets = 0
    if answer is not None:
        octets = service.frames[answer]
        try:
            sent_octets = transport.send(octets, MSG_DONTWAIT | LAST)
        except OSError:
            # The connection will see for itself.
            answer = None
        else:
            if sent_octets == len(octets):
                if is_watched:
                    service.loop.remove(descriptor)
                transport.close()
                if service.log is not None:
                    known_address = address if service.keeps_addresses else ""
                    exchanges = ((received, answer),)
                    service.note(exchanges, service.clock.now, known_address or None, kind.subject)
                return
    connection = Http1Connection(service, arrival)
    try:
        if answer is None:
            connection.on_accepted(arrival)
        else:
            connection.owe(answer, received, octets, sent_octets)
    except Exception as fault:
        service.loop.end_fault(connection, fault)


def _find_last(service: Service, scope: bytes, octets: bytes) -> Answer | None:
    """Return the answer to the first octets of a peer if it is known, and the last one that it gets."""
    recall = service.recalls_at_once[scope]
    if recall is None or service.is_draining or service.addresses is not None:
        return None
    answer = recall.known.get(octets) or recall.at_hand.young.get(octets)
    if answer is None or answer.persists or answer.rest:
        return None
    is_trusted = answer.basis.checked_second == service.trusted_second
    return answer if is_trusted or recall.is_true(answer) else None
