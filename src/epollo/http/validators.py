"""Entity tags and their two comparisons (RFC 9110 section 8.8.3)."""

from epollo.annotations import Final
from epollo.http.grammar import OWS, OWS_OCTETS
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late

# entity-tag = [ weak ] opaque-tag                                   RFC 9110 section 8.8.3
# weak       = %s"W/"
# opaque-tag = DQUOTE *etagc DQUOTE
# etagc      = %x21 / %x23-7E / obs-text
# A backslash escapes nothing here, and a comma is an octet like others.
_ENTITY_TAG_OCTETS: Final = rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*+")'
_ENTITY_TAG: Final = compile_late(_ENTITY_TAG_OCTETS)

# #entity-tag with the empty elements that RFC 9110 section 5.6.1.2 has a recipient ignore.
_ENTITY_TAGS: Final = compile_late(
    rb'[\t ,]*+(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"%b(?:,[\t ,]*+|\Z))*' % OWS
)


class EntityTag(NamedTuple):
    """An entity tag; ``opaque`` holds its quotes."""

    opaque: bytes
    is_weak: bool

    def format(self) -> bytes:
        """Return the tag as ETag and If-None-Match spell it."""
        return b"W/" + self.opaque if self.is_weak else self.opaque


def parse_entity_tag(octets: bytes) -> EntityTag | None:
    """Return the one entity tag that the octets are, or None. RFC 9110 section 8.8.3."""
    found = _ENTITY_TAG.fullmatch(octets)
    return EntityTag(found[2], found[1] is not None) if found else None


def is_listed(value: bytes, tag: EntityTag | None, *, weakly: bool) -> bool | None:
    """Return whether If-Match or If-None-Match names a tag: by ``*``, or in a list that may be empty.

    None if the value is neither ``*`` nor a list of entity tags. By the weak comparison two tags
    match if they are the same; by the strong one (``weakly`` false) only if none of them is weak either
    (RFC 9110 sections 8.8.3.2 and 13.1.1). A tag that is None is named by ``*`` alone.

    The time is some nanoseconds for each octet, however many tags there are: only tags that are the
    same are looked at one by one.
    """
    if value.strip(OWS_OCTETS) == b"*":
        return True
    if _ENTITY_TAGS.fullmatch(value) is None:
        return None
    if tag is None or (tag.is_weak and not weakly):
        return False
    # In a valid list the first DQUOTE opens a tag, and so does every other one from there.
    start = quotes = 0
    while (found := value.find(tag.opaque, start)) >= 0:
        quotes += value.count(b'"', start, found)
        is_strong = value[max(0, found - 2) : found] != b"W/"
        if quotes % 2 == 0 and (weakly or is_strong):
            return True
        quotes += 1
        start = found + 1
    return False


def is_strong_match(a: EntityTag, b: EntityTag) -> bool:
    """Return whether both are strong and the same. RFC 9110 section 8.8.3.2."""
    return a.opaque == b.opaque and not a.is_weak and not b.is_weak
