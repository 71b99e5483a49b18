"""TLS as a worker has it: the certificates, the thread of handshakes, and how both are replaced.

Everything here needs the TLS library, and is imported only where TLS is spoken.
"""

from epollo.connections.door import Stage
from epollo.connections.handshakes import CallInLoop, Flights, Handshakes
from epollo.connections.service import Service
from epollo.transports.certificates import Certificates
from epollo.transports.pairs import Secrets


class Secure:
    """The certificates of a worker, and what uses them."""

    def __init__(self, service: Service, secrets: Secrets, call_in_loop: CallInLoop) -> None:
        """Raise `OperatorError` where a pair is not right."""
        self._service = service
        self._certificates = Certificates(*secrets)
        self._flights = Flights(call_in_loop)
        self._stages: list[Handshakes] = []

    def make_stage(self, then: Stage) -> Handshakes:
        """Return the stage of arrivals that speak TLS; ``then`` takes those on that are secured."""
        stage = Handshakes(self._service, self._certificates, self._flights, then)
        self._stages.append(stage)
        return stage

    def use(self, secrets: Secrets) -> None:
        """Use these secrets from the next handshake on."""
        self._certificates = Certificates(*secrets)
        for stage in self._stages:
            stage.certificates = self._certificates

    def close(self) -> None:
        """Begin no more handshakes."""
        self._flights.close()
