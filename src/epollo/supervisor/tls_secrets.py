"""What workers need to speak TLS, as the parent has it: watched files, an authority, a ticket key."""

import os
from collections.abc import Callable

from epollo.annotations import TYPE_CHECKING, Final
from epollo.loop import CallInLoop, EventLoop, Timer
from epollo.settings import Settings, select_clients
from epollo.transports.pairs import TICKET_KEY_OCTETS, Secrets

if TYPE_CHECKING:
    # A server without TLS needs nothing of the library.
    from epollo.acme.keeper import Keeper
    from epollo.transports.certificate_files import CertificateFiles

_TICKET_KEY_SECONDS: Final = 12 * 3600.0
"""A ticket is good for two hours (SSL_CTX_set_timeout(3)); one of a former key makes a full handshake."""


class TlsSecrets:
    """The secrets that settings ask for; ``change`` is called when they are others.

    It is given what to call when all workers use them, with what is to be added to a line that says so.
    ``ticket_key`` is that of the generation before, if there was one.
    """

    def __init__(
        self,
        settings: Settings,
        loop: EventLoop,
        call_in_loop: CallInLoop,
        report: Callable[[str], None],
        change: Callable[[Callable[[str], None]], None],
        *,
        ticket_key: bytes,
    ) -> None:
        """Raise `OperatorError` if a certificate is not right."""
        self._loop = loop
        self._library = settings.tls_library
        self._report = report
        self._change = change
        self._files: CertificateFiles | None = None
        self._keeper: Keeper | None = None
        self._rotation: Timer | None = None
        self.ticket_key = ticket_key
        if not (settings.tls_certificates or settings.acme):
            return
        from epollo.linux.libc import forbid_dumps  # noqa: PLC0415 - a server without TLS has none

        forbid_dumps()
        self.ticket_key = ticket_key or os.urandom(TICKET_KEY_OCTETS)
        self._await_rotation()
        if settings.acme:
            self._keeper = _make_keeper(settings, report, call_in_loop, change)
        ways, _ = select_clients(settings)
        if settings.tls_certificates or any(path for path, _ in ways):
            self._files = _open_files(settings, loop, report, self._on_files)

    @property
    def secrets(self) -> Secrets:
        """What a worker needs now."""
        held = Secrets(()) if self._files is None else self._files.secrets
        pairs = list(held.pairs)
        keeper = self._keeper
        if keeper is None:
            return Secrets(pairs, self.ticket_key, clients=held.clients)
        if keeper.pair is not None:
            pairs.append(keeper.pair)
        proofs = keeper.proofs
        return Secrets(pairs, self.ticket_key, proofs.tokens, proofs.pairs, held.clients)

    def begin(self) -> None:
        """Ask an authority from now on: the workers that answer its challenges serve."""
        if self._keeper is not None:
            self._keeper.begin()

    def close(self) -> None:
        """Watch nothing more, and ask for nothing."""
        if self._files is not None:
            self._files.close()
            self._files = None
        if self._keeper is not None:
            self._keeper.close()
        if self._rotation is not None:
            self._rotation.close()

    def _on_files(self, _: Secrets) -> None:
        # Here alone: a server without TLS needs nothing of the library.
        from epollo.transports.certificates import describe_swap  # noqa: PLC0415

        line = describe_swap(self._library, self.secrets.pairs)
        self._change(lambda addition: self._report(f"{line}{addition}"))

    def _rotate(self) -> None:
        """Protect the tickets of all workers by another key from now on."""
        self.ticket_key = os.urandom(TICKET_KEY_OCTETS)
        self._change(lambda _: None)
        self._await_rotation()

    def _await_rotation(self) -> None:
        self._rotation = self._loop.call_at(
            self._loop.clock.now + _TICKET_KEY_SECONDS, self._rotate
        )


def _make_keeper(
    settings: Settings,
    report: Callable[[str], None],
    call_in_loop: CallInLoop,
    change: Callable[[Callable[[str], None]], None],
) -> "Keeper":
    from epollo.acme.keeper import Keeper, select_acme  # noqa: PLC0415 - see above
    from epollo.transports.state_folder import find_state_folder  # noqa: PLC0415

    return Keeper(select_acme(settings), find_state_folder(), report, call_in_loop, change)


def _open_files(
    settings: Settings,
    loop: EventLoop,
    report: Callable[[str], None],
    use: Callable[[Secrets], None],
) -> "CertificateFiles":
    from epollo.transports.certificate_files import CertificateFiles  # noqa: PLC0415 - see above

    return CertificateFiles(
        settings.tls_certificates,
        settings.tls_keys,
        loop,
        report,
        use,
        clients=select_clients(settings)[0],
    )
