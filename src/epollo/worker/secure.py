"""TLS as a worker has it: the certificates, the thread of handshakes, and how both are replaced.

Everything here needs the TLS library, and is imported only where TLS is spoken.
"""

from collections.abc import Callable
from functools import partial

from epollo.connections import http1_stage
from epollo.connections.door import Stage
from epollo.connections.flights import Flights
from epollo.connections.handshakes import Handshakes
from epollo.connections.service import Service
from epollo.connections.session_terms import SessionOffer
from epollo.errors import OperatorError
from epollo.loop import CallInLoop, EventLoop
from epollo.settings import Settings, select_clients, select_hosts
from epollo.site.hosts import HostTable
from epollo.transports.certificate_files import CertificateFiles
from epollo.transports.certificates import (
    Certificates,
    SelectMaker,
    describe_swap,
    make_proof_context,
)
from epollo.transports.pairs import Secrets


class Secure:
    """The certificates of a worker, and what uses them.

    ``serves_plain_first`` is whether plain HTTP is served on the ports of TLS while there is no
    certificate. ``find_way`` returns the number of the way in which a client that asks for a name is
    verified. ``select_maker`` selects the library of sessions.
    """

    def __init__(
        self,
        service: Service,
        secrets: Secrets,
        call_in_loop: CallInLoop,
        *,
        serves_plain_first: bool,
        find_way: Callable[[bytes], int],
        select_maker: SelectMaker,
    ) -> None:
        """Raise `OperatorError` if a pair is not right."""
        self._service = service
        self._secrets = secrets
        self._serves_plain_first = serves_plain_first
        self._find_way = find_way
        self._select_maker = select_maker
        self._certificates = self._make_certificates(secrets)
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
        stage = Handshakes(self._service, self._make_offer(), self._flights, then)
        self._stages.append(stage)
        self._equip(stage)
        return stage

    def use(self, secrets: Secrets) -> None:
        """Use these secrets from the next handshake on."""
        former, self._secrets = self._secrets, secrets
        if (*secrets[:2], secrets.clients) != (*former[:2], former.clients):
            self._certificates = self._make_certificates(secrets)
        offer = self._make_offer()
        for stage in self._stages:
            stage.offer = offer
            self._equip(stage)
        if not former.pairs:
            # What was answered by plain HTTP is led to https from now on.
            self._service.forget()

    def watch_files(self, settings: Settings, loop: EventLoop) -> None:
        """Use what is written to the files of the certificates, where no parent reads them."""
        if not settings.tls_certificates:
            return

        def use(secrets: Secrets) -> None:
            self.use(secrets)
            loop.report(describe_swap(settings.tls_library, secrets.pairs))

        try:
            self._files = CertificateFiles(
                settings.tls_certificates,
                settings.tls_keys,
                loop,
                loop.report,
                use,
                clients=select_clients(settings)[0],
            )
        except OperatorError as mistake:
            # They were read before this process gave up rights.
            loop.report(f"new certificates are not noticed ({mistake}); with --workers they are")

    def close(self) -> None:
        """Begin no more handshakes."""
        self._flights.close()
        if self._files is not None:
            self._files.close()

    def _make_certificates(self, secrets: Secrets) -> list[Certificates]:
        """Return the certificates for each way in which clients are verified."""
        return [
            Certificates(secrets.pairs, secrets.ticket_key, one, select_maker=self._select_maker)
            for one in secrets.clients
        ]

    def _make_offer(self) -> SessionOffer:
        proofs = {
            name.encode(): make_proof_context(pair) for name, pair in self._secrets.proofs.items()
        }
        return SessionOffer(self._certificates, self._find_way, proofs)

    def _equip(self, stage: Handshakes) -> None:
        stage.plain = None
        if self._serves_plain_first and not self.is_ready:
            stage.plain = partial(http1_stage.serve, self._service)


def open_secure(
    settings: Settings,
    select_maker: SelectMaker,
    service: Service,
    secrets: Secrets,
    call_in_loop: CallInLoop,
) -> Secure:
    """Return what the settings ask for. Raises `OperatorError` if a pair is not right."""
    return Secure(
        service,
        secrets,
        call_in_loop,
        serves_plain_first=not settings.tls_port,
        find_way=make_finder(settings),
        select_maker=select_maker,
    )


def make_finder(settings: Settings) -> Callable[[bytes], int]:
    """Return what finds, by the name that a client asks for, the way in which it is verified.

    A client that asks for no name, or for one of no site, is verified for the site that answers for all
    others. If there is none, each of its requests is refused: it is asked for no certificate, if there
    is a way without one.
    """
    ways, of_sites = select_clients(settings)
    if len(ways) == 1:
        return lambda _: 0
    hosts = select_hosts(settings)
    table = HostTable(
        {one: way for (those, _), way in zip(hosts, of_sites, strict=True) for one in those}
    )
    others = ways.index(("", "")) if ("", "") in ways else 0
    for (_, is_default), way in zip(hosts, of_sites, strict=True):
        others = way if is_default else others

    def find(server_name: bytes) -> int:
        found = table.find(server_name)
        return others if found is None else found

    return find
