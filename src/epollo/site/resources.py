"""The resources that are kept, by their names: what was found, what is not there, and rule files.

What is found by a walk ends with the whole of them, by one mark (`Resource.ends_with`).
"""

from collections.abc import Callable, MutableMapping

from epollo.annotations import Any, Final
from epollo.budget import Budget
from epollo.site.absences import find_absence
from epollo.site.cache import Cache
from epollo.site.listing.snapshot import Snapshot
from epollo.site.promise import Promise
from epollo.site.resolve import Names
from epollo.site.resource import Resource, Whole

_ABSENCES_SHARE: Final = 16
"""What is not there is remembered too: one part of this number of what is kept."""
_NAMES_LIMIT: Final = 64
"""From this number on no more names of one file are noted: links may make any number of them."""


class Resources:
    """Resources within a budget; files give way to all else.

    ``end`` releases one that was evicted. Rule files are never evicted.
    """

    def __init__(self, budget: Budget, end: Callable[[Resource], None]) -> None:
        self.files: Cache[Names, Resource] = Cache(budget.octets_limit, end, budget)
        budget.share(self.files)
        self.absences: Cache[Names, Resource] = Cache(
            budget.octets_limit // _ABSENCES_SHARE, end, budget
        )
        self.rule_files: dict[Names, Resource] = {}
        self.whole = Whole()

    def __len__(self) -> int:
        return len(self.files) + len(self.absences) + len(self.rule_files)

    def find(self, names: Names) -> Resource | None:
        """Return what is known to stand at a path, or to be missing on the way there."""
        return self.files.get(names) or find_absence(self.absences, names)

    def has(self, names: Names) -> bool:
        """Return whether something is known of a path itself."""
        return (self.absences.get(names) or self.files.get(names)) is not None

    def put(self, resource: Resource) -> Resource | None:
        """Keep a resource; return the former one of these names, which was not given back yet."""
        edition = resource.edition
        if edition is not None and edition.promise is not None:
            names = edition.promise.names
            if len(names) < _NAMES_LIMIT:
                names.add(resource.names)
        return self._cache_of(resource).put(resource.names, resource)

    def remove(self, resource: Resource) -> None:
        """Keep a resource no more, unless another has its names by now."""
        cache = self._cache_of(resource)
        if cache.get(resource.names) is resource:
            cache.remove(resource.names)

    def grow(self, names: Names, octets: int) -> None:
        """Count octets more for the file at a path."""
        resource = self.files.get(names)
        if resource is not None:
            self.files.grow(names, resource, octets)

    def tag_anew(self, promise: Promise) -> None:
        """Let everything with this promise have the entity tag that was made of the content."""
        if len(promise.names) < _NAMES_LIMIT:
            found = [one for one in map(self.files.get, promise.names) if one is not None]
        else:
            found = self.files.entries()
        for resource in found:
            edition = resource.edition
            if edition is not None and edition.promise is promise and promise.content_tag:
                edition.tag_anew(promise.content_tag)
                resource.end_answers()

    def list_all(self) -> list[Resource]:
        """Return all, also those that have ended and were not given back yet."""
        return [*self.files.entries(), *self.absences.entries(), *self.rule_files.values()]

    def end_all(self) -> tuple[MutableMapping[Any, Resource], ...]:
        """End all but rule files, and return them by their names; they are still to be given back."""
        self.whole.is_current = False
        self.whole = Whole()
        return (*self.files.take_all(), *self.absences.take_all())

    def _cache_of(self, resource: Resource) -> Cache[Names, Resource]:
        is_absence = resource.edition is None and not isinstance(resource, Snapshot)
        return self.absences if is_absence else self.files
