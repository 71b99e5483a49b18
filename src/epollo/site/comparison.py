"""What the file system says of a path now, compared with what was found there."""

import stat

from epollo.loop import Clock
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource
from epollo.site.root import Root
from epollo.site.version import Version, version_of


class Comparison:
    """Looks at paths below a root, by ``stat`` alone."""

    def __init__(self, root: Root, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def is_as_found(self, resource: Resource) -> bool:
        """Compare with the file system what was found there earlier."""
        if resource.edition is None:
            return self.find_kind(resource.names) is resource.kind
        if resource.may_be_ambiguous:
            return False
        if (resource.edition.last_modified_seconds or 0) >= self._clock.second:
            # The clock was set back, and what was of the past is not over or of the future now.
            return False
        return self._find_version(resource.names) == resource.edition.version

    def find_kind(self, names: Names) -> Kind | None:
        """Return whether the file system says that a folder or nothing stands at a path of names."""
        try:
            return Kind.FOLDER if stat.S_ISDIR(self._root.stat(names).st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return Kind.MISSING
        except (OSError, ValueError):
            return None

    def _find_version(self, names: Names) -> Version | None:
        try:
            return version_of(self._root.stat(names))
        except (OSError, ValueError):
            return None
