"""Which listening sockets settings ask for, and which of them the worker in one place gets."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from epollo.errors import OperatorError
from epollo.linux.processors import count_processors
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
    """Where settings ask to listen. Port 0 is the same wish each time, whatever port it was given."""

    host: str
    port: int
    unix: str


@dataclass(eq=False)
class Listening:
    """Sockets, and what was asked for when they were opened; None where we did not open them.

    ``path`` is what one of them was bound to, if to a path. It belongs to the program that serves:
    ``may_remove_path`` is false before this one has taken over, and after another one has.
    """

    sockets: list[socket.socket]
    asked: Asked | None
    path: BoundPath | None = None
    may_remove_path: bool = True

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

    All or nothing: raises `OperatorError` where one cannot be had.
    """
    asked, count = _read_asked(settings), count_workers(settings)
    if present.asked is None:
        return present
    if asked == present.asked:
        if asked.unix or count <= len(present.sockets):
            return present
        more = join_sockets(present.sockets[0], count - len(present.sockets))
        return Listening([*present.sockets, *more], asked)
    if not asked.unix:
        return Listening(open_shared_sockets(settings.host, settings.port, count), asked)
    return _listen_at_path(asked)


def open_listening(settings: Settings) -> Listening:
    """Return the one socket of a process that serves without workers. Raises `OperatorError`."""
    asked = _read_asked(settings)
    if asked.unix:
        return _listen_at_path(asked)
    return Listening([open_listening_socket(asked.host, asked.port)], asked)


def _read_asked(settings: Settings) -> Asked:
    return Asked(settings.host, settings.port, settings.unix)


def _listen_at_path(asked: Asked) -> Listening:
    return Listening([open_unix_socket(Path(asked.unix))], asked, identify_path(asked.unix))


def share_sockets(sockets: list[socket.socket], place: int, places: int) -> list[socket.socket]:
    """Return the sockets for one of ``places`` places.

    Where there are enough for one address, each place has its own, so that the kernel shares out the
    connections; of an address with fewer every place has all.
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
        return count_processors()
    count = int(settings.workers)
    if not count:
        raise OperatorError("a reload cannot switch workers off: stop epollo and start it again")
    return count
