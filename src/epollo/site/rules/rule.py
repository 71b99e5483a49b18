"""Rules as data: what a line of ``_headers`` or ``_redirects`` says, and where it stands."""

from collections.abc import Mapping

from epollo.annotations import Final, Generic, TypeVar
from epollo.http.message import FieldLine
from epollo.named_tuples import NamedTuple
from epollo.site.rules.pattern import Pattern

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
"""The statuses by which a client is sent elsewhere (RFC 9110 section 15.4)."""
REWRITES: Final = frozenset((200, 404, 410))
"""The statuses with which another file of the site is sent."""


class Mistake(NamedTuple):
    """What is wrong in a rule file; ``line`` counts from 1.

    ``is_left_out`` is whether the line can be read, but is not what a static server can do: it alone is
    left out.
    """

    line: int
    reason: str
    is_left_out: bool = False


class HeaderRule(NamedTuple):
    """Fields of the answers to some paths.

    ``removed`` are names, in lower case, of fields that rules before have set and that are left out.
    """

    pattern: Pattern
    fields: tuple[FieldLine, ...]
    removed: tuple[bytes, ...]
    line: int

    @property
    def uses_captures(self) -> bool:
        """Whether a value may have something in it that the pattern captured."""
        names = self.pattern.captured
        return any(b":" + name in value for _, value in self.fields for name in names)


class RedirectRule(NamedTuple):
    """Where some paths lead: to a URL, or with a status of `REWRITES` to another file of the site.

    ``query`` are the parameters that a request has to have: with a value each, or with the name by which
    the value is captured (``is_captured``). ``target`` is a path or a URL with captures to be put in.
    ``is_forced`` is whether the rule goes before a file that stands at the path.
    """

    pattern: Pattern
    query: tuple["Parameter", ...]
    target: bytes
    status: int
    is_forced: bool
    line: int

    @property
    def condition(self) -> tuple[bytes, bytes] | None:
        """A parameter that a request has to have, and its value; None if none has one value."""
        return next(((one.name, one.value) for one in self.query if not one.is_captured), None)


class Parameter(NamedTuple):
    """A parameter of a query that a rule asks for; ``value`` is a name where it is captured."""

    name: bytes
    value: bytes
    is_captured: bool


class Rules(NamedTuple):
    """The rules of a site, in their order."""

    headers: tuple[HeaderRule, ...] = ()
    redirects: tuple[RedirectRule, ...] = ()


Rule = TypeVar("Rule")


class Parsed(NamedTuple, Generic[Rule]):
    """What a rule file says, and what is wrong with the rest of it.

    ``known`` are the rules by the octets that each was made of: the next version of the file has most of
    them as well.
    """

    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]
    known: Mapping[bytes, Rule]


BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
LINE_OCTETS_LIMIT: Final = 16 * 1024
"""A longer line is a mistake: few clients take a head of that length, and reading one is one step."""
TOO_LONG_REASON: Final = f"this line is longer than {LINE_OCTETS_LIMIT // 1024} KiB"
UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
UTF_16_REASON: Final = "the file is written in UTF-16: save it as UTF-8"


def strip_line(line: bytes) -> bytes:
    """Return what a line says, without the white space around it: nothing if it is a comment."""
    stripped = line.strip()
    return b"" if stripped.startswith(b"#") else stripped
