"""How far a walk reaches beyond the root and its plain names, as the operator decided.

Facts: a dotfile is a secret more often than not, and a link that leads out of the root is more often a
mistake than intended. But Zarr keeps ``.zgroup`` beside its data, and a site may link to a store of large
files elsewhere.
Decision: each is named. A name that begins with a dot is shown if it matches a pattern of
``--allow-hidden``; a link may lead into a folder of ``--follow-links``, and stays within it from there.
Price: where such a folder is replaced, that is seen within a second, and not at once.
"""

import fnmatch
import os
import re

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple


class Reach(NamedTuple):
    """What a walk may reach besides.

    ``shown`` matches names that are shown although they begin with a dot. ``folders`` are the absolute
    paths of folders outside the root.
    """

    shown: re.Pattern[bytes] | None = None
    folders: tuple[bytes, ...] = ()

    def shows(self, name: bytes) -> bool:
        """Return whether a name that begins with a dot is shown."""
        return self.shown is not None and self.shown.match(name) is not None

    def find_base(self, target: bytes) -> tuple[bytes, bytes] | None:
        """Return the folder outside the root that an absolute path leads into, and the rest of it."""
        for folder in self.folders:
            for path in dict.fromkeys((folder, os.path.realpath(folder))):
                if is_below(target, path):
                    return folder, target[len(path) :]
        return None


PLAIN: Final = Reach()
"""The reach of the default settings."""


def is_below(path: bytes, folder: bytes) -> bool:
    """Return whether an absolute path is that of a folder, or of something in it, by its text alone."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def parse_reach(hidden: str, folders: str) -> Reach:
    """Return what two lists with commas say: patterns of names, and folders.

    Raises `OperatorError`.
    """
    return Reach(_parse_patterns(hidden), _parse_folders(folders))


def _parse_patterns(text: str) -> re.Pattern[bytes] | None:
    expressions = []
    for word in _split(text, "pattern"):
        if "/" in word or not word.startswith("."):
            raise OperatorError(f"{word!r} is no pattern of a name that begins with a dot")
        expressions.append(fnmatch.translate(word).encode("utf-8", "surrogateescape"))
    return re.compile(b"|".join(expressions)) if expressions else None


def _parse_folders(text: str) -> tuple[bytes, ...]:
    folders = []
    for word in _split(text, "folder"):
        path = os.path.abspath(word)
        try:
            os.close(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError:
            raise OperatorError(
                f"there is no folder {word} that links could be followed into"
            ) from None
        folders.append(os.fsencode(path))
    return tuple(folders)


def _split(text: str, what: str) -> list[str]:
    """Return the words of a list; raise `OperatorError` if it was given and has none."""
    words = [word for word in map(str.strip, text.split(",")) if word]
    if text and not words:
        raise OperatorError(f"{text!r} names no {what}")
    return words
