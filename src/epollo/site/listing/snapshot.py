"""What was found in a folder, for as long as it is so: the basis of its listings.

Facts: inotify tells of a folder's own names and of what happens to the files by these names. It does not
tell of names below a subfolder, which change the subfolder's time, nor of what a link leads to, nor of a
write through another name of a file.
Decision: each event in the folder ends the snapshot. Subfolders and files of several names are watched
besides, up to a limit; a link is walked, and what its walk rests on ends the snapshot as well. Once a
second, while in use, the folder's own version and some of its entries are compared with the file system.
Price: beyond the limit subfolders have no time, and files of several names leave the snapshot one second.
"""

import os
import stat
from collections.abc import Callable, Generator, Sequence

from epollo.annotations import Final
from epollo.site.listing.entries import Entry
from epollo.site.representation import Edition
from epollo.site.resolve import WELL_KNOWN, Edge, Kind, Names, Walk
from epollo.site.resource import Confirm, Resource
from epollo.site.root import Root
from epollo.site.version import Version, version_of
from epollo.site.watch import (
    EVERY_NAME,
    ITS_NAMES,
    UNWATCHED,
    Interest,
    Watch,
    has_unwatched,
)

_STEP_ENTRIES: Final = 32
_WATCHED_ENTRIES_LIMIT: Final = 1024
_LOOKED_AT_ENTRIES: Final = 128
_ENTRY_OCTETS: Final = 280
_EDGE_OCTETS: Final = 400
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


NO_VERSION: Final = Version(0, 0, 0, 0, 0)
"""The version of content that is no file's; no date is given of it."""


class GeneratedResource(Resource):
    """Content that this program has made, as if it were a file."""

    __slots__ = ()


class ListingPage(GeneratedResource):
    """A page of a listing, kept under a name in its folder that no file can have.

    ``has_all`` is whether it shows all that there is to be shown.
    """

    __slots__ = ("has_all", "snapshot")

    def __init__(
        self, names: Names, snapshot: "Snapshot", edition: Edition, *, has_all: bool
    ) -> None:
        super().__init__(names, Kind.FILE, (), snapshot.checked_second, snapshot.confirm)
        self.has_all = has_all
        self.snapshot = snapshot
        self.edition = edition
        self.octets += edition.identity.length


class Snapshot(Resource):
    """The entries of a folder, and the pages that were made of them."""

    __slots__ = (
        "__weakref__",
        "_cursor",
        "_discard",
        "_end_page",
        "_pages",
        "above",
        "confirm",
        "entries",
        "folder_names",
        "known_edges",
        "version",
        "watched",
    )

    def __init__(
        self,
        names: Names,
        folder_names: Names,
        second: int,
        confirm: Confirm,
        *,
        end_page: Callable[[Resource], None],
        discard: Callable[[Sequence[Entry]], None],
    ) -> None:
        """Begin with an empty folder; ``names`` are those that it is kept by.

        ``discard`` releases its entries, in slices where they are many.
        """
        super().__init__(names, Kind.FOLDER, (), second, confirm)
        self.folder_names = folder_names
        self.confirm = confirm
        self._end_page = end_page
        self._discard = discard
        self.entries: Sequence[Entry] = ()
        self.version: Version | None = None
        self.above: set[tuple[int, int]] = set()
        """The folders on the path to this one, and itself: device and inode."""
        self.known_edges: set[Edge] = set()
        self.watched = 0
        """How many entries are watched themselves."""
        self._pages: list[ListingPage] = []
        self._cursor = 0

    def add_page(self, page: ListingPage) -> None:
        """Have a page that is kept end with this."""
        self._pages = [one for one in self._pages if one.is_current]
        self._pages.append(page)

    def end(self) -> None:
        """Stand no longer, nor any page of it."""
        super().end()
        pages, self._pages = self._pages, []
        for page in pages:
            self._end_page(page)
        # A build may still read them.
        self._discard(self.entries)

    def is_as_found(self, root: Root) -> bool:
        """Compare with the file system what was found there: the folder, and the next entries in turn."""
        if has_unwatched(self.edges):
            return False
        try:
            if version_of(root.stat(self.folder_names)) != self.version:
                return False
            end = self._cursor + _LOOKED_AT_ENTRIES
            for entry in self.entries[self._cursor : end]:
                status = root.stat((*self.folder_names, entry.name))
                if entry.modified_ns not in {None, status.st_mtime_ns} or (
                    not entry.is_folder and entry.octets != status.st_size
                ):
                    return False
        except (OSError, ValueError):
            return False
        self._cursor = end if end < len(self.entries) else 0
        return True


class Reader:
    """Reads a folder into a snapshot, in steps.

    These are not listed: what is hidden, what this process may not read, what is neither file nor
    folder, and a link to a folder on its own path.
    """

    def __init__(self, root: Root, watch: Watch | None) -> None:
        self._root = root
        self._watches = watch

    def begin(self, snapshot: Snapshot, walk: Walk) -> None:
        """Watch the folder that a walk led to, and what led there."""
        self._add_edges(snapshot, walk.edges)
        self._watch(snapshot, walk.descriptor, EVERY_NAME, Interest.ALL)

    def read_in_steps(self, snapshot: Snapshot, descriptor: int) -> Generator[None, None, None]:
        """Read the folder that is open; the descriptor stays the caller's. Raises `OSError`.

        Whatever is looked at is watched before.
        """
        entries: list[Entry] = []
        status = os.fstat(descriptor)
        snapshot.version = version_of(status)
        snapshot.above = {(status.st_dev, status.st_ino)}
        for depth in range(len(snapshot.folder_names)):
            status = self._root.stat(snapshot.folder_names[:depth])
            snapshot.above.add((status.st_dev, status.st_ino))
        readable = os.open(b".", _FOLDER_FLAGS, dir_fd=descriptor)
        try:
            with os.scandir(readable) as found:
                for number, one in enumerate(found):
                    if number % _STEP_ENTRIES == 0:
                        yield
                    name = os.fsencode(one.name)
                    entry = self._read_entry(snapshot, readable, name)
                    if entry is not None:
                        entries.append(entry)
                        snapshot.octets += _ENTRY_OCTETS + len(name)
        finally:
            os.close(readable)
        snapshot.entries = entries

    def _read_entry(self, snapshot: Snapshot, folder: int, name: bytes) -> Entry | None:
        names = (*snapshot.folder_names, name)
        if self._root.is_hidden(names) or names == (WELL_KNOWN,):
            return None
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                return self._read_link(snapshot, names)
            is_folder = stat.S_ISDIR(status.st_mode)
            if not (is_folder or stat.S_ISREG(status.st_mode)):
                return None
            # By the user that serves, also where a set-user-ID bit or a capability is at work.
            wanted = os.R_OK | os.X_OK if is_folder else os.R_OK
            if not os.access(name, wanted, dir_fd=folder, effective_ids=True):
                return None
            if is_folder or status.st_nlink > 1:
                return self._watch_entry(snapshot, folder, name, is_folder=is_folder)
        except OSError:
            # Gone since it was read: an event tells of that.
            return None
        return Entry(name, is_folder, status.st_size, status.st_mtime_ns)

    def _watch_entry(
        self, snapshot: Snapshot, folder: int, name: bytes, *, is_folder: bool
    ) -> Entry | None:
        """Look at an entry about which the folder's events do not tell everything."""
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            return self._look_at(snapshot, descriptor, name, is_folder=is_folder)
        finally:
            os.close(descriptor)

    def _read_link(self, snapshot: Snapshot, names: Names) -> Entry | None:
        """Walk a link as a request would; list what it leads to."""
        may_watch = snapshot.is_current and snapshot.watched < _WATCHED_ENTRIES_LIMIT
        found = self._root.walk(names) if may_watch else self._root.walk_unwatched(names)
        self._add_edges(snapshot, found.edges)
        if found.descriptor < 0:
            snapshot.watched += 1
            return None
        try:
            is_folder = found.kind is Kind.FOLDER
            return self._look_at(snapshot, found.descriptor, names[-1], is_folder=is_folder)
        finally:
            os.close(found.descriptor)

    def _look_at(
        self, snapshot: Snapshot, descriptor: int, name: bytes, *, is_folder: bool
    ) -> Entry | None:
        """Watch a file or folder that is open, as far as the limit allows, and then look at it."""
        is_watched = snapshot.watched < _WATCHED_ENTRIES_LIMIT
        if is_watched:
            snapshot.watched += 1
            if is_folder:
                self._watch(snapshot, descriptor, ITS_NAMES, Interest.NAMES)
            else:
                self._watch(snapshot, descriptor, b"", Interest.FILE)
        elif not is_folder:
            self._add_edges(snapshot, (Edge(UNWATCHED, b""),))
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode) is not is_folder:
            return None
        if (status.st_dev, status.st_ino) in snapshot.above:
            # A program that copies the tree would go round in a circle.
            return None
        if is_folder:
            return Entry(name, True, 0, status.st_mtime_ns if is_watched else None)
        return Entry(name, False, status.st_size, status.st_mtime_ns)

    def _watch(self, snapshot: Snapshot, descriptor: int, name: bytes, interest: Interest) -> None:
        number = UNWATCHED
        if self._watches is not None and snapshot.is_current:
            number = self._watches.add_folder(descriptor, interest)
        self._add_edges(snapshot, (Edge(number, name),))

    def _add_edges(self, snapshot: Snapshot, edges: tuple[Edge, ...]) -> None:
        """Have these end the snapshot, too; from here on an event does, also while it is read."""
        new = tuple(edge for edge in edges if edge not in snapshot.known_edges)
        snapshot.edges += new
        snapshot.known_edges.update(new)
        snapshot.octets += _EDGE_OCTETS * len(new)
        if self._watches is not None and snapshot.is_current:
            self._watches.depend(snapshot, new)
