"""A generation: workers of the same settings, the sockets that they share, and their certificates."""

import os
import socket
from collections.abc import Callable
from functools import partial

from epollo.annotations import Final
from epollo.coder.supply import CoderSupply
from epollo.loop import EventLoop
from epollo.settings import Settings, select_sites
from epollo.supervisor.deliveries import Deliveries, describe_late
from epollo.supervisor.listening_sockets import Listening, count_workers, share_sockets
from epollo.supervisor.tls_secrets import TlsSecrets
from epollo.supervisor.worker_process import WorkerProcess
from epollo.transports.pairs import Secrets
from epollo.worker.orders import COVER, SECRETS, dump_secrets, write_orders

_AGAIN_SECONDS: Final = 1.0


class Generation:
    """Workers of the same settings, and the sockets that they share."""

    def __init__(self, settings: Settings, listening: Listening) -> None:
        self.settings = settings
        self.listening = listening
        self.workers: list[WorkerProcess] = []
        self.places = range(count_workers(settings))
        self.tls: TlsSecrets | None = None
        self.deliveries: Deliveries | None = None
        """What its workers were told and have not confirmed."""
        self.coders: CoderSupply | None = None
        """Starts the coder of this generation alone, which runs the code that its workers run."""

    def sockets_of(self, place: int) -> list[socket.socket]:
        """Return the sockets of one place."""
        return share_sockets(self.listening.sockets, place, len(self.places))

    def open(
        self,
        loop: EventLoop,
        call_in_loop: Callable[[Callable[[], None]], None],
        report: Callable[[str], None],
        former: "Generation",
    ) -> None:
        """Have what workers need; they share the ticket key of the generation before.

        Raises `OperatorError` if a certificate is not right.
        """
        ticket_key = b"" if former.tls is None else former.tls.ticket_key
        settings = self.settings
        deliveries = self.deliveries = Deliveries(loop)
        if any(site.compress for site in select_sites(settings)):
            self.coders = CoderSupply(loop, report, settings.sandbox, settings.user)
        self.tls = TlsSecrets(
            settings,
            loop,
            call_in_loop,
            report,
            partial(self._send_secrets, loop, deliveries),
            ticket_key=ticket_key,
        )

    def list_ready(self) -> list[WorkerProcess]:
        """Return the workers that serve."""
        return [worker for worker in self.workers if worker.is_ready]

    def cover(self) -> None:
        """Have the workers that serve accept also for an empty place until the next worker serves."""
        serving = self.list_ready()
        vacant = set(self.places) - {worker.place for worker in serving}
        waiting = [one for place in vacant for one in self.sockets_of(place)]
        for worker in serving:
            own = self.sockets_of(worker.place)
            worker.tell(COVER, [one.fileno() for one in waiting if one not in own])

    @property
    def secrets(self) -> Secrets:
        """What a worker needs to speak TLS; nothing if none is spoken."""
        return Secrets(()) if self.tls is None else self.tls.secrets

    def close(self) -> None:
        """Ask for nothing more for its workers, which finish."""
        if self.tls is not None:
            self.tls.close()
        if self.coders is not None:
            self.coders.close()

    def _send_secrets(
        self, loop: EventLoop, deliveries: Deliveries, then: Callable[[str], None]
    ) -> None:
        """Have the workers use what is held now.

        ``then`` is called when they do, with what is to be added to a line that says so.
        """
        number = deliveries.take_number()
        try:
            descriptor = write_orders(dump_secrets(self.secrets, number))
        except OSError:
            # The system has no descriptor or no memory now.
            again = partial(self._send_secrets, loop, deliveries, then)
            loop.call_at(loop.clock.now + _AGAIN_SECONDS, again)
            return
        for worker in self.workers:
            worker.tell(SECRETS, [descriptor])
        os.close(descriptor)
        deliveries.begin(number, self.workers, lambda late: then(describe_late(late)))
