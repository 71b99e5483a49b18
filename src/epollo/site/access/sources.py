"""Where in a site the content of an answer may come from, whatever path asks for it."""

from epollo.http.message import Basis
from epollo.named_tuples import NamedTuple
from epollo.site.resolve import Names


class Sources(NamedTuple):
    """Paths of names at which content is looked for, and the rules on which that rests."""

    names: tuple[Names, ...]
    basis: Basis
