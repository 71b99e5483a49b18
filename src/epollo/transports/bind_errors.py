"""Why an address or a path cannot be bound (bind(2)), and what the operator can do about it."""

import errno
import os
import socket
import stat
from pathlib import Path

from epollo.annotations import Any, Final
from epollo.linux.holders import describe_path_holder, describe_port_holder

_TRIED_PORTS: Final = 20
"""How many ports after one in use are tried."""
_PORTS_END: Final = 65536
_PRIVILEGED_END: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_PATH_OCTETS_LIMIT: Final = 107
"""sun_path has 108, with the NUL at the end (unix(7))."""


def explain_address(error: OSError | UnicodeError, host: str, port: int) -> str:
    """Return why the port of a host cannot be listened on."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        return _explain_name(error, host)
    number = getattr(error, "errno", None)
    reason: str = getattr(error, "strerror", None) or str(error)
    if number == errno.EADDRINUSE:
        return _explain_in_use(family, address)
    if number == errno.EACCES and port < (end := _find_privileged_end()):
        return (
            f"{reason}: ports below {end} are for root. Take another (--port {8000 + port}), "
            f"type sysctl net.ipv4.ip_unprivileged_port_start={port} as root, or have systemd pass "
            "the socket"
        )
    if family == socket.AF_INET6 and not _has_ipv6():
        return "there is no IPv6 on this machine"
    if number == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    if number == errno.EINVAL and host.lower().startswith("fe80:") and "%" not in host:
        return "a link-local address needs its interface: fe80::1%eth0"
    return reason


def _explain_name(error: OSError | UnicodeError, host: str) -> str:
    """Return why a text leads to no address."""
    if "://" in host:
        return "this is a URL; --host takes a name or an address, and --port the port"
    if host.startswith("["):
        return "an address stands without brackets, such as ::1"
    name, _, port = host.partition(":")
    if name and port.isdigit():
        return f"the port is an option of its own: --host {name} --port {port}"
    # UnicodeError: not even the form of a name (RFC 5891 section 4.4).
    if isinstance(error, UnicodeError) or error.errno == socket.EAI_NONAME:
        return "there is no host of this name"
    return error.strerror or str(error)


def _explain_in_use(family: int, address: Any) -> str:
    host, port = address[:2]
    holder = describe_port_holder(host, port)
    free = _find_free_port(family, address)
    return (
        f"it is in use{f' by {holder}' if holder else ''}"
        f"{f'; {free} is free: --port {free}' if free else ''}"
    )


def _find_free_port(family: int, address: Any) -> int:
    """Return a port near one in use that can be listened on; 0 if there is none."""
    host, port, *rest = address
    first = port + 1 if port >= _find_privileged_end() else port + 8000
    for candidate in range(first, min(first + _TRIED_PORTS, _PORTS_END)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate, *rest))
            except OSError:
                continue
            return candidate
    return 0


def _find_privileged_end() -> int:
    try:
        return int(_PRIVILEGED_END.read_text())
    except (OSError, ValueError):
        return 1024


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def explain_path(error: OSError, name: str) -> str:
    """Return why a path cannot be listened at."""
    path = Path(name)
    octets = len(os.fsencode(path))
    if octets > _PATH_OCTETS_LIMIT:
        return f"the path is too long: {octets} bytes; at most {_PATH_OCTETS_LIMIT} are allowed (unix(7))"
    if error.errno == errno.EADDRINUSE:
        if not _is_socket(path):
            return "the file there is no socket, and is not replaced"
        holder = describe_path_holder(os.fspath(path))
        return f"it is in use{f' by {holder}' if holder else ''}"
    if error.errno == errno.ENOENT:
        return f"there is no folder {path.parent}"
    return error.strerror or str(error)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
