"""The root: the folder that is served, followed when another folder takes its place.

Facts: a deployment renames a folder, or switches a link that leads to one, and expects the new folder to
be served. A descriptor still names the former folder.
Decision: the root is a path. What the path leads to is compared with the open folder once a second, and
when inotify tells of a change of a name above it.
Price: one ``stat`` in each second that has requests, and one watch for each folder above the root.
"""

import os
from collections import deque
from collections.abc import Callable

from epollo.errors import OperatorError
from epollo.linux.file_systems import reports_every_name
from epollo.site.folder import open_root
from epollo.site.reach import PLAIN, Reach
from epollo.site.resolve import LINKS_LIMIT, Edge, Names, Walk, is_hidden, walk
from epollo.site.watch import UNWATCHED, Dependent, Interest, Watch


def do_nothing(reason: str, is_news: bool) -> None:
    """Keep serving the former folder, and report nothing."""


class RootName:
    """The names that lead to the root, in the folders that they stand in: what ends when one changes."""

    __slots__ = ("edges",)

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        self.edges = edges


class Root:
    """The folder at a path.

    ``on_replaced`` is called when the path leads to another folder, which is open by then.
    ``on_out_of_reach`` is called when that other folder cannot be read, at each look: with the reason,
    and with whether this folder was not reported before.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        on_replaced: Callable[[], None],
        on_out_of_reach: Callable[[str, bool], None] = do_nothing,
        reach: Reach = PLAIN,
    ) -> None:
        """Raise `OperatorError` if the path is no folder that can be read."""
        self._shown = os.fspath(path)
        self._path = os.fsencode(_make_absolute(self._shown))
        self._on_replaced = on_replaced
        self._on_out_of_reach = on_out_of_reach
        self._reach = reach
        self._watch: Watch | None = None
        self._name = RootName(())
        self.checked_second = 0
        """The second (since 1970) of the last look at the path."""
        self._is_gone = False
        self._refused_key: tuple[int, int] | None = None
        self._open()

    def begin_watch(self, watch: Watch) -> None:
        """Learn of changes by this watch from now on."""
        self._watch = watch
        self._watch_names()

    def walk(self, names: Names, *, is_rule_file: bool = False) -> Walk:
        """Walk from the root down a path of names (`resolve.walk`); each folder on the way is watched."""
        return walk(
            self.descriptor,
            self._real_path,
            names,
            self._number_folder,
            reach=self._reach,
            is_rule_file=is_rule_file,
        )

    def walk_unwatched(self, names: Names) -> Walk:
        """Walk in the same way without watching anything."""
        return walk(self.descriptor, self._real_path, names, lambda _: UNWATCHED, reach=self._reach)

    def is_hidden(self, names: Names) -> bool:
        """Return whether a path of names is never served."""
        return is_hidden(names, self._reach)

    def stat(self, names: Names) -> os.stat_result:
        """Return what stands at a path of names by the file system alone: links are followed anywhere.

        Raises `OSError`, and `ValueError` where a name has a NUL.
        """
        return os.stat(b"/".join((self._path, *names)))

    @property
    def device(self) -> int:
        """The device that the root is on (``st_dev``, stat(2))."""
        return self._key[0]

    def follow(self, second: int) -> None:
        """Look once a second at what the path leads to."""
        if self.checked_second != second:
            self.checked_second = second
            self._follow()

    def look_anew(self) -> None:
        """Have the next call of `follow` look in any case."""
        self.checked_second = 0

    def is_named_by(self, dependent: Dependent | None) -> bool:
        """Return whether a dependent that has ended is the names that lead to the root."""
        return dependent is self._name

    def on_change(self) -> None:
        """Look at the path after a change of a name above the root."""
        # Watched anew before it is looked at, so that no change falls between the two.
        self._watch_names()
        self._follow()

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self.descriptor)

    def _open(self) -> None:
        self.descriptor = open_root(self._path, self._shown)
        status = os.fstat(self.descriptor)
        self._real_path = os.path.realpath(self._path)
        self._key = (status.st_dev, status.st_ino)
        self.reports_every_name = reports_every_name(self.descriptor)
        """Whether the kernel tells of each name that comes to a watched folder on this device."""

    def _number_folder(self, descriptor: int) -> int:
        return UNWATCHED if self._watch is None else self._watch.add_folder(descriptor)

    def _follow(self) -> None:
        """Follow a root that was replaced; one that is gone stays open until it comes back."""
        # Other folders are watched now: the path may have changed before they were, so it is looked at
        # again.
        while not self._is_settled():
            self._watch_names()

    def _is_settled(self) -> bool:
        """Open the folder that the path leads to now; return whether the path leads where it did."""
        is_replaced = False
        try:
            status = os.stat(self._path)
            key = (status.st_dev, status.st_ino)
            is_replaced = key != self._key
            if not is_replaced and not self._is_gone:
                return True
            if is_replaced:
                former = self.descriptor
                self._open()
                os.close(former)
                self._on_replaced()
        except (OSError, OperatorError) as error:
            if is_replaced:
                is_news, self._refused_key = key != self._refused_key, key
                self._on_out_of_reach(str(error), is_news)
            was_gone, self._is_gone = self._is_gone, True
            return was_gone
        self._is_gone = False
        self._refused_key = None
        return False

    def _watch_names(self) -> None:
        """Watch what the path to the root rests on, so that a root that is replaced is seen at once.

        Other programs work in the folders above, and must not wake this process. So names are watched
        only in the folder right above the root, where a link stands (a deployment switches one), and
        everywhere while there is no root. All other folders are only watched for being moved
        themselves.
        """
        if self._watch is None:
            return
        edges = []
        here = b"/"
        names = deque(self._path.split(b"/"))
        links = 0
        while names:
            name = names.popleft()
            if name in {b"", b"."}:
                continue
            path = os.path.normpath(os.path.join(here, name))
            # ".." comes from a link only, and the folders on its way are real ones.
            is_link = name != b".." and os.path.islink(path)
            if is_link or self._is_gone or not any(names):
                edges.append(_watch_above(self._watch, here, name))
            else:
                edges.append(_watch_above(self._watch, path, b""))
            if not is_link:
                here = path
                continue
            links += 1
            if links > LINKS_LIMIT:
                break
            try:
                names.extendleft(reversed(os.readlink(path).split(b"/")))
            except OSError:
                break
            if names[0] == b"":
                here = b"/"
        former, self._name = self._name, RootName(tuple(edges))
        self._watch.depend(self._name)
        self._watch.forget(former)


def _watch_above(watch: Watch, folder: bytes, name: bytes) -> Edge:
    """Watch a name in a folder above the root, or, without a name, the folder itself."""
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return Edge(UNWATCHED, name)
    try:
        interest = Interest.NAMES if name else Interest.ITSELF
        return Edge(watch.add_folder(descriptor, interest), name)
    finally:
        os.close(descriptor)


def _make_absolute(root: str) -> str:
    """Return the path that a root keeps when it is replaced, also one given as ``.`` or ``..``."""
    if ".." in root.split("/"):
        return os.path.realpath(root)
    # The system tells the current folder without links: those that led there are not known.
    return os.path.abspath(root)
