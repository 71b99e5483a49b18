r"""The request target: its four forms, and its path as names of a tree (RFC 9112 section 3.2).

Rules of ``parse_target``:

- Refused are SP, controls, DEL and ``#``: they would end the target, or are no part of it.
- Every other octet may stand in a path or query. RFC 3986 wants ``"<>[\]^`{|}`` and octets from
  0x80 percent-encoded, but browsers send some of the former raw and curl the latter, as they were
  typed, and each can mean only itself.
- The absolute form is for http and https, with a host (RFC 9110 section 4.2.1) and without
  userinfo (RFC 9110 section 4.2.4).

Rules of ``decode_path``:

- The path is split at ``/`` first and decoded then, once, so that ``%252e`` is the name ``%2e``.
- ``%2F`` and ``%00`` cannot be part of a name; a ``%`` without two digits is an error. Such a path
  is refused, never repaired.
- Empty segments mean nothing and are dropped, as a file system does, before dot segments are.
- ``.`` and ``..``, encoded or not, are removed as in RFC 3986 section 5.2.4. Where that lets
  ``..`` at the root pass, we refuse: browsers remove it themselves, so a client that sends it wants to
  leave the root.
- The last segment is empty where the path names a folder: after ``/``, ``/.`` and ``/..``.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto

from epollo.annotations import Final
from epollo.http.fields import is_host
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

# origin-form   = absolute-path [ "?" query ]                        RFC 9112 section 3.2.1
# absolute-path = 1*( "/" segment )                                  RFC 9110 section 4.1
_PATH: Final = rb"/[^\x00-\x20?#\x7f]*+"
_QUERY: Final = rb"(?:\?([^\x00-\x20#\x7f]*+))?"
_ORIGIN_FORM: Final = re.compile(rb"(%b)%b" % (_PATH, _QUERY))

# absolute-form = absolute-URI                                       RFC 9112 section 3.2.2
# http-URI      = "http" "://" authority path-abempty [ "?" query ]  RFC 9110 section 4.2.1
# A scheme is case-insensitive (RFC 3986 section 3.1).
_ABSOLUTE_FORM: Final = compile_late(
    rb"[Hh][Tt][Tt][Pp]([Ss]?+)://([^\x00-\x20/?#\x7f]++)(%b)?%b" % (_PATH, _QUERY)
)

# authority-form = uri-host ":" port                                 RFC 9112 section 3.2.3
# An empty port is refused (RFC 9110 section 9.3.6).
_AUTHORITY_FORM: Final = compile_late(rb"[^/?#@]+:[0-9]++")

_ASTERISK_FORM: Final = b"*"


class TargetForm(Enum):
    """The forms of RFC 9112 section 3.2."""

    ORIGIN = auto()
    ABSOLUTE = auto()
    ASTERISK = auto()
    AUTHORITY = auto()


class Target(NamedTuple):
    """A request target; every part is as sent, percent-encoding included.

    ``path`` starts with ``/``, and is empty in the asterisk and authority forms; ``query`` is None
    without a ``?``, ``authority`` is None if the form has none.
    """

    form: TargetForm
    path: bytes
    query: bytes | None
    authority: bytes | None


class HttpsTarget(Target):
    """A target in the absolute form whose scheme is https: it asks for a secured connection.

    RFC 9110 section 4.2.2.
    """

    __slots__ = ()


def parse_target(target: bytes) -> Target | None:
    """Return the parts of a request target, None if it is invalid.

    Whether the form suits the method (RFC 9112 section 3.2) is for the caller to say.
    """
    origin_form = parse_origin_form(target)
    if origin_form is not None:
        return origin_form
    if target == _ASTERISK_FORM:
        return Target(TargetForm.ASTERISK, b"", None, None)
    found = _ABSOLUTE_FORM.fullmatch(target)
    if found is not None:
        is_https, authority, path, query = found.groups()
        if not is_host(authority):
            return None
        kind = HttpsTarget if is_https else Target
        return kind(TargetForm.ABSOLUTE, path or b"/", query, authority)
    if _AUTHORITY_FORM.fullmatch(target) and is_host(target):
        return Target(TargetForm.AUTHORITY, b"", None, target)
    return None


def parse_origin_form(target: bytes) -> Target | None:
    """Return the parts of a request target in the origin form, None for any other."""
    found = _ORIGIN_FORM.fullmatch(target)
    return None if found is None else Target(TargetForm.ORIGIN, found[1], found[2], None)


# pct-encoded = "%" HEXDIG HEXDIG                                    RFC 3986 section 2.1
# What two digits stand for; those that no name can hold are not among them.
_DIGITS: Final = [b"%c" % digit for digit in b"0123456789ABCDEFabcdef"]
_DECODED: Final = {
    digits: bytes((octet,))
    for digits in [high + low for high in _DIGITS for low in _DIGITS]
    for octet in [int(digits, 16)]
    if octet not in b"/\0"
}

# pchar = unreserved / pct-encoded / sub-delims / ":" / "@"          RFC 3986 section 3.3
# The apostrophe is encoded although it need not be: it ends an attribute in a page.
_PLAIN: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&()*+,;=:@"
)
_ENCODED: Final = tuple(
    b"%c" % octet if octet in _PLAIN else b"%%%02X" % octet for octet in range(256)
)


# Segments that lead nowhere: empty ones, and single dots.
_IDLE_SEGMENTS: Final = re.compile(rb"/(?:\.?/)+")


def decode_path(path: bytes) -> tuple[bytes, ...] | None:
    """Return the names that a raw path descends through, None if it is to be refused.

    ``/`` is ``(b"",)``, ``/a/b`` is ``(b"a", b"b")``, ``/a/`` is ``(b"a", b"")``. No name is ``.``
    or ``..``, none holds ``/`` or NUL, and only the last may be empty.
    """
    if not path.startswith(b"/") or b"\0" in path:
        return None
    # Decoding yields no octet that separates segments, so it may come first.
    decoded = decode_segment(path) if b"%" in path else path
    if decoded is None:
        return None
    if b"//" not in decoded and b"/." not in decoded:
        return tuple(decoded[1:].split(b"/"))
    decoded = _IDLE_SEGMENTS.sub(b"/", decoded)
    segments = decoded[1:].split(b"/")
    if b"/.." not in decoded and segments[-1] != b".":
        return tuple(segments)
    return _ascend(segments)


def encode_path(segments: Iterable[bytes]) -> bytes:
    r"""Return the path to these names, in the one form that Location shows.

    ``segments`` are as ``decode_path`` returns them. An empty one counts only as the last, so the
    path never starts with ``//``, which would name another host (RFC 3986 section 4.2); nor does it
    hold ``\``, quotes, controls or octets from 0x80.
    """
    names = list(segments)
    is_folder = not names or not names[-1]
    encoded = [encode_segment(name) for name in names if name]
    if is_folder:
        encoded.append(b"")
    return b"/" + b"/".join(encoded)


def decode_segment(segment: bytes) -> bytes | None:
    """Return a segment percent-decoded, None if that is an error."""
    if b"%" not in segment:
        return segment
    head, *rest = segment.split(b"%")
    try:
        return head + b"".join([_DECODED[part[:2]] + part[2:] for part in rest])
    except KeyError:
        return None


def encode_segment(segment: bytes) -> bytes:
    """Return a segment percent-encoded."""
    return b"".join([_ENCODED[octet] for octet in segment])


def _ascend(segments: list[bytes]) -> tuple[bytes, ...] | None:
    """Return segments without dots; None if they lead above the root.

    None of them is empty or ``.`` but the last.
    """
    names: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if not names:
                return None
            names.pop()
        else:
            names.append(segment)
    if segments[-1] == b".":
        names[-1] = b""
    elif segments[-1] == b"..":
        names.append(b"")
    return tuple(names)
