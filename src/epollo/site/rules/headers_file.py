"""``_headers``: blocks of a path and, below it, the fields of its answers.

The format is that of Netlify and of Cloudflare Pages; where they differ, `docs/rules.md` says which of
the two this follows.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from epollo.annotations import Final
from epollo.http.fields import is_token
from epollo.http.grammar import FIELD_VALUE, OWS_OCTETS
from epollo.http.message import FieldLine
from epollo.patterns import compile_late
from epollo.site.rules.pattern import Pattern, PatternError, parse_pattern
from epollo.site.rules.reading import STEP_RULES, Steps
from epollo.site.rules.rule import (
    BYTE_ORDER_MARK,
    LINE_OCTETS_LIMIT,
    TOO_LONG_REASON,
    UTF_16_MARKS,
    UTF_16_REASON,
    HeaderRule,
    Mistake,
    Parsed,
    strip_line,
)

_BEGINS_BLOCK: Final = compile_late(
    rb"^[\t\r\v\f ]*(?:/|[A-Za-z][A-Za-z0-9+.\-]*://)", re.MULTILINE
)

CODINGS: Final = (b"br", b"gzip", b"zstd")
"""The codings that a rule may say a file to be in."""

_OF_CONNECTION: Final = "it belongs to the connection"
_OF_CONTENT: Final = "epollo makes it of the content that it sends"
_REFUSED: Final = {
    **dict.fromkeys(
        (
            b"connection",
            b"date",
            b"http2-settings",
            b"keep-alive",
            b"proxy-connection",
            b"server",
            b"te",
            b"trailer",
            b"transfer-encoding",
            b"upgrade",
        ),
        _OF_CONNECTION,
    ),
    **dict.fromkeys(
        (
            b"accept-ranges",
            b"age",
            b"allow",
            b"content-length",
            b"content-range",
            b"etag",
            b"last-modified",
        ),
        _OF_CONTENT,
    ),
    b"basic-auth": "it is no header, and would tell every client the password",
    b"location": "_redirects says where a path leads",
    b"www-authenticate": "a password needs more than a header",
}
"""Why some fields cannot be set, by their names in lower case."""


def read_headers(
    octets: bytes, known: Mapping[bytes, HeaderRule] = MappingProxyType({})
) -> Steps[Parsed[HeaderRule]]:
    """Find the rules of ``_headers``, and what is wrong there, in steps.

    ``known`` is what was known after the last version of the file: an edit of a block among ten thousand
    costs a tenth of reading them all.
    """
    if octets.startswith(UTF_16_MARKS):
        return Parsed((), (Mistake(1, UTF_16_REASON),), {})
    octets = octets.removeprefix(BYTE_ORDER_MARK)
    starts = [found.start() for found in _BEGINS_BLOCK.finditer(octets)]
    first, *ends = [*starts, len(octets)]
    preface = octets[:first]
    rules: list[HeaderRule] = []
    mistakes: list[Mistake] = []
    for number, text in enumerate(preface.split(b"\n"), start=1):
        if not number % STEP_RULES:
            yield
        if strip_line(text):
            mistakes.append(Mistake(number, "a header stands below the path that it is for"))
    by_block: dict[bytes, HeaderRule] = {}
    line = 1 + preface.count(b"\n")
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1):
        if not number % STEP_RULES:
            yield
        block = octets[start:end]
        rule = known.get(block)
        if rule is None:
            rule, found = yield from _parse_block(block, line)
            mistakes += found
        else:
            found = []
            if rule.line != line:
                rule = HeaderRule(rule.pattern, rule.fields, rule.removed, line)
        if rule is not None:
            rules.append(rule)
            if not found:
                by_block[block] = rule
        line += block.count(b"\n")
    return Parsed(tuple(rules), tuple(mistakes), by_block)


def _parse_block(octets: bytes, first: int) -> Steps[tuple[HeaderRule | None, list[Mistake]]]:
    """Find the rule of a block, the path of which stands in the line ``first``, in steps."""
    path, *lines = octets.split(b"\n")
    if len(path) > LINE_OCTETS_LIMIT:
        return None, [Mistake(first, TOO_LONG_REASON)]
    try:
        block = _Block(parse_pattern(path.strip()), first)
    except PatternError as error:
        return None, [Mistake(first, str(error))]
    mistakes = []
    for number, line in enumerate(lines, start=first + 1):
        if not number % STEP_RULES:
            yield
        stripped = strip_line(line)
        if stripped:
            mistake = block.add(stripped)
            if mistake is not None:
                mistakes.append(mistake._replace(line=number))
    if block.is_empty:
        return None, [Mistake(first, "no header stands below this path")]
    if not (block.fields or block.removed):
        return None, mistakes
    return HeaderRule(block.pattern, tuple(block.fields), tuple(block.removed), first), mistakes


class _Block:
    """A path and what stands below it so far."""

    def __init__(self, pattern: Pattern, line: int) -> None:
        self.pattern = pattern
        self.line = line
        self.fields: list[FieldLine] = []
        self.removed: list[bytes] = []
        self.is_empty = True

    def add(self, line: bytes) -> Mistake | None:
        """Read a line; return what is wrong with it."""
        self.is_empty = False
        said = _parse_line(line)
        if isinstance(said, Mistake):
            return said
        if isinstance(said, bytes):
            self.removed.append(said)
        else:
            self.fields.append(said)
        return None


@lru_cache(maxsize=1024)
def _parse_line(line: bytes) -> FieldLine | bytes | Mistake:
    """Return the field that a line sets, the name that it removes, or what is wrong with it.

    Many blocks say the same.
    """
    if len(line) > LINE_OCTETS_LIMIT:
        return Mistake(0, TOO_LONG_REASON)
    is_removed = line.startswith(b"!")
    name, colon, value = line.removeprefix(b"!").partition(b":")
    name, value = name.strip(OWS_OCTETS), value.strip(OWS_OCTETS)
    shown = name.decode("utf-8", "replace")
    if not is_token(name) or (is_removed and colon) or not (is_removed or colon):
        return Mistake(0, "this is not Name: value, and not ! Name")
    reason = _REFUSED.get(name.lower())
    if reason is not None:
        verb = "removed" if is_removed else "set"
        return Mistake(0, f"{shown} cannot be {verb} here: {reason}", is_left_out=True)
    if is_removed:
        return name.lower()
    if not value:
        return Mistake(0, f"{shown} has no value")
    if name.lower() == b"content-encoding" and value not in CODINGS:
        known = ", ".join(coding.decode() for coding in CODINGS)
        return Mistake(0, f"{shown} can be one of {known} here", is_left_out=True)
    if not FIELD_VALUE.fullmatch(value):
        return Mistake(0, f"the value of {shown} has a control character in it")
    return name, value
