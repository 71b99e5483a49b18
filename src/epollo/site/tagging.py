"""Entity tags from the content of files too large to be kept, made in the background.

Facts: a tag from a file's version is another one on another machine, after a copy and after a restore,
and a client that resumes a download there gets 412 or begins anew. A tag from length and date alone
would be the same for two contents (``rsync --inplace --times``, packers that set one date).
Decision: a file that is asked for and settled is read once by a thread of the lowest priority, at a
bounded rate, and gets the tag that its content has everywhere. Until then it has the one from its
version, which is still understood.
Price: a second reading of the file, in each worker; a tag that changes once. Files over 16 GiB keep the
one from their version.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from epollo.annotations import Final, TypeAlias
from epollo.http.validators import EntityTag
from epollo.linux.threads import lower_priority, start_thread
from epollo.loop import CallInLoop
from epollo.site.entity_tags import ContentTagger
from epollo.site.open_files import OpenFile, SharedFile
from epollo.site.promise import Promise
from epollo.site.version import version_of

_PART_OCTETS: Final = 256 * 1024
_OCTETS_PER_SECOND: Final = 256 * 1024 * 1024
_FILE_OCTETS_LIMIT: Final = 16 * 1024**3
_TASKS_LIMIT: Final = 16

Done: TypeAlias = Callable[[Promise], None]


class Tagging:
    """A thread that reads large files, started when the first is asked for.

    Open files and their promises stay with the thread of the loop: what ends them touches the watch.
    """

    def __init__(self, call_in_loop: CallInLoop) -> None:
        self._call_in_loop = call_in_loop
        # By descriptor, which is open as long as its file is here.
        self._wanted: dict[int, tuple[SharedFile, Done]] = {}
        self._queue: deque[tuple[int, int]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._reading = -1
        self._is_closed = False

    def offer(self, file: OpenFile, done: Done) -> None:
        """Have an open file read, if it is settled; call ``done`` with its promise when that has a tag.

        What is offered again meanwhile, or cannot be taken now, costs nothing.
        """
        promise = file.promise
        if (
            promise.content_tag is not None
            or promise.octets > _FILE_OCTETS_LIMIT
            or len(self._wanted) >= _TASKS_LIMIT
            or file.descriptor in self._wanted
            or not isinstance(file, SharedFile)
            or not promise.is_settled()
        ):
            return
        self._wanted[file.descriptor] = (file, done)
        with self._condition:
            self._queue.append((file.descriptor, promise.octets))
            self._condition.notify()
        if self._thread is None:
            self._thread = start_thread(self._work, "tagging")
            if self._thread is None:
                # There may be room for it when the file is asked for again.
                self._queue.clear()
                del self._wanted[file.descriptor]

    def close(self) -> None:
        """Stop after the part that is being read; what is read stays open until then."""
        with self._condition:
            self._is_closed = True
            self._queue.clear()
            for descriptor in list(self._wanted):
                if descriptor != self._reading:
                    del self._wanted[descriptor]
            self._condition.notify()

    def _work(self) -> None:
        lower_priority()
        while (task := self._take()) is not None:
            descriptor, octets = task
            tag = self._read(descriptor, octets)
            with self._condition:
                self._reading = -1
                if self._is_closed:
                    self._wanted.clear()
                    return
            self._call_in_loop(partial(self._finish, descriptor, tag))

    def _take(self) -> tuple[int, int] | None:
        """Wait for a file, and return it with its length; None at the end."""
        with self._condition:
            while not (self._queue or self._is_closed):
                self._condition.wait()
            if self._is_closed:
                return None
            task = self._queue.popleft()
            self._reading = task[0]
            return task

    def _read(self, descriptor: int, octets: int) -> EntityTag | None:
        """Return the tag of the first octets of a file; None if it is not one version all the time."""
        try:
            tagger = ContentTagger()
            buffer = memoryview(bytearray(_PART_OCTETS))
            before = os.fstat(descriptor)
            offset = 0
            while offset < octets:
                part = buffer[: min(_PART_OCTETS, octets - offset)]
                length = os.preadv(descriptor, [part], offset)
                if not length or self._rest(length):
                    return None
                tagger.add(part[:length])
                offset += length
            if version_of(before) != version_of(os.fstat(descriptor)):
                return None
        except (OSError, MemoryError):
            return None
        return tagger.tag()

    def _rest(self, octets: int) -> bool:
        """Wait as long as keeps the rate; return whether to stop."""
        with self._condition:
            if not self._is_closed:
                self._condition.wait(octets / _OCTETS_PER_SECOND)
            return self._is_closed

    def _finish(self, descriptor: int, tag: EntityTag | None) -> None:
        """Give the promise its tag, in the thread of the loop."""
        wanted = self._wanted.pop(descriptor, None)
        if wanted is None:
            return
        file, done = wanted
        promise = file.promise
        if tag is not None and promise.holds(descriptor) and promise.is_exact:
            promise.content_tag = tag
            done(promise)
