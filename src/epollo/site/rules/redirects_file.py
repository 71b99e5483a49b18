"""``_redirects``: lines that say where a path leads, ``from [query] to [status][!]``.

The format is that of Netlify and of Cloudflare Pages; where they differ, `docs/rules.md` says which of
the two this follows.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from epollo.annotations import Final
from epollo.http.target import decode_path
from epollo.patterns import compile_late
from epollo.site.rules.pattern import (
    PLACEHOLDER,
    SPLAT,
    Pattern,
    PatternError,
    find_uncaptured,
    match_pattern,
    parse_pattern,
)
from epollo.site.rules.reading import STEP_RULES, Steps
from epollo.site.rules.rule import (
    BYTE_ORDER_MARK,
    LINE_OCTETS_LIMIT,
    REDIRECTS,
    REWRITES,
    TOO_LONG_REASON,
    UTF_16_MARKS,
    UTF_16_REASON,
    Mistake,
    Parameter,
    Parsed,
    RedirectRule,
    strip_line,
)

_URL: Final = compile_late(rb"https?://[^/?#]", re.IGNORECASE)
_AUTHORITY: Final = compile_late(rb"https?://([^/?#]*)", re.IGNORECASE)
_STATUS: Final = compile_late(rb"([0-9]{3})(!?)")
# What may stand in a URL (RFC 3986); all else is to be percent-encoded, which we do.
_NOT_IN_URL: Final = compile_late(rb"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")
_CONDITIONS: Final = {
    b"country": "epollo does not know in which country a client is",
    b"language": "rules by language are not supported",
    b"role": "epollo knows no roles",
    b"cookie": "rules by cookie are not supported",
    b"sign": "epollo asks no other server, so there is nothing to sign",
    b"signed": "epollo asks no other server, so there is nothing to sign",
}


class _MistakeError(ValueError):
    def __init__(self, reason: str, *, is_left_out: bool = False) -> None:
        super().__init__(reason)
        self.is_left_out = is_left_out


def read_redirects(
    octets: bytes, known: Mapping[bytes, RedirectRule] = MappingProxyType({})
) -> Steps[Parsed[RedirectRule]]:
    """Find the rules of ``_redirects``, and what is wrong there, in steps.

    ``known`` is what was known after the last version of the file: an edit of a line among ten thousand
    costs a hundredth of reading them all.
    """
    if octets.startswith(UTF_16_MARKS):
        return Parsed((), (Mistake(1, UTF_16_REASON),), {})
    rules: list[RedirectRule] = []
    mistakes: list[Mistake] = []
    by_line: dict[bytes, RedirectRule] = {}
    for number, line in enumerate(octets.removeprefix(BYTE_ORDER_MARK).split(b"\n"), start=1):
        if not number % STEP_RULES:
            yield
        rule = known.get(line)
        if rule is None:
            stripped = strip_line(line)
            if not stripped:
                continue
            try:
                rule = _parse_line(stripped, number)
            except _MistakeError as mistake:
                mistakes.append(Mistake(number, str(mistake), mistake.is_left_out))
                continue
            except PatternError as error:
                mistakes.append(Mistake(number, str(error)))
                continue
        elif rule.line != number:
            rule = RedirectRule._make((*rule[:-1], number))
        rules.append(rule)
        by_line[line] = rule
    return Parsed(tuple(rules), tuple(mistakes), by_line)


def _parse_line(line: bytes, number: int) -> RedirectRule:
    if len(line) > LINE_OCTETS_LIMIT:
        raise _MistakeError(TOO_LONG_REASON)
    words = line.split()
    for index, word in enumerate(words):
        if word.startswith(b"#"):
            words = words[:index]
            break
    source, *others = words
    if b"?" in source:
        raise _MistakeError(
            "a parameter of the query stands behind the path, as in /store id=:id /products/:id"
        )
    pattern = parse_pattern(source)
    place = next((at for at, word in enumerate(others) if _is_target(word)), None)
    if place is None:
        # A path for a role alone: Netlify has it lead to itself.
        _refuse_conditions([one for one in others if one.partition(b"=")[0].lower() in _CONDITIONS])
        others = _complete(source, others)
        place = 0
    target = _NOT_IN_URL.sub(lambda found: b"%%%02X" % found[0][0], others[place])
    query = tuple(map(_parse_parameter, others[:place]))
    status, is_forced = 301, False
    rest = others[place + 1 :]
    if rest and b"=" not in rest[0]:
        status, is_forced = _parse_status(rest.pop(0))
    _refuse_conditions(rest)
    rule = RedirectRule(pattern, query, target, status, is_forced, number)
    _judge(rule)
    return rule


def _complete(source: bytes, others: list[bytes]) -> list[bytes]:
    """Return what follows a path, with the target that may be left out: all below a path is itself.

    So no later rule is asked for what is not there (Netlify calls it a forward rule). To go before a file
    means nothing then.
    """
    if others[:1] in ([b"200"], [b"200!"]) and source.endswith(b"/*"):
        path = _AUTHORITY.sub(b"", source, count=1)
        return [path.removesuffix(b"*") + b":" + SPLAT, b"200", *others[1:]]
    raise _MistakeError("no target follows the path: one begins with /, http:// or https://")


def _is_target(word: bytes) -> bool:
    return word.startswith(b"/") or _URL.match(word) is not None


def _parse_parameter(word: bytes) -> Parameter:
    name, equals, value = word.partition(b"=")
    if not name or not equals:
        raise _MistakeError(f"{_show(word)} is no parameter of a query: one is name=value")
    if value.startswith(b":"):
        return Parameter(name, value[1:], is_captured=True)
    return Parameter(name, value, is_captured=False)


def _parse_status(word: bytes) -> tuple[int, bool]:
    found = _STATUS.fullmatch(word)
    if found is None:
        raise _MistakeError(f"{_show(word)} is no status: one has three digits, and perhaps a !")
    status = int(found[1])
    if status not in REDIRECTS | REWRITES:
        known = ", ".join(map(str, sorted(REDIRECTS | REWRITES)))
        raise _MistakeError(f"the status {status} cannot be had: {known} can", is_left_out=True)
    return status, bool(found[2])


def _refuse_conditions(words: list[bytes]) -> None:
    for word in words:
        name, equals, _ = word.partition(b"=")
        reason = _CONDITIONS.get(name.lower())
        if not equals or reason is None:
            raise _MistakeError(f"what {_show(word)} means here is not known")
        raise _MistakeError(f"{_show(word)}: {reason}", is_left_out=True)


def _judge(rule: RedirectRule) -> None:
    """Raise what is wrong with a rule as a whole."""
    target, pattern = rule.target, rule.pattern
    if target.startswith((b"//", b"/\\", b"/%5C")):
        raise _MistakeError(
            "a target with two slashes in front leads to another host: write https://"
        )
    captured = pattern.captured
    if rule.query:
        names = [one.value for one in rule.query if one.is_captured]
        captured = pattern.captured | frozenset(names)
        if len(captured) != len(pattern.captured) + len(names):
            raise _MistakeError("a placeholder has the name of another")
    lost = find_uncaptured(target, captured)
    if lost:
        raise _MistakeError(f"nothing captures :{_show(lost)}")
    is_elsewhere = not target.startswith(b"/")
    if is_elsewhere:
        _judge_elsewhere(rule, captured)
    if is_elsewhere or captured:
        return
    found = decode_path(re.split(rb"[?#]", target, maxsplit=1)[0])
    if found is None:
        raise _MistakeError("the target is no valid path")
    if (
        rule.status in REDIRECTS
        and not query_of(target)
        and not rule.query
        and _is_same(pattern, found)
    ):
        raise _MistakeError(
            "the path leads to itself (a slash at its end makes no difference)", is_left_out=True
        )


def _judge_elsewhere(rule: RedirectRule, captured: frozenset[bytes]) -> None:
    """Raise what is wrong with a rule that leads to a URL."""
    loose = _find_loose(rule.target, captured)
    if loose:
        raise _MistakeError(
            f"a path would decide to which host :{_show(loose)} leads: write a slash before it"
        )
    if rule.status in REWRITES:
        raise _MistakeError(
            f"epollo asks no other server: {rule.status} needs a path of this site",
            is_left_out=True,
        )


def _find_loose(target: bytes, captured: frozenset[bytes]) -> bytes:
    """Return the placeholder by which a request could lead a target to any host; nothing for none.

    Behind a host, ``:splat`` may begin with ``@`` or a dot; in it, a splat may have a slash. What is
    captured in the place of a whole host is meant to be one.
    """
    authority = _AUTHORITY.match(target)
    for found in PLACEHOLDER.finditer(authority[1] if authority else b""):
        is_behind = found.end() == len(found.string) and found.start() > 0
        if found[1] in captured and (is_behind or found[1] == SPLAT):
            return bytes(found[1])
    return b""


def _is_same(pattern: Pattern, names: tuple[bytes, ...]) -> bool:
    return pattern.host is None and match_pattern(pattern, b"", names) is not None


def query_of(target: bytes) -> bytes:
    """Return the query of a target with its question mark; nothing if it has none."""
    path, mark, rest = target.partition(b"#")[0].partition(b"?")
    return mark + rest if path else b""


def _show(word: bytes) -> str:
    return word.decode("utf-8", "replace")
