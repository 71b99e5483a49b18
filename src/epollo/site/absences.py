"""What is not there, by names; what is missing on the way to a path answers for all that is below it.

Facts: links to a folder that is gone, and scanners, ask for thousands of names where there is no folder.
Decision: where a walk ends before the last name, the name that is missing is kept, not the path.
Price: a path that is not known costs a look-up for each folder on its way, of the first few.
"""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.site.cache import Cache
from epollo.site.resolve import Edge, Kind, Names
from epollo.site.resource import Resource

_FOLDERS_LOOKED_AT: Final = 8


def find_absence(absences: Cache[Names, Resource], names: Names) -> Resource | None:
    """Return what is known to have no content at a path of names, or to be missing on the way there."""
    if not absences.octets:
        return None
    found = absences.get(names)
    if found is None:
        for end in range(1, min(len(names), _FOLDERS_LOOKED_AT + 1)):
            folder = absences.get(names[:end])
            if folder is not None and folder.kind is Kind.MISSING:
                return folder
    return found


def select_missing(
    names: Names, edges: tuple[Edge, ...], is_free: Callable[[Names], bool]
) -> Names:
    """Return the first names of a path, which are missing already; all of them where that is not known.

    ``edges`` are those of a walk along the path that has found nothing. ``is_free`` is asked whether
    nothing stands at the first names, by the file system and by what is kept.
    """
    missing = names[: len(edges)]
    # A link on the way has edges of other names.
    is_folder = len(missing) < len(names) and all(
        edge.name == name for edge, name in zip(edges, missing, strict=True)
    )
    return missing if is_folder and is_free(missing) else names
