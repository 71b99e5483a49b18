"""Large files: opened when they are sent, and only where they are still what was announced of them."""

import os

from epollo.loop import Clock
from epollo.site.open_files import OpenFile, SharedFile
from epollo.site.pieces import FileContent
from epollo.site.resolve import Edge, Kind, Names, Walk
from epollo.site.resource import Resource
from epollo.site.root import Root
from epollo.site.version import Version, version_of


class Files:
    """Opens the files below a root whose content is not kept."""

    def __init__(self, root: Root, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def open(self, resource: Resource) -> OpenFile | None:
        """Open the file of a resource; None if the file is not what it was when it was found."""
        edition = resource.edition
        if edition is None:
            return None
        if edition.file is not None and edition.file.is_unchanged(self._clock.second):
            return edition.file
        found = self._root.walk(resource.names)
        version = _find_version(found)
        if edition.promise is not None and version is not None:
            # One that was found just now may have grown since: a log does so faster than it is opened.
            is_same = version[:2] == edition.version[:2] and edition.file is None
            if (is_same or version == edition.version) and edition.promise.holds(found.descriptor):
                if not SharedFile.may_have_more():
                    return OpenFile(found.descriptor, edition.promise)
                edition.file = SharedFile(found.descriptor, edition.promise)
                return edition.file
        if found.descriptor >= 0:
            os.close(found.descriptor)
        return None

    def open_content(self, names: Names) -> tuple[FileContent | None, tuple[Edge, ...]]:
        """Open what stands at a path of names, to be read piece by piece; None if that is no file.

        The edges are what the walk rested on.
        """
        found = self._root.walk(names)
        version = _find_version(found)
        if version is not None:
            return FileContent(found.descriptor, version), found.edges
        if found.descriptor >= 0:
            os.close(found.descriptor)
        return None, found.edges


def _find_version(found: Walk) -> Version | None:
    """Return the version of a file that was found; None for what is no file, or fails to be looked at."""
    if found.kind is not Kind.FILE:
        return None
    try:
        return version_of(os.fstat(found.descriptor))
    except OSError:
        return None
