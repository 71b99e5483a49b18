"""Which process has a socket, as far as the system tells it to a process of this user, or to root."""

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple

_LISTENING: Final = "0A"
"""TCP_LISTEN, of enum tcp_state in the kernel's include/net/tcp_states.h."""
_CREDENTIALS: Final = struct.Struct("=iII")
"""Process, user and group (SO_PEERCRED, unix(7))."""

Address = IPv4Address | IPv6Address


class Listening(NamedTuple):
    """A TCP socket that listens; its user and its number are as /proc/net/tcp has them."""

    address: Address
    port: int
    user: int
    inode: int


def describe_port_holder(host: str, port: int) -> str:
    """Return, for a person, the process that listens on an address; nothing if it is not told."""
    wanted = _normalise(ip_address(host.partition("%")[0]))
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for one in parse_listening(Path(f"/proc/net/{name}").read_text()):
                if one.port == port and _is_same(one.address, wanted):
                    process = _find_process(one.inode)
                    return _describe(process) or f"a process of user {_name_user(one.user)}"
    return ""


def describe_path_holder(path: str) -> str:
    """Return, for a person, the process that listens at a path; nothing if it is not told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A socket whose queue is full would have this process wait.
        probe.setblocking(False)
        try:
            probe.connect(path)
            octets = probe.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )  # of the process that called listen(2)
        except OSError:
            return ""
    process, _, _ = _CREDENTIALS.unpack(octets)
    return _describe(process)


def parse_listening(text: str) -> Iterator[Listening]:
    """Find the sockets that listen in a text of the form of /proc/net/tcp and tcp6 (proc_pid_net(5))."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING:
            digits, _, port = fields[1].partition(":")
            # Words of 32 bits, each in the order of this machine.
            words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
            octets = struct.pack(f"={len(words)}I", *words)
            yield Listening(
                _normalise(ip_address(octets)), int(port, 16), int(fields[7]), int(fields[9])
            )


def _normalise(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_same(one: Address, other: Address) -> bool:
    """Return whether a socket of one address keeps another socket from the other address."""
    return one == other or one.is_unspecified or other.is_unspecified


def _find_process(inode: int) -> int:
    """Return the oldest process that has a socket, by its number; 0 if none is told."""
    wanted = f"socket:[{inode}]"
    with contextlib.suppress(OSError):
        for process in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
            # It ended meanwhile, or is another user's.
            with contextlib.suppress(OSError):
                if _has_descriptor(f"/proc/{process}/fd", wanted):
                    return process
    return 0


def _has_descriptor(folder: str, wanted: str) -> bool:
    for name in os.listdir(folder):
        # Closed meanwhile.
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{name}") == wanted:
                return True
    return False


def _describe(process: int) -> str:
    if not process:
        return ""
    try:
        name = Path(f"/proc/{process}/comm").read_text(errors="backslashreplace").rstrip("\n")
    except OSError:
        return f"process {process}"
    return f"{name} (pid {process})"


def _name_user(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
