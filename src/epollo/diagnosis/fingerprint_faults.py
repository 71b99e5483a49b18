"""Fingerprints that lie: names, queries and hashes that speak of other content than there is.

Facts: most build tools make the hash in a name of their sources, so that it equals no digest of the
file. That a name changes with its content can only be seen over time.
Decision: only what is certain is said. A hash in a page (Subresource Integrity) is one of the file or
not. A digest in a name is judged by those of its siblings: where nearly all in a folder carry a digest of
their content, so should the last, if it is of a kind that no tool rewrites afterwards. And what a page
has fetched by a name that says nothing of the content cannot be kept forever.
"""

import base64
import binascii
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from epollo.named_tuples import NamedTuple
from epollo.site.resolve import Names

_STRENGTHS: Final = ("sha256", "sha384", "sha512")
_METADATA: Final = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/_=-]+)(?:\?\S*)?")
_TOKEN: Final = re.compile(rb"([-.])([0-9a-f]{8,128})\.[^.]+\Z")
_UNTOUCHED_TYPES: Final = re.compile(rb"(?:image/(?!svg)|font/|audio/|video/|application/wasm).*")
"""Of files that refer to no others: tools that put hashes into names do not write them anew."""
_VERSION: Final = re.compile(rb"(?:v|ver|version|rev|hash)=[A-Za-z0-9._-]+")
_DIGESTS: Final = ("md5", "sha1", "sha256", "sha384", "sha512")
_SIBLINGS: Final = 3
"""For each name that is thought to lie, this number in its folder say the truth in the same form."""
_TOKEN_OCTETS: Final = 6


def is_integral(metadata: str, content: bytes) -> bool:
    """Return whether content has one of the hashes of an attribute ``integrity``.

    Of several algorithms the strongest counts; one without any that is known asks for nothing
    (Subresource Integrity, section 3.3).
    """
    known: dict[str, set[bytes]] = defaultdict(set)
    for word in metadata.split():
        found = _METADATA.fullmatch(word)
        if found is not None:
            known[found[1]].add(_decode(found[2]))
    strongest = next((one for one in reversed(_STRENGTHS) if one in known), None)
    return strongest is None or hashlib.new(strongest, content).digest() in known[strongest]


def _decode(text: str) -> bytes:
    """Return the octets of base64, in either alphabet; none where it is not."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


class Digest(NamedTuple):
    """A file whose name carries ``digest``, as those of its siblings, of other content than it has."""

    names: Names
    digest: str


def list_false_digests(
    files: Iterable[tuple[Names, bytes]], hash_file: Callable[[Names, str], bytes]
) -> Iterator[Digest]:
    """Return the files of which the digest in the name is of other content.

    ``files`` are names and media types; ``hash_file`` returns the digest of a file in hexadecimal digits.
    """
    alike: dict[tuple[Names, bytes, int], list[tuple[Names, bytes]]] = defaultdict(list)
    for names, media_type in files:
        found = _TOKEN.search(names[-1])
        if found is not None and _UNTOUCHED_TYPES.fullmatch(media_type):
            alike[names[:-1], found[1], len(found[2])].append((names, found[2]))
    for (_, _, octets), some in alike.items():
        if len(some) <= _SIBLINGS:
            continue
        for digest in _DIGESTS:
            if octets > hashlib.new(digest).digest_size * 2:
                continue
            others = [
                names for names, token in some if not hash_file(names, digest).startswith(token)
            ]
            if others and len(some) - len(others) >= _SIBLINGS * len(others):
                yield from (Digest(names, digest) for names in others)


def is_version(query: bytes) -> bool:
    """Return whether a query does nothing but name a version."""
    return _VERSION.fullmatch(query) is not None


def may_be_versioned(names: Names, query: bytes, *, is_page: bool) -> bool:
    """Return whether a URL may be another one when its content is.

    It may where it has a query, or a digit anywhere, as versions, dates and most hashes have; where it is
    no page, also where its name ends in what could be a hash of letters.
    """
    if query or any(re.search(rb"[0-9]", name) for name in names):
        return True
    if is_page:
        return False
    if any(name.lower() in {b"immutable", b"hashed", b"versioned"} for name in names[:-1]):
        return True
    stem = names[-1].rpartition(b".")[0] or names[-1]
    parts = re.split(rb"[-._]", stem)
    return len(stem) >= 2 * _TOKEN_OCTETS or any(len(part) >= _TOKEN_OCTETS for part in parts[1:])
