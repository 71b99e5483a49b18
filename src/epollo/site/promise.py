"""What an answer from a large file has promised: a number of bytes of one content, all of them.

Facts: an answer is under way for as long as its client takes. Meanwhile the file may be renamed,
replaced, touched or appended to, which leaves what was promised as it is. Or it may be written over,
and then be given its old modification time (``rsync --inplace --times``). No process can set the time
at which an inode changed (st_ctime, inode(7)), but other things than a write move it, too. inotify(7)
can tell a write from those, but not an append from a write over what was there.

Decision: the file itself is watched, not one of its names, until nothing rests on the promise any more.
A look compares length and times (one ``fstat``). Where these are the same, nothing has happened. Else
the events decide, and samples of what was promised have to be as before. Without a write the promise
holds. A write that made the file longer is taken for an append. Every other write breaks the promise.

The event of a write comes at its end, but its times are set from its begin on. So if the time of
modification is the present one, a write may have set it, whatever other event came. Even if a ``touch``
seems to have set it, the promise is in doubt from then on, and each look compares samples.

A file with too many events is not watched for a while (`events`). Then each look takes it for written to,
unless its times are older than the look before, and so would show a write since.

Price: a watch for each large file in use. A write over the content is missed if it changes no sample
and an append hides it between the same two looks. So is a write that lasts until an answer has been
sent, if it began after a ``touch`` and no look came between. A write by AIO, by ``mmap`` or on another
machine causes no event: it shows in the times, unless the old time is set again between the same two
looks.
"""

import contextlib
import os
import time

from epollo.annotations import Final
from epollo.http.validators import EntityTag
from epollo.site.entity_tags import tag_version
from epollo.site.resolve import Names
from epollo.site.version import COARSEST_TICK_NS, Version, is_version, version_of
from epollo.site.watch import UNWATCHED, Interest, Notice, Watch

_FINE_TICK_NS: Final = 20_000_000
"""Longer than a tick of the kernel, a hundredth of a second at most (time(7)): where times have parts."""
_SETTLED_NS: Final = 10_000_000_000
_SAMPLES: Final = 16
_SAMPLE_OCTETS: Final = 1024
# Times are set before content is written, and the event comes after: another look may decide.
_WAITS_SECONDS: Final = (0.0, 0.0001, 0.0002, 0.0004)


class Promise:
    """The first ``octets`` of a file as they were when this was made.

    ``watch`` is None if there is no inotify; ``former`` is an earlier promise of the same file that
    is broken. The file is watched before it is first looked at, so that no change falls between the
    two.
    """

    __slots__ = (
        "_has_grown",
        "_is_broken",
        "_is_in_doubt",
        "_looked_ns",
        "_rights",
        "_samples",
        "_watch",
        "begun",
        "content_tag",
        "names",
        "notice",
        "octets",
        "provisional_tag",
        "seen",
    )

    def __init__(
        self, descriptor: int, watch: Watch | None, former: "Promise | None" = None
    ) -> None:
        """Raise `OSError` if the file cannot be looked at."""
        # Until there is a notice, there is nothing to forget.
        self._watch: Watch | None = None
        number = UNWATCHED if watch is None else watch.add_folder(descriptor, Interest.FILE)
        self.notice = Notice(number)
        self._watch = watch
        if watch is not None:
            watch.depend(self.notice)
        # When the last look began, nanoseconds since 1970.
        self._looked_ns = time.time_ns()
        status = os.fstat(descriptor)
        self.begun = version_of(status)
        self.octets = status.st_size
        self.seen: Version = self.begun
        """The version that the last look found."""
        self._rights = _rights_of(status)
        self._has_grown = False
        self._is_broken = False
        self._is_in_doubt = False
        self._samples = _read_samples(descriptor, self.octets)
        self.provisional_tag: EntityTag = tag_version(
            self.begun,
            may_be_taken=(former is not None and former.seen == self.begun)
            or (
                not self.notice.is_watched
                and time.time_ns() - self.begun.changed_ns <= COARSEST_TICK_NS
            ),
        )
        self.content_tag: EntityTag | None = None
        """The entity tag that was made from the content, once it is."""
        self.names: set[Names] = set()
        """The paths at which the file was found."""

    def __del__(self) -> None:
        if self._watch is not None:
            self._watch.forget(self.notice)

    @property
    def is_broken(self) -> bool:
        """Whether a look has found another content."""
        return self._is_broken

    @property
    def is_exact(self) -> bool:
        """Whether the file has the length and the modification time that the promise began with."""
        return self.seen.octets == self.octets and self.seen.modified_ns == self.begun.modified_ns

    def is_settled(self) -> bool:
        """Return whether the file has not changed in the last ten seconds.

        The time of its change decides, for a copy may set the modification time back. A file system
        that keeps no such time shows another one in its place; so the modification time counts, too,
        unless it lies in the future.
        """
        now_ns = time.time_ns()
        return (
            now_ns - self.seen.changed_ns > _SETTLED_NS
            and not 0 <= now_ns - self.seen.modified_ns <= _SETTLED_NS
        )

    def note_write(self) -> None:
        """Note an event by which a name of the file was written to, where the file is not watched."""
        if not self.notice.is_watched:
            self.notice.is_written = True

    def holds(self, descriptor: int) -> bool:
        """Look at the file; return whether it still has what was promised.

        A file that cannot be looked at does not.
        """
        if self._is_broken:
            return False
        try:
            status = os.fstat(descriptor)
            if not self.notice.is_written and is_version(status, self.seen):
                if not self._is_in_doubt and (
                    time.time_ns() - status.st_ctime_ns > COARSEST_TICK_NS or self._watch is None
                ):
                    return True
                # Another write may have the same time: only its event tells.
                if self._watch is not None:
                    self._watch.on_ready(0)
                if not self.notice.is_written and (
                    not self._is_in_doubt or self._are_samples_true(descriptor)
                ):
                    return True
            self._is_broken = not self._decide(descriptor)
        except OSError:
            return False
        return not self._is_broken

    def _decide(self, descriptor: int) -> bool:
        """Find out what has happened to a file that is not as it was at the last look."""
        for wait_seconds in _WAITS_SECONDS:
            if wait_seconds:
                time.sleep(wait_seconds)
            if self._watch is not None:
                self._watch.on_ready(0)
            now_ns = time.time_ns()
            status = os.fstat(descriptor)
            if status.st_size < self.octets:
                return False
            may_be_written = self._may_be_written(status)
            if may_be_written and wait_seconds != _WAITS_SECONDS[-1]:
                continue
            if self._is_explained(status):
                if not self._are_samples_true(descriptor):
                    return False
                self._is_in_doubt |= may_be_written
                self._has_grown |= status.st_size > self.seen.octets
                self.seen = version_of(status)
                self._looked_ns = now_ns
                self._rights = _rights_of(status)
                self.notice.clear()
                return True
        return False

    def _is_explained(self, status: os.stat_result) -> bool:
        """Return whether what was promised can be as it was, by length, times and events."""
        seen = self.seen
        if status.st_size > seen.octets:
            return True
        if self.notice.is_written:
            # This is the event of an append whose end was seen already: nothing has begun since. Or no
            # event would tell of a write, but its time would.
            return status.st_ctime_ns == seen.changed_ns and (
                self._has_grown or (self.notice.is_in_doubt and self._would_show_write())
            )
        if status.st_size < seen.octets:
            return False
        if status.st_ctime_ns == seen.changed_ns:
            return True
        is_other_right = _rights_of(status) != self._rights
        if self.notice.is_touched:
            # To change a right does not set the time of modification.
            return not (is_other_right and self._may_be_written(status))
        # No event told, but its rights have changed, or its names.
        return is_other_right and status.st_mtime_ns == seen.modified_ns

    def _may_be_written(self, status: os.stat_result) -> bool:
        """Return whether a write of which no event tells yet may have set these times.

        A write sets the time of modification to that of the change, as far as a file system has either.
        """
        return (
            not self.notice.is_written
            and status.st_size == self.seen.octets
            and status.st_mtime_ns != self.seen.modified_ns
            and abs(status.st_ctime_ns - status.st_mtime_ns) <= COARSEST_TICK_NS
        )

    def _would_show_write(self) -> bool:
        """Return whether a write since the last look has set another time than that look has found."""
        changed_ns = self.seen.changed_ns
        tick_ns = _FINE_TICK_NS if changed_ns % 1_000_000_000 else COARSEST_TICK_NS
        return self._looked_ns - changed_ns > tick_ns

    def _are_samples_true(self, descriptor: int) -> bool:
        return all(
            os.pread(descriptor, len(sample), offset) == sample for offset, sample in self._samples
        )


def _rights_of(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_nlink


def _read_samples(descriptor: int, octets: int) -> list[tuple[int, bytes]]:
    """Return short parts of a file with their offsets, from its begin to its end.

    Only what is in memory is read (RWF_NOWAIT, preadv2(2)), for a disk would have every client wait. A
    file that was written lately is in memory as a whole.
    """
    samples = []
    last = max(0, octets - _SAMPLE_OCTETS)
    with contextlib.suppress(OSError, AttributeError):
        for number in range(_SAMPLES):
            offset = last * number // (_SAMPLES - 1)
            sample = bytearray(min(_SAMPLE_OCTETS, octets))
            with contextlib.suppress(BlockingIOError):
                length = os.preadv(descriptor, [sample], offset, os.RWF_NOWAIT)
                samples.append((offset, bytes(sample[:length])))
    return samples
