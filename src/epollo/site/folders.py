"""Folders that are kept open, so that a file in one of them is found with a single call.

Facts: a walk opens each folder on its way and looks at each name in it: seven calls for a file three
folders down, and as many dependents to note. Most files have neighbours that were asked for already.
Decision: what a walk to a folder rested on is kept as one `Folder`, which is watched and ends when a
name on the way, or the folder itself, changes. What is found in it depends on its own name alone, and
ends with the folder. Once a second, while it is in use, its path is compared with the open folder, for
mounts and for file systems that report no change.
No look at the name comes first: a file takes ``open``, ``fstat``, ``read``, ``close``. A write while it
is read shows in the next look at its version, and a FIFO is opened and closed without waiting.
Price: a descriptor for each, 256 at most, and one ``stat`` in each second in which something new is
asked for. A folder on another device than the root is not kept: an open descriptor would keep what is
mounted there from being unmounted.

If only this kernel makes names in a folder, it reports each name that comes to a watched one. It also
changes the time of the folder, which reveals a name in another spelling where case does not count.
Until one of the two happens, a name that is missing in such a folder stays missing, without another
look.
"""

import os
from collections import OrderedDict
from collections.abc import Callable

from epollo.annotations import Final
from epollo.site.media_types import MediaTypes
from epollo.site.representation import Edition, read_watched
from epollo.site.resolve import FILE_FLAGS, RULE_FILES, Edge, Kind, Names, Walk
from epollo.site.root import Root
from epollo.site.version import COARSEST_TICK_NS
from epollo.site.watch import Dependent, Watch, has_unwatched

_OPEN_LIMIT: Final = 256
_REFUSED_LIMIT: Final = 1024


class Folder:
    """The folder at a path of names, for as long as it stands there.

    ``edges`` are the names that led there, and the folder itself. ``members`` is what was found in it,
    by name. ``descriptor`` is open (O_PATH), or -1.
    """

    __slots__ = (
        "checked_second",
        "descriptor",
        "doubts",
        "edges",
        "edited_second",
        "is_changing",
        "is_current",
        "key",
        "members",
        "names",
        "number",
        "times",
    )

    def __init__(self, names: Names, number: int, edges: tuple[Edge, ...]) -> None:
        self.names = names
        self.number = number
        self.edges = (*edges, Edge(number, b""))
        self.members: dict[bytes, Dependent] = {}
        self.is_current = True
        self.descriptor = -1
        self.key = (0, 0)
        self.checked_second = 0
        self.doubts = 0
        """How often all folders were to be compared anew, up to the last look at this."""
        self.edited_second = 0
        """The second of the last look before which a name may have come to this folder or left it."""
        self.times = (0, 0)
        self.is_changing = False
        """Whether another change may leave the times as they are: they count in ticks."""


class Folders:
    """The folders below a root in which something was found lately.

    ``on_end`` is called with a folder that is no longer what stands at its path.
    """

    def __init__(self, root: Root, on_end: Callable[[Folder], None]) -> None:
        self._root = root
        self._on_end = on_end
        self._watch: Watch | None = None
        self._folders: dict[Names, Folder] = {}
        self._open: OrderedDict[Names, Folder] = OrderedDict()
        # Those that stand on another device or cannot be watched: a second walk would find that again.
        self._refused: set[Names] = set()
        self._doubts = 0

    def begin_watch(self, watch: Watch) -> None:
        """Keep folders from now on: the watch tells when one ends."""
        self._watch = watch

    def find(self, names: Names, second: int) -> Folder | Walk | None:
        """Return the folder at a path, open; None if it is not to be kept.

        Where no folder stands there, return the walk, which has no descriptor: nothing stands below.
        """
        folder = self._open.get(names)
        if folder is None:
            if self._watch is None or names in self._refused:
                return None
            return self._walk(self._watch, names, second)
        if not self.confirm(folder, second):
            return self.find(names, second)
        self._open.move_to_end(names)
        return folder

    def confirm(self, folder: Folder, second: int) -> bool:
        """Return whether a folder still stands at its path; once a second it is looked at again."""
        if folder.checked_second != second or folder.doubts != self._doubts:
            folder.checked_second, folder.doubts = second, self._doubts
            if not self._is_as_found(folder, second):
                self._on_end(folder)
        return folder.is_current

    def is_unedited(self, folder: Folder, second: int, since_second: int) -> bool:
        """Return whether a folder stands at its path, and no name has come to it since another second."""
        return self.confirm(folder, second) and folder.edited_second <= since_second

    def look_anew(self) -> None:
        """Have each folder compared with the file system before something is looked for in it."""
        self._refused.clear()
        self._doubts += 1

    def leave(self, folder: Folder, name: bytes) -> None:
        """Take out of a folder what was found under a name and has ended."""
        folder.members.pop(name, None)
        if not folder.members and folder.descriptor < 0 and folder.is_current:
            self.end(folder)

    def end(self, folder: Folder) -> None:
        """Keep a folder no longer; its members are the caller's to end."""
        self.take(folder)
        if self._watch is not None:
            self._watch.forget_members(folder.number, folder.members)
            self._watch.forget(folder)

    def take(self, folder: Folder) -> None:
        """Find a folder no longer, and close it; it is the caller's to end."""
        folder.is_current = False
        if self._folders.get(folder.names) is folder:
            del self._folders[folder.names]
        if self._open.get(folder.names) is folder:
            del self._open[folder.names]
        self._close(folder)

    def entries(self) -> list[Folder]:
        """Return every folder in which something was found, and every one that is open."""
        return list(self._folders.values())

    def take_all(self) -> list[Folder]:
        """Return every folder, closed: none is found again, and each is the caller's to end."""
        folders = self.entries()
        self.close()
        return folders

    def close(self) -> None:
        """Give back every descriptor."""
        for folder in self._open.values():
            self._close(folder)
        self._open.clear()
        self._folders.clear()

    def _walk(self, watch: Watch, names: Names, second: int) -> Folder | Walk | None:
        found = self._root.walk(names)
        if found.kind is Kind.FILE:
            os.close(found.descriptor)
            return Walk(Kind.MISSING, -1, found.edges)
        if found.kind is not Kind.FOLDER:
            return found
        try:
            return self._keep(watch, names, found, second)
        except OSError:
            os.close(found.descriptor)
            return None

    def _keep(self, watch: Watch, names: Names, found: Walk, second: int) -> Folder | None:
        # Watched before anything is looked for in it.
        number = watch.add_folder(found.descriptor)
        edges = (*found.edges, Edge(number, b""))
        status = os.fstat(found.descriptor)
        if has_unwatched(edges) or status.st_dev != self._root.device:
            os.close(found.descriptor)
            if len(self._refused) >= _REFUSED_LIMIT:
                self._refused.clear()
            self._refused.add(names)
            return None
        folder = self._folders.get(names)
        if folder is not None and folder.edges != edges:
            self._on_end(folder)
            folder = None
        if folder is None:
            folder = self._folders[names] = Folder(names, number, found.edges)
            watch.depend(folder)
            watch.depend_members(number, folder.members)
        folder.descriptor = found.descriptor
        folder.key = (status.st_dev, status.st_ino)
        folder.checked_second, folder.doubts = second, self._doubts
        _note_times(folder, _times_of(status), second)
        self._open[names] = folder
        if len(self._open) > _OPEN_LIMIT:
            _, former = self._open.popitem(last=False)
            self._close(former)
            if not former.members:
                self.end(former)
        return folder

    def _is_as_found(self, folder: Folder, second: int) -> bool:
        try:
            status = self._root.stat(folder.names)
        except (OSError, ValueError):
            return False
        _note_times(folder, _times_of(status), second)
        return (status.st_dev, status.st_ino) == folder.key

    def _close(self, folder: Folder) -> None:
        if folder.descriptor >= 0:
            os.close(folder.descriptor)
            folder.descriptor = -1


def _note_times(folder: Folder, times: tuple[int, int], second: int) -> None:
    if times != folder.times or folder.is_changing:
        folder.edited_second = second
    folder.times = times
    folder.is_changing = (max(times) + COARSEST_TICK_NS) // 1_000_000_000 >= second


def _times_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_ctime_ns


def look_in(
    folder: Folder, name: bytes, media_types: MediaTypes, kept_octets_limit: int
) -> tuple[bool, Edition | None]:
    """Look for a name in an open folder; return whether that is enough, and the version of the file.

    The version is None if nothing stands there. If the look is not enough, a walk is needed: the name
    may be hidden or a link, or the file cannot be read or is not kept.
    """
    if name.startswith(b".") or name in RULE_FILES:
        return False, None
    try:
        descriptor = os.open(name, FILE_FLAGS, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return True, None
    except (OSError, ValueError):
        return False, None
    try:
        edition = read_watched(descriptor, media_types.select(name), kept_octets_limit)
    except OSError:
        return False, None
    finally:
        os.close(descriptor)
    return edition is not None, edition
