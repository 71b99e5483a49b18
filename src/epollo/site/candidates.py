"""The names at which the resource of a path is looked for, and those of a site's error pages."""

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple
from epollo.site.reach import PLAIN, Reach
from epollo.site.resolve import Names, is_hidden

INDEX: Final = b"index.html"
HTML: Final = b".html"

_DEPTH_LIMIT: Final = 16
"""Folders deeper than this below the root have no error pages of their own."""


class Paths(NamedTuple):
    """What the operator decided of paths.

    ``has_clean_urls`` is whether ``/about`` finds ``about.html``, ``is_app`` whether the root's index is
    sent to a navigation that finds nothing. ``reach`` says which hidden names are shown.
    """

    has_clean_urls: bool = True
    is_app: bool = False
    reach: Reach = PLAIN


def list_candidates(names: Names, paths: Paths) -> tuple[Names, ...]:
    """Return where the resource of a path is looked for, the first that stands; nowhere if it is hidden.

    The last name is empty if the path ends in a slash.
    """
    if is_hidden(names, paths.reach):
        return ()
    last = names[-1]
    if not last:
        return ((*names[:-1], INDEX),)
    if paths.has_clean_urls and not last.endswith(HTML):
        return (names, (*names[:-1], last + HTML))
    return (names,)


def list_rewrite_candidates(names: Names, paths: Paths) -> tuple[Names, ...]:
    """Return the same for the path that a rule rewrites to, where no client can be sent elsewhere."""
    candidates = list_candidates(names, paths)
    if not candidates:
        return ()
    if names[-1]:
        return (*candidates, (*names, INDEX))
    page = select_page(names, paths)
    return candidates if page is None else (*candidates, page)


def select_page(names: Names, paths: Paths) -> Names | None:
    """Return the page that a path means which ends in a slash by mistake; None if it means none."""
    if names[-1] or len(names) < 2 or not paths.has_clean_urls or is_hidden(names, paths.reach):
        return None
    *folder, last, _ = names
    return (*folder, last + HTML)


def list_error_pages(names: Names, status: int) -> list[Names]:
    """Return where the page of an error at a path may be: in each folder on the way, the root first."""
    page = b"%d.html" % status
    depth = min(len(names), _DEPTH_LIMIT + 1)
    return [(*names[:count], page) for count in range(depth)]
