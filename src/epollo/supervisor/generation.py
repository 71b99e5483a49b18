"""A generation: workers of the same settings, the sockets that they share, and their certificates."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from epollo.linux.libc import forbid_dumps
from epollo.loop import EventLoop
from epollo.settings import Settings
from epollo.supervisor.listening_sockets import Listening, count_workers, share_sockets
from epollo.supervisor.worker_process import WorkerProcess
from epollo.transports.pairs import Pair
from epollo.worker.orders import CERTIFICATES, dump_pairs, write_orders

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
            self.certificates = CertificateFiles(
                self.settings.tls_certificates,
                self.settings.tls_keys,
                loop,
                report,
                self._use_certificates,
            )

    def close_certificates(self) -> None:
        """Read no more of them."""
        if self.certificates is not None:
            self.certificates.close()
            self.certificates = None

    def _use_certificates(self, pairs: Sequence[Pair]) -> None:
        descriptor = write_orders(dump_pairs(pairs))
        for worker in self.workers:
            worker.tell(CERTIFICATES, [descriptor])
        os.close(descriptor)
