"""The listings of the folders of a site: made once per version of a folder, and kept beside its files.

What is read of a folder becomes a `Snapshot`, which all its pages share. A page is a resource with an
edition, so that codings, validators, ranges and recall are those of a file.
"""

import errno
import math
import os
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence

from epollo.annotations import TYPE_CHECKING, Final, TypeAlias
from epollo.http.content_coding import IDENTITY
from epollo.http.message import FieldLine
from epollo.loop import Clock
from epollo.site.cache import HITS_LIMIT, Cache
from epollo.site.codings import CODING_NAMES, select_codings
from epollo.site.compressor import Compressor, Task
from epollo.site.inspection import Inspected
from epollo.site.listing.as_html import format_html
from epollo.site.listing.as_json import format_json
from epollo.site.listing.builds import (
    BUILDS_LIMIT,
    SLICE_SECONDS,
    Build,
    Builds,
    Listed,
    Making,
)
from epollo.site.listing.content import Content, LargeContent, NoRoomError, ShortContent
from epollo.site.listing.entries import (
    Entry,
    Sort,
    leave_out_in_steps,
    order_in_steps,
    search_in_steps,
)
from epollo.site.listing.page import make_page
from epollo.site.listing.snapshot import (
    NO_VERSION,
    GeneratedResource,
    ListingPage,
    Reader,
    Snapshot,
)
from epollo.site.listing.view import ALL, Form, View, format_query
from epollo.site.media_types import select_media_type
from epollo.site.representation import Edition, keep_coded
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource, Whole
from epollo.site.root import Root
from epollo.site.sealed import Coded
from epollo.site.watch import Watch

if TYPE_CHECKING:
    # Loaded where a site has passwords.
    from epollo.site.access.realm import Realm
_COUNTED_AT_ONCE: Final = 4096
_ABSENT: Final = frozenset((errno.ENOENT, errno.ENOTDIR))
_FORMATS: Final = {
    Form.HTML: (format_html, select_media_type(b"index.html")),
    Form.JSON: (format_json, select_media_type(b"index.json")),
}

Reading: TypeAlias = Generator[None, None, Snapshot | Kind]


class Listings:
    """The listings below one root.

    ``kept`` is where the catalogue keeps its resources; ``end`` releases one that has ended.
    """

    def __init__(
        self,
        root: Root,
        watch: Watch | None,
        clock: Clock,
        kept: Cache[Names, Resource],
        end: Callable[[Resource], None],
    ) -> None:
        self._root = root
        self._clock = clock
        self._kept = kept
        self._snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()
        self._end = end
        self._whole = Whole()
        """The mark that ends all snapshots and pages."""
        self._reader = Reader(root, watch)
        # One object that all resources share, where each access to the method makes another.
        self._confirm = self.confirm
        self._builds: dict[Names, Build] = {}
        # By folder, those that read it: each folder is read once at a time.
        self._reading: dict[Names, Build] = {}
        self.realm: Realm | None = None
        """What needs a password, where anything does."""
        self.background: Builds | None = None
        """Takes builds on; without it each is made at once."""

    def find(
        self, folder: Names, view: View, cache_fields: tuple[FieldLine, ...]
    ) -> Listed | Build:
        """Return a page of a folder, why there is none, or the build that makes it.

        ``folder`` has no empty name; ``cache_fields`` are the field lines of the page about caching.
        """
        key = _name_page(folder, view)
        page = self._kept.get(key)
        if page is None and view.page == ALL:
            page = self._kept.get(_name_page(folder, view._replace(page=1)))
            if isinstance(page, ListingPage) and not page.has_all:
                page = None
        if isinstance(page, ListingPage) and self.confirm(page):
            return page
        self._root.follow(self._clock.second)
        joined = self._builds.get(key)
        if joined is not None and joined.may_be_joined:
            return joined
        background = self.background
        build = Build(lambda build: self._make(build, folder, view, cache_fields))
        if background is None:
            build.take_on(math.inf)
        elif len(background) >= BUILDS_LIMIT:
            return Kind.UNAVAILABLE
        elif len(background) or not build.take_on(SLICE_SECONDS):
            self._builds[key] = build
            background.add(build)
        return build if build.outcome is None else build.outcome

    def confirm(self, resource: Resource) -> bool:
        """Return whether a page or a snapshot stands; once a second the folder is looked at again."""
        second = self._clock.second
        if self._root.checked_second != second:
            self._root.follow(second)
        snapshot = resource.snapshot if isinstance(resource, ListingPage) else resource
        assert isinstance(snapshot, Snapshot)  # noqa: S101 - there are these two
        if not resource.is_current:
            return False
        if snapshot.checked_second != second:
            snapshot.checked_second = second
            if not snapshot.is_as_found(self._root):
                self._end(snapshot)
                return False
        resource.checked_second = second
        if resource.hits < HITS_LIMIT:
            resource.hits += 1
        return True

    def look_anew(self) -> None:
        """Have each folder compared with its snapshot before a page of it is handed out again."""
        for snapshot in self._snapshots:
            snapshot.checked_second = 0

    def close(self) -> None:
        """Give back what is open."""
        if self.background is not None:
            self.background.close()

    def end_all(self) -> None:
        """Let no snapshot stand, and no request join what is being made: it may have changed.

        What is kept is still to be given back.
        """
        for build in list(self._reading.values()):
            # Nothing else holds what is being read.
            if build.snapshot is not None:
                self._end(build.snapshot)
        self._whole.is_current = False
        self._whole = Whole()

    def offer(self, page: GeneratedResource, compressor: Compressor, wanted: bytes) -> None:
        """Have the coding of this name made of a page."""
        edition = page.edition
        if edition is not None:
            is_taken = compressor.add(
                Task(
                    edition.identity.content or b"",
                    {},
                    lambda: page.is_current,
                    lambda made, _: self._add_codings(page, edition, made),
                    lambda suffix, reason: None,  # noqa: ARG005 - there are no files beside it
                    select_codings(wanted),
                )
            )
            if is_taken:
                page.offered |= {wanted}

    def _add_codings(
        self, page: GeneratedResource, edition: Edition, made: Mapping[bytes, Coded]
    ) -> None:
        if not page.is_current:
            return
        for coding, coded in made.items():
            octets = edition.add(coding, keep_coded(coded))
            if self._kept.get(page.names) is page:
                self._kept.grow(page.names, page, octets)
        # A client that takes one of these is to get it from now on.
        page.end_answers()

    def _make(
        self, build: Build, folder: Names, view: View, cache_fields: tuple[FieldLine, ...]
    ) -> Making:
        """Make a page in steps."""
        try:
            found = yield from self._await_reading(build, folder)
            if found is None:
                self._reading[folder] = build
                read = yield from self._read(build, folder)
                # From here on what ends it lets another read the folder anew.
                del self._reading[folder]
                if isinstance(read, Kind):
                    return read
                found = read
            build.snapshot = snapshot = found
            return (yield from self._make_page(snapshot, view, cache_fields))
        finally:
            key = _name_page(folder, view)
            if self._builds.get(key) is build:
                del self._builds[key]
            if self._reading.get(folder) is build:
                del self._reading[folder]

    def _await_reading(
        self, build: Build, folder: Names
    ) -> Generator[bool | None, None, Snapshot | None]:
        """Return what another build finds in a folder, where that is good enough; None to read it now.

        A folder is read once at a time, however many requests ask for it. If a reading that was begun
        before has ended by now, it is waited for, but not used: the next build reads for all that wait.
        """
        is_later = False
        while (found := self._find_snapshot(folder)) is None:
            reading = self._reading.get(folder)
            if reading is None:
                return None
            is_good = is_later or reading.may_be_joined
            if is_good:
                build.snapshot = reading.snapshot
            while not reading.is_read and reading.outcome is None:
                yield True
            if is_good and reading.is_read:
                return reading.snapshot
            is_later = True
        return found

    def _find_snapshot(self, folder: Names) -> Snapshot | None:
        """Return what was found in a folder, if that still stands."""
        found = self._kept.get(_name_snapshot(folder))
        return found if isinstance(found, Snapshot) and self.confirm(found) else None

    def _read(self, build: Build, folder: Names) -> Reading:
        """Read a folder in steps, and keep what was found if it still stands."""
        walk = self._root.walk(folder)
        kind = _examine(walk.descriptor) if walk.kind is Kind.FOLDER else walk.kind
        if kind is not Kind.FOLDER:
            if walk.descriptor >= 0:
                os.close(walk.descriptor)
            return Kind.MISSING if kind is Kind.FILE else kind
        snapshot = Snapshot(
            _name_snapshot(folder),
            folder,
            self._clock.second,
            self._confirm,
            end_page=self._end,
            discard=self._discard,
        )
        snapshot.ends_with = self._whole
        build.snapshot = snapshot
        self._snapshots.add(snapshot)
        try:
            self._reader.begin(snapshot, walk)
            yield from self._reader.read_in_steps(snapshot, walk.descriptor)
            snapshot.entries = yield from order_in_steps(
                snapshot.entries, Sort.NAME, is_descending=False
            )
        except OSError as error:
            self._end(snapshot)
            return _explain(error)
        except GeneratorExit:
            self._end(snapshot)
            raise
        finally:
            os.close(walk.descriptor)
        build.is_read = True
        self._keep(snapshot)
        return snapshot

    def _make_page(
        self, snapshot: Snapshot, view: View, cache_fields: tuple[FieldLine, ...]
    ) -> Making:
        entries: Sequence[Entry] = snapshot.entries
        if not view.has_protected and self.realm is not None:
            entries = yield from leave_out_in_steps(entries, self.realm, snapshot.folder_names)
        if view.search:
            entries = yield from search_in_steps(entries, view.search)
        if view.sort is not Sort.NAME or view.is_descending:
            entries = yield from order_in_steps(
                entries, view.sort, is_descending=view.is_descending
            )
        octets = 0
        for start in range(0, len(entries), _COUNTED_AT_ONCE):
            octets += sum(entry.octets for entry in entries[start : start + _COUNTED_AT_ONCE])
            yield None
        model = make_page(snapshot.folder_names, view, entries, octets)
        key = _name_page(snapshot.folder_names, model.view)
        kept = self._kept.get(key)
        if isinstance(kept, ListingPage) and kept.snapshot is snapshot:
            # A page beyond the last is the last.
            return kept
        format_page, media_type = _FORMATS[view.form]
        is_large = model.view.page == ALL
        try:
            content: Content = LargeContent() if is_large else ShortContent()
            for piece in format_page(model):
                content.add(piece)
                yield None
            made = content.finish()
        except NoRoomError:
            return Kind.UNAVAILABLE
        edition = Edition(NO_VERSION, 0, Inspected(media_type, IDENTITY), made)
        edition.cache_fields = cache_fields
        page = ListingPage(key, snapshot, edition, has_all=model.pages == 1)
        page.ends_with = snapshot.ends_with
        # Tens of megabytes that change with each file would be compressed for minutes.
        page.offered = CODING_NAMES if is_large else frozenset()
        if self._keep(page):
            snapshot.add_page(page)
        return page

    def _discard(self, entries: Sequence[Entry]) -> None:
        if self.background is not None:
            self.background.discard(entries)

    def _keep(self, resource: Snapshot | ListingPage) -> bool:
        """Keep what was made, unless what it was made of has ended; return whether it is kept."""
        if isinstance(resource, ListingPage) and not resource.snapshot.is_current:
            resource.end()
        if resource.is_current:
            # Two builds may have read the same folder at the same time.
            former = self._kept.get(resource.names)
            if former is not None:
                self._end(former)
            self._kept.put(resource.names, resource)
        return resource.is_current


def _name_page(folder: Names, view: View) -> Names:
    """Return names that no file can have: a page is kept beside the files."""
    query = format_query(view, view.form).encode()
    return (*folder, b"/" + query if view.has_protected else b"/open" + query)


def _name_snapshot(folder: Names) -> Names:
    return (*folder, b"/")


def _examine(descriptor: int) -> Kind:
    """Return `Kind.FOLDER` for an open folder that still exists, otherwise what stands there instead."""
    try:
        # A root that was deleted is still open: it has no names left.
        return Kind.FOLDER if os.fstat(descriptor).st_nlink else Kind.MISSING
    except OSError as error:
        return _explain(error)


def _explain(error: OSError) -> Kind:
    if isinstance(error, PermissionError):
        return Kind.FORBIDDEN
    # A disk that fails, or a network that is gone, does not say that nothing is there.
    return Kind.MISSING if error.errno in _ABSENT else Kind.UNAVAILABLE
