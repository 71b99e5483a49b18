"""Why a URL has the answer that it has: host, rules, file, coding, headers and cache."""

import json
import os
import re
from urllib.parse import quote

from epollo.annotations import Any, Final
from epollo.diagnosis.subject import Asked, Question, Subject
from epollo.errors import OperatorError
from epollo.http.caching import IMMUTABLE, NO_CACHE, NO_STORE_FIELD
from epollo.http.fields import is_host, is_token
from epollo.http.grammar import FIELD_VALUE
from epollo.http.message import select_host
from epollo.http.status import REASONS
from epollo.http.target import decode_path, encode_path
from epollo.named_tuples import NamedTuple
from epollo.site.resolve import RULE_FILES, Kind, Names
from epollo.site.resource import Resource
from epollo.site.rulebook import Rulebook
from epollo.site.rules.redirection import Redirect, Rewrite
from epollo.site.rules.rule import RedirectRule

BROWSER: Final = {
    b"Accept": b"text/html,application/xhtml+xml,*/*;q=0.8",
    b"Accept-Encoding": b"gzip, deflate, br, zstd",
    b"Sec-Fetch-Mode": b"navigate",
}
"""The fields that a browser sends when a person goes to a URL."""

# What a person types: octets that a URL cannot have are encoded, and what has no scheme is a path.
_URL: Final = re.compile(
    rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*))?"
    rb"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL,
)
_SAFE: Final = "/%!$&'()*+,;=:@-._~?"

_KINDS: Final = {
    Kind.FILE: "a file",
    Kind.FOLDER: "a folder",
    Kind.MISSING: "nothing",
    Kind.FORBIDDEN: "not readable",
    Kind.UNAVAILABLE: "no descriptor to look with",
}


class RuleUsed(NamedTuple):
    """A rule of a site; ``place`` is file and line, ``text`` that line."""

    place: str
    text: str
    is_used: bool = True


class Explanation(NamedTuple):
    """What makes an answer."""

    url: str
    site: str
    status: int
    lookups: list[tuple[str, str]]
    file: str | None
    octets: dict[str, int]
    coding: str
    redirect_rule: RuleUsed | None
    header_rules: list[RuleUsed]
    fields: list[tuple[str, str]]
    cache: str
    is_recalled: bool


def parse_question(text: str, lines: tuple[str, ...]) -> Question:
    """Return the question that a path or URL is; ``lines`` are headers, ``Name: value``.

    Raises `OperatorError`.
    """
    parts = _URL.fullmatch(os.fsencode(text))
    assert parts is not None  # noqa: S101 - any text is at least a path
    scheme, host = (parts["scheme"] or b"http").lower(), parts["host"]
    if host is None:
        host = b"localhost"
    if scheme not in {b"http", b"https"} or not is_host(host) or not host:
        raise OperatorError(f"{text} is neither a path nor a URL of http or https")
    target = b"/" + parts["path"].lstrip(b"/") if parts["host"] is None else parts["path"] or b"/"
    if parts["query"]:
        target += b"?" + parts["query"]
    fields = dict(BROWSER)
    for line in lines:
        name, value = _parse_field(line)
        if name.lower() == b"host":
            host = _parse_host(value)
            continue
        known = next((key for key in fields if key.lower() == name.lower()), None)
        fields[known or name] = value
    return Question(quote(target, safe=_SAFE).encode(), host, scheme, fields)


def _parse_field(line: str) -> tuple[bytes, bytes]:
    name, colon, value = (part.strip() for part in os.fsencode(line).partition(b":"))
    if not colon or not is_token(name) or not FIELD_VALUE.fullmatch(value):
        raise OperatorError(f"{line!r} is no header: one is 'Name: value'")
    return name, value


def _parse_host(host: bytes) -> bytes:
    if not host or not is_host(host):
        raise OperatorError(f"{os.fsdecode(host)!r} is no host")
    return host


def explain(subject: Subject, question: Question) -> Explanation:
    """Return what makes the answer to a question."""
    # The first question has codings made; the second has them.
    subject.ask(question)
    asked = subject.ask(question)
    redirect_rule, header_rules = _find_rules(subject, asked)
    found = _find_file(asked)
    octets: dict[str, int] = {}
    if found is not None and found.edition is not None:
        octets = {name.decode(): length for name, length in found.edition.lengths.items()}
    coding = asked.find_field(b"content-encoding") or b"identity"
    return Explanation(
        url=f"{question.scheme.decode()}://{question.host.decode()}{question.target.decode()}",
        site=os.fspath(subject.settings[asked.site].root),
        status=asked.response.status,
        # The index of the root is looked up for itself, and to tell a site from a share.
        lookups=list(
            dict.fromkeys((_show(names), _KINDS[one.kind]) for names, one in asked.lookups)
        ),
        file=None if found is None else _show(found.names),
        octets=octets,
        coding=coding.decode(),
        redirect_rule=redirect_rule,
        header_rules=header_rules,
        fields=[(name.decode(), value.decode("latin-1")) for name, value in asked.response.fields],
        cache=_describe_cache(asked.find_field(b"cache-control")),
        is_recalled=asked.response.basis is not None,
    )


def _find_file(asked: Asked) -> Resource | None:
    """Return what an answer was made of; None for a redirect or a plain page."""
    response = asked.response
    if response.status in {301, 302, 303, 307, 308}:
        return None
    files = [one for _, one in asked.lookups if one.edition is not None]
    if response.status in {200, 206, 304}:
        return files[-1] if files else None
    # The answer to an error is the nearest error page, never the file at the path itself.
    page = b"%d.html" % response.status
    return next((one for one in reversed(files) if one.names[-1] == page), None)


def _find_rules(subject: Subject, asked: Asked) -> tuple[RuleUsed | None, list[RuleUsed]]:
    """Return the redirect rule of a path, and whether it is used; and its header rules."""
    request = asked.request
    names = None if request is None else decode_path(request.target.path)
    if request is None or names is None:
        return None, []
    rulebook = subject.rulebooks[asked.site]
    policy = rulebook.policy
    host = select_host(request).removesuffix(b".")
    redirect, headers = policy.find_rules(names, request.target.query, host)
    treatment = policy.find(request.target.path, request.target.query, host)
    header_rules = [_show_rule(rulebook, RULE_FILES[0], rule.line) for rule in headers]
    if redirect is None or treatment is None:
        return None, header_rules
    is_used = _is_used(asked, redirect, treatment.otherwise)
    return _show_rule(rulebook, RULE_FILES[1], redirect.line, is_used=is_used), header_rules


def _is_used(asked: Asked, rule: RedirectRule, outcome: Redirect | Rewrite | None) -> bool:
    if rule.is_forced:
        return True
    if isinstance(outcome, Redirect):
        location = (asked.location or b"").partition(b"?")[0]
        expected = outcome.location.partition(b"#")[0].partition(b"?")[0]
        return asked.response.status == outcome.status and location.startswith(expected)
    if outcome is None:
        return False
    looked_up = [names for names, _ in asked.lookups]
    return any(names in looked_up for names in outcome.candidates) and (
        asked.response.status in {outcome.status, 404}
    )


def _show_rule(rulebook: Rulebook, name: bytes, line: int, *, is_used: bool = True) -> RuleUsed:
    text = rulebook.read_line(name, line)
    return RuleUsed(f"{name.decode()}:{line}", text, is_used)


def _describe_cache(value: bytes | None) -> str:
    """Return what a value of Cache-Control has a browser do."""
    if value is None:
        return "nothing is said: a browser may keep the answer for as long as it likes"
    shown = value.decode("latin-1")
    if value == NO_CACHE:
        return f"{shown}: a browser asks before each use"
    if value == NO_STORE_FIELD[1]:
        return f"{shown}: no cache keeps the answer"
    if value == IMMUTABLE:
        return f"{shown}: a browser does not ask for a year, for the name has a fingerprint"
    return shown


def _show(names: Names) -> str:
    return encode_path(names).decode()


def format_text(explanation: Explanation) -> str:
    """Return an explanation as lines for a person."""
    one = explanation
    rows = [
        ("GET", one.url),
        ("site", one.site),
        ("answer", f"{one.status} {REASONS[one.status].decode()}"),
    ]
    rows += [("looked at", f"{path}: {kind}") for path, kind in one.lookups]
    if one.file is not None:
        sizes = ", ".join(f"{name} {octets:,}" for name, octets in sorted(one.octets.items()))
        rows.append(("file", f"{one.file} (bytes: {sizes})" if sizes else one.file))
        rows.append(("coding", one.coding))
    if one.redirect_rule is not None:
        rule = one.redirect_rule
        unused = "" if rule.is_used else "  (not used: what stands at the path goes first)"
        rows.append(("rule", f"{rule.place}: {rule.text}{unused}"))
    rows += [("headers by", f"{rule.place}: {rule.text}") for rule in one.header_rules]
    rows += [("header", f"{name}: {value}") for name, value in one.fields]
    rows.append(("cache", one.cache))
    rows.append(("recalled", "yes" if one.is_recalled else "no: it is made anew each time"))
    lines = []
    former = ""
    for title, text in rows:
        lines.append(f"{'' if title == former else title:<11} {text}\n")
        former = title
    return "".join(lines)


def format_json(explanation: Explanation) -> str:
    """Return an explanation as one JSON object; its keys are documented in ``docs/check.md``."""
    one = explanation
    rule = one.redirect_rule
    value: dict[str, Any] = {
        "url": one.url,
        "site": one.site,
        "status": one.status,
        "lookups": [{"path": path, "kind": kind} for path, kind in one.lookups],
        "file": one.file,
        "bytes": one.octets,
        "coding": one.coding,
        "redirect": None
        if rule is None
        else {"place": rule.place, "text": rule.text, "used": rule.is_used},
        "headers_by": [{"place": each.place, "text": each.text} for each in one.header_rules],
        "headers": [list(field) for field in one.fields],
        "cache": one.cache,
        "recalled": one.is_recalled,
    }
    return json.dumps(value, indent=2) + "\n"
