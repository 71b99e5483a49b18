"""A generation: workers of the same settings, the sockets that they share, and their certificates."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from epollo.linux.libc import forbid_dumps
from epollo.loop import EventLoop, Timer
from epollo.settings import Settings
from epollo.supervisor.listening_sockets import Listening, count_workers, share_sockets
from epollo.supervisor.worker_process import WorkerProcess
from epollo.transports.pairs import TICKET_KEY_OCTETS, Pair, Secrets
from epollo.worker.orders import SECRETS, dump_secrets, write_orders

_TICKET_KEY_SECONDS: Final = 12 * 3600.0
"""A ticket is good for two hours (SSL_CTX_set_timeout(3)); one of a former key makes a full handshake."""

if TYPE_CHECKING:
    # A server without TLS needs nothing of the library.
    from epollo.transports.certificate_files import CertificateFiles


class Generation:
    """Workers of the same settings, and the sockets that they share."""

    def __init__(self, settings: Settings, listening: Listening) -> None:
        self.settings = settings
        self.listening = listening
        self.workers: list[WorkerProcess] = []
        self.places = range(count_workers(settings))
        self.certificates: CertificateFiles | None = None
        self.ticket_key = b""
        """What tickets are protected by; that of the generation before, if there was one."""
        self._rotation: Timer | None = None

    def sockets_of(self, place: int) -> list[socket.socket]:
        """Return the sockets of one place."""
        return share_sockets(self.listening.sockets, place, len(self.places))

    def open_certificates(self, loop: EventLoop, report: Callable[[str], None]) -> None:
        """Read the certificates, and have the workers use what is written there later.

        Raises `OperatorError` where they are not right.
        """
        if self.settings.tls_certificates:
            # Here alone: a server without TLS needs nothing of the library.
            from epollo.transports.certificate_files import CertificateFiles  # noqa: PLC0415

            forbid_dumps()
            self._loop = loop
            self.ticket_key = self.ticket_key or os.urandom(TICKET_KEY_OCTETS)
            self._await_rotation()
            self.certificates = CertificateFiles(
                self.settings.tls_certificates,
                self.settings.tls_keys,
                loop,
                report,
                self._use_certificates,
            )

    @property
    def secrets(self) -> Secrets:
        """What a worker needs to speak TLS; nothing where none is spoken."""
        return (
            Secrets(())
            if self.certificates is None
            else self._make_secrets(self.certificates.pairs)
        )

    def close_certificates(self) -> None:
        """Read no more of them."""
        if self.certificates is not None:
            self.certificates.close()
            self.certificates = None
        if self._rotation is not None:
            self._rotation.close()

    def _rotate(self) -> None:
        """Protect the tickets of all workers by another key from now on."""
        self.ticket_key = os.urandom(TICKET_KEY_OCTETS)
        if self.certificates is not None:
            self._use_certificates(self.certificates.pairs)
        self._await_rotation()

    def _await_rotation(self) -> None:
        loop = self._loop
        self._rotation = loop.call_at(loop.clock.now + _TICKET_KEY_SECONDS, self._rotate)

    def _make_secrets(self, pairs: Sequence[Pair]) -> Secrets:
        return Secrets(pairs, self.ticket_key)

    def _use_certificates(self, pairs: Sequence[Pair]) -> None:
        descriptor = write_orders(dump_secrets(self._make_secrets(pairs)))
        for worker in self.workers:
            worker.tell(SECRETS, [descriptor])
        os.close(descriptor)
