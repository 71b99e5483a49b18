"""poll(2): select without its limit, and with its cost.

The process still hands over the whole list at every call and the kernel still tries each entry, but
the list names descriptors by number, so any number will do.
"""

import math
import select

from epollo.annotations import Final
from epollo.pollers.contract import Traits

TRAITS: Final = Traits(
    is_instant=False, batch_limit=math.inf, descriptor_limit=math.inf, is_ordered=True
)


class PollPoller:
    """A ``select.poll`` object that counts in seconds and knows what is registered."""

    __slots__ = ("_poll", "_registered")

    def __init__(self) -> None:
        self._poll = select.poll()
        self._registered: set[int] = set()

    def register(self, descriptor: int, events: int, /) -> None:
        """Add a descriptor to the list."""
        # select.poll.register would quietly overwrite the entry.
        if descriptor in self._registered:
            raise FileExistsError(f"descriptor {descriptor} is registered already")
        self._poll.register(descriptor, events)
        self._registered.add(descriptor)

    def modify(self, descriptor: int, events: int, /) -> None:
        """Change what a descriptor is watched for."""
        self._poll.modify(descriptor, events)

    def unregister(self, descriptor: int, /) -> None:
        """Take a descriptor off the list."""
        if descriptor not in self._registered:
            raise FileNotFoundError(f"descriptor {descriptor} is not registered")
        self._registered.remove(descriptor)
        self._poll.unregister(descriptor)

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        """Hand over the list; return the entries that the kernel marked."""
        if timeout_seconds is None:
            return self._poll.poll()
        return self._poll.poll(math.ceil(timeout_seconds * 1000))

    def close(self) -> None:
        """Forget everything."""
        for descriptor in self._registered:
            self._poll.unregister(descriptor)
        self._registered.clear()
