"""Large files as they are sent: a descriptor, and what was promised of the file (`promise`).

Facts: ``sendfile`` lends the network the pages of a file, and a write before the peer confirms them goes
out in an answer that looks whole.
Decision: a file that was written to in the last ten seconds is not *settled*: steps of 128 KiB of it are
read, and sent if the file is the same afterwards.
"""

import os
from collections import OrderedDict

from epollo.annotations import Final
from epollo.site.promise import Promise
from epollo.site.watch import Watch

_SHARED_FILES_LIMIT: Final = 128
_PROMISES_LIMIT: Final = 256


class OpenFile:
    """An open file, and the promise about it that is to be kept."""

    is_sealed = False

    __slots__ = ("descriptor", "is_settled", "promise")

    def __init__(self, descriptor: int, promise: Promise) -> None:
        self.descriptor = descriptor
        self.promise = promise
        self.is_settled = False

    @property
    def checked_second(self) -> int:
        """Until when no look is due: an event ends that earlier."""
        return self.promise.notice.checked_second

    def settle(self) -> bool:
        """Return whether the file has not changed in the last seconds, and note that."""
        self.is_settled = self.promise.is_settled()
        return self.is_settled

    def may_send_on(self, second: int) -> bool:
        """Look at the file; return whether it still has what was promised of it."""
        promise = self.promise
        if promise.notice.is_watched:
            promise.notice.checked_second = second
        before = promise.seen
        if not promise.holds(self.descriptor):
            return False
        if promise.seen is not before:
            self.is_settled = False
        return True

    def is_unchanged(self, second: int) -> bool:
        """Look at the file; return whether what was promised is all of it, with the same date."""
        return self.may_send_on(second) and self.promise.is_exact

    def map(self) -> None:
        """Return nothing: memory of a file that may become shorter is not safe to read (mmap(2))."""

    def close(self) -> None:
        """Give the descriptor back; once is enough."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class SharedFile(OpenFile):
    """An open file that all answers with this version share.

    Finding and opening a file anew for each answer takes some sixty microseconds. The price is a
    descriptor for each, hence a limit to their number.
    """

    __slots__ = ()

    _count = 0

    def __init__(self, descriptor: int, promise: Promise) -> None:
        super().__init__(descriptor, promise)
        SharedFile._count += 1

    @staticmethod
    def may_have_more() -> bool:
        """Return whether another one may be opened."""
        return SharedFile._count < _SHARED_FILES_LIMIT

    def __del__(self) -> None:
        super().close()
        SharedFile._count -= 1

    def close(self) -> None:
        """Do nothing: the file is closed when nothing refers to it any more."""


class Promises:
    """What is promised of large files, by inode: 256 at the most, the latest asked for.

    A resource ends with each change of a name or a right. What was promised of the file stays: its
    entity tag stays, and with it a download that is resumed after a ``chmod``.
    """

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch
        self._promises: OrderedDict[tuple[int, int], Promise] = OrderedDict()

    def find(self, descriptor: int) -> Promise:
        """Return the promise of all of an open file, an earlier one where that holds.

        Raises `OSError`.
        """
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        promise = self._promises.pop(key, None)
        if (
            promise is None
            or not promise.notice.is_watched
            or not promise.holds(descriptor)
            or not promise.is_exact
        ):
            broken = promise if promise is not None and promise.is_broken else None
            promise = Promise(descriptor, self._watch, broken)
        self._promises[key] = promise
        if len(self._promises) > _PROMISES_LIMIT:
            self._promises.popitem(last=False)
        return promise

    def clear(self) -> None:
        """Give up every promise that no answer rests on."""
        self._promises.clear()
