"""The server with a tally on its seams: ``python -m epollo.lab.counted DESCRIPTOR ROOT POLLER``.

The server itself has no code that counts. Here, in a process of its own, the poller, the sockets and a
few functions of ``os`` are wrapped before the ordinary worker is started. Each wrapper adds one to a
number in shared memory (`counters`) and then makes the call that it stands for.
"""

import _socket
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from epollo.annotations import Any, Final
from epollo.lab.counters import NAMES, TRIES, Counters, Values
from epollo.pollers import POLLERS, Poller
from epollo.quantities import DAY_SECONDS
from epollo.settings import Settings
from epollo.terminal import format_link, open_streams, report, tell
from epollo.transports.listening import open_listening_socket
from epollo.worker.process import Worker

_INDEX: Final = {name: index for index, name in enumerate(NAMES)}
_TURNS: Final = _INDEX["turns"]
_LOOKED_AT: Final = _INDEX["looked_at"]
_REPORTED: Final = _INDEX["reported"]
_IN_VAIN: Final = _INDEX["in_vain"]

# The call that each poller waits in; the busy one makes none, and does not wait.
_WAITING: Final = {"select": "select", "poll": "poll", "epoll": "epoll_wait"}


class CountedPoller:
    """A poller and a tally: how often it was asked, and how many descriptors were looked at.

    epoll looks at those that are ready. For the others every registered descriptor is looked at in
    every turn: by the kernel (select, poll), or by the process itself (busy).
    """

    def __init__(self, name: str, poller: Poller, values: Values) -> None:
        self._poller = poller
        self._values = values
        self._wait = _INDEX[_WAITING[name]] if name in _WAITING else None
        self._control = _INDEX["epoll_ctl"] if name == "epoll" else None
        self._looks_at_all = not POLLERS[name].traits.is_instant
        self._registered = 0
        self.close = poller.close

    def register(self, descriptor: int, events: int, /) -> None:
        """Count the call that tells the kernel, where there is one."""
        self._count_control()
        self._poller.register(descriptor, events)
        self._registered += 1

    def modify(self, descriptor: int, events: int, /) -> None:
        """Count the call that tells the kernel, where there is one."""
        self._count_control()
        self._poller.modify(descriptor, events)

    def unregister(self, descriptor: int, /) -> None:
        """Count the call that tells the kernel, where there is one."""
        self._count_control()
        self._poller.unregister(descriptor)
        self._registered -= 1

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        """Count the wait, what was looked at in it, and what it reported."""
        values = self._values
        if self._wait is not None:
            values[self._wait] += 1
        batch = self._poller.poll(timeout_seconds)
        values[_TURNS] += 1
        values[_LOOKED_AT] += self._registered if self._looks_at_all else len(batch)
        values[_REPORTED] += len(batch)
        return batch

    def _count_control(self) -> None:
        if self._control is not None:
            self._values[self._control] += 1


def _counted(call: Callable[..., Any], index: int, values: Values) -> Callable[..., Any]:
    """Return the call with one added to its number each time."""

    def count_and_call(*arguments: Any, **named: Any) -> Any:
        values[index] += 1
        return call(*arguments, **named)

    return count_and_call


def _counted_try(call: Callable[..., Any], index: int, values: Values) -> Callable[..., Any]:
    """Return the same for a call that may find nothing; if it does, it counts as ``in_vain``, too."""

    def count_and_call(*arguments: Any, **named: Any) -> Any:
        values[index] += 1
        try:
            return call(*arguments, **named)
        except BlockingIOError:
            values[_IN_VAIN] += 1
            raise

    return count_and_call


# Method of a socket, and the system call that it makes (socket(7)).
_METHODS: Final = {
    "recv": "recvfrom",
    "recv_into": "recvfrom",
    "send": "sendto",
    "sendmsg": "sendmsg",
    "_accept": "accept4",
    "setblocking": "ioctl",
    "shutdown": "shutdown",
    "close": "close",
}
_FUNCTIONS: Final = {
    "read": "read",
    "sendfile": "sendfile",
    "stat": "stat",
    "fstat": "stat",
    "lstat": "stat",
}


def _counted_class(ancestor: type[Any], values: Values) -> type[Any]:
    """Return a class of sockets whose calls are counted."""

    def method(name: str, system_call: str) -> Callable[..., Any]:
        plain = getattr(ancestor, name)
        count = _counted_try if system_call in TRIES else _counted
        return count(plain, _INDEX[system_call], values)

    methods = {name: method(name, call) for name, call in _METHODS.items()}
    return type(f"Counted{ancestor.__name__}", (ancestor,), {"__slots__": (), **methods})


def _opener(name: str, values: Values) -> Callable[[], Poller]:
    open_plain = POLLERS[name].open
    return lambda: CountedPoller(name, open_plain(), values)


def count_system_calls(values: Values) -> None:
    """Wrap what a server opens from now on, in the whole of this process."""
    for name in POLLERS:
        POLLERS[name] = POLLERS[name]._replace(open=_opener(name, values))
    for name, system_call in _FUNCTIONS.items():
        setattr(os, name, _counted(getattr(os, name), _INDEX[system_call], values))
    # Peers are of the first class (`connections.listener`), all other sockets of the second.
    peer_class, plain_class = _socket.socket, socket.socket
    _socket.socket = _counted_class(peer_class, values)  # type: ignore[misc]
    socket.socket = _counted_class(plain_class, values)  # type: ignore[misc]


def main() -> None:
    """Serve until a signal says otherwise, counting."""
    descriptor, root, poller = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    open_streams()
    counters = Counters(descriptor)
    settings = Settings(
        root=root,
        port=0,
        poller=poller,
        quiet=True,
        compress=False,
        grace_seconds=0,
        idle_seconds=DAY_SECONDS,
    )
    plain = open_listening_socket(settings.host, settings.port)
    count_system_calls(counters.values)
    listening = socket.socket(fileno=plain.detach())
    with listening:
        worker = Worker(settings, [listening], report, None)
        tell(f"at {format_link(*listening.getsockname()[:2])}")
        tell("stop it with Ctrl-C")
        worker.run()


if __name__ == "__main__":
    main()
