"""Fingerprints that lie: names, queries and hashes that do not agree with the content.

Facts: most build tools make the hash in a name from their sources, so it equals no digest of the file.
Whether a name changes with its content can only be seen over time.
Decision: only what is certain is reported. A hash in a page (Subresource Integrity) is that of the file
or it is not. A digest in a name is judged by its siblings: if nearly all files in a folder carry a
digest of their content, the remaining ones should too, if no tool rewrites files of their kind
afterwards. If a name says nothing of the content, browsers must not keep what a page fetches by it
forever.
"""

import base64
import binascii
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from epollo.annotations import Final
from epollo.named_tuples import NamedTuple
from epollo.site.resolve import Names

_STRENGTHS: Final = ("sha256", "sha384", "sha512")
_METADATA: Final = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/_=-]+)(?:\?\S*)?")
_TOKEN: Final = re.compile(rb"([-.])([0-9a-f]{8,128})\.[^.]+\Z")
_UNTOUCHED_TYPES: Final = re.compile(rb"(?:image/(?!svg)|font/|audio/|video/|application/wasm).*")
"""Types of files that refer to no other files: no tool writes them anew to put hashes into them."""
_VERSION: Final = re.compile(rb"(?:v|ver|version|rev|hash)=[A-Za-z0-9._-]+")
_DIGESTS: Final = ("md5", "sha1", "sha256", "sha384", "sha512")
_SIBLINGS: Final = 3
"""A name is reported only if at least this many in its folder have a right digest in the same form."""
_TOKEN_OCTETS: Final = 6


def is_integral(metadata: str, content: bytes) -> bool:
    """Return whether content has one of the hashes of an attribute ``integrity``.

    If there are several algorithms, the strongest counts; without a known one, any content will do
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
    """A file whose name carries ``digest``, which is of other content; in its siblings it is right."""

    names: Names
    digest: str


def list_false_digests(
    files: Iterable[tuple[Names, bytes]], hash_file: Callable[[Names, str], bytes]
) -> Iterator[Digest]:
    """Return the files whose names carry a digest of other content.

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
    """Return whether a URL may change when its content does.

    It may if it has a query, or a digit anywhere, as versions, dates and most hashes have. If it is no
    page, it also may where its name ends in what could be a hash of letters.
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
