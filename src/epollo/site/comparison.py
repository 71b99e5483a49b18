"""What the file system says of a path now, compared with what was found there."""

import stat

from epollo.loop import Clock
from epollo.site.folders import Folders
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource
from epollo.site.root import Root
from epollo.site.version import is_version


class Comparison:
    """Looks at paths below a root, by ``stat`` alone."""

    def __init__(self, root: Root, folders: Folders, clock: Clock) -> None:
        self._root = root
        self._folders = folders
        self._clock = clock

    def is_as_found(self, resource: Resource, last_second: int, *, is_in_doubt: bool) -> bool:
        """Return whether a path still has what was found.

        ``last_second`` is that of the last look; ``is_in_doubt`` is whether no folder is trusted to have
        told of each name since then.
        """
        edition = resource.edition
        second = self._clock.second
        if edition is None:
            folder = resource.folder
            since_second = 0 if is_in_doubt else last_second
            if (
                # What was looked for in a watched folder, and was not there.
                folder is not None
                and self._root.reports_every_name
                and self._folders.is_unedited(folder, second, since_second)
            ):
                return True
            return self.find_kind(resource.names) is resource.kind
        if resource.may_be_ambiguous:
            return False
        if last_second > second and (edition.last_modified_seconds or 0) >= second:
            # The clock was set back: a second that was past is present, or to come.
            return False
        try:
            return is_version(self._root.stat(resource.names), edition.version_mark)
        except (OSError, ValueError):
            return False

    def find_kind(self, names: Names) -> Kind | None:
        """Return whether the file system says that a folder or nothing stands at a path of names."""
        try:
            return Kind.FOLDER if stat.S_ISDIR(self._root.stat(names).st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return Kind.MISSING
        except (OSError, ValueError):
            return None
