"""The names at which the resource of a path is looked for."""

from typing import Final

from epollo.site.resolve import Names, is_hidden

INDEX: Final = b"index.html"
NOT_FOUND_PAGE: Final = (b"404.html",)


def list_candidates(names: Names) -> tuple[Names, ...]:
    """Return where the resource of a path is looked for, the first that stands; nowhere if it is hidden.

    The last name is empty where the path ends in a slash.
    """
    if is_hidden(names):
        return ()
    if names[-1]:
        return (names,)
    return ((*names[:-1], INDEX),)
