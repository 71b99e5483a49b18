"""The catalogue: from a path of names to the resource that stands there now.

What was found is kept until the kernel reports its end (`watch`). While it is in use, it is also
compared with the file system once a second, for changes that the kernel does not report: on network
file systems, after lost events, in folders that cannot be watched, by writes through a newer name, or
through a mapping, whose time may change only when it is closed.
"""

import os
from collections.abc import Callable

from epollo.annotations import Final, cast
from epollo.budget import Budget, round_up
from epollo.http.message import Basis, FileSegment
from epollo.loop import Clock
from epollo.site.absences import select_missing
from epollo.site.cache import HITS_LIMIT
from epollo.site.comparison import Comparison
from epollo.site.compressor import Compressor
from epollo.site.deferred_release import DeferredRelease
from epollo.site.demand import is_due, is_improvable, select_end
from epollo.site.events import Events
from epollo.site.file_codings import FileCodings, Sidecar
from epollo.site.files import Files
from epollo.site.folders import Folder, Folders, look_in
from epollo.site.kept_codings import KeptCodings
from epollo.site.listing.listings import Listings
from epollo.site.listing.snapshot import GeneratedResource, Snapshot
from epollo.site.media_types import OURS, MediaTypes
from epollo.site.open_files import OpenFile, Promises
from epollo.site.reach import PLAIN, Reach
from epollo.site.representation import Edition, Representation, read_edition
from epollo.site.resolve import Kind, Names, Walk
from epollo.site.resource import Resource
from epollo.site.resources import Resources
from epollo.site.root import Root, do_nothing
from epollo.site.sharing import Sharing
from epollo.site.tagging import Tagging
from epollo.site.watch import Dependent, open_watch, watch_other_names

RELEASED_AT_ONCE_LIMIT: Final = 4096
"""Up to this number of resources release their answers at once: that takes some ten milliseconds."""
RULE_FILE_OCTETS_LIMIT: Final = 4 * 1024 * 1024
"""The length up to which a rule file is read."""


class Catalogue:
    """The resources below one root.

    ``budget`` bounds what is kept in memory, ``kept_octets_limit`` what is kept of one file. ``events``
    are those of all sites of a worker. ``on_root_out_of_reach`` is as for `Root`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        clock: Clock,
        report: Callable[[str], None],
        on_root_out_of_reach: Callable[[str, bool], None] = do_nothing,
        *,
        budget: Budget,
        kept_octets_limit: int,
        reach: Reach = PLAIN,
        media_types: MediaTypes = OURS,
        events: Events | None = None,
    ) -> None:
        """Raise `OperatorError` if the root is no folder that can be read."""
        self._clock = clock
        self._kept_octets_limit = kept_octets_limit
        self.media_types = media_types
        # One object for all resources: each access to the method would make another.
        self._confirm = self.confirm
        # How often all answers have ended, and how often all was to be compared anew.
        self._era = self._doubts = 0
        self._root = Root(root, self._end_all, on_root_out_of_reach, reach)
        self.resources = Resources(budget, self._end)
        self._has_ended_all = False
        self.on_rules_doubted: Callable[[], None] = lambda: None
        """Called when a rule file has ended: there may be another."""
        self.on_look_anew: Callable[[], None] = lambda: None
        """Called when all is to be compared anew (`look_anew`), the rule files too."""
        self.watch = open_watch(self._root.descriptor, self._on_end, report, events)
        self._promises = Promises(self.watch)
        self._opener = Files(self._root, clock)
        self._folders = Folders(self._root, self._on_end)
        self.deferred_release = DeferredRelease(self._give_back, self._folders.end)
        """Gives back what has ended all at once."""
        self._comparison = Comparison(self._root, self._folders, clock)
        self.sharing: Sharing | None = None
        self.tagging: Tagging | None = None
        """Makes entity tags from the content of large files, where there is a thread for it."""
        self._file_codings = FileCodings(
            self._opener.open_content,
            self._promises.find,
            self.watch,
            select_media_type=media_types.select,
            report=report,
            grow=self.resources.grow,
            # So that the codings of one file leave room for another.
            coded_octets_limit=budget.octets_limit // 4,
        )
        self._kept_codings = KeptCodings(
            self._root,
            self.watch,
            grow=self.resources.grow,
            refuse=self._file_codings.refuse,
            kept_octets_limit=kept_octets_limit,
        )
        self.listings = Listings(self._root, self.watch, clock, self.resources.files, self._on_end)
        if self.watch is not None:
            self._root.begin_watch(self.watch)
            self._folders.begin_watch(self.watch)

    def find(self, names: Names) -> Resource:
        """Return what stands at a path of names, none of which is empty, ``.`` or ``..``."""
        resource = self.resources.find(names)
        if resource is not None and self.confirm(resource):
            return resource
        self._root.follow(self._clock.second)
        return self._look_up(names)

    def find_rule_file(self, names: Names) -> Resource:
        """Return what stands at the path of a rule file; `on_rules_doubted` tells of its end."""
        resource = self.resources.rule_files.get(names)
        if resource is not None and self.confirm(resource):
            return resource
        self._root.follow(self._clock.second)
        walk = self._root.walk(names, is_rule_file=True)
        return self._take_over(names, walk, is_rule_file=True)

    def end_answers(self) -> None:
        """Let none of the answers made so far be given again, whatever they rest on.

        If there are many resources, each releases its own when it is looked at (`on_doubt`).
        """
        if self._has_ended_all:
            return
        self._era += 1
        if len(self.resources) > RELEASED_AT_ONCE_LIMIT:
            return
        for resource in self.resources.list_all():
            if resource.is_current:
                resource.begin_era(self._era)

    def confirm(self, resource: Resource) -> bool:
        """Return whether what was found still stands; once a second it is looked at again."""
        second = self._clock.second
        if self._root.checked_second != second:
            self._root.follow(second)
        if resource.has_ended or not resource.ends_with.is_current:
            return False
        if resource.era != self._era:
            resource.begin_era(self._era)
        is_in_doubt = resource.doubts != self._doubts
        if is_in_doubt or resource.checked_second != second:
            last_second = resource.checked_second
            resource.checked_second, resource.doubts = second, self._doubts
            if not self._comparison.is_as_found(resource, last_second, is_in_doubt=is_in_doubt):
                self._on_end(resource)
                return False
            if (edition := resource.edition) is not None:
                resource.seconds_used += 1
                if resource.improvable and is_improvable(resource):
                    self._kept_codings.improve(resource, edition)
                if self.sharing is not None:
                    self.sharing.offer(resource)
                # It may have settled since it was opened, and is not opened again while it is recalled.
                if edition.file is not None:
                    self._offer_for_tag(edition.file)
        if resource.hits < HITS_LIMIT:
            resource.hits += 1
        return True

    def look_anew(self) -> None:
        """Have everything compared with the file system before it is handed out again."""
        self._root.look_anew()
        self._folders.look_anew()
        self.listings.look_anew()
        self._doubts += 1
        self.deferred_release.on_doubt()
        self.on_look_anew()

    def open_file(self, resource: Resource) -> OpenFile | None:
        """Open the file of a resource whose content is not kept; None if it has ended."""
        file = self._opener.open(resource)
        if file is None:
            self._on_end(resource)
        else:
            self._offer_for_tag(file)
        return file

    def may_send(self, resource: Resource, representation: Representation) -> bool:
        """Return whether a representation is still what it was; if not, the resource has ended."""
        content = representation.content
        if (
            not isinstance(content, FileSegment)
            or content.file.is_sealed
            or content.file.is_unchanged(self._clock.second)
        ):
            return True
        self._on_end(resource)
        return False

    def offer(self, resource: Resource, compressor: Compressor, wanted: bytes) -> Basis | None:
        """Have a coding made of a resource, once, when that pays; sidecar files are looked for first.

        Return what also has to stand for an answer to be given again; None if it must not be.
        """
        edition = resource.edition
        if edition is None or not resource.is_current:
            # If it was evicted at once, the next request looks it up anew anyway.
            return None
        second = self._clock.second
        if is_due(resource, edition, second):
            self._offer(resource, edition, compressor, wanted)
        return select_end(resource, wanted, second)

    def _offer(
        self, resource: Resource, edition: Edition, compressor: Compressor, wanted: bytes
    ) -> None:
        if isinstance(resource, GeneratedResource):
            self.listings.offer(resource, compressor, wanted)
        elif edition.identity.content is None:
            self._file_codings.offer(resource, edition, compressor)
        else:
            self._kept_codings.offer(resource, edition, compressor, wanted)

    def close(self) -> None:
        """Give back every descriptor."""
        self.listings.close()
        if self.watch is not None:
            self.watch.close()
        if self.tagging is not None:
            self.tagging.close()
        self._promises.clear()
        self._folders.close()
        self._root.close()

    def _look_up(self, names: Names) -> Resource:
        folder = self._folders.find(names[:-1], self._clock.second)
        if isinstance(folder, Walk):
            return self._take_over(names, folder)
        resource = None if folder is None else self._look_up_in(folder, names)
        return resource or self._take_over(names, self._root.walk(names))

    def _look_up_in(self, folder: Folder, names: Names) -> Resource | None:
        """Look for a name in a folder that is open; None if that takes a walk."""
        name = names[-1]
        is_known, edition = look_in(folder, name, self.media_types, self._kept_octets_limit)
        if not is_known:
            return None
        kind = Kind.MISSING if edition is None else Kind.FILE
        # The names of folders are those of the folder, not another copy for each file.
        names = (*folder.names, name)
        # It ends with its name among the folder's members.
        resource = Resource(names, kind, (), self._clock.second, self._confirm, era=self._era)
        resource.doubts = self._doubts
        if edition is not None:
            self._hold(resource, edition)
        resource.folder = resource.ends_with = folder
        folder.members[name] = resource
        self._keep(resource)
        return resource

    def _take_over(self, names: Names, found: Walk, *, is_rule_file: bool = False) -> Resource:
        """Return the resource that a walk has led to."""
        if found.kind is Kind.MISSING:
            names = select_missing(names, found.edges, self._is_free)
        second = self._clock.second
        resource = Resource(names, found.kind, found.edges, second, self._confirm, era=self._era)
        resource.doubts = self._doubts
        try:
            if found.kind is Kind.FILE:
                resource.edges += watch_other_names(self.watch, found.descriptor)
                self._read(resource, found.descriptor, is_rule_file=is_rule_file)
                resource.note_ambiguity(second, found.edges)
        except OSError as error:
            # The file cannot be read to its end: a disk fails, a network is gone.
            is_refused = is_rule_file or isinstance(error, PermissionError)
            resource.kind = Kind.FORBIDDEN if is_refused else Kind.UNAVAILABLE
        finally:
            if found.descriptor >= 0:
                os.close(found.descriptor)
        if resource.kind is Kind.UNAVAILABLE:
            # No event tells when this changes, so no answer may rest on it.
            resource.end()
            return resource
        if self.watch is not None:
            self.watch.depend(resource)
        if is_rule_file:
            self.resources.rule_files[names] = resource
        else:
            resource.ends_with = self.resources.whole
            self._keep(resource)
        return resource

    def _keep(self, resource: Resource) -> None:
        former = self.resources.put(resource)
        if former is not None:
            # It has ended, and was not given back yet.
            self._end(former)

    def _read(self, resource: Resource, descriptor: int, *, is_rule_file: bool) -> None:
        """Compile the version of a file that is open. Raises `OSError`."""
        kept_octets_limit = RULE_FILE_OCTETS_LIMIT if is_rule_file else self._kept_octets_limit
        edition = read_edition(
            descriptor,
            self.media_types.select(resource.names[-1]),
            kept_octets_limit,
            self._promises.find,
        )
        if edition.promise is not None:
            resource.edges += edition.promise.notice.edges
        self._hold(resource, edition)

    def _hold(self, resource: Resource, edition: Edition) -> None:
        """Let a version of a file be what stands at a path."""
        resource.edition = edition
        # RFC 9110 section 8.8.2.1: a Last-Modified later than Date must not be sent.
        modified_second = edition.last_modified_seconds
        if modified_second is not None and modified_second > self._clock.second:
            edition.last_modified_seconds = self._clock.second
        identity = edition.identity
        if identity.content is not None:
            resource.octets = round_up(resource.octets + identity.length)

    def _is_free(self, names: Names) -> bool:
        """Return whether nothing stands at a path of names, nor is known to."""
        return not self.resources.has(names) and self._comparison.find_kind(names) is Kind.MISSING

    def _offer_for_tag(self, file: OpenFile) -> None:
        if self.tagging is not None:
            self.tagging.offer(file, self.resources.tag_anew)

    def _on_end(
        self, dependent: Dependent | None, *, is_written: bool = False, is_of_many: bool = False
    ) -> None:
        """Take out what has ended, everything with None, and let nothing of it be recalled.

        ``is_written`` is whether its content was written to, ``is_of_many`` whether much ends with it.
        """
        if dependent is None or self._root.is_named_by(dependent):
            self._root.on_change()
        if dependent is None:
            self._end_all()
        elif isinstance(dependent, Folder):
            self._end_folder(dependent)
        elif isinstance(dependent, Sidecar):
            if is_written:
                dependent.note_write()
            if isinstance(dependent.resource, Resource):
                self._on_end(dependent.resource, is_of_many=is_of_many)
        elif isinstance(dependent, Resource) and dependent.is_current:
            if self.resources.rule_files.get(dependent.names) is dependent:
                del self.resources.rule_files[dependent.names]
                self.on_rules_doubted()
            if is_of_many and not is_written and not isinstance(dependent, Snapshot):
                self.deferred_release.mark(dependent)
            else:
                self._give_back(dependent, is_written=is_written)

    def _give_back(self, resource: Resource, *, is_written: bool = False) -> None:
        """Take out what has ended from where it is kept, and release it."""
        self.resources.remove(resource)
        self._end(resource, is_written=is_written)

    def _end_all(self) -> None:
        self.listings.end_all()
        self.deferred_release.add(self.resources.end_all(), self._folders.take_all())
        # If rules are read anew, all answers end; there are none now.
        self._has_ended_all = True
        for rule_file in list(self.resources.rule_files.values()):
            self._on_end(rule_file)
        self._has_ended_all = False

    def _end_folder(self, folder: Folder) -> None:
        """End what was found in a folder that has ended."""
        if folder.is_current:
            self._folders.take(folder)
            # What is found in a folder is a resource, which knows the folder.
            self.deferred_release.add((cast("dict[bytes, Resource]", folder.members),), (folder,))

    def _end(self, resource: Resource, *, is_written: bool = False) -> None:
        """Release a resource that has ended or was evicted."""
        resource.end()
        if is_written and resource.edition is not None and resource.edition.promise is not None:
            resource.edition.promise.note_write()
        self._file_codings.forget(resource)
        folder = resource.folder
        if folder is not None and folder.members.get(resource.names[-1]) is resource:
            self._folders.leave(folder, resource.names[-1])
        if self.watch is not None and resource.edges:
            self.watch.forget(resource)
