"""The policy: all that the rules of a site say of a path, and which fields an answer may depend on.

Facts: rules belong to paths, files to names. One file may be reached by several paths, and a path may be
looked for at several names.
Decision: what the rules say of a path is compiled into a *treatment*, once per path and version of the
rules, and is recollected. A treatment knows no file: what stands at its candidates is the catalogue's to
say. Other rules are another policy.
Consequence: a request that is not recalled pays one look-up for all rules together.
Price: what is recollected of paths is bounded to some megabytes.
"""

from typing import Final, NamedTuple

from epollo.generations import Generations
from epollo.http.message import FieldLine
from epollo.http.preconditions import CONDITIONAL_FIELDS
from epollo.http.target import decode_path
from epollo.site.cache_policy import CachePolicy
from epollo.site.representation import Edition
from epollo.site.resolve import Names, is_hidden
from epollo.site.resource import NAME_OCTETS

INDEX: Final = b"index.html"
NOT_FOUND_PAGE: Final = (b"404.html",)

RELEVANT_FIELDS: Final = CONDITIONAL_FIELDS | {b"accept-encoding", b"authorization", b"range"}
"""The fields that an answer may depend on."""

_NO_SNIFF: Final = (b"X-Content-Type-Options", b"nosniff")
_VARY: Final = (b"Vary", b"Accept-Encoding")
_TREATMENTS_LIMIT: Final = 4096
_TREATMENTS_OCTETS_LIMIT: Final = 512 * 1024


class PathFields(NamedTuple):
    """The field lines that the rules add to answers.

    ``content`` are those of each answer with content of a file, ``negotiated`` of each answer that
    another request may get in another coding. Errors and redirects have those of the policy.
    """

    content: tuple[FieldLine, ...]
    negotiated: tuple[FieldLine, ...]


class Treatment(NamedTuple):
    """What the rules say of a path.

    A resource is looked for at the ``candidates`` in their order: the first that stands is the answer.
    A hidden path has no candidates. Where a folder stands, a client is redirected to ``folder_names``;
    None where a folder is not found. ``not_found_page`` is where the content of an answer 404 is looked
    for.
    """

    candidates: tuple[Names, ...]
    folder_names: Names | None
    not_found_page: Names
    fields: PathFields


class Policy:
    """The rules of a site, as its operator decided; without a cache policy, those of the defaults."""

    relevant_fields: frozenset[bytes] = RELEVANT_FIELDS
    """The fields that an answer may depend on: a protocol leaves out all others.

    What is recalled is known by these fields alone, so a rule that reads another field adds it here.
    """
    is_query_relevant: bool = False
    """Whether a rule looks at queries, so that each query of a path has a treatment of its own."""

    def __init__(self, cache_policy: CachePolicy | None = None) -> None:
        self._cache_policy = cache_policy or CachePolicy()
        self.error_fields = self._cache_policy.error_fields
        """Field lines of each error and redirect."""
        self._fields = PathFields((_NO_SNIFF,), (_VARY,))
        self._treatments: Generations[bytes, Treatment] = Generations(
            entries_limit=_TREATMENTS_LIMIT, octets_limit=_TREATMENTS_OCTETS_LIMIT
        )

    def find(self, path: bytes, query: bytes | None) -> Treatment | None:
        """Return the treatment of a path as it stands in a request; None where that is no path."""
        key = path
        if self.is_query_relevant and query is not None:
            key = b"%b?%b" % (path, query)
        treatment = self._treatments.young.get(key)
        if treatment is None:
            # A path of short names takes many times its own octets.
            octets = len(key) + NAME_OCTETS * path.count(b"/")
            treatment = self._treatments.get(key, octets)
            if treatment is None:
                names = decode_path(path)
                if names is None:
                    return None
                treatment = self.treat(names, query)
                self._treatments.put(key, treatment, octets)
        return treatment

    def treat(self, names: Names, query: bytes | None) -> Treatment:  # noqa: ARG002
        """Return what the rules say of a path of names; the last name is empty where it ends in a slash.

        The outcome depends on nothing else.
        """
        candidates: tuple[Names, ...] = ()
        folder_names = None
        if is_hidden(names):
            pass
        elif names[-1]:
            candidates = (names,)
            folder_names = (*names, b"")
        else:
            candidates = ((*names[:-1], INDEX),)
        return Treatment(
            candidates,
            folder_names,
            NOT_FOUND_PAGE,
            self._fields,
        )

    def select_cache_fields(self, names: Names, edition: Edition) -> tuple[FieldLine, ...]:
        """Return the field lines about caching of this version of the file at a path of names."""
        if edition.cache_fields is None:
            edition.cache_fields = self._cache_policy.select_fields(names, edition)
        return edition.cache_fields
