"""Entity tags and their two comparisons (RFC 9110 section 8.8.3)."""

import re
from enum import Enum
from typing import Final, NamedTuple

from epollo.http.grammar import OWS, OWS_OCTETS

# entity-tag = [ weak ] opaque-tag                                   RFC 9110 section 8.8.3
# weak       = %s"W/"
# opaque-tag = DQUOTE *etagc DQUOTE
# etagc      = %x21 / %x23-7E / obs-text
# A backslash escapes nothing here, and a comma is an octet like others.
_ENTITY_TAG_OCTETS: Final = rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*+")'
_ENTITY_TAG: Final = re.compile(_ENTITY_TAG_OCTETS)

# #entity-tag with the empty elements that RFC 9110 section 5.6.1.2 has a recipient ignore.
_ENTITY_TAGS: Final = re.compile(rb"[\t ,]*+(?:%b%b(?:,[\t ,]*+|\Z))*" % (_ENTITY_TAG_OCTETS, OWS))


class EntityTag(NamedTuple):
    """An entity tag; ``opaque`` holds its quotes."""

    opaque: bytes
    is_weak: bool

    def format(self) -> bytes:
        """Return the tag as ETag and If-None-Match spell it."""
        return b"W/" + self.opaque if self.is_weak else self.opaque


class AnyEntityTag(Enum):
    """The type of ``ANY``."""

    ANY = b"*"


ANY: Final = AnyEntityTag.ANY
"""What ``*`` stands for in If-Match and If-None-Match: whatever tag there is."""


def parse_entity_tag(octets: bytes) -> EntityTag | None:
    """Return the one entity tag that the octets are, or None. RFC 9110 section 8.8.3."""
    found = _ENTITY_TAG.fullmatch(octets)
    return EntityTag(found[2], found[1] is not None) if found else None


def parse_entity_tags(value: bytes) -> AnyEntityTag | list[EntityTag] | None:
    """Return what If-Match or If-None-Match names: ``ANY``, or a list that may be empty.

    None where the value is neither ``*`` nor a list of entity tags. RFC 9110 section 13.1.1.
    """
    found = _ENTITY_TAG.fullmatch(value)
    if found:
        return [EntityTag(found[2], found[1] is not None)]
    if value.strip(OWS_OCTETS) == b"*":
        return ANY
    if _ENTITY_TAGS.fullmatch(value) is None:
        return None
    return [EntityTag(opaque, bool(weak)) for weak, opaque in _ENTITY_TAG.findall(value)]


def is_strong_match(a: EntityTag, b: EntityTag) -> bool:
    """Return whether both are strong and the same. RFC 9110 section 8.8.3.2."""
    return a.opaque == b.opaque and not a.is_weak and not b.is_weak


def is_weak_match(a: EntityTag, b: EntityTag) -> bool:
    """Return whether both are the same, be they weak or not. RFC 9110 section 8.8.3.2."""
    return a.opaque == b.opaque
