"""Codings of files that are too large to be kept: asked for, and taken over when they are made.

Facts: from 20 MB of machine code gzip 6 makes 8.2 MB in 1.3 seconds, br 6 6.8 in 1.7, zstd 9 6.9 in
1.0; br 9 makes 6.6 in 14, zstd 19 6.1 in 24.
Decision: such a coding is made once, at middle effort.

What is made in the background comes back by a call in the loop. The call first looks for changes, so
that nothing is added to a version that has ended.
"""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from epollo.annotations import Final, Protocol, TypeAlias
from epollo.http.message import FileSegment
from epollo.http.validators import EntityTag
from epollo.site.codings import CODING_NAMES, CODINGS, Coding
from epollo.site.compressor import Compressor
from epollo.site.file_task import FileTask
from epollo.site.media_types import MediaType, announce_utf8
from epollo.site.open_files import SharedFile
from epollo.site.pieces import FileContent
from epollo.site.promise import Promise
from epollo.site.representation import Edition, Representation, keep_coded
from epollo.site.resolve import Edge, Names
from epollo.site.sealed import Coded
from epollo.site.watch import Watch

OpenContent: TypeAlias = Callable[[Names], tuple[FileContent | None, tuple[Edge, ...]]]
"""Opens what stands at a path; None where that is no file. The edges are what the walk rested on."""


class Codable(Protocol):
    """A resource, as `FileCodings` sees it."""

    names: Names
    edition: Edition | None
    offered: frozenset[bytes]
    sidecars: "Mapping[bytes, Sidecar]"

    @property
    def is_current(self) -> bool:
        """Whether this has not ended."""

    def end_answers(self) -> None:
        """Let none of the answers made so far be given again: there is a better one."""


class Sidecar:
    """The name of a sidecar file of a resource that is not kept, and the file where it is used.

    It depends on names by itself: a write to it is no write to the file beside it.
    """

    __slots__ = ("edges", "file", "resource")

    def __init__(self, resource: Codable, edges: tuple[Edge, ...]) -> None:
        self.resource = resource
        self.edges = edges
        self.file: SharedFile | None = None

    def note_write(self) -> None:
        """Note an event by which the name of the file was written to."""
        if self.file is not None:
            self.file.promise.note_write()


NO_SIDECARS: Final[Mapping[bytes, Sidecar]] = MappingProxyType({})
"""What most resources have: one object for all."""


class FileCodings:
    """The codings of the large files of a catalogue.

    ``promise`` returns what is promised of an open file. ``grow`` counts octets that are kept for a
    resource. ``coded_octets_limit`` is how long a coding may be to be kept.
    """

    def __init__(
        self,
        open_content: OpenContent,
        promise: Callable[[int], Promise],
        watch: Watch | None,
        *,
        select_media_type: Callable[[bytes], MediaType],
        report: Callable[[str], None],
        grow: Callable[[Names, int], None],
        coded_octets_limit: int,
    ) -> None:
        self._open_content = open_content
        self._promise = promise
        self._watch = watch
        self._select_media_type = select_media_type
        self._report = report
        self._grow = grow
        self._coded_octets_limit = coded_octets_limit

    def offer(self, resource: Codable, edition: Edition, compressor: Compressor) -> None:
        """Have codings made of a file, and its sidecar files looked at, once."""
        if not compressor.has_room_for_file():
            return
        content, _ = self._open_content(resource.names)
        if content is None or content.version != edition.version:
            # The file has ended, which the next look will find, or there is no descriptor.
            return
        media_type = edition.media_type
        is_text = announce_utf8(media_type) == self._select_media_type(resource.names[-1])
        is_taken = compressor.add_file(
            FileTask(
                content,
                self._open_sidecars(resource),
                media_type.value if is_text else None,
                self._coded_octets_limit,
                lambda: resource.is_current,
                lambda: self._announce_utf8(resource),
                lambda coding, coded: self._add(resource, coding, coded),
                lambda coding, sidecar, tag: self._use(resource, coding, sidecar, tag),
                lambda suffix, reason: self.refuse(resource, suffix, reason),
            )
        )
        if is_taken:
            resource.offered = CODING_NAMES

    def forget(self, resource: Codable) -> None:
        """Close the sidecar files of a resource that has ended."""
        if self._watch is not None:
            for sidecar in resource.sidecars.values():
                self._watch.forget(sidecar)
        # Each refers to the resource: without them, no collection is needed to free it.
        resource.sidecars = NO_SIDECARS

    def refuse(self, resource: Codable, suffix: bytes, reason: str) -> None:
        """Tell of a sidecar file that cannot be used."""
        if resource.is_current:
            name = os.fsdecode(b"/".join(resource.names) + suffix)
            self._report(f"{name} {reason}; it is not used")

    def _open_sidecars(self, resource: Codable) -> dict[bytes, FileContent]:
        found = {}
        for coding in CODINGS:
            content, edges = self._open_content(name_sidecar(resource.names, coding))
            sidecar = Sidecar(resource, edges)
            resource.sidecars = {**resource.sidecars, coding.name: sidecar}
            if self._watch is not None:
                self._watch.depend(sidecar)
            if content is not None:
                found[coding.name] = content
        return found

    def _find_edition(self, resource: Codable) -> Edition | None:
        """Return the edition of a resource; None if the resource has ended by now."""
        if self._watch is not None:
            self._watch.on_ready(0)
        return resource.edition if resource.is_current else None

    def _announce_utf8(self, resource: Codable) -> None:
        edition = self._find_edition(resource)
        if edition is not None:
            edition.media_type = announce_utf8(edition.media_type)
            resource.end_answers()

    def _add(self, resource: Codable, coding: bytes, coded: Coded) -> None:
        """Add a coding that was made."""
        edition = self._find_edition(resource)
        if edition is not None:
            self._grow(resource.names, edition.add(coding, keep_coded(coded)))
            resource.end_answers()

    def _use(
        self, resource: Codable, coding: bytes, content: FileContent, entity_tag: EntityTag
    ) -> None:
        """Send a sidecar file from where it stands."""
        edition = self._find_edition(resource)
        if edition is None or not SharedFile.may_have_more():
            return
        descriptor = content.take_descriptor()
        try:
            promise = self._promise(descriptor)
        except OSError:
            os.close(descriptor)
            return
        sidecar = resource.sidecars[coding]
        sidecar.file = SharedFile(descriptor, promise)
        if promise.seen != content.version:
            # It has other content than when it was read through.
            sidecar.file = None
            return
        whole = FileSegment(sidecar.file, 0, content.length)
        edition.add(coding, Representation(whole, content.length, entity_tag.opaque))
        resource.end_answers()


def name_sidecar(names: Names, coding: Coding) -> Names:
    """Return the path of the sidecar file of a coding."""
    return (*names[:-1], names[-1] + coding.suffix)
