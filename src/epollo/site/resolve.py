"""From names to a file, without ever leaving the root.

The walk goes down one name at a time, always from a descriptor of the folder before. The kernel never
follows a link: a link is read, and its target is walked like any other names. So no link, no race and
no ``..`` can lead out of the root, and the walk knows every name that it depended on: these are what
has to be watched.

Facts: ``openat2`` with RESOLVE_BENEATH takes 6 microseconds where the walk takes 33, but does not tell
the names that it went through.
Price: the walk is paid once per folder (`folders`).
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from epollo.annotations import Final, TypeAlias
from epollo.named_tuples import NamedTuple
from epollo.site.reach import PLAIN, Reach, is_below

Names: TypeAlias = tuple[bytes, ...]
"""A decoded path."""

WELL_KNOWN: Final = b".well-known"
RULE_FILES: Final = (b"_headers", b"_redirects")
"""The names of files in the root that hold rules of the site; they are never served."""

LINKS_LIMIT: Final = 40
"""As many links as the kernel itself would follow (path_resolution(7))."""
_FOLDER_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that took the place of the file must not wait for a writer.
FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Kind(Enum):
    """What stands at the end of a walk."""

    FILE = auto()
    FOLDER = auto()
    MISSING = auto()
    """Nothing that may be told about: no such name, a link out of the root, a device."""
    FORBIDDEN = auto()
    """The file system does not let this process read it."""
    UNAVAILABLE = auto()
    """Something may stand there, but there is no descriptor left now to look at it with."""


# Errors that mean that nothing stands at a name: it is gone, was renamed, or can be no name there.
_ABSENT: Final = frozenset(
    (
        errno.EILSEQ,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENODEV,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
    )
)


class Edge(NamedTuple):
    """A name that was looked up, in the folder that ``on_folder`` gave this number."""

    folder: int
    name: bytes


class Walk(NamedTuple):
    """The end of a walk.

    ``descriptor`` is open for reading for a file, names the folder for a folder (O_PATH), and is the
    caller's to close; it is -1 for the rest. ``edges`` are the look-ups that led there.
    """

    kind: Kind
    descriptor: int
    edges: tuple[Edge, ...]


def is_hidden(names: tuple[bytes, ...], reach: Reach = PLAIN) -> bool:
    """Return whether the path names a dotfile, or something in a dotted folder, other than RFC 8615's.

    The rule files of the root are hidden as well.
    """
    if names[0] == WELL_KNOWN:
        names = names[1:]
    elif names[0] in RULE_FILES:
        return True
    # One search for all names (there may be a thousand), because no name holds a slash.
    if b"/." not in b"/" + b"/".join(names):
        return False
    return any(name.startswith(b".") and not reach.shows(name) for name in names)


def _is_hidden_name(name: bytes, reach: Reach, *, is_at_root: bool) -> bool:
    """Return whether a link that leads to or through this name leads to a hidden file, as in `is_hidden`.

    Volumes of a cluster are made of names with two dots: ``page -> ..data/page``, ``..data ->
    ..2026_11_26``. Folders and links of such names are passed through, files are not.
    """
    if is_at_root and name in RULE_FILES:
        return True
    return (
        name.startswith(b".")
        and not name.startswith(b"..")
        and not (is_at_root and name == WELL_KNOWN)
        and not reach.shows(name)
    )


def walk(
    root: int,
    root_path: bytes,
    names: tuple[bytes, ...],
    on_folder: Callable[[int], int],
    *,
    reach: Reach = PLAIN,
    is_rule_file: bool = False,
) -> Walk:
    """Walk from the root down the names.

    ``root`` is a descriptor of the root, ``root_path`` its real path: an absolute link that points
    below it is followed. ``on_folder`` is called with the descriptor of each folder before a name is
    looked up in it, and returns the number that edges know it by. ``is_rule_file`` is whether rule files
    are not hidden from this walk.
    """
    descent = _Descent(root, root_path, deque(names), reach)
    edges: list[Edge] = []
    try:
        kind, descriptor = _descend(descent, edges, on_folder, is_rule_file=is_rule_file)
    finally:
        descent.leave(root)
    return Walk(kind, descriptor, tuple(edges))


class _Descent:
    """Where a walk is: the folders on the way from its base, and the names that are still to be walked.

    The base is the root, or a folder outside it that a link has led into; ``base_path`` is its real path.
    """

    __slots__ = ("_reach", "_root", "_root_path", "base_path", "folders", "names")

    def __init__(self, root: int, root_path: bytes, names: deque[bytes], reach: Reach) -> None:
        self._root = root
        self._root_path = root_path
        self._reach = reach
        self.base_path = root_path
        self.folders = [root]
        self.names = names

    @property
    def is_at_root(self) -> bool:
        """Whether the next name is looked up in the root itself."""
        return self.folders == [self._root]

    def shows(self, name: bytes, *, is_rule_file: bool) -> bool:
        """Return whether a name may be looked up."""
        is_at_root = self.is_at_root and not is_rule_file
        return not _is_hidden_name(name, self._reach, is_at_root=is_at_root)

    def follow(self, target: bytes) -> bool:
        """Put the names of a link's target before those still to be walked; False if it leads out."""
        if target.startswith(b"/"):
            return self._jump(target)
        self.names.extendleft(reversed(target.split(b"/")))
        return True

    def ascend(self) -> bool:
        """Go to the folder above, as a link says; return False if that leads out."""
        if len(self.folders) > 1:
            os.close(self.folders.pop())
            return True
        if not self._reach.folders:
            return False
        path = os.path.normpath(b"/".join((self.base_path, b"..", *self.names)))
        self.names.clear()
        return self._jump(path)

    def leave(self, base: int) -> None:
        """Close the folders on the way, and stand at another base."""
        for folder in self.folders:
            if folder != self._root:
                os.close(folder)
        self.folders = [base]

    def _jump(self, target: bytes) -> bool:
        """Begin anew at the base that an absolute path leads into. Raises `OSError`."""
        if is_below(target, self._root_path):
            self.leave(self._root)
            self.base_path = self._root_path
            rest = target[len(self._root_path) :]
        else:
            found = self._reach.find_base(target)
            if found is None:
                return False
            folder, rest = found
            self.leave(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            self.base_path = os.path.realpath(folder)
        self.names.extendleft(reversed(rest.split(b"/")))
        return True


def _descend(
    descent: _Descent,
    edges: list[Edge],
    on_folder: Callable[[int], int],
    *,
    is_rule_file: bool,
) -> tuple[Kind, int]:
    links = 0
    names = descent.names
    while names:
        name = names.popleft()
        if name in {b"", b"."}:
            continue
        try:
            if name == b"..":
                links += 1
                if links > LINKS_LIMIT or not descent.ascend():
                    return Kind.MISSING, -1
                continue
            folder = descent.folders[-1]
            edges.append(Edge(on_folder(folder), name))
            if not descent.shows(name, is_rule_file=is_rule_file):
                return Kind.MISSING, -1
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                target = os.readlink(name, dir_fd=folder)
                if links > LINKS_LIMIT or not descent.follow(target):
                    return Kind.MISSING, -1
            elif stat.S_ISDIR(mode):
                descent.folders.append(os.open(name, _FOLDER_FLAGS, dir_fd=folder))
            elif stat.S_ISREG(mode) and not any(names) and not name.startswith(b".."):
                return _open_file(name, folder)
            else:
                return Kind.MISSING, -1
        except (OSError, ValueError) as error:
            return _explain(error), -1
    try:
        return Kind.FOLDER, os.dup(descent.folders[-1])
    except OSError:
        return Kind.UNAVAILABLE, -1


def _explain(error: OSError | ValueError) -> Kind:
    if isinstance(error, PermissionError):
        return Kind.FORBIDDEN
    if isinstance(error, OSError) and error.errno not in _ABSENT:
        # No room, a disk that fails, a network that is gone: none says that nothing stands here.
        return Kind.UNAVAILABLE
    return Kind.MISSING


def _open_file(name: bytes, folder: int) -> tuple[Kind, int]:
    descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    if not is_file:
        os.close(descriptor)
        return Kind.MISSING, -1
    return Kind.FILE, descriptor
