"""The part of a site that a password is needed for."""

import os
import unicodedata

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.generations import Generations
from epollo.http.target import decode_path
from epollo.patterns import compile_late

_PATHS_LIMIT: Final = 4096
_OCTETS_LIMIT: Final = 512 * 1024
_PAGE_ENDING: Final = b".html"
_CODING_ENDINGS: Final = (b".br", b".gz", b".zst")
# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties): ext4(5) with casefold, and HFS+, look
# names up without them.
_IGNORABLE: Final = compile_late(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)

Names = tuple[bytes, ...]


def parse_prefixes(text: str) -> tuple[Names, ...]:
    """Return the prefixes of a list with commas, such as ``/private,/admin``, as names.

    Raises `OperatorError` if one is no path.
    """
    prefixes = []
    for word in text.split(","):
        path = os.fsencode(word.strip())
        names = decode_path(path) if path.startswith(b"/") else None
        if names is None:
            raise OperatorError(f"{word.strip()!r} is no path such as /private")
        prefixes.append(tuple(_fold(name) for name in names if name))
    return tuple(prefixes)


class Realm:
    """Which paths are protected: those below a prefix, in any case and form of its letters.

    Where a file system calls two spellings the same, both are protected; where it does not, one more
    path is than need be.
    """

    def __init__(self, prefixes: tuple[Names, ...]) -> None:
        self._prefixes = prefixes
        self._is_whole = () in prefixes
        self._longest = max(map(len, prefixes))
        # To decode and fold a path takes nine microseconds, to look it up a third of one.
        self._known: Generations[bytes, bool] = Generations(
            entries_limit=_PATHS_LIMIT, octets_limit=_OCTETS_LIMIT
        )

    def has_path(self, path: bytes) -> bool:
        """Return whether a path as it stands in a request is protected, or is no path at all."""
        if self._is_whole or not path:
            return self._is_whole
        known = self._known.get(path, len(path))
        if known is None:
            names = decode_path(path)
            known = names is None or self.has(names)
            self._known.put(path, known, len(path))
        return known

    def has(self, names: Names) -> bool:
        """Return whether a path of names is protected.

        The page of a protected path is, too: ``/private.html`` is sent for ``/private``. So is a coding
        of either: ``/private.html.gz`` has the same content.
        """
        folded = tuple(map(_fold, names[: self._longest]))
        alike = [folded]
        if folded:
            *folder, last = folded
            plain = last
            for ending in _CODING_ENDINGS:
                plain = plain.removesuffix(ending)
            alike += [(*folder, plain), (*folder, plain.removesuffix(_PAGE_ENDING))]
        return any(one[: len(prefix)] == prefix for prefix in self._prefixes for one in alike)

    def has_below(self, folder: Names) -> bool:
        """Return whether some of what is in a folder, which is not protected itself, is protected."""
        folded = tuple(map(_fold, folder))
        return any(
            len(prefix) > len(folded) and prefix[: len(folded)] == folded
            for prefix in self._prefixes
        )


def _fold(name: bytes) -> bytes:
    """Return a name as file systems see it that ignore case, forms of letters, and dots at the end."""
    text = name.decode(errors="surrogateescape")
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    text = text.casefold()
    if not text.isascii():
        text = _IGNORABLE.sub("", unicodedata.normalize("NFKD", text))
    return text.rstrip(". ").encode(errors="surrogateescape")
