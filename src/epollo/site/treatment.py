"""A treatment: all that the rules say of a path, as the descent from a request to a response asks it."""

from typing import NamedTuple

from epollo.site.resolve import Names
from epollo.site.rules.fields import PathFields
from epollo.site.rules.redirection import Redirect, Rewrite


class Treatment(NamedTuple):
    """What the rules say of a path.

    A resource is looked for at the ``candidates`` in their order: the first that stands is the answer.
    A hidden path has no candidates. Where a folder stands, a client is redirected to ``folder_names``;
    None where a folder is not found. Where nothing is found, ``otherwise`` is done; None for an answer
    404. ``not_found_page`` is where the content of that is looked for.
    """

    candidates: tuple[Names, ...]
    folder_names: Names | None
    not_found_page: Names
    fields: PathFields
    otherwise: Redirect | Rewrite | None = None
