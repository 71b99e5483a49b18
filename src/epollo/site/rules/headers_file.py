"""``_headers``: blocks of a path and, below it, the fields of its answers.

The format is that of Netlify and of Cloudflare Pages; where they differ, `docs/rules.md` says which of
the two this follows.
"""

from typing import Final

from epollo.http.fields import is_token
from epollo.http.grammar import OWS_OCTETS
from epollo.http.message import FieldLine
from epollo.patterns import compile_late
from epollo.site.rules.pattern import Pattern, PatternError, parse_pattern
from epollo.site.rules.rule import HeaderRule, Mistake, Parsed, split_lines

_BEGINS_BLOCK: Final = compile_late(rb"/|[A-Za-z][A-Za-z0-9+.\-]*://")
# field-content without obs-text                                     RFC 9110 section 5.5
_VALUE: Final = compile_late(rb"[\t\x20-\x7e\x80-\xff]*+")

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


def parse_headers(octets: bytes) -> Parsed[HeaderRule]:
    """Return the rules of ``_headers``, and what is wrong there."""
    rules: list[HeaderRule] = []
    mistakes: list[Mistake] = []
    block: _Block | None = None
    is_skipped = False
    for number, line in split_lines(octets):
        if _BEGINS_BLOCK.match(line):
            _close(block, rules, mistakes)
            block = None
            try:
                block = _Block(parse_pattern(line), number)
            except PatternError as error:
                mistakes.append(Mistake(number, str(error)))
            is_skipped = block is None
        elif block is not None:
            mistake = block.add(line)
            if mistake is not None:
                mistakes.append(mistake._replace(line=number))
        elif not is_skipped:
            mistakes.append(Mistake(number, "a header stands below the path that it is for"))
    _close(block, rules, mistakes)
    return Parsed(tuple(rules), tuple(mistakes))


class _Block:
    """A path and what stands below it so far."""

    def __init__(self, pattern: Pattern, line: int) -> None:
        self.pattern = pattern
        self.line = line
        self.fields: list[FieldLine] = []
        self.removed: list[bytes] = []
        self.is_empty = True

    def add(self, line: bytes) -> Mistake | None:
        """Take in a line; return what is wrong with it."""
        self.is_empty = False
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
            self.removed.append(name.lower())
            return None
        if not value:
            return Mistake(0, f"{shown} has no value")
        if name.lower() == b"content-encoding" and value not in CODINGS:
            known = ", ".join(coding.decode() for coding in CODINGS)
            return Mistake(0, f"{shown} can be one of {known} here", is_left_out=True)
        if not _VALUE.fullmatch(value):
            return Mistake(0, f"the value of {shown} has a control character in it")
        self.fields.append((name, value))
        return None


def _close(block: _Block | None, rules: list[HeaderRule], mistakes: list[Mistake]) -> None:
    if block is None:
        return
    if block.is_empty:
        mistakes.append(Mistake(block.line, "no header stands below this path"))
    elif block.fields or block.removed:
        rules.append(
            HeaderRule(block.pattern, tuple(block.fields), tuple(block.removed), block.line)
        )
