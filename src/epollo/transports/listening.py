"""Listening sockets: opened here, or handed over by the process that held them before."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterable

from epollo.annotations import Any, Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the kernel bounds it by net.core.somaxconn (listen(2))."""

_DEFER_SECONDS: Final = 1
_EVERY_USER_MAY_CONNECT: Final = 0o666


def open_listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free one.

    ``::`` listens for IPv4 as well. Raises `OperatorError` if the address cannot be had.
    """
    with _explained(host, port):
        # Text would be encoded as an international name, whose tables an address does without.
        is_address = host.isascii() and (host[:1].isdigit() or ":" in host)
        family, _, _, _, address = socket.getaddrinfo(
            host.encode() if is_address else host,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        return _listen(_bind(family, address, is_shared=False))


def open_shared_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Return sockets that listen on the same address, to which the kernel deals connections evenly.

    They share it with each other and with those of `join_sockets` (SO_REUSEPORT, socket(7)), but with
    no socket that was there before. Raises `OperatorError`.
    """
    with open_listening_socket(host, port) as alone:
        family, address = alone.family, alone.getsockname()
    with _explained(host, port):
        return [_listen(one) for one in _bind_shared(family, address, count)]


def join_sockets(present: socket.socket, count: int) -> list[socket.socket]:
    """Return more sockets for the address of one that `open_shared_sockets` opened.

    They do not listen yet. Once they do, the kernel deals connections to them, which would be lost if
    no process accepted them: so the process that accepts calls ``listen``.
    """
    with _explained(*present.getsockname()[:2]):
        return _bind_shared(present.family, present.getsockname(), count)


def _bind_shared(family: int, address: Any, count: int) -> list[socket.socket]:
    with contextlib.ExitStack() as opened:
        sockets = [
            opened.enter_context(_bind(family, address, is_shared=True)) for _ in range(count)
        ]
        opened.pop_all()
    return sockets


def _bind(family: int, address: Any, *, is_shared: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # ipv6(7): whether "::" is for IPv4 too is otherwise up to the system.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        if is_shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(address)
        prepare(one)
    except OSError:
        one.close()
        raise
    return one


def _listen(one: socket.socket) -> socket.socket:
    try:
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one


@contextlib.contextmanager
def _explained(host: str, port: int) -> Any:
    try:
        yield
    except (OSError, UnicodeError) as error:
        # Imported late: most addresses can be had.
        from epollo.transports.bind_errors import explain_address  # noqa: PLC0415

        reason = explain_address(error, host, port)
        raise OperatorError(f"cannot listen on {host} port {port}: {reason}") from None


def open_unix_socket(path: str | os.PathLike[str]) -> socket.socket:
    """Return a socket that listens at a path of the file system, for all that can reach the path.

    A socket that a server left behind there is replaced, one that a process listens on is not, nor is
    any other file. Raises `OperatorError`.
    """
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_behind(path):
            os.unlink(path)
        one.bind(os.fspath(path))
        # unix(7): connecting takes the right to write, which a umask gives to no other user.
        os.chmod(path, _EVERY_USER_MAY_CONNECT)
        prepare(one)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        from epollo.transports.bind_errors import explain_path  # noqa: PLC0415 - as above

        raise OperatorError(
            f"cannot listen on {path}: {explain_path(error, os.fspath(path))}"
        ) from None
    return one


class BoundPath(NamedTuple):
    """A path that a socket of ours was bound to, with what tells it from whatever is there later.

    The time is there because the number of an inode is given to the next file once no process has it
    open.
    """

    path: str
    device: int
    inode: int
    modified_ns: int

    def remove(self) -> None:
        """Remove the path, if it is still that of our socket.

        Where we have no right to, it stays: `open_unix_socket` replaces what was left behind.
        """
        if identify_path(self.path) == self:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def identify_path(path: str) -> BoundPath | None:
    """Return what is at a path now; None if nothing is, or nothing can be seen."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return BoundPath(path, status.st_dev, status.st_ino, status.st_mtime_ns)


def _is_left_behind(path: str | os.PathLike[str]) -> bool:
    """Return whether a socket is there that no process listens on."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # If the queue of the other side is full, a blocking call would wait.
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def prepare(listening: socket.socket) -> None:
    """Set what epollo expects of a listening socket, even if another process opened it."""
    listening.setblocking(False)
    if listening.family == socket.AF_UNIX:
        return
    # Inherited by what is accepted: answers are sent whole, so nothing is gained by waiting.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_DEFER_ACCEPT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_SECONDS)


def holds_back(listening: socket.socket) -> bool:
    """Return whether the kernel reports a connection only when its first octets are there (tcp(7)).

    False if the kernel does not tell: then changes are looked for once more.
    """
    if listening.family == socket.AF_UNIX or not hasattr(socket, "TCP_DEFER_ACCEPT"):
        return False
    with contextlib.suppress(OSError):
        return listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0
    return False


def adopt(descriptors: Iterable[int]) -> list[socket.socket]:
    """Return the sockets behind descriptors that were inherited, made ready to accept from.

    Raises `OperatorError` if one is no stream socket that listens, or could.
    """
    sockets: list[socket.socket] = []
    for descriptor in descriptors:
        try:
            one = socket.socket(fileno=descriptor)
            sockets.append(one)
            if one.type != socket.SOCK_STREAM:
                raise OSError(None, "Not a stream socket")
            prepare(one)
            one.set_inheritable(False)
        except OSError as error:
            for each in sockets:
                each.close()
            raise OperatorError(
                f"descriptor {descriptor} was passed as a listening socket: {error.strerror}"
            ) from None
    return sockets


def is_listening(one: socket.socket) -> bool:
    """Return whether a socket listens already; False if that is not told: it may listen twice."""
    with contextlib.suppress(OSError):
        return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def describe_address(listening: socket.socket) -> tuple[str, int] | str:
    """Return host and port of a listening socket, or the path of a unix-domain one.

    A name of the abstract name space is shown with @ for its NUL, as elsewhere (unix(7)).
    """
    name = listening.getsockname()
    if isinstance(name, bytes):
        return "@" + os.fsdecode(name[1:])
    return name if isinstance(name, str) else (name[0], name[1])


def is_local(address: tuple[str, int] | str) -> bool:
    """Return whether only this machine reaches what listens at an address of `describe_address`."""
    if isinstance(address, str):
        return True
    # Imported late: only a server with passwords asks.
    from ipaddress import ip_address  # noqa: PLC0415

    return ip_address(address[0].partition("%")[0]).is_loopback
