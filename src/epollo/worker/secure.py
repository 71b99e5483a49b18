"""TLS as a worker has it: the certificates, the thread of handshakes, and how both are replaced.

Everything here needs the TLS library, and is imported only where TLS is spoken.
"""

from collections.abc import Callable
from functools import partial

from epollo.connections import passing
from epollo.connections.door import Stage
from epollo.connections.handshakes import Flights, Handshakes
from epollo.connections.service import Service
from epollo.errors import OperatorError
from epollo.loop import CallInLoop, EventLoop
from epollo.settings import Settings
from epollo.transports.certificate_files import CertificateFiles
from epollo.transports.certificates import Certificates, make_proof_context
from epollo.transports.pairs import Secrets


class Secure:
    """The certificates of a worker, and what uses them.

    ``serves_plain_first`` is whether plain HTTP is served on the ports of TLS while there is no
    certificate.
    """

    def __init__(
        self,
        service: Service,
        secrets: Secrets,
        call_in_loop: CallInLoop,
        *,
        serves_plain_first: bool,
    ) -> None:
        """Raise `OperatorError` where a pair is not right."""
        self._service = service
        self._secrets = secrets
        self._serves_plain_first = serves_plain_first
        self._certificates = _make_certificates(secrets)
        self._flights = Flights(call_in_loop)
        self._stages: list[Handshakes] = []
        self._files: CertificateFiles | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a certificate."""
        return bool(self._secrets.pairs)

    def find_token(self, token: str) -> str | None:
        """Return what a token of an authority is answered with; None for any other."""
        return self._secrets.tokens.get(token)

    def make_stage(self, then: Stage) -> Handshakes:
        """Return the stage of arrivals that speak TLS; ``then`` takes those on that are secured."""
        stage = Handshakes(self._service, self._certificates, self._flights, then)
        self._stages.append(stage)
        self._equip(stage)
        return stage

    def use(self, secrets: Secrets) -> None:
        """Use these secrets from the next handshake on."""
        former, self._secrets = self._secrets, secrets
        if (*secrets[:2], secrets.clients) != (*former[:2], former.clients):
            self._certificates = _make_certificates(secrets)
        for stage in self._stages:
            self._equip(stage)
        if not former.pairs:
            # What was answered by plain HTTP is led to https from now on.
            self._service.forget()

    def watch_files(
        self, settings: Settings, loop: EventLoop, report: Callable[[str], None]
    ) -> None:
        """Use what is written to the files of the certificates, where no parent reads them."""
        if not settings.tls_certificates:
            return
        try:
            self._files = CertificateFiles(
                settings.tls_certificates,
                settings.tls_keys,
                loop,
                report,
                self.use,
                client_ca=settings.tls_client_ca,
                client_mode=settings.tls_client_auth,
            )
        except OperatorError as mistake:
            # They were read before this process gave up rights.
            report(f"new certificates are not noticed ({mistake}); with --workers they are")

    def close(self) -> None:
        """Begin no more handshakes."""
        self._flights.close()
        if self._files is not None:
            self._files.close()

    def _equip(self, stage: Handshakes) -> None:
        stage.certificates = self._certificates
        stage.proofs = {
            name.encode(): make_proof_context(pair) for name, pair in self._secrets.proofs.items()
        }
        stage.plain = None
        if self._serves_plain_first and not self.is_ready:
            stage.plain = partial(passing.serve, self._service)


def _make_certificates(secrets: Secrets) -> Certificates:
    return Certificates(secrets.pairs, secrets.ticket_key, secrets.clients)
