"""What has ended all at once, and is given back little by little.

Facts: when a release is switched, a hundred thousand resources end. To take each out of its cache, to
forget what it depended on and to release its answers takes half a second together.
Decision: each is marked in one pass of some milliseconds, and given back in slices between the batches of
the loop. Every look at what an answer rests on finds the mark. An answer that rests on more is looked at
less often, so a resource that has one is given back at once, and so is what this program has made.
Price: until then they take their place in memory.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from epollo.loop import Handler
from epollo.site.folders import Folder
from epollo.site.resource import Resource

IMMEDIATE_LIMIT: Final = 256
"""Up to this number all are given back at once: that is a matter of two milliseconds."""
_SLICE_SECONDS: Final = 0.001
_LOOKED_AT_EACH: Final = 16


class Doomed(Handler):
    """The resources and folders that have ended and are still to be given back.

    ``end`` gives back one resource, ``end_folder`` a folder without its members.
    """

    def __init__(
        self, end: Callable[[Resource], None], end_folder: Callable[[Folder], None]
    ) -> None:
        self._end = end
        self._end_folder = end_folder
        self._folders: list[Folder] = []
        self._resources: list[Resource] = []
        self.call_again: Callable[[Handler], None] | None = None
        """Has this called in the next batch; without a loop all is given back at once."""

    def __len__(self) -> int:
        return len(self._resources) + len(self._folders)

    def add(self, resources: Iterable[Resource], folders: Sequence[Folder] = ()) -> None:
        """Let none of these stand any more."""
        for folder in folders:
            folder.is_current = False
        self._folders += folders
        ended = list(resources)
        at_once = ended
        if len(ended) > IMMEDIATE_LIMIT and self.call_again is not None:
            at_once = []
            for resource in ended:
                if resource.is_shared or type(resource) is not Resource:
                    at_once.append(resource)
                else:
                    resource.is_current = False
                    resource.checked_second = -1
            self._resources += ended
        for resource in at_once:
            self._end(resource)
        if self.call_again is None:
            while self._folders:
                self._end_folder(self._folders.pop())
        elif len(self):
            self.call_again(self)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Give back a slice."""
        until = time.monotonic() + _SLICE_SECONDS
        resources, folders = self._resources, self._folders
        while (resources or folders) and time.monotonic() < until:
            if not resources:
                self._end_folder(folders.pop())
            for _ in range(min(_LOOKED_AT_EACH, len(resources))):
                self._end(resources.pop())
        if len(self) and self.call_again is not None:
            self.call_again(self)
