"""What ends a version: changes of the names that a walk depended on, told by inotify(7).

A walk that ends at a file, or at nothing, has looked up names in folders (`resolve.Edge`). Each of these
folders is watched from before the look-up, and whatever happens to one of these names ends what was
found. So a write, a replacement, a rename of a folder above, a link that is switched, and a file that
appears where there was none, are all the same case.

The price is one watch per folder in use, one wake-up per batch of changes, and nothing per request.
Changes may come faster than they are read, from a log that is written in the folder: such a folder is
not watched for a while, and what rests on it is doubted instead (`events`).
Where a folder cannot be watched, or events were lost, the check by ``stat`` (`catalogue`) remains.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum

from epollo.annotations import Final, Protocol
from epollo.linux.inotify import CHANGES, flags
from epollo.loop import Handler
from epollo.site.events import Events
from epollo.site.resolve import Edge

UNWATCHED: Final = -1
"""The number of a folder that cannot be watched."""

EVERY_NAME: Final = b"/"
"""The name of an edge that any event in its folder ends; no name of a file has a slash."""
ITS_NAMES: Final = b"//"
"""The name of an edge that ends where a name comes to its folder or leaves it."""

_MASK: Final = CHANGES | flags.ONLYDIR
# Above the root only names count: what is written to the files there does not matter here.
_MASK_NAMES: Final = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ONLYDIR
_MASK_SELF: Final = flags.MOVE_SELF | flags.ONLYDIR
# For a file itself: whatever happens to it, through any of its names.
_MASK_FILE: Final = (
    flags.ATTRIB | flags.CLOSE_WRITE | flags.DELETE_SELF | flags.MODIFY | flags.MOVE_SELF
)


class Interest(Enum):
    """Which events of a folder count."""

    ALL = _MASK
    """Its names, and whatever happens to what stands there."""
    NAMES = _MASK_NAMES
    """Its names only."""
    ITSELF = _MASK_SELF
    """Whether it is moved; nothing about its names, however busy others are there."""
    FILE = _MASK_FILE
    """For a file, not a folder: its content, its attributes, and all of its names."""


_MANY: Final = 256
"""Beyond this number what ends with one change is only marked: to release that takes two milliseconds."""

_VERY_MANY: Final = 2048
"""Beyond this number a change ends everything: to mark as many one by one takes eight milliseconds."""

_REPORTED: Final = {Interest.ALL: "folder", Interest.FILE: "file"}


class Dependent(Protocol):
    """What rests on names in folders; a folder itself is the name ``b""`` in it."""

    edges: tuple[Edge, ...]


class Notice:
    """What events have told of one file since it was last looked at; the file is the name ``b""``.

    A notice does not end: a `Promise` reads it. ``is_written`` is whether content was written to,
    ``is_touched`` whether anything else happened (chmod, utime, rename, link, unlink).
    """

    __slots__ = ("_is_in_doubt", "checked_second", "edges", "is_touched", "is_written")

    def __init__(self, number: int) -> None:
        self.edges: tuple[Edge, ...] = (Edge(number, b""),)
        self.checked_second = 0
        """The second in which the file was last looked at; 0 where it has to be looked at again."""
        self.is_touched = False
        self.is_written = False
        self._is_in_doubt = False

    @property
    def is_watched(self) -> bool:
        """Whether the kernel tells of changes."""
        return self.edges[0].folder != UNWATCHED

    @property
    def is_in_doubt(self) -> bool:
        """Whether the file is taken for written to, since no event would tell (`doubt`)."""
        return self._is_in_doubt

    def note(self, mask: int) -> None:
        """Act on an event (inotify(7))."""
        self.checked_second = 0
        if mask & flags.IGNORED:
            self.edges = (Edge(UNWATCHED, b""),)
        elif mask & flags.Q_OVERFLOW:
            self.is_touched = False
        elif mask & flags.MODIFY:
            self.is_written = True
        elif not mask & flags.CLOSE_WRITE:
            self.is_touched = True

    def doubt(self) -> None:
        """Note that the file is written to, and that no event will tell of it any more."""
        self.note(flags.IGNORED)
        self.is_written = self._is_in_doubt = True

    def clear(self) -> None:
        """Begin anew: what was told so far is known."""
        self.is_touched, self.is_written = False, self._is_in_doubt


class OnEnd(Protocol):
    """What is called when a version has ended."""

    def __call__(
        self, dependent: Dependent | None, /, *, is_written: bool = False, is_of_many: bool = False
    ) -> None:
        """Release what ended; with None, everything: events were lost.

        ``is_written`` is whether content was written to at the end of the edge, ``is_of_many`` whether so
        much ends with it that it has to be released later.
        """


class _Folder:
    __slots__ = ("dependents", "key", "mask", "members")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.mask = 0
        # Most names have one dependent: a set for each takes 216 octets.
        self.dependents: dict[bytes, Dependent | set[Dependent]] = {}
        # By name, one for each path that leads here.
        self.members: list[Mapping[bytes, Dependent]] = []

    def add(self, name: bytes, dependent: Dependent) -> None:
        """Let something depend on a name."""
        known = self.dependents.get(name)
        if known is None:
            self.dependents[name] = dependent
        elif isinstance(known, set):
            known.add(dependent)
        elif known is not dependent:
            self.dependents[name] = {known, dependent}

    def discard(self, name: bytes, dependent: Dependent) -> None:
        """Let it no longer depend on a name, if it does."""
        known = self.dependents.get(name)
        if isinstance(known, set):
            known.discard(dependent)
            if not known:
                del self.dependents[name]
        elif known is dependent:
            del self.dependents[name]

    def select(self, name: bytes) -> tuple[Dependent, ...]:
        """Return what depends on a name now."""
        known = self.dependents.get(name)
        if isinstance(known, set):
            return tuple(known)
        return () if known is None else (known,)


class Watch(Handler):
    """What a site watches; ``on_end`` is called with each dependent that has ended.

    ``events`` are those of all sites; without them, this is the handler of a descriptor of its own.
    """

    __slots__ = (
        "_by_key",
        "_events",
        "_folders",
        "_on_end",
        "_report",
        "_was_exhausted",
        "descriptor",
        "on_read",
    )

    def __init__(
        self, on_end: OnEnd, report: Callable[[str], None], events: Events | None = None
    ) -> None:
        """Raise `OSError` where the system gives no inotify descriptor."""
        self._events = events or Events()
        self._events.join(self)
        self.descriptor: int = self._events.descriptor
        self._on_end = on_end
        self._report = report
        self.on_read: Callable[[], None] | None = None
        """Called when the changes that were there have been read."""
        self._folders: dict[int, _Folder] = {}
        self._by_key: dict[tuple[int, int], int] = {}
        self._was_exhausted = False

    def add_folder(self, descriptor: int, interest: Interest = Interest.ALL) -> int:
        """Watch a folder, or with `Interest.FILE` a file, from now on.

        Return its number, or `UNWATCHED`.
        """
        mask = int(interest.value)
        try:
            status = os.fstat(descriptor)
            key = (status.st_dev, status.st_ino)
            number = self._by_key.get(key)
            if number is not None and (
                mask & ~self._folders[number].mask == 0 or self._events.is_in_storm(number)
            ):
                return number
            # Through /proc, so that it is this folder and no other that has its path meanwhile.
            number = self._events.add(self, f"/proc/self/fd/{descriptor}", mask)
        except OSError as error:
            # Without the right to read it, with all watches in use (inotify_add_watch(2)), or where the
            # file system has gone (fstat(2)). Folders above the root are often not ours to read, and
            # rarely change.
            if interest in _REPORTED and not self._was_exhausted:
                self._was_exhausted = True
                self._report(
                    f"cannot watch a {_REPORTED[interest]} ({error.strerror}); "
                    "changes there are seen within a second"
                )
            return UNWATCHED
        self._folders.setdefault(number, _Folder(key)).mask |= mask
        self._by_key[key] = number
        return number

    def depend(self, dependent: Dependent, edges: tuple[Edge, ...] | None = None) -> None:
        """Call ``on_end`` with the dependent when one of its edges changes; with ``edges``, of these."""
        for number, name in dependent.edges if edges is None else edges:
            folder = self._folders.get(number)
            if folder is not None:
                folder.add(name, dependent)

    def depend_members(self, number: int, members: Mapping[bytes, Dependent]) -> None:
        """Call ``on_end`` with the member whose name in a folder changes, now or in the future.

        Members do not end with a change of the folder itself: some dependent has to.
        """
        self._folders[number].members.append(members)

    def forget_members(self, number: int, members: Mapping[bytes, Dependent]) -> None:
        """Tell these members of no more changes; to be called before their folder is forgotten."""
        folder = self._folders.get(number)
        if folder is not None:
            folder.members = [one for one in folder.members if one is not members]

    def forget(self, dependent: Dependent) -> None:
        """Forget a dependent, and stop watching folders that nothing depends on."""
        for number, name in dependent.edges:
            folder = self._folders.get(number)
            if folder is None:
                continue
            folder.discard(name, dependent)
            if not folder.dependents and not self._events.is_in_storm(number):
                self._drop(number)
                self._events.remove(self, number)

    @property
    def is_blind(self) -> bool:
        """Whether there may be changes that do not make the descriptor ready (`Events`)."""
        return self._events.is_blind

    def on_ready(self, events: int) -> None:
        """Read every change that is here when this is called, and end what depended on it."""
        self._events.on_ready(events)

    def call_in_storm(self, call: Callable[[], None]) -> None:
        """Have a call made when a storm begins: from then on changes may go unreported (`is_blind`)."""
        self._events.on_storm = call

    def note(self, number: int, mask: int, name: bytes) -> None:
        """End what depended on a change."""
        folder = self._folders.get(number)
        if folder is None:
            return
        if mask & flags.IGNORED:
            self._drop(number)
        if name:
            dependents = folder.dependents
            if name in dependents:
                self._end(folder.select(name), mask)
            if EVERY_NAME in dependents:
                self._end(folder.select(EVERY_NAME), mask)
            if ITS_NAMES in dependents and mask & _MASK_NAMES:
                self._end(folder.select(ITS_NAMES), mask)
            for members in folder.members:
                member = members.get(name)
                if member is not None:
                    self._end((member,), mask)
        else:
            self._end([one for each in folder.dependents for one in folder.select(each)], mask)

    def doubt(self, number: int, *, is_last: bool) -> None:
        """End what rests on a folder that is not watched; with ``is_last``, forget the folder."""
        folder = self._folders.get(number)
        if folder is None:
            return
        if is_last:
            self._drop(number)
        for name in list(folder.dependents):
            for dependent in folder.select(name):
                if isinstance(dependent, Notice):
                    dependent.doubt()
                else:
                    self._on_end(dependent)

    def note_end(self) -> None:
        """Note that the changes which were there have been read."""
        if self.on_read is not None:
            self.on_read()

    def on_fault(self, fault: Exception) -> None:
        """End everything: after a bug nothing is known to be current."""
        self._events.on_fault(fault)

    def close(self) -> None:
        """Stop watching."""
        self._folders.clear()
        self._events.leave(self)

    def _drop(self, number: int) -> None:
        folder = self._folders.pop(number)
        if self._by_key.get(folder.key) == number:
            del self._by_key[folder.key]

    def _end(self, dependents: Collection[Dependent], mask: int) -> None:
        number = len(dependents)
        if number > _VERY_MANY and not mask & flags.MODIFY:
            self._end_all(dependents, mask)
            return
        is_of_many = number > _MANY
        for dependent in dependents:
            if isinstance(dependent, Notice):
                dependent.note(mask)
            else:
                self._on_end(dependent, is_written=bool(mask & flags.MODIFY), is_of_many=is_of_many)

    def _end_all(self, dependents: Iterable[Dependent], mask: int) -> None:
        for dependent in dependents:
            if isinstance(dependent, Notice):
                dependent.note(mask)
        self._on_end(None)

    def note_loss(self) -> None:
        """Trust nothing to be current: events were lost, perhaps those of folders that are gone."""
        is_in_storm = self._events.is_in_storm
        self._by_key = {key: one for key, one in self._by_key.items() if is_in_storm(one)}
        for folder in self._folders.values():
            for dependent in folder.select(b""):
                if isinstance(dependent, Notice):
                    dependent.note(flags.Q_OVERFLOW)
        self._on_end(None)


def open_watch(
    descriptor: int, on_end: OnEnd, report: Callable[[str], None], events: Events | None
) -> Watch | None:
    """Return a watch; None where the system has none, which is reported.

    ``descriptor`` is any that is open. Raises `OSError` where there is room for no descriptor at all.
    """
    try:
        return Watch(on_end, report, events)
    except (OSError, AttributeError) as error:
        # EMFILE may be the limit of inotify instances (inotify_init(2)), beyond which files are served
        # all the same. Where it is the limit of descriptors, this raises it again.
        os.close(os.dup(descriptor))
        report(f"no inotify here ({error}); changes are seen within a second")
        return None


def has_unwatched(edges: Iterable[Edge]) -> bool:
    """Return whether something may change there without an event."""
    return any(edge.folder == UNWATCHED for edge in edges)


def watch_other_names(watch: Watch | None, descriptor: int) -> tuple[Edge, ...]:
    """Watch a file that has names elsewhere: only its own events report a write through these."""
    if watch is None or os.fstat(descriptor).st_nlink == 1:
        return ()
    return (Edge(watch.add_folder(descriptor, Interest.FILE), b""),)
