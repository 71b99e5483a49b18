"""From settings to a server that runs until a signal says to stop: a process, or a parent of workers."""

import socket
import sys
from collections.abc import Callable

from epollo.access_log.destination import STDOUT
from epollo.annotations import TYPE_CHECKING
from epollo.checks import is_within_reach
from epollo.errors import OperatorError
from epollo.linux.systemd import keep_manager, notify_ready, take_passed_descriptors
from epollo.settings import Settings, select_clients, select_sites
from epollo.supervisor.listening_sockets import Listening, open_listening
from epollo.supervisor.upgrade import take_over
from epollo.terminal import (
    attend_streams,
    describe_places,
    describe_start,
    make_streams_nonblocking,
    report,
    tell,
)
from epollo.transports.listening import adopt, describe_address, is_listening, is_local
from epollo.transports.pairs import Secrets, read_clients, read_pairs
from epollo.worker.tls_ports import speaks_tls

if TYPE_CHECKING:
    # Imported where it is used, as all that only one kind of server needs: a parent of workers serves
    # nothing, and one process has no parent.
    from epollo.worker.process import Worker


def start(settings: Settings, read_again: Callable[[], Settings]) -> None:
    """Serve until a signal says to stop; ``read_again`` returns the settings as they are at a reload.

    Raises `OperatorError` if the settings ask for what cannot be had.
    """
    make_streams_nonblocking()
    inherited, tell_predecessor = take_over()
    if inherited is not None and settings.workers == "0":
        # Signals would mean something else from then on; and a settings file that is being written is
        # empty for a moment.
        raise OperatorError("SIGUSR2 cannot switch workers off: stop epollo and start it again")
    inherited = inherited or _take_passed_sockets(settings)
    if settings.workers != "0":
        _supervise(settings, read_again, inherited, tell_predecessor)
        return
    _serve(settings, inherited or open_listening(settings), tell_predecessor)


def _take_passed_sockets(settings: Settings) -> Listening | None:
    """Return what a service manager opened for us to listen on."""
    sockets = adopt(take_passed_descriptors())
    for one in sockets:
        if not is_listening(one):
            raise OperatorError(f"descriptor {one.fileno()} was passed, but does not listen")
    port = settings.tls_port
    if sockets and port and not any(speaks_tls(settings, one) for one in sockets):
        # All others would lead there.
        raise OperatorError(
            f"no socket of port {port} was passed, on which --tls-port speaks https: pass one"
        )
    return Listening(sockets, None) if sockets else None


def _serve(settings: Settings, listening: Listening, tell_predecessor: Callable[[], None]) -> None:
    """Serve in this process, until a signal says to stop."""
    from epollo.access_log.choice import explain_no_reopening  # noqa: PLC0415

    try:
        # A sandbox lets the worker make no sockets any more.
        places = _find_places(settings, listening.sockets)
        keep_manager()
        worker = _open_worker(settings, listening.sockets)
        if reason := explain_no_reopening(settings):
            report(
                f"the access log cannot be opened again after a rotation: {reason}; to rotate it, "
                "use --workers 1"
            )
        for warning in _list_warnings(settings, listening.sockets):
            report(warning)
        _tell_start(settings, _describe(settings, places, worker.poller_name, worker.sandbox))
        tell_predecessor()
        notify_ready()
        worker.run()
    finally:
        listening.close()


def _open_worker(settings: Settings, listening: list[socket.socket]) -> "Worker":
    """Return a worker; what the system refuses it is told in one line."""
    from epollo.access_log.choice import open_log  # noqa: PLC0415
    from epollo.site.mounts import open_mounts  # noqa: PLC0415
    from epollo.worker.process import Worker  # noqa: PLC0415

    try:
        secrets = Secrets(
            read_pairs(settings.tls_certificates, settings.tls_keys),
            clients=read_clients(select_clients(settings)[0]),
        )
        worker = Worker(
            settings,
            listening,
            report,
            open_log(settings, report),
            mounts=open_mounts(),
            secrets=secrets,
        )
        worker.watch_certificates()
        return worker
    except OSError as error:
        raise _make_refusal(settings, error) from error


def _make_refusal(settings: Settings, error: OSError) -> OperatorError:
    """Say what the system refused: too few descriptors, a current folder that was deleted."""
    return OperatorError(f"cannot serve {settings.root}: {error.strerror}")


def _supervise(
    settings: Settings,
    read_again: Callable[[], Settings],
    inherited: Listening | None,
    tell_predecessor: Callable[[], None],
) -> None:
    """Have workers serve, until a signal says to stop."""
    from epollo.supervisor.supervisor import Supervisor  # noqa: PLC0415

    is_first = True
    warnings: list[str] = []
    lines: list[str] = []

    def load() -> Settings:
        nonlocal is_first
        if is_first:
            is_first = False
            return settings
        return read_again()

    def on_serving(settings: Settings, sockets: list[socket.socket], description: str) -> None:
        """Tell what the operator was not told of the generation before."""
        nonlocal warnings, lines
        poller_name, _, sandbox = description.partition("\n")
        former_warnings, warnings = warnings, _list_warnings(settings, sockets)
        for warning in warnings:
            if warning not in former_warnings:
                report(warning)
        places = _find_places(settings, sockets)
        former_lines, lines = lines, _describe(settings, places, poller_name, sandbox)
        if lines != former_lines:
            _tell_start(settings, lines)
        if not former_lines:
            tell_predecessor()

    try:
        supervisor = Supervisor(load, report, on_serving, inherited)
    except OSError as error:
        raise _make_refusal(settings, error) from error
    attend_streams(supervisor.loop)
    sys.exit(supervisor.run())


def _find_places(settings: Settings, sockets: list[socket.socket]) -> list[str]:
    secured: dict[tuple[str, int] | str, None] = {}
    plain: dict[tuple[str, int] | str, None] = {}
    for one in sockets:
        (secured if speaks_tls(settings, one) else plain)[describe_address(one)] = None
    return describe_places(list(secured), "https") + describe_places(list(plain))


def _list_warnings(settings: Settings, sockets: list[socket.socket]) -> list[str]:
    """Return a line for each thing that others may read and that is not meant for them.

    Passwords that users send over a network, and the access log, if a site has it.
    """
    lines = []
    log = settings.access_log
    if log not in {"", STDOUT} and any(is_within_reach(one, log) for one in select_sites(settings)):
        lines.append(
            f"the access log {log} is in the folder that is served: every client may read it"
        )
    addresses = [describe_address(one) for one in sockets]
    is_secured = settings.tls_certificates or settings.acme or settings.has_proxy_protocol
    has_passwords = any(site.auth for site in select_sites(settings))
    if has_passwords and not is_secured and not all(map(is_local, addresses)):
        lines.append(
            "passwords cross the network unencrypted; use --tls-cert and --tls-key, or a proxy with TLS "
            "in front, or listen on 127.0.0.1"
        )
    return lines


def _describe(settings: Settings, places: list[str], poller_name: str, sandbox: str) -> list[str]:
    """Return the lines that say what is served and where."""
    if settings.tls_self_signed:
        from epollo.transports.state_folder import AUTHORITY, find_state_folder  # noqa: PLC0415

        places = [*places, f"  trust:   {find_state_folder() / AUTHORITY} (once, in the browser)"]
    if settings.tls_library != "openssl":
        # Loaded before: it cannot be read in a sandbox.
        from epollo.transports.rustls_session import describe_library  # noqa: PLC0415

        places = [*places, f"  tls:     {describe_library()}"]
    roots = [site.root for site in select_sites(settings)]
    return describe_start(roots, places, poller_name, sandbox)


def _tell_start(settings: Settings, lines: list[str]) -> None:
    for line in lines:
        # A log on stdout is for programs, and has stdout for itself.
        (report if settings.access_log == STDOUT else tell)(line)
