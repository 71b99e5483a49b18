"""The policy: all that the rules of a site say of a path, and which fields an answer may depend on.

Facts: rules belong to paths, files to names. One file may be reached by several paths, and a path may be
looked for at several names.
Decision: what the rules say of a path is compiled into a *treatment*, once per path and version of the
rules, and is recollected. A treatment knows no file: what stands at its candidates is the catalogue's to
say. Other rules are another policy.
Consequence: a request that is not recalled pays one look-up for all rules together.
Price: what is recollected of paths is bounded to some megabytes.
"""

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.http.message import PERMANENT, Basis, FieldLine
from epollo.http.preconditions import CONDITIONAL_FIELDS
from epollo.http.target import decode_path
from epollo.site.cache_policy import CachePolicy
from epollo.site.candidates import (
    Paths,
    list_candidates,
    list_rewrite_candidates,
    select_page,
)
from epollo.site.navigation import NAVIGATION_FIELDS, NAVIGATION_RELEVANT_FIELDS
from epollo.site.refusals import Refusals
from epollo.site.representation import Edition
from epollo.site.resolve import Names, is_hidden
from epollo.site.resource import NAME_OCTETS
from epollo.site.rules.fields import PLAIN_FIELDS, PathFields, mark_fields, merge_fields, vary_on
from epollo.site.rules.index import RuleIndex
from epollo.site.rules.pattern import match_pattern
from epollo.site.rules.redirection import Redirect, Rewrite, follow_rule, parse_query
from epollo.site.rules.rule import HeaderRule, RedirectRule, Rules
from epollo.site.treatment import Treatment

RELEVANT_FIELDS: Final = CONDITIONAL_FIELDS | {
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"range",
}
"""The fields that an answer may depend on."""

_TREATMENTS_LIMIT: Final = 4096
_TREATMENTS_OCTETS_LIMIT: Final = 512 * 1024
_FIELDS_LIMIT: Final = 1024
_REFUSALS_LIMIT: Final = 64


class Policy:
    """The rules of a site, as its operator and the site itself decided.

    Without a cache policy, those of the default settings.
    """

    def __init__(
        self,
        cache_policy: CachePolicy | None = None,
        rules: Rules = Rules(),  # noqa: B008 - it is immutable
        paths: Paths = Paths(),  # noqa: B008 - it is immutable
        added_fields: tuple[FieldLine, ...] = (),
    ) -> None:
        """``added_fields`` are added to every answer, and not by the rules."""
        self._mark = mark_fields(added_fields)
        self._plain_fields = PLAIN_FIELDS._replace(mark=self._mark)
        self._cache_policy = cache_policy or CachePolicy()
        self._paths = paths
        self.relevant_fields: frozenset[bytes] = (
            RELEVANT_FIELDS | NAVIGATION_RELEVANT_FIELDS if paths.is_app else RELEVANT_FIELDS
        )
        """The fields that an answer may depend on: a protocol leaves out all others.

        What is recalled is known by these fields alone, so a rule that reads another field adds it here.
        """
        self.is_query_relevant: bool = any(rule.query for rule in rules.redirects)
        """Whether a rule looks at queries, so that each query of a path has a treatment of its own."""
        self.error_fields = self._cache_policy.error_fields
        """Field lines of each error and redirect."""
        self.basis: Basis = PERMANENT
        """What an answer rests on that is made of the rules alone."""
        self.rules = rules
        self._headers = RuleIndex([rule.pattern for rule in rules.headers])
        self._redirects = RuleIndex(
            [rule.pattern for rule in rules.redirects],
            lambda number: rules.redirects[number].condition,
        )
        self.is_host_relevant = self._headers.has_hosts or self._redirects.has_hosts
        """Whether a rule looks at the host, so that each host has treatments of its own."""
        # Without rules to match, a treatment is made as fast as it is looked up.
        self._is_plain = not rules.headers and not rules.redirects
        self._refusals: dict[tuple[FieldLine, ...], Refusals] = {}
        # Fields of paths by the numbers of the rules about them, if no rule uses what it captures.
        self._fields: dict[tuple[int, ...], PathFields] = {(): self._plain_fields}
        self._treatments: Generations[bytes, Treatment] = Generations(
            entries_limit=_TREATMENTS_LIMIT, octets_limit=_TREATMENTS_OCTETS_LIMIT
        )

    def find(self, path: bytes, query: bytes | None, host: bytes = b"") -> Treatment | None:
        """Return the treatment of a path as it stands in a request; None if that is no path.

        ``host`` is in lower case and without a port.
        """
        if self._is_plain:
            names = decode_path(path)
            return None if names is None else self.treat(names, None)
        key = path
        if self.is_query_relevant and query is not None:
            key = b"%b?%b" % (path, query)
        if self.is_host_relevant:
            # No host has a slash in it.
            key = host + key
        treatment = self._treatments.young.get(key)
        if treatment is None:
            # A path of short names takes many times its own octets.
            octets = len(key) + NAME_OCTETS * path.count(b"/")
            treatment = self._treatments.get(key, octets)
            if treatment is None:
                names = decode_path(path)
                if names is None:
                    return None
                treatment = self.treat(names, query, host)
                self._treatments.put(key, treatment, octets)
        return treatment

    def treat(self, names: Names, query: bytes | None, host: bytes = b"") -> Treatment:
        """Return what the rules say of a path of names; the last name is empty if it ends in a slash.

        The outcome depends on nothing else.
        """
        fields, found = self._plain_fields, None
        if not self._is_plain:
            fields = self._select_fields(names, host)
            found = self._find_redirect(names, query, host)
        is_forced = found is not None and found[0].is_forced
        candidates = () if is_forced else list_candidates(names, self._paths)
        is_app = self._paths.is_app and not is_hidden(names, self._paths.reach)
        return Treatment(
            names,
            candidates,
            (*names, b"") if candidates and names[-1] else None,
            fields,
            None if is_forced or names[-1] else select_page(names, self._paths),
            None if found is None else found[1],
            vary_on(fields, NAVIGATION_FIELDS) if is_app else None,
        )

    def select_refusals(self, fields: PathFields = PLAIN_FIELDS) -> Refusals:
        """Return the answers without a file for a path that has these fields."""
        key = self.select_refusal_fields(fields)
        refusals = self._refusals.get(key)
        if refusals is None:
            if len(self._refusals) >= _REFUSALS_LIMIT:
                self._refusals.clear()
            refusals = Refusals(key)
            self._refusals[key] = refusals
        return refusals

    def select_refusal_fields(self, fields: PathFields) -> tuple[FieldLine, ...]:
        """Return the field lines of errors and redirects at a path that has these fields."""
        return (*fields.refusal, *fields.fixed, *self.error_fields)

    def _select_fields(self, names: Names, host: bytes) -> PathFields:
        """Return the fields of the answers of a path."""
        if not self.rules.headers:
            return self._plain_fields
        key = tuple(self._headers.find(host, names))
        fields = self._fields.get(key)
        if fields is not None:
            return fields
        rules = [self.rules.headers[number] for number in key]
        fields = merge_fields(
            (rule, match_pattern(rule.pattern, host, names) or {}) for rule in rules
        )
        fields = fields._replace(mark=fields.mark + self._mark)
        if not any(rule.uses_captures for rule in rules):
            if len(self._fields) >= _FIELDS_LIMIT:
                self._fields.clear()
            self._fields[key] = fields
        return fields

    def find_rules(
        self, names: Names, query: bytes | None, host: bytes
    ) -> tuple[RedirectRule | None, list[HeaderRule]]:
        """Return the rules that are about a path; only the first of the redirects."""
        found = self._find_redirect(names, query, host)
        return (None if found is None else found[0]), self.find_header_rules(names, host)

    def find_header_rules(self, names: Names, host: bytes) -> list[HeaderRule]:
        """Return the rules of headers that are about a path."""
        return [self.rules.headers[number] for number in self._headers.find(host, names)]

    def _find_redirect(
        self, names: Names, query: bytes | None, host: bytes
    ) -> tuple[RedirectRule, Redirect | Rewrite] | None:
        """Return the first redirect rule of a path, and what it says of it."""
        if not self.rules.redirects:
            return None
        parameters = parse_query(query) if self.is_query_relevant else {}
        for number in self._redirects.find(host, names, parameters):
            rule = self.rules.redirects[number]
            outcome = follow_rule(rule, host, names, query, self._list_rewrite_candidates)
            if outcome is not None:
                return rule, outcome
        return None

    def _list_rewrite_candidates(self, names: Names) -> tuple[Names, ...]:
        return list_rewrite_candidates(names, self._paths)

    def select_cache_fields(self, names: Names, edition: Edition) -> tuple[FieldLine, ...]:
        """Return the field lines about caching of this version of the file at a path of names."""
        if edition.cache_fields is None:
            edition.cache_fields = self._cache_policy.select_fields(names, edition)
        return edition.cache_fields
