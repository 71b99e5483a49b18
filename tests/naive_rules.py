"""The rules interpreted naively: each in its order, one after the other, with nothing compiled.

The compiled rules (`Policy`) must say the same of every path.
"""

from epollo.site.resolve import Names
from epollo.site.rules.fields import PathFields, merge_fields
from epollo.site.rules.pattern import match_pattern
from epollo.site.rules.redirection import Redirect, Rewrite, follow_rule
from epollo.site.rules.rule import Rules


def interpret_headers(rules: Rules, host: bytes, names: Names) -> PathFields:
    """Return the fields of a path."""
    found = []
    for rule in rules.headers:
        captures = match_pattern(rule.pattern, host, names)
        if captures is not None:
            found.append((rule, captures))
    return merge_fields(found)


def interpret_redirects(
    rules: Rules, host: bytes, names: Names, query: bytes | None
) -> tuple[Redirect | Rewrite | None, bool]:
    """Return where a path leads, and whether that goes before a file."""
    for rule in rules.redirects:
        outcome = follow_rule(rule, host, names, query, lambda names: (names,))
        if outcome is not None:
            return outcome, rule.is_forced
    return None, False
