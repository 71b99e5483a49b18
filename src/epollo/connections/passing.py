"""The last stage of HTTP/1: a connection, or a known answer in passing to a peer that wants one only.

Nothing is waited for, so none is needed: half of the way of such a peer saved.
"""

from _socket import MSG_DONTWAIT
from typing import NamedTuple

from epollo.connections.door import Arrival
from epollo.connections.http1 import Http1Connection
from epollo.connections.service import Service
from epollo.protocols.answer import Answer


class Given(NamedTuple):
    """An answer of which the kernel has taken ``sent_octets`` of the ``octets``."""

    answer: Answer
    octets: bytes
    sent_octets: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is owed."""
        return self.sent_octets == len(self.octets)


def give_in_passing(service: Service, arrival: Arrival) -> Given | None:
    """Send the last answer to a peer if it is known, and close the transport where it was sent whole.

    None where it is not known, or the peer has to be served otherwise.
    """
    recall = service.recalls_at_once[arrival.kind.scheme]
    received = arrival.received
    if recall is None or service.is_draining or service.addresses is not None:
        return None
    answer = recall.known.get(received)
    if answer is None or answer.persists or answer.rest or not recall.is_true(answer):
        return None
    octets = service.frames[answer]
    try:
        given = Given(answer, octets, arrival.transport.send(octets, MSG_DONTWAIT))
    except OSError:
        return None
    if given.is_whole:
        arrival.transport.close()
        if service.log is not None:
            address = arrival.address if service.keeps_addresses else None
            now, subject = service.clock.now, arrival.kind.subject
            service.log.note(address or None, received, answer, answer.length, now, subject=subject)
    return given


def serve(service: Service, arrival: Arrival) -> None:
    """Serve a peer that was admitted: the last stage of a listener."""
    given = give_in_passing(service, arrival) if arrival.received else None
    if given is not None and given.is_whole:
        return
    connection = Http1Connection(service, arrival)
    try:
        if given is None:
            connection.on_accepted(arrival)
        else:
            connection.owe(given.answer, arrival.received, given.octets, given.sent_octets)
    except Exception as fault:
        service.loop.end_fault(connection, fault)
