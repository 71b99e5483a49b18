"""Which listening sockets settings ask for, and which of them the worker in one place gets."""

import contextlib
import socket
from collections.abc import Callable
from functools import partial

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple
from epollo.settings import Settings
from epollo.transports.listening import (
    BoundPath,
    describe_address,
    identify_path,
    join_sockets,
    open_listening_socket,
    open_shared_sockets,
    open_unix_socket,
)


class Asked(NamedTuple):
    """Where settings ask to listen. Port 0 is the same request each time, whatever port it was given."""

    host: str
    port: int
    unix: str
    tls_port: int = 0

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports, each once; TLS may have one of its own."""
        return (self.port, self.tls_port) if self.tls_port else (self.port,)


class Listening:
    """Sockets, and what was asked for when they were opened; None if we did not open them.

    ``path`` is what one of them was bound to, if to a path. It belongs to the program that serves:
    ``may_remove_path`` is false before this one has taken over, and after another one has.
    """

    def __init__(
        self, sockets: list[socket.socket], asked: Asked | None, path: BoundPath | None = None
    ) -> None:
        self.sockets = sockets
        self.asked = asked
        self.path = path
        self.may_remove_path = True

    def close(self, kept: "Listening | None" = None) -> None:
        """Close the sockets that are not among those to be kept, and remove the path of ours."""
        remaining = [] if kept is None else kept.sockets
        for one in self.sockets:
            if one not in remaining:
                one.close()
        is_kept = kept is not None and kept.path == self.path
        if self.path is not None and self.may_remove_path and not is_kept:
            self.path.remove()


NOWHERE: Final = Listening([], Asked("", -1, ""))


def change_listening(present: Listening, settings: Settings) -> Listening:
    """Return the sockets that settings ask for: those that are there, and more if need be.

    All or nothing: raises `OperatorError` if one cannot be had.
    """
    asked, count = _read_asked(settings), count_workers(settings)
    if present.asked is None:
        return present
    if asked == present.asked:
        missing = count - len(present.sockets) // len(asked.ports)
        if asked.unix or missing <= 0:
            return present
        more = _join_all(present.sockets, missing)
        return Listening([*present.sockets, *more], asked)
    if not asked.unix:
        return Listening(_open_all(asked, partial(open_shared_sockets, count=count)), asked)
    return _listen_at_path(asked)


def _open_alone(host: str, port: int) -> list[socket.socket]:
    return [open_listening_socket(host, port)]


def _open_all(
    asked: Asked, open_port: Callable[[str, int], list[socket.socket]]
) -> list[socket.socket]:
    """Return the sockets of each port; none stays open where one cannot be had."""
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for port in asked.ports:
            sockets += map(opened.enter_context, open_port(asked.host, port))
        opened.pop_all()
    return sockets


def _join_all(present: list[socket.socket], count: int) -> list[socket.socket]:
    """Return as many more sockets for each address of those that are there."""
    by_address = {describe_address(one): one for one in present}
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for one in by_address.values():
            sockets += map(opened.enter_context, join_sockets(one, count))
        opened.pop_all()
    return sockets


def open_listening(settings: Settings) -> Listening:
    """Return the one socket of a process that serves without workers. Raises `OperatorError`."""
    asked = _read_asked(settings)
    if asked.unix:
        return _listen_at_path(asked)
    return Listening(_open_all(asked, _open_alone), asked)


def _read_asked(settings: Settings) -> Asked:
    return Asked(settings.host, settings.port, settings.unix, settings.tls_port)


def _listen_at_path(asked: Asked) -> Listening:
    return Listening([open_unix_socket(asked.unix)], asked, identify_path(asked.unix))


def share_sockets(sockets: list[socket.socket], place: int, places: int) -> list[socket.socket]:
    """Return the sockets for one of ``places`` places.

    If there are enough for one address, each place has its own, so that the kernel shares out the
    connections. If an address has fewer, every place has all of them.
    """
    by_address: dict[object, list[socket.socket]] = {}
    for one in sockets:
        by_address.setdefault(describe_address(one), []).append(one)
    return [
        one
        for group in by_address.values()
        for one in (group[place::places] if len(group) >= places else group)
    ]


def count_workers(settings: Settings) -> int:
    """Return how many workers the settings ask for; `OperatorError` where they ask for none."""
    if settings.workers == "auto":
        # For this alone.
        from epollo.linux.processors import count_processors  # noqa: PLC0415

        return count_processors()
    count = int(settings.workers)
    if not count:
        raise OperatorError("a reload cannot switch workers off: stop epollo and start it again")
    return count
