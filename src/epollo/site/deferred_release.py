"""Releases what has ended all at once, in slices.

Facts: when a release is switched, a hundred thousand resources end. To take each out of its cache, to
forget what it depended on and to release its answers takes half a second together, and to mark each still
takes some ten milliseconds.
Decision: one mark ends all (`Resource.ends_with`), and they are released in slices between the batches
of the loop. An answer that was found to stand in this second already is looked at again (`on_doubt`), and
the look finds the mark.
Price: until then they take their place in memory, beyond what is counted.
"""

import time
from collections.abc import Callable, MutableMapping, Sequence

from epollo.annotations import Any, Final
from epollo.loop import Handler
from epollo.site.folders import Folder
from epollo.site.resource import Resource

IMMEDIATE_LIMIT: Final = 256
"""Up to this number all are released at once: that takes two milliseconds."""
_SLICE_SECONDS: Final = 0.001
_LOOKED_AT_EACH: Final = 16


class DeferredRelease(Handler):
    """The resources and folders that have ended and are still to be released.

    ``end`` releases one resource, ``end_folder`` a folder without its members.
    """

    def __init__(
        self, end: Callable[[Resource], None], end_folder: Callable[[Folder], None]
    ) -> None:
        self._end = end
        self._end_folder = end_folder
        self._folders: list[Folder] = []
        self._resources: list[MutableMapping[Any, Resource]] = []
        self.call_again: Callable[[Handler], None] | None = None
        """Has this called in the next batch; without a loop all is released at once."""
        self.on_doubt: Callable[[], None] = lambda: None
        """Called when what was found to stand in this second may stand no more."""

    def __len__(self) -> int:
        return sum(map(len, self._resources)) + len(self._folders)

    def add(
        self,
        resources: Sequence[MutableMapping[Any, Resource]],
        folders: Sequence[Folder] = (),
    ) -> None:
        """Take over resources by name, which have ended with what they were found in, and folders."""
        for folder in folders:
            folder.is_current = False
        self._folders += folders
        self._resources += resources
        if self.call_again is None:
            while len(self):
                self._release_some()
            return
        if sum(map(len, resources)) <= IMMEDIATE_LIMIT:
            for some in resources:
                self._end_some(some, IMMEDIATE_LIMIT)
        else:
            self.on_doubt()
        if len(self):
            self.call_again(self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Release a slice."""
        until = time.monotonic() + _SLICE_SECONDS
        while len(self) and time.monotonic() < until:
            self._release_some()
        if len(self) and self.call_again is not None:
            self.call_again(self)

    def _release_some(self) -> None:
        """Release some, the folders last."""
        resources = self._resources
        while resources and not resources[-1]:
            resources.pop()
        if resources:
            self._end_some(resources[-1], _LOOKED_AT_EACH)
        elif self._folders:
            self._end_folder(self._folders.pop())

    def _end_some(self, resources: MutableMapping[Any, Resource], most: int) -> None:
        for _ in range(min(most, len(resources))):
            self._end(resources.popitem()[1])
