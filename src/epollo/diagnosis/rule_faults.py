"""Rules of a site that never count: behind another rule, behind a file, or about nothing."""

from collections.abc import Iterable, Iterator

from epollo.diagnosis.subject import Asked, Question, Subject
from epollo.diagnosis.why import BROWSER
from epollo.http.target import encode_path
from epollo.site.policy import Policy
from epollo.site.resolve import RULE_FILES, Kind, Names
from epollo.site.rules.pattern import Pattern, Piece, match_pattern
from epollo.site.rules.rule import REDIRECTS

_HEADERS, _REDIRECTS = (name.decode() for name in RULE_FILES)
_ERRORS = frozenset((404, 410))
_UNLIKELY = b"qzx-9f3b7c"
"""What no literal part of a pattern is, so that only a placeholder or a splat matches it."""
_ENDS: tuple[Names, ...] = ((), (_UNLIKELY,), (_UNLIKELY,) * 2, (_UNLIKELY,) * 5)


def list_rule_faults(
    subject: Subject, site: int, paths: Iterable[Names]
) -> Iterator[tuple[str, int, str]]:
    """Return the file, the line and the reason of each rule that never counts.

    ``site`` is its number, ``paths`` are those of all its files.
    """
    yield from _list_shadowed(subject.rulebooks[site].policy)
    yield from _list_stars(subject.rulebooks[site].policy)
    yield from _list_dead_targets(subject, site)
    yield from _list_unused_blocks(subject.rulebooks[site].policy, list(paths))


def list_samples(pattern: Pattern) -> list[tuple[bytes, Names]]:
    """Return hosts and paths that stand for all that a pattern matches.

    If another pattern matches all of these, it matches everything that this one does: what stands in
    them for a placeholder or a splat is in no pattern's literal part.
    """
    host = b".".join(_fill(pattern.host or (b"localhost",)))
    names = _fill(pattern.segments)
    if pattern.splat is None:
        return [(host, names or (b"",))]
    head, tail = pattern.splat
    samples = []
    for end in _ENDS:
        rest = head + b"/".join(end) + tail
        samples.append((host, (*names, *rest.split(b"/")) if rest else names or (b"",)))
    return samples


def _fill(pieces: Iterable[bytes | Piece]) -> Names:
    return tuple(
        piece if isinstance(piece, bytes) else piece.head + _UNLIKELY + piece.tail
        for piece in pieces
    )


def _list_shadowed(policy: Policy) -> Iterator[tuple[str, int, str]]:
    for rule in policy.rules.redirects:
        query = b"&".join(
            b"%b=%b" % (one.name, _UNLIKELY if one.is_captured else one.value) for one in rule.query
        )
        before = set()
        for host, names in list_samples(rule.pattern):
            found, _ = policy.find_rules(names, query or None, host)
            before.add(found)
        if rule in before or None in before:
            if rule not in before and before == {None}:
                yield _REDIRECTS, rule.line, "it leads each path to itself"
            continue
        first = min(one.line for one in before if one is not None)
        yield _REDIRECTS, rule.line, f"line {first} matches all that it does, and goes first"


def _list_stars(policy: Policy) -> Iterator[tuple[str, int, str]]:
    """Return the rules with a splat in the path and a star in the target, where it stands for itself."""
    for rule in policy.rules.redirects:
        if rule.pattern.splat is not None and b"*" in rule.target and b":splat" not in rule.target:
            reason = "a * in a target is a * in the URL: what that of the path stands for is :splat"
            yield _REDIRECTS, rule.line, reason


def _list_dead_targets(subject: Subject, site: int) -> Iterator[tuple[str, int, str]]:
    """Return the rules behind a file, and those that lead to what is not there."""
    policy = subject.rulebooks[site].policy
    for rule in policy.rules.redirects:
        if rule.pattern.captured or rule.pattern.host is not None or rule.query:
            continue
        host, names = list_samples(rule.pattern)[0]
        path = encode_path(names)
        treatment = policy.find(path, None, host)
        if treatment is None or policy.find_rules(names, None, host)[0] is not rule:
            continue
        find = subject.catalogues[site].find
        if any(find(candidate).kind is Kind.FILE for candidate in treatment.candidates):
            shown = path.decode()
            reason = f"a file stands at {shown} and goes first, unless the status is {rule.status}!"
            yield _REDIRECTS, rule.line, reason
            continue
        # For a rewrite, the path of its target is looked up; a redirect is followed.
        target = rule.target.partition(b"#")[0] if rule.status in REDIRECTS else path
        if (
            target.startswith(b"/")
            and rule.status not in _ERRORS
            and ask(subject, site, target).response.status in _ERRORS
        ):
            reason = f"it leads to {rule.target.decode()}, which is not there"
            yield _REDIRECTS, rule.line, reason


def _list_unused_blocks(policy: Policy, paths: list[Names]) -> Iterator[tuple[str, int, str]]:
    """Return the blocks that are about no path of a file and about none that a redirect has."""
    every = [
        *paths,
        *(names for rule in policy.rules.redirects for _, names in list_samples(rule.pattern)),
    ]
    used = {rule.line for names in every for rule in policy.find_header_rules(names, b"localhost")}
    for rule in policy.rules.headers:
        if rule.line in used:
            continue
        # No other block need be about a host that this one names.
        host, _ = list_samples(rule.pattern)[0]
        if rule.pattern.host is None or not any(
            match_pattern(rule.pattern, host, names) is not None for names in every
        ):
            yield _HEADERS, rule.line, "no file of the site is at such a path"


def ask(subject: Subject, site: int, target: bytes, *, is_navigation: bool = True) -> Asked:
    """Ask a site as a browser does: for a page, or for a part of one."""
    fields = dict(BROWSER)
    if not is_navigation:
        fields |= {b"Sec-Fetch-Mode": b"no-cors", b"Accept": b"*/*"}
    return subject.ask(Question(target, subject.hosts[site], fields=fields))
