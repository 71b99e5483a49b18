"""The pattern of a rule: which hosts and paths it is about, and what it captures of them.

A pattern is compared with decoded names (`decode_path`), never with octets as they were sent, so that no
other spelling of a path gets past a rule. A slash at the end decides nothing: ``/about`` is about
``/about/`` as well.

A placeholder (``:name``) stands for one segment, or for a part of one, and is never empty. A splat
(``*``) stands for anything, also nothing and slashes; there is one at most, and no placeholder after it.
"""

import re

from epollo.annotations import Final, TypeAlias
from epollo.http.fields import is_host
from epollo.http.target import decode_segment, encode_segment
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late
from epollo.site.resolve import Names

SPLAT: Final = b"splat"
"""The name by which what a splat captured is referred to."""

Captures: TypeAlias = dict[bytes, bytes]
"""What a pattern captured, by name: text as it is put into a URL, percent-encoded."""

PLACEHOLDER: Final = compile_late(rb":([A-Za-z][A-Za-z0-9_]*)")
"""A placeholder with its name."""
# A value that was captured from a query becomes a segment: what would end that is encoded.
_NOT_IN_VALUE: Final = compile_late(rb"[^!$%&'()*+,\-.0-9:;=@A-Z_a-z~]")
_ORIGIN: Final = compile_late(rb"(https?)://([^/?#]*)([^?#]*)\Z", re.IGNORECASE)


class PatternError(ValueError):
    """A pattern that cannot be read; the text says why."""


class Piece(NamedTuple):
    """A segment, or label of a host, with a placeholder in it: ``head`` and ``tail`` stand around it."""

    head: bytes
    name: bytes
    tail: bytes


class Splat(NamedTuple):
    """A splat: ``head`` stands before it in its segment, ``tail`` is all that follows it."""

    head: bytes
    tail: bytes


class Pattern(NamedTuple):
    """The hosts and paths that a rule is about.

    ``host`` is None for every host; its labels are literal octets in lower case or placeholders.
    ``segments`` are those before the splat, all where there is none.
    """

    host: tuple[bytes | Piece, ...] | None
    segments: tuple[bytes | Piece, ...]
    splat: Splat | None

    @property
    def captured(self) -> frozenset[bytes]:
        """The names that this captures."""
        pieces = (*(self.host or ()), *self.segments)
        names = {piece.name for piece in pieces if isinstance(piece, Piece)}
        return frozenset(names | ({SPLAT} if self.splat is not None else set()))


def parse_pattern(text: bytes) -> Pattern:
    """Return the pattern that a text is: a path, or an absolute URL of http or https without a port.

    Raises `PatternError`.
    """
    host = None
    path = text
    found = _ORIGIN.match(text)
    if found is not None:
        host = _parse_host(found[2].lower())
        path = found[3] or b"/"
    if b"?" in path or b"#" in path:
        raise PatternError("a path has no ? and no # in it")
    if not path.startswith(b"/"):
        raise PatternError("a path begins with a slash")
    before, star, after = path.partition(b"*")
    if b"*" in after:
        raise PatternError("only one * can be used")
    *segments, last = map(_parse_segment, before[1:].split(b"/"))
    segments = [segment for segment in segments if segment != b""]
    splat = None
    if star:
        if isinstance(last, Piece) or PLACEHOLDER.search(after):
            raise PatternError("a placeholder stands in a segment before that of the *")
        splat = Splat(last, b"/".join(map(_decode, after.split(b"/"))).rstrip(b"/"))
    elif last != b"":
        segments.append(last)
    if not {b".", b".."}.isdisjoint(segments):
        raise PatternError("a path has no segment . or .. in it")
    pattern = Pattern(host, tuple(segments), splat)
    pieces = [one for one in (*(host or ()), *segments) if isinstance(one, Piece)]
    if len(pieces) + (splat is not None) != len(pattern.captured):
        raise PatternError("a placeholder has the name of another")
    return pattern


def _parse_host(host: bytes) -> tuple[bytes | Piece, ...]:
    if host.startswith(b"[") and host.endswith(b"]") and is_host(host):
        # An address of IPv6, the colons of which begin no placeholder.
        return tuple(host.split(b"."))
    if b"*" in host:
        raise PatternError("a host has no * in it: :name stands for one part of it, up to a dot")
    if b":" in PLACEHOLDER.sub(b"", host):
        raise PatternError("a host has no port here: every port is meant")
    labels = tuple(map(_parse_segment, host.split(b".")))
    if not host or not is_host(PLACEHOLDER.sub(b"x", host)):
        raise PatternError("this is no valid host")
    return labels


def _parse_segment(text: bytes) -> bytes | Piece:
    found = PLACEHOLDER.search(text)
    if found is None:
        return _decode(text)
    tail = text[found.end() :]
    if PLACEHOLDER.search(tail):
        raise PatternError("a segment has one placeholder at most")
    return Piece(_decode(text[: found.start()]), found[1], _decode(tail))


def _decode(text: bytes) -> bytes:
    decoded = decode_segment(text)
    if decoded is None:
        raise PatternError("a % is followed by two digits (%25 is the sign itself)")
    return decoded


def match_pattern(pattern: Pattern, host: bytes, names: Names) -> Captures | None:
    """Return what a pattern captures of a host, in lower case, and a path; None if it does not match.

    The compiled form (`RuleIndex`) gives the same outcome for many patterns at once.
    """
    captures: Captures = {}
    if pattern.host is not None and not match_pieces(
        pattern.host, tuple(host.split(b".")), captures
    ):
        return None
    found = names[:-1] if names[-1] == b"" else names
    count = len(pattern.segments)
    if len(found) < count or (len(found) > count and pattern.splat is None):
        return None
    if not match_pieces(pattern.segments, found[:count], captures):
        return None
    if pattern.splat is not None:
        head, tail = pattern.splat
        rest = b"/".join(found[count:])
        if (
            len(rest) < len(head) + len(tail)
            or not rest.startswith(head)
            or not rest.endswith(tail)
        ):
            return None
        captures[SPLAT] = capture_splat(pattern.splat, names[count:])
    return captures


def match_pieces(pieces: tuple[bytes | Piece, ...], names: Names, captures: Captures) -> bool:
    """Return whether names are what pieces ask for, and note what these capture."""
    if len(pieces) != len(names):
        return False
    for piece, name in zip(pieces, names, strict=True):
        if isinstance(piece, bytes):
            if piece != name:
                return False
            continue
        head, placeholder, tail = piece
        if len(name) <= len(head) + len(tail):
            return False
        if not name.startswith(head) or not name.endswith(tail):
            return False
        captures[placeholder] = encode_segment(name[len(head) : len(name) - len(tail)])
    return True


def capture_splat(splat: Splat, names: Names) -> bytes:
    """Return what a splat that matches captures of the names from its segment on."""
    rest = b"/".join(names)
    end = len(rest) - len(splat.tail)
    if splat.tail and rest.endswith(b"/"):
        end -= 1
    return b"/".join(map(encode_segment, rest[len(splat.head) : end].split(b"/")))


def substitute(text: bytes, captures: Captures) -> bytes:
    """Return a text with what was captured in the place of each ``:name`` that was; others stay."""
    if not captures or b":" not in text:
        return text
    return PLACEHOLDER.sub(lambda found: captures.get(found[1], found[0]), text)


def encode_value(value: bytes) -> bytes:
    """Return the value of a parameter as it is put into a URL: what is encoded in it stays encoded."""
    return _NOT_IN_VALUE.sub(lambda found: b"%%%02X" % found[0][0], value)


def find_uncaptured(text: bytes, captured: frozenset[bytes]) -> bytes:
    """Return the first placeholder at the begin of a segment that is not captured; nothing for none."""
    for found in PLACEHOLDER.finditer(text):
        if found[1] not in captured and text[: found.start()].endswith((b"/", b"=")):
            return found[1]
    return b""
