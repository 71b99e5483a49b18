"""Releases what has ended all at once, in slices.

Facts: when a release is switched, a hundred thousand resources end. To take each out of its cache, to
forget what it depended on and to release its answers takes half a second together, and to mark each still
takes some ten milliseconds.
Decision: one mark ends all (`Resource.ends_with`), or one for each folder below one that is renamed, and
they are released in slices between the batches of the loop. An answer that was found to stand in this
second already is looked at again (`on_doubt`), and the look finds the mark.
Price: until then they take their place in memory, beyond what is counted.
"""

import time
from collections.abc import Callable, MutableMapping, Sequence

from epollo.annotations import Any, Final
from epollo.loop import Handler
from epollo.site.folders import Folder
from epollo.site.resource import Resource

IMMEDIATE_LIMIT: Final = 256
"""Up to this number in a batch are released at once: that takes two milliseconds."""
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
        self._marked: list[Resource] = []
        # How many more may be released at once in this batch.
        self._left_at_once = IMMEDIATE_LIMIT
        self.call_again: Callable[[Handler], None] | None = None
        """Has this called in the next batch; without a loop all is released at once."""
        self.on_doubt: Callable[[], None] = lambda: None
        """Called when what was found to stand in this second may stand no more."""

    def __len__(self) -> int:
        return sum(map(len, self._resources)) + len(self._marked) + len(self._folders)

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
            while self._release_some():
                pass
            return
        number = sum(map(len, resources))
        if number <= self._left_at_once:
            self._left_at_once -= number
            for some in resources:
                self._end_some(some, IMMEDIATE_LIMIT)
        else:
            self.on_doubt()
        self.call_again(self)

    def mark(self, resource: Resource) -> None:
        """Mark a resource that has ended with many others, and take it over."""
        resource.mark_ended()
        self._marked.append(resource)
        if self.call_again is None:
            self._release_some()
        else:
            self.call_again(self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Release a slice."""
        self._left_at_once = IMMEDIATE_LIMIT
        until = time.monotonic() + _SLICE_SECONDS
        while self._release_some():
            if time.monotonic() >= until:
                if self.call_again is not None:
                    self.call_again(self)
                return

    def _release_some(self) -> bool:
        """Release some, the folders last; return whether there were any."""
        if self._resources:
            some = self._resources[-1]
            self._end_some(some, _LOOKED_AT_EACH)
            if not some:
                self._resources.pop()
        elif self._marked:
            self._end(self._marked.pop())
        elif self._folders:
            self._end_folder(self._folders.pop())
        else:
            return False
        return True

    def _end_some(self, resources: MutableMapping[Any, Resource], most: int) -> None:
        for _ in range(min(most, len(resources))):
            self._end(resources.popitem()[1])
