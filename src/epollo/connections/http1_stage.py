"""The last stage of HTTP/1: makes a connection, unless a peer wants one answer only and that is known.

Such a peer is sent the answer at once, and is closed. It waits for nothing, so it needs no connection
object, which saves half of the work. If no other stage stands before this one, the listener itself asks
for the answer before it makes an `Arrival` (`LastAnswers`), which saves a tenth of the rest.
"""

from _socket import MSG_DONTWAIT

from epollo.annotations import Final
from epollo.connections.door import Arrival
from epollo.connections.http1 import Http1Connection
from epollo.connections.service import Service
from epollo.protocols.answer import Answer
from epollo.transports import LAST, Kind, Transport

_SEND_LAST: Final = MSG_DONTWAIT | LAST


def serve(service: Service, arrival: Arrival) -> None:
    """Serve a peer that was admitted: the last stage of a listener."""
    # Unpacked: each name of a named tuple takes as long as a look-up.
    transport, descriptor, address, received, is_reported, kind, is_watched = arrival
    if received:
        recall = service.recalls_at_once[kind.scope]
        answer = None if recall is None else recall.at_hand.young.get(received)
        # Most of what is known asks for a connection that persists, as this look-up tells at once.
        if answer is None or not answer.persists:
            answers = LastAnswers(service, kind, is_watched=is_watched)
            if answers.give(transport, descriptor, address, received):
                return
    Http1Connection(service, arrival).on_accepted(received, is_reported)


def begin(service: Service, arrival: Arrival) -> None:
    """Serve a peer that was admitted, where one known answer is certainly not enough."""
    Http1Connection(service, arrival).on_accepted(arrival.received, arrival.is_reported)


class LastAnswers:
    """Gives peers of one kind the only answer that they want, if it is known.

    They need not pass the door below the limit of connections, for there is room for one that does not
    take all at once. ``is_watched`` is whether the loop watches them.
    """

    __slots__ = ("_is_watched", "_kind", "_limit", "_recall", "_service")

    def __init__(self, service: Service, kind: Kind, *, is_watched: bool = False) -> None:
        self._service = service
        self._kind = kind
        self._is_watched = is_watched
        self._limit = service.capacity.connections
        # If connections are counted by address, each of these peers is counted, too.
        self._recall = service.recalls_at_once[kind.scope] if service.addresses is None else None

    def give(self, transport: Transport, descriptor: int, address: str, received: bytes) -> bool:
        """Answer the first octets of a peer if their answer is known, and is the only one that it wants.

        Return whether that was done. Changes have to be looked for after these octets were received.
        """
        recall, service = self._recall, self._service
        if recall is None or service.is_draining or len(service.peers) >= self._limit:
            return False
        answer = recall.known.get(received) or recall.at_hand.young.get(received)
        if answer is None or answer.persists or answer.rest:
            return False
        if answer.basis.checked_second != service.trusted_second and not recall.is_true(answer):
            return False
        octets = answer.framed
        if octets is None:
            octets = service.frames.frame(answer)
        try:
            sent_octets = transport.send(octets, _SEND_LAST)
        except OSError:
            # The connection will see for itself.
            return False
        if sent_octets != len(octets):
            arrival = Arrival(
                transport,
                descriptor,
                address,
                received,
                kind=self._kind,
                is_watched=self._is_watched,
            )
            _owe(service, arrival, answer, octets, sent_octets)
            return True
        if self._is_watched:
            service.loop.remove(descriptor)
        transport.close()
        if service.log is not None:
            known_address = address if service.keeps_addresses else ""
            exchanges = ((received, answer),)
            service.note(exchanges, service.clock.now, known_address or None, self._kind.subject)
        return True


def _owe(
    service: Service, arrival: Arrival, answer: Answer, octets: bytes, sent_octets: int
) -> None:
    """Make a connection for a peer that has not taken all of its only answer."""
    connection = Http1Connection(service, arrival)
    try:
        connection.owe(answer, arrival.received, octets, sent_octets)
    except Exception as fault:
        service.loop.end_fault(connection, fault)
