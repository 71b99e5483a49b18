"""One process that serves: joins a loop, sites and the listening sockets, and lets go of them again."""

import gc
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from epollo.budget import Budget
from epollo.coder.client import SharedCompressor
from epollo.connections.contract import AccessLog
from epollo.connections.door import claim_descriptors
from epollo.connections.networks import parse_networks
from epollo.linux.confinement import filter_calls
from epollo.linux.libc import forbid_dumps
from epollo.linux.systemd import notify_stopping
from epollo.loop import CallInLoop, EventLoop, Wakeup
from epollo.pollers import open_poller
from epollo.settings import Settings, select_sites
from epollo.site.mounts import Mounts
from epollo.terminal import (
    attend_streams,
)
from epollo.transports.pairs import Secrets
from epollo.worker.access import Access
from epollo.worker.changes import Changes
from epollo.worker.coding import open_compressor
from epollo.worker.compose import (
    confine_to,
    make_service,
    select_responder,
    select_sandbox,
)
from epollo.worker.drain import Drain
from epollo.worker.listeners import Listeners
from epollo.worker.orders import (
    LEAVING,
    ROOT_REPLACED,
    Orders,
)
from epollo.worker.sites import Sites
from epollo.worker.tls_ports import is_secure

if TYPE_CHECKING:
    # A server without TLS needs nothing of the library.
    from epollo.connections.service import Service
    from epollo.worker.secure import Secure

# Requests leave nothing behind that only a collection could find. One of twice as many new objects took
# 1.2 milliseconds. One of all that is kept of a hundred thousand files takes a second, and never comes.
_COLLECTION_THRESHOLD: Final = 5_000
_NO_COLLECTION_OF_ALL: Final = 1_000_000_000

_NO_SUCCESSOR: Final = (
    "another program can take over only where there are --workers; this one serves on"
)


class Worker:
    """A server in one process and one thread.

    It is made in one sequence, for its order counts: what is wrong with settings is known first; modules
    are loaded before files cannot be read; all that is opened for writing, bound or listened on comes
    before system calls are filtered.

    ``supervisor`` is the way to the parent that replaces this worker when it cannot serve on; None
    where there is none. ``mounts`` tells of mounts, and is opened by the caller, before the worker gives
    up its rights. ``place`` is this worker's among those that serve the same.
    """

    def __init__(
        self,
        settings: Settings,
        listening: Sequence[socket.socket],
        report: Callable[[str], None],
        log: AccessLog | None,
        supervisor: Orders | None = None,
        *,
        mounts: Mounts | None = None,
        secrets: Secrets = Secrets(()),  # noqa: B008 - it is immutable
        place: int = 0,
    ) -> None:
        """Raise `OperatorError` where the settings ask for what cannot be had."""
        # Looked at in any case: what is wrong there is to be known before it is needed.
        proxies = parse_networks(settings.proxies)
        connections_limit = claim_descriptors()
        # A module cannot be read in the sandbox.
        open_secure = _load_secure() if is_secure(settings) else None
        self._settings = settings
        self._report = report
        self._supervisor = supervisor
        opened = open_poller(settings.poller)
        self.poller_name = opened.name
        self._loop = EventLoop(opened, report)
        self._wakeup = Wakeup(self._loop)
        self._access = Access(
            select_sites(settings),
            self._loop,
            self._wakeup.call,
            report,
            None if supervisor is None else supervisor.ask_for_passwords,
        )
        sandbox = select_sandbox(settings, is_replaceable=supervisor is not None)
        in_force = [confine_to(settings, sandbox)]
        attend_streams(self._loop)
        budget = Budget(settings.cache_octets)
        self._compressor = open_compressor(
            settings, self._loop, self._wakeup.call, report, supervisor=supervisor, sandbox=sandbox
        )
        self._sites = Sites(
            settings,
            self._loop,
            call_in_loop=self._wakeup.call,
            report=report,
            on_root_out_of_reach=self._on_root_out_of_reach,
            access=self._access,
            budget=budget,
            tells_mistakes=place == 0,
            compressor=self._compressor,
        )
        self._changes = Changes(self._loop, self._sites, mounts)
        self._service = make_service(
            settings,
            self._loop,
            select_responder(settings, self._sites.respond, lambda: self._secure),
            report,
            log,
            budget=budget,
            relevant_fields=self._sites.relevant_fields,
            needs_addresses=self._access.needs_addresses,
            proxies=proxies,
            look_for_changes=self._changes.look,
            connections_limit=connections_limit,
        )
        self._drain = Drain(
            self._loop,
            self._service,
            settings.grace_seconds,
            report if supervisor is None else None,
        )
        self._sites.follow_rules(self._service)
        if log is not None:
            log.begin(self._loop)
        self._handle_signals(supervisor)
        self._changes.begin(self._service)
        self._secure: Secure | None = None
        if open_secure is not None:
            self._secure = open_secure(settings, self._service, secrets, self._wakeup.call)
        make_handshakes = None if self._secure is None else self._secure.make_stage
        self._listeners = Listeners(settings, self._service, proxies, make_handshakes)
        self._listeners.listen(listening)
        # Last: from here on nothing is opened for writing, bound, connected or listened on.
        in_force.append(filter_calls(sandbox))
        self.sandbox = "; ".join(filter(None, in_force))

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP; then finish what is under way, within the grace."""
        gc.set_threshold(_COLLECTION_THRESHOLD, _NO_COLLECTION_OF_ALL)
        try:
            self._loop.run()
            self._listeners.close()
            self._drain.finish()
        finally:
            self._close()

    def retire(self) -> None:
        """Finish with every peer in its own time: others serve from now on."""
        self._drain.retire()

    def stop(self) -> None:
        """Finish what is under way, within the grace."""
        self._drain.stop()

    def stop_at_once(self) -> None:
        """Finish nothing."""
        self._drain.stop_at_once()

    def cover(self, listening: Sequence[socket.socket]) -> None:
        """Accept from these too, as long as no other worker does, and no more from those of last time."""
        if self._drain.is_begun:
            for one in listening:
                one.close()
        else:
            self._listeners.cover(listening)

    def reopen_log(self) -> None:
        """Write the access log to another file of the same name from now on."""
        if self._service.log is not None:
            self._service.log.reopen()

    def use_secrets(self, secrets: Secrets) -> None:
        """Use these certificates from the next handshake on."""
        if self._secure is not None:
            self._secure.use(secrets)

    def watch_certificates(self) -> None:
        """Use what is written to the files of the certificates, where no parent reads them."""
        if self._secure is not None:
            self._secure.watch_files(self._settings, self._loop, self._report)

    def take_passwords(self, number: int, octets: bytes | None) -> None:
        """Take what the password file of a site holds; None where it cannot be read."""
        self._access.take_passwords(number, octets)

    def use_coder(self, descriptor: int | None) -> None:
        """Have codings made at the other end of this socket; None where none are made there."""
        if isinstance(self._compressor, SharedCompressor):
            self._compressor.use(descriptor)

    def _handle_signals(self, supervisor: Orders | None) -> None:
        """From here on a signal is not lost: it waits for the loop."""
        on_signal = self._wakeup.on_signal
        if supervisor is not None:
            on_signal(signal.SIGTERM, self._ask_to_leave)
            supervisor.begin(self, self._loop)
            return
        on_signal(signal.SIGTERM, self._on_stop)
        on_signal(signal.SIGINT, self._on_stop)
        on_signal(signal.SIGUSR1, self.reopen_log)
        on_signal(signal.SIGUSR2, lambda: self._report(_NO_SUCCESSOR))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Its terminal is gone; where nohup(1) had this process ignore that, it serves on.
            on_signal(signal.SIGHUP, self._on_stop)

    def _on_stop(self) -> None:
        """Begin to stop; being asked for a second time, stop at once."""
        if self._drain.is_begun:
            self.stop_at_once()
        else:
            notify_stopping()
            self.stop()

    def _ask_to_leave(self) -> None:
        """Let another take this place; it may be that all are to stop, which the supervisor knows."""
        self._say(LEAVING)

    def _on_root_out_of_reach(self, reason: str, is_news: bool) -> None:
        """Ask for a worker that may read what stands where the root was; else say that there is none."""
        self._say(ROOT_REPLACED)
        if self._supervisor is None and is_news:
            self._report(f"the folder was replaced: {reason}; the former folder is still served")

    def _say(self, message: bytes) -> None:
        if self._supervisor is not None:
            self._supervisor.say(message)

    def _close(self) -> None:
        self._listeners.close()
        for peer in list(self._service.peers):
            peer.close()
        self._sites.stop_compressing()
        if self._service.log is not None:
            self._service.log.close()
        if self._secure is not None:
            self._secure.close()
        attend_streams(None)
        # It runs still where a bug has ended it.
        self._loop.stop()
        self._access.close()
        self._wakeup.close(gives_back=False)
        self._loop.close()
        self._sites.close()
        self._changes.close()
        if self._supervisor is not None:
            self._supervisor.close()


def _load_secure() -> "Callable[[Settings, Service, Secrets, CallInLoop], Secure]":
    """Load what speaks TLS, whose secrets are never to stand in a file; others do without the library."""
    from epollo.worker.secure import open_secure  # noqa: PLC0415

    forbid_dumps()
    return open_secure
