"""The fields that the rules give to the answers of a path, merged in the order of the rules."""

from collections.abc import Iterable

from epollo.annotations import Final
from epollo.http.message import FieldLine
from epollo.http.status import NO_SNIFF
from epollo.named_tuples import NamedTuple
from epollo.site.blake2 import blake2b
from epollo.site.rules.pattern import Captures, substitute
from epollo.site.rules.rule import HeaderRule

_ACCEPT_ENCODING: Final = b"Accept-Encoding"
_VARY: Final = (b"Vary", _ACCEPT_ENCODING)

_SINGLETONS: Final = frozenset(
    (
        b"access-control-allow-credentials",
        b"access-control-allow-origin",
        b"access-control-max-age",
        b"content-disposition",
        b"content-encoding",
        b"content-location",
        b"content-type",
        b"cross-origin-embedder-policy",
        b"cross-origin-opener-policy",
        b"cross-origin-resource-policy",
        b"expires",
        b"referrer-policy",
        b"refresh",
        b"retry-after",
        b"service-worker-allowed",
        b"sourcemap",
        b"strict-transport-security",
        b"x-content-type-options",
        b"x-frame-options",
        b"x-xss-protection",
    )
)
"""Fields that are no lists: two values joined mean nothing, so the later one counts."""

_OF_FILE: Final = frozenset(
    (
        b"cache-control",
        b"cdn-cache-control",
        b"content-disposition",
        b"content-language",
        b"content-location",
        b"content-type",
        b"expires",
        b"pragma",
        b"refresh",
        b"sourcemap",
        b"surrogate-control",
    )
)
"""Fields that are about the file at a path, and that no error or redirect inherits."""


class PathFields(NamedTuple):
    """The field lines that the rules add to the answers of a path.

    ``content`` is for each answer with content of a file, ``negotiated`` for each answer that another
    request may get in another coding, ``fixed`` for each of the others. ``not_modified`` is for each
    answer 304 in addition, ``refusal`` for errors and redirects in addition to those of the policy.
    ``content_type`` and ``cache`` take the place of what is known of the file; None if the rules are
    silent.

    ``mark`` is a hash of what the rules say, except Cache-Control, and a part of the entity tags.
    Without it a cache that has an answer would keep old fields: it takes over few fields of an answer
    304, and removes none (RFC 9111 section 3.2; Chromium keeps Content-Type and X-Frame-Options as they
    were).
    """

    content: tuple[FieldLine, ...]
    negotiated: tuple[FieldLine, ...]
    fixed: tuple[FieldLine, ...] = ()
    not_modified: tuple[FieldLine, ...] = ()
    refusal: tuple[FieldLine, ...] = ()
    content_type: bytes | None = None
    content_coding: bytes | None = None
    cache: tuple[FieldLine, ...] | None = None
    mark: bytes = b""


PLAIN_FIELDS: Final = PathFields((NO_SNIFF,), (_VARY,))
"""The fields of a path that no rule is about."""


def merge_fields(rules: Iterable[tuple[HeaderRule, Captures]]) -> PathFields:
    """Return the fields that rules give to a path which they match, in their order.

    A rule first removes what rules before it set, and then sets its own. A field that is set twice is
    joined to a list (RFC 9110 section 5.3). If it is no list, the later value counts.
    """
    lines: dict[bytes, list[FieldLine]] = {}
    removed: set[bytes] = set()
    for rule, captures in rules:
        for name in rule.removed:
            lines.pop(name, None)
            removed.add(name)
        for name, value in rule.fields:
            _add(lines, name, substitute(value, captures))
            removed.discard(name.lower())
    content_type = lines.pop(b"content-type", None)
    content_coding = lines.pop(b"content-encoding", None)
    cache = lines.pop(b"cache-control", () if b"cache-control" in removed else None)
    vary = tuple(lines.pop(b"vary", ()))
    sniff = () if b"x-content-type-options" in lines.keys() | removed else (NO_SNIFF,)
    others = tuple(line for same in lines.values() for line in same)
    kept = tuple(line for line in others if line[0].lower() not in _OF_FILE)
    marked = [*others, *vary, *(content_type or ()), *(content_coding or ())]
    if not sniff:
        marked.append((NO_SNIFF[0], b""))
    return PathFields(
        content=(*sniff, *others),
        negotiated=tuple((name, b"%b, %b" % (_ACCEPT_ENCODING, value)) for name, value in vary)
        or (_VARY,),
        fixed=vary,
        not_modified=others,
        refusal=kept,
        content_type=content_type[0][1] if content_type else None,
        content_coding=content_coding[0][1] if content_coding else None,
        cache=None if cache is None else tuple(cache),
        mark=mark_fields(marked),
    )


def mark_fields(lines: Iterable[FieldLine]) -> bytes:
    """Return a hash of field lines, as a part of an entity tag; nothing if there are none."""
    octets = b"\n".join(b"%b:%b" % (name.lower(), value) for name, value in lines)
    return blake2b(octets, digest_size=4).hexdigest().encode() if octets else b""


def _add(lines: dict[bytes, list[FieldLine]], name: bytes, value: bytes) -> None:
    known = lines.setdefault(name.lower(), [])
    if not known or name.lower() == b"set-cookie":
        known.append((name, value))
    elif name.lower() in _SINGLETONS:
        known[:] = [(name, value)]
    else:
        known[:] = [(known[0][0], b"%b, %b" % (known[0][1], value))]


def vary_on(fields: PathFields, names: bytes) -> PathFields:
    """Return the same fields for an answer that depends on other fields of the request, too."""

    def add(lines: tuple[FieldLine, ...]) -> tuple[FieldLine, ...]:
        known = b", ".join([value for _, value in lines] + [names])
        return ((b"Vary", known),)

    return fields._replace(negotiated=add(fields.negotiated), fixed=add(fields.fixed))
