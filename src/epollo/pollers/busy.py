"""The polling server's poller: every registered descriptor is always called ready.

It asks the kernel nothing and never sleeps. With it the server tries each of its sockets in turn,
without end, and each ``recv`` that finds nothing says so. One turn costs a system call per connection,
whether or not a client sent anything: this is what event notification saves.
"""

import math

from epollo.annotations import Final
from epollo.pollers.contract import Traits

TRAITS: Final = Traits(
    is_instant=False, batch_limit=math.inf, descriptor_limit=math.inf, is_ordered=False
)


class BusyPoller:
    """A list of descriptors, all of them ready at every call."""

    __slots__ = ("_events", "_turn")

    def __init__(self) -> None:
        self._events: dict[int, int] = {}
        self._turn: list[tuple[int, int]] | None = None

    def register(self, descriptor: int, events: int, /) -> None:
        """Add a descriptor to those that are tried in turn."""
        if descriptor in self._events:
            raise FileExistsError(f"descriptor {descriptor} is registered already")
        self._events[descriptor] = events
        self._turn = None

    def modify(self, descriptor: int, events: int, /) -> None:
        """Try a descriptor for other events."""
        if descriptor not in self._events:
            raise FileNotFoundError(f"descriptor {descriptor} is not registered")
        self._events[descriptor] = events
        self._turn = None

    def unregister(self, descriptor: int, /) -> None:
        """Take a descriptor out of the turn."""
        if self._events.pop(descriptor, None) is None:
            raise FileNotFoundError(f"descriptor {descriptor} is not registered")
        self._turn = None

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:  # noqa: ARG002
        """Return every registered descriptor at once, whatever the timeout."""
        if self._turn is None:
            self._turn = [pair for pair in self._events.items() if pair[1]]
        return self._turn

    def close(self) -> None:
        """Forget everything."""
        self._events.clear()
        self._turn = None
