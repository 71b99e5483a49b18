"""Strong entity tags: from the content of a file, or from its version until that has been read.

Facts: by length and time two versions are the same if an edit happens within a second at the same length,
and one version is another on another machine.
Decision: a tag is a hash of the content. Files that are kept are read once per version anyway; for others
see `tagging`.
"""

import binascii
import os
from collections.abc import Iterable

from epollo.annotations import Final
from epollo.http.validators import EntityTag
from epollo.site.blake2 import blake2b
from epollo.site.version import Version

_DIGEST_OCTETS: Final = 12
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")


class ContentTagger:
    """Makes the entity tag of content that comes in parts: 96 bits of its BLAKE2b hash."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=_DIGEST_OCTETS)

    def add(self, content: bytes | memoryview) -> None:
        """Continue with the next part."""
        self._hash.update(content)

    def tag(self) -> EntityTag:
        """Return the tag of all that was added."""
        return EntityTag(_format_tag(self._hash.digest()), is_weak=False)


def tag_content(content: bytes) -> EntityTag:
    """Return the entity tag of content, the same wherever it is served."""
    return EntityTag(format_tag_of(content), is_weak=False)


def format_tag_of(content: bytes) -> bytes:
    """Return the same tag as ETag shows it, without an object around it."""
    return _format_tag(blake2b(content, digest_size=_DIGEST_OCTETS).digest())


def _format_tag(digest: bytes) -> bytes:
    # In base64url (RFC 4648 section 5).
    return b'"%b"' % binascii.b2a_base64(digest, newline=False).translate(_URLSAFE)


def tag_pieces(pieces: Iterable[bytes]) -> EntityTag:
    """Return the entity tag of content that comes in pieces."""
    tagger = ContentTagger()
    for piece in pieces:
        tagger.add(piece)
    return tagger.tag()


def tag_version(version: Version, *, may_be_taken: bool) -> EntityTag:
    """Return an entity tag for content that was not read through yet.

    It holds the time at which the inode changed, which no process can set, unlike that of the content.
    So a copy in place that sets the old time again (``rsync --inplace --times``) is another version.
    Two contents may have even this time in common while a write is under way, and within a tick of the
    file system's clock (before Linux 6.13, multigrain-ts.rst). With ``may_be_taken`` a random number is
    added, which no other tag has.
    """
    parts = [b"%x" % number for number in version]
    if may_be_taken:
        parts.append(os.urandom(8).hex().encode())
    return EntityTag(b'"%b"' % b"-".join(parts), is_weak=False)
