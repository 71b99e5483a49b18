"""What a rule of ``_redirects`` says of one request: whether it matches, and where it leads."""

import re
from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.target import decode_path
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late
from epollo.site.resolve import Names
from epollo.site.rules.pattern import Captures, encode_value, match_pattern, substitute
from epollo.site.rules.rule import REDIRECTS, RedirectRule

_URL: Final = compile_late(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_SLASHES: Final = compile_late(rb"\A/+")


class Redirect(NamedTuple):
    """A client is sent to a URL or path, ``location``, with a status of `REDIRECTS`.

    ``dropped`` are the parameters of the query that are not handed on; None if none is.
    """

    status: int
    location: bytes
    dropped: frozenset[bytes] | None


class Rewrite(NamedTuple):
    """The first of other ``candidates`` that stands is sent with this status."""

    status: int
    candidates: tuple[Names, ...]


def follow_rule(
    rule: RedirectRule,
    host: bytes,
    names: Names,
    query: bytes | None,
    list_candidates: Callable[[Names], tuple[Names, ...]],
) -> Redirect | Rewrite | None:
    """Return where a rule leads a path; None if it does not match, or leads the path to itself.

    ``host`` is in lower case and without a port, ``query`` as it was sent. ``list_candidates`` says where
    the resource of a path is looked for that is rewritten to.
    """
    captures = match_pattern(rule.pattern, host, names)
    if captures is None:
        return None
    if rule.query:
        found = _match_query(rule, query)
        if found is None:
            return None
        captures |= found
    # Two slashes in front would name another host (RFC 3986 section 4.2): what is captured may begin with
    # one, or be nothing, where a slash follows.
    target = _SLASHES.sub(b"/", substitute(rule.target, captures))
    if rule.status not in REDIRECTS:
        path = decode_path(re.split(rb"[?#]", target, maxsplit=1)[0])
        return Rewrite(rule.status, () if path is None else list_candidates(path))
    if _is_same(target, host, names):
        return None
    if b"?" in target.partition(b"#")[0]:
        return Redirect(rule.status, target, None)
    return Redirect(rule.status, target, frozenset(one.name for one in rule.query))


def parse_query(query: bytes | None) -> dict[bytes, bytes]:
    """Return the parameters of a query as they were sent; of one that is there twice, the first."""
    parameters: dict[bytes, bytes] = {}
    for part in (query or b"").split(b"&"):
        name, _, value = part.partition(b"=")
        parameters.setdefault(name, value)
    return parameters


def _match_query(rule: RedirectRule, query: bytes | None) -> Captures | None:
    """Return what a rule captures of a query; None if this lacks a parameter that it asks for."""
    parameters = parse_query(query)
    captures: Captures = {}
    for name, value, is_captured in rule.query:
        found = parameters.get(name)
        if found is None or (found != value and not is_captured):
            return None
        if is_captured:
            captures[value] = encode_value(found)
    return captures


def _is_same(target: bytes, host: bytes, names: Names) -> bool:
    """Return whether a target is the path that was asked for: a client would ask without end."""
    found = _URL.fullmatch(target)
    if found is not None:
        if found[1].lower() != host:
            return False
        target = found[2]
    path, *rest = re.split(rb"[?#]", target, maxsplit=1)
    if rest and not target.startswith(path + b"#"):
        return False
    return _without_slash(decode_path(path or b"/")) == _without_slash(names)


def _without_slash(names: Names | None) -> Names | None:
    return names[:-1] if names and names[-1] == b"" else names
