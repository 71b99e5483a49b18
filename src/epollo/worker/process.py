"""One process that serves: opens a loop, sites and listeners, serves, and closes them again."""

import gc
import socket
from collections.abc import Callable, Sequence
from functools import partial

from epollo.annotations import TYPE_CHECKING, Final
from epollo.budget import Budget
from epollo.coder.client import SharedCompressor
from epollo.connections.contract import AccessLog
from epollo.connections.door import claim_descriptors
from epollo.loop import CallInLoop, EventLoop, Wakeup
from epollo.pollers import open_poller
from epollo.settings import Settings, select_sites
from epollo.site.mounts import Mounts
from epollo.terminal import attend_streams
from epollo.transports.pairs import Secrets
from epollo.worker.access import Access
from epollo.worker.changes import Changes
from epollo.worker.coding import open_compressor
from epollo.worker.compose import (
    confine_to,
    filter_calls_of,
    load_hosts,
    make_service,
    select_responder,
    select_sandbox,
)
from epollo.worker.drain import Drain
from epollo.worker.listeners import Listeners
from epollo.worker.orders import ROOT_REPLACED, Orders
from epollo.worker.signals import handle_signals, leave_signals
from epollo.worker.sites import Sites
from epollo.worker.tls_ports import is_secure

if TYPE_CHECKING:
    # A server without TLS needs nothing of the library.
    from epollo.connections.service import Service
    from epollo.worker.proxies import TrustedProxies
    from epollo.worker.secure import Secure

# Requests leave nothing behind that only a collection could find. One of twice as many new objects took
# 1.2 milliseconds. One of all that is kept of a hundred thousand files takes a second, and never comes.
_COLLECTION_THRESHOLD: Final = 5_000
_NO_COLLECTION_OF_ALL: Final = 1_000_000_000


class Worker:
    """A server in one process and one thread.

    It is made in one sequence, because the order counts. First, mistakes in settings are found. Modules
    are loaded before files can no longer be read. All that is opened for writing, bound or listened on
    comes before system calls are filtered.

    ``supervisor`` is the way to the parent that replaces this worker when it cannot serve on; None
    if there is none. ``mounts`` tells of mounts, and is opened by the caller, before the worker gives
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
        """Raise `OperatorError` if the settings ask for what cannot be had."""
        connections_limit = claim_descriptors()
        # A module cannot be read in the sandbox.
        load_hosts(settings)
        proxies = _load_proxies(settings)
        open_secure = _load_secure(settings) if is_secure(settings) else None
        self._settings = settings
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
        self._open_sites(sandbox, is_first=place == 0)
        self._changes = Changes(self._loop, self._sites, mounts)
        self._open_service(log, proxies, connections_limit)
        is_asked = supervisor is not None
        self._drain = Drain(
            self._loop, self._service, settings.grace_seconds, None if is_asked else report
        )
        # From here on a signal is not lost: it waits for the loop.
        if supervisor is None:
            handle_signals(self, self._wakeup, report)
        else:
            leave_signals(self._wakeup, supervisor)
            supervisor.begin(self, self._loop)
        self._changes.begin(self._service)
        self._secure: Secure | None = None
        if open_secure is not None:
            self._secure = open_secure(self._service, secrets, self._wakeup.call)
        make_handshakes = None if self._secure is None else self._secure.make_stage
        self._listeners = Listeners(settings, self._service, proxies, make_handshakes)
        self._listeners.listen(listening)
        # Last: from here on nothing is opened for writing, bound, connected or listened on.
        in_force.append(filter_calls_of(sandbox))
        self.sandbox = "; ".join(filter(None, in_force))

    def _open_sites(self, sandbox: str, *, is_first: bool) -> None:
        """Open what is served; only the first of several workers tells of mistakes in rules."""
        self._budget = Budget(self._settings.cache_octets)
        self._compressor = open_compressor(
            self._settings,
            self._loop,
            self._wakeup.call,
            supervisor=self._supervisor,
            sandbox=sandbox,
        )
        self._sites = Sites(
            self._settings,
            self._loop,
            self._wakeup.call,
            on_root_out_of_reach=self._on_root_out_of_reach,
            access=self._access,
            budget=self._budget,
            tells_mistakes=is_first,
            compressor=self._compressor,
        )

    def _open_service(
        self, log: AccessLog | None, proxies: "TrustedProxies | None", connections_limit: int
    ) -> None:
        """Have what connections share, and the log."""
        self._service = make_service(
            self._settings,
            self._loop,
            select_responder(self._settings, self._sites.respond, lambda: self._secure),
            log,
            budget=self._budget,
            relevant_fields=self._sites.relevant_fields,
            needs_addresses=self._access.needs_addresses,
            proxies=proxies,
            look_for_changes=self._changes.look,
            connections_limit=connections_limit,
        )
        self._sites.follow_rules(self._service)
        if log is not None:
            log.begin(self._loop)

    @property
    def is_ending(self) -> bool:
        """Whether it was asked to stop, or to finish."""
        return self._drain.is_begun

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP; then finish what is under way, within the grace."""
        gc.set_threshold(_COLLECTION_THRESHOLD, _NO_COLLECTION_OF_ALL)
        # What a start has made stays.
        gc.freeze()
        gc.enable()
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
        if self.is_ending:
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
            self._secure.watch_files(self._settings, self._loop)

    def take_passwords(self, number: int, octets: bytes | None) -> None:
        """Take what the password file of a site holds; None if it cannot be read."""
        self._access.take_passwords(number, octets)

    def use_coder(self, descriptor: int | None) -> None:
        """Have codings made at the other end of this socket; None if none are made there."""
        if isinstance(self._compressor, SharedCompressor):
            self._compressor.use(descriptor)

    def _on_root_out_of_reach(self, reason: str, is_news: bool) -> None:
        """Ask for a worker that may read what stands where the root was; else say that there is none."""
        if self._supervisor is not None:
            self._supervisor.say(ROOT_REPLACED)
        elif is_news:
            self._loop.report(
                f"the folder was replaced: {reason}; the former folder is still served"
            )

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


def _load_secure(settings: Settings) -> "Callable[[Service, Secrets, CallInLoop], Secure]":
    """Load what speaks TLS, whose secrets are never to stand in a file; others do without the library.

    Raises `OperatorError` if the library is not installed.
    """
    from epollo.linux.libc import forbid_dumps  # noqa: PLC0415
    from epollo.transports.certificates import load_library  # noqa: PLC0415
    from epollo.worker.secure import open_secure  # noqa: PLC0415

    forbid_dumps()
    return partial(open_secure, settings, load_library(settings.tls_library))


def _load_proxies(settings: Settings) -> "TrustedProxies | None":
    """Load what a server has that is behind a proxy; None for any other."""
    if not settings.has_proxy_protocol and settings.forwarded == "off":
        return None
    from epollo.worker.proxies import TrustedProxies  # noqa: PLC0415

    return TrustedProxies(settings)
