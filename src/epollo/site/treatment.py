"""A treatment: all that the rules say of a path, as the descent from a request to a response asks it."""

from epollo.named_tuples import NamedTuple
from epollo.site.resolve import Names
from epollo.site.rules.fields import PathFields
from epollo.site.rules.redirection import Redirect, Rewrite


class Treatment(NamedTuple):
    """What the rules say of a path of ``names``.

    A resource is looked for at the ``candidates`` in their order: the first that stands is the answer.
    A hidden path has no candidates. Where only a folder stands, a client is redirected to
    ``folder_names``; None if a folder is not found. Where nothing stands but a file at ``page_names``,
    the slash at the end of the path is one too many. Where nothing is found, ``otherwise`` is done.
    ``app_fields`` are those of the answer to a navigation that finds nothing, for which the index of the
    root is sent; None if the answer is 404.
    """

    names: Names
    candidates: tuple[Names, ...]
    folder_names: Names | None
    fields: PathFields
    page_names: Names | None = None
    otherwise: Redirect | Rewrite | None = None
    app_fields: PathFields | None = None
