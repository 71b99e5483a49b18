"""The catalogue: from the path of a request to what stands there now.

What was found once is kept until the kernel says that it ended (`watch`), and is besides compared with
the file system about once a second while it is in use, for where the kernel does not say: network
file systems, lost events, folders that cannot be watched, writes through a name that was made since or
through a mapping. Of the latter the kernel may not even change the time: they are seen when the file is
unmapped and closed.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from epollo.errors import OperatorError
from epollo.loop import Clock
from epollo.site.cache import HITS_LIMIT, Cache
from epollo.site.codings import CODINGS, Coding
from epollo.site.compressor import Compressor, Task
from epollo.site.media_types import UNKNOWN, select_media_type
from epollo.site.open_files import OpenFile, Promises, SharedFile
from epollo.site.promise import Promise
from epollo.site.representation import Edition, read_edition
from epollo.site.resolve import LINKS_LIMIT, Edge, Kind, walk
from epollo.site.tagging import Tagging
from epollo.site.version import Version, version_of
from epollo.site.watch import UNWATCHED, Dependent, Interest, Watch

# What a resource takes besides content: objects, edges, the dictionaries' slots; and each of its names.
_RESOURCE_OCTETS: Final = 2048
NAME_OCTETS: Final = 64
_COARSEST_TICK_SECONDS: Final = 2
_ABSENCES_OCTETS_LIMIT: Final = 1024 * _RESOURCE_OCTETS
"""What is not there is remembered too, but never at the expense of what is."""


def _do_nothing(reason: str, is_news: bool) -> None:
    """Leave a root that is out of reach to those who come after."""


class Resource:
    """What stands at a path of names, while it stands there."""

    __slots__ = (
        "checked_second",
        "edges",
        "edition",
        "hits",
        "is_current",
        "is_offered",
        "kind",
        "may_be_ambiguous",
        "names",
        "octets",
    )

    def __init__(self, names: tuple[bytes, ...], kind: Kind, edges: tuple[Edge, ...]) -> None:
        self.names = names
        self.kind = kind
        self.edges = edges
        self.edition: Edition | None = None
        self.is_current = True
        self.is_offered = False
        """Whether codings of it were asked for."""
        self.may_be_ambiguous = False
        """Whether another edit may have the same times, and no event would tell of it."""
        self.checked_second = 0
        self.hits = 0
        self.octets = _RESOURCE_OCTETS + NAME_OCTETS * len(names) + sum(map(len, names))


class _RootName:
    """The names that lead to the root, in the folders that they stand in."""

    __slots__ = ("edges",)

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        self.edges = edges


class Catalogue:
    """The resources below one root.

    ``cache_octets`` bounds what is kept in memory, ``kept_octets_limit`` what is kept of one file.
    ``on_change`` is called when something ended that was handed out in this second,
    ``on_root_out_of_reach`` when another root stands where the root was, and may not be read: with the
    reason, again and again, and with whether it was not told of this one before.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        report: Callable[[str], None],
        on_change: Callable[[], None],
        on_root_out_of_reach: Callable[[str, bool], None] = _do_nothing,
        *,
        cache_octets: int,
        kept_octets_limit: int,
    ) -> None:
        """Raise `OperatorError` where the root is no folder that can be read."""
        self._root_shown = os.fspath(root)
        self._root_path = os.fsencode(_make_absolute(root))
        self._clock = clock
        self._on_change = on_change
        self._on_root_out_of_reach = on_root_out_of_reach
        self._report = report
        self._kept_octets_limit = kept_octets_limit
        self._root, self._real_root_path, self._root_key = self._open_root()
        self._files: Cache[tuple[bytes, ...], Resource] = Cache(cache_octets, self._end)
        self._absences: Cache[tuple[bytes, ...], Resource] = Cache(
            _ABSENCES_OCTETS_LIMIT, self._end
        )
        self._root_checked_second = 0
        self._is_root_gone = False
        self._refused_root_key: tuple[int, int] | None = None
        self.watch: Watch | None
        try:
            self.watch = Watch(self._on_end, report)
        except (OSError, AttributeError) as error:
            self.watch = None
            report(f"no inotify here ({error}); changes are seen within a second")
        self._promises = Promises(self.watch)
        self.tagging: Tagging | None = None
        """Makes entity tags from the content of large files, where there is a thread for it."""
        self._root_name = _RootName(())
        self._watch_root()

    def find(self, names: tuple[bytes, ...]) -> Resource:
        """Return what stands at a path of names, none of which is empty, ``.`` or ``..``."""
        second = self._clock.second
        if self._root_checked_second != second:
            self._root_checked_second = second
            self._follow_root()
        resource = self._files.get(names) or self._absences.get(names)
        if resource is not None and resource.checked_second != second:
            resource.checked_second = second
            if not self._is_as_found(resource):
                self._on_end(resource)
                resource = None
        if resource is None:
            return self._look_up(names)
        if resource.hits < HITS_LIMIT:
            resource.hits += 1
        return resource

    def open_file(self, resource: Resource) -> OpenFile | None:
        """Open the file of a resource whose content is not kept; None where it has ended."""
        file = self._open_file(resource)
        if file is not None and self.tagging is not None:
            self.tagging.offer(file, self._tag_anew)
        return file

    def _tag_anew(self, promise: Promise) -> None:
        """Let everything with this promise have the entity tag that was made of the content."""
        for resource in self._files.entries():
            edition = resource.edition
            if edition is not None and edition.promise is promise and promise.content_tag:
                edition.tag_anew(promise.content_tag)
        self._on_change()

    def _open_file(self, resource: Resource) -> OpenFile | None:
        edition = resource.edition
        if (
            edition is not None
            and edition.file is not None
            and edition.file.is_unchanged(self._clock.second)
        ):
            return edition.file
        found = walk(self._root, self._real_root_path, resource.names, self._number_folder)
        if edition is not None and edition.promise is not None and found.kind is Kind.FILE:
            version = version_of(os.fstat(found.descriptor))
            # One that was found just now may have grown since: a log does so faster than it is opened.
            is_same = version[:2] == edition.version[:2] and edition.file is None
            if (is_same or version == edition.version) and edition.promise.holds(found.descriptor):
                if not SharedFile.may_have_more():
                    return OpenFile(found.descriptor, edition.promise)
                edition.file = SharedFile(found.descriptor, edition.promise)
                return edition.file
        if found.descriptor >= 0:
            os.close(found.descriptor)
        self._on_end(resource)
        return None

    def look_anew(self) -> None:
        """Have everything compared with the file system before it is handed out again."""
        self._root_checked_second = 0
        for resource in [*self._files.entries(), *self._absences.entries()]:
            resource.checked_second = 0
        self._on_change()

    def offer(self, resource: Resource, compressor: Compressor) -> None:
        """Have codings made of what a resource keeps, once; its sidecar files are looked for first."""
        edition = resource.edition
        if edition is None or edition.identity.content is None or not resource.is_current:
            # One that was evicted at once is looked up anew for the next request anyway.
            return
        if not compressor.has_room():
            # Asked for again with the next request, which shall cost no walk either.
            return
        sidecars = {}
        for coding in CODINGS:
            coded = self._read_sidecar(resource, coding)
            if coded is not None:
                sidecars[coding.name] = coded
        resource.is_offered = compressor.add(
            Task(
                edition.identity.read(),
                sidecars,
                lambda: resource.is_current,
                lambda coding, coded: self._add_coding(resource, coding, coded),
                lambda suffix: self._report(
                    f"{os.fsdecode(b'/'.join(resource.names) + suffix)} does not decode to the file "
                    "beside it; it is not used"
                ),
            )
        )

    def _read_sidecar(self, resource: Resource, coding: Coding) -> bytes | None:
        """Return what the sidecar file of a coding holds; its coming and going ends the resource."""
        names = (*resource.names[:-1], resource.names[-1] + coding.suffix)
        found = walk(self._root, self._real_root_path, names, self._number_folder)
        edges = found.edges
        if found.kind is Kind.FILE:
            edges += self._watch_file(found.descriptor)
        resource.edges += tuple(edge for edge in edges if edge not in resource.edges)
        if self.watch is not None:
            self.watch.depend(resource)
        if found.descriptor < 0:
            return None
        try:
            if found.kind is not Kind.FILE:
                return None
            sidecar = read_edition(found.descriptor, UNKNOWN, self._kept_octets_limit)
            return sidecar.identity.read() or None
        except OSError:
            return None
        finally:
            os.close(found.descriptor)

    def _add_coding(self, resource: Resource, coding: bytes, coded: bytes) -> None:
        """Add a coding that was made in the background, if the resource is still what it was."""
        if not resource.is_current or resource.edition is None:
            return
        before = resource.edition.lengths.get(coding, 0)
        resource.edition.add_coding(coding, coded)
        self._files.grow(resource.names, resource, len(coded) - before)
        self._on_change()

    def close(self) -> None:
        """Give back every descriptor."""
        if self.watch is not None:
            self.watch.close()
        if self.tagging is not None:
            self.tagging.close()
        self._promises.clear()
        os.close(self._root)

    def _open_root(self) -> tuple[int, bytes, tuple[int, int]]:
        shown = self._root_shown
        try:
            os.listdir(self._root_path)
            root = os.open(self._root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise OperatorError(f"there is no folder {shown}") from None
        except NotADirectoryError:
            raise OperatorError(f"{shown} is not a folder") from None
        except OSError as error:
            raise OperatorError(f"cannot read the folder {shown}: {error.strerror}") from None
        status = os.fstat(root)
        return root, os.path.realpath(self._root_path), (status.st_dev, status.st_ino)

    def _follow_root(self) -> None:
        """Follow a root that was replaced; one that is gone stays open until it comes back."""
        # Looked at again whenever other folders are watched: it may have changed before they were.
        while not self._is_root_settled():
            self._watch_root()

    def _is_root_settled(self) -> bool:
        """Take what the path of the root leads to now; tell whether it is what it was."""
        is_replaced = False
        try:
            status = os.stat(self._root_path)
            key = (status.st_dev, status.st_ino)
            is_replaced = key != self._root_key
            if not is_replaced and not self._is_root_gone:
                return True
            if is_replaced:
                former = self._root
                self._root, self._real_root_path, self._root_key = self._open_root()
                os.close(former)
                for resource in [*self._files.entries(), *self._absences.entries()]:
                    self._on_end(resource)
        except (OSError, OperatorError) as error:
            if is_replaced:
                is_news, self._refused_root_key = key != self._refused_root_key, key
                self._on_root_out_of_reach(str(error), is_news)
            was_gone, self._is_root_gone = self._is_root_gone, True
            return was_gone
        self._is_root_gone = False
        self._refused_root_key = None
        return False

    def _watch_root(self) -> None:
        """Watch what the path to the root rests on, so that a root that is replaced is seen at once.

        Others work in the folders above, and shall not wake us: these are watched by name only right
        above the root, where a link stands (a deployment switches one), and everywhere while there
        is no root; otherwise for being moved themselves.
        """
        if self.watch is None:
            return
        edges = []
        here = b"/"
        names = deque(self._root_path.split(b"/"))
        links = 0
        while names:
            name = names.popleft()
            if name in {b"", b"."}:
                continue
            path = os.path.normpath(os.path.join(here, name))
            # ".." comes from a link only, and the folders on its way are real ones.
            is_link = name != b".." and os.path.islink(path)
            if is_link or self._is_root_gone or not any(names):
                edges.append(self._watch_above(self.watch, here, name))
            else:
                edges.append(self._watch_above(self.watch, path, b""))
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
        former, self._root_name = self._root_name, _RootName(tuple(edges))
        self.watch.depend(self._root_name)
        self.watch.forget(former)

    @staticmethod
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

    def _watch_file(self, descriptor: int) -> tuple[Edge, ...]:
        """Watch a file that has names elsewhere: a write through these is told of itself alone."""
        if self.watch is None or os.fstat(descriptor).st_nlink == 1:
            return ()
        return (Edge(self.watch.add_folder(descriptor, Interest.FILE), b""),)

    def _number_folder(self, descriptor: int) -> int:
        return UNWATCHED if self.watch is None else self.watch.add_folder(descriptor)

    def _look_up(self, names: tuple[bytes, ...]) -> Resource:
        found = walk(self._root, self._real_root_path, names, self._number_folder)
        resource = Resource(names, found.kind, found.edges)
        resource.checked_second = self._clock.second
        try:
            if found.kind is Kind.FILE:
                resource.edges += self._watch_file(found.descriptor)
                edition = resource.edition = read_edition(
                    found.descriptor,
                    select_media_type(names[-1]),
                    self._kept_octets_limit,
                    self._promises.find,
                )
                if edition.promise is not None:
                    resource.edges += edition.promise.notice.edges
                # RFC 9110 section 8.8.2.1: a Last-Modified later than Date must not be sent.
                if edition.last_modified_seconds is not None:
                    edition.last_modified_seconds = min(
                        edition.last_modified_seconds, self._clock.second
                    )
                if edition.identity.content is not None:
                    resource.octets += edition.identity.length
                resource.may_be_ambiguous = self._may_be_ambiguous(edition, found.edges)
        except OSError:
            # A file that cannot be read through: a disk that fails, a network that is gone.
            resource.kind = Kind.FORBIDDEN
        finally:
            if found.descriptor >= 0:
                os.close(found.descriptor)
        if resource.kind is Kind.UNAVAILABLE:
            return resource
        if self.watch is not None:
            self.watch.depend(resource)
        self._cache_of(resource).put(names, resource)
        return resource

    def _cache_of(self, resource: Resource) -> Cache[tuple[bytes, ...], Resource]:
        return self._absences if resource.edition is None else self._files

    def _is_as_found(self, resource: Resource) -> bool:
        """Compare with the file system what was found there earlier."""
        if resource.edition is None or resource.may_be_ambiguous:
            return False
        if (resource.edition.last_modified_seconds or 0) > self._clock.second:
            # The clock was set back, and what was of the past is of the future now.
            return False
        return self._stat(resource.names) == resource.edition.version

    def _may_be_ambiguous(self, edition: Edition, edges: tuple[Edge, ...]) -> bool:
        """Tell whether the file may change again without that its times, or the kernel, tell.

        File systems count time in ticks, of up to two seconds (FAT).
        """
        until_second = edition.version.modified_ns // 1_000_000_000 + _COARSEST_TICK_SECONDS
        return until_second >= self._clock.second and _has_unwatched(edges)

    def _stat(self, names: tuple[bytes, ...]) -> Version | None:
        try:
            return version_of(os.stat(b"/".join((self._root_path, *names))))
        except (OSError, ValueError):
            return None

    def _on_end(self, dependent: Dependent | None, *, is_written: bool = False) -> None:
        """Take out what has ended, everything with None, and let nothing of it be recalled.

        ``is_written`` is whether its content was written to.
        """
        if dependent is None or dependent is self._root_name:
            # Watched anew before it is looked at, so that no change falls between the two.
            self._watch_root()
            self._follow_root()
        if dependent is None:
            for resource in [*self._files.entries(), *self._absences.entries()]:
                self._on_end(resource)
        elif isinstance(dependent, Resource) and dependent.is_current:
            self._cache_of(dependent).remove(dependent.names)
            self._end(dependent, is_written=is_written)

    def _end(self, resource: Resource, *, is_written: bool = False) -> None:
        """Let go of a resource that has ended or was evicted."""
        resource.is_current = False
        if is_written and resource.edition is not None and resource.edition.promise is not None:
            resource.edition.promise.note_write()
        if self.watch is not None:
            self.watch.forget(resource)
        # Only answers with content of files are recalled, and not beyond the second.
        if resource.edition is not None and resource.checked_second == self._clock.second:
            self._on_change()


def _has_unwatched(edges: tuple[Edge, ...]) -> bool:
    """Tell whether something may change there of which no event tells."""
    return any(edge.folder == UNWATCHED for edge in edges)


def _make_absolute(root: Path) -> Path:
    """Return the path that a root keeps when it is replaced, also one given as ``.`` or ``..``."""
    path = root.absolute()
    return path.resolve() if ".." in path.parts else path
