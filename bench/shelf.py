"""Files that are replaced all the time, and what any of them could have held between two instants."""

import hashlib
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

_VERSIONS_KEPT: Final = 256
"""No answer takes as long as this many replacements of its file."""
_TEXT: Final = (".html", ".json")


class Version:
    """A content that a name has had, or that there was none (``number`` is None).

    Between ``begun`` and ``ended``, instants of the monotonic clock, it may have been the current
    one; before and after it was not.
    """

    __slots__ = ("begun", "ended", "number")

    def __init__(self, number: int | None, begun: float) -> None:
        self.number = number
        self.begun = begun
        self.ended = math.inf


@lru_cache(maxsize=96)
def compose(name: str, number: int, octets: int) -> bytes:
    """Return the content of one version: that of any other differs from it everywhere."""
    title = f"{name} {number}"
    if not name.endswith(_TEXT):
        return hashlib.shake_128(title.encode()).digest(octets)
    lines = (f"<p>{title}, line {line} of this version of the page</p>\n" for line in range(octets))
    text = bytearray()
    while len(text) < octets:
        text += next(lines).encode()
    return bytes(text[:octets])


class Shelf:
    """The files of a folder, each replaced at once: written beside it, and renamed."""

    def __init__(self, folder: Path, lengths: dict[str, int]) -> None:
        self.names: Final = tuple(lengths)
        self._lock = threading.Lock()
        self.replacements = 0
        self._folder = folder
        self._lengths = lengths
        self._history: dict[str, deque[Version]] = {
            name: deque([Version(None, -math.inf)], maxlen=_VERSIONS_KEPT) for name in lengths
        }
        self._last_numbers = dict.fromkeys(lengths, 0)
        for name in lengths:
            self.replace(name)

    def replace(self, name: str, prepare: Callable[[], object] | None = None) -> None:
        """Give a name its next content; before it is renamed, do what is to be done right before."""
        with self._lock:
            number = self._last_numbers[name] = self._last_numbers[name] + 1
            new = self._folder / f".{name}.new"
            new.write_bytes(compose(name, number, self._lengths[name]))
            if prepare is not None:
                prepare()
            self._change(name, number, lambda: new.replace(self._folder / name))

    def remove(self, name: str) -> None:
        """Take a name away."""
        with self._lock:
            self._change(name, None, (self._folder / name).unlink)

    def is_there(self, name: str) -> bool:
        """Return whether the name has a content now."""
        return self._history[name][-1].number is not None

    def content(self, name: str, number: int) -> bytes:
        """Return what a version of a name holds."""
        return compose(name, number, self._lengths[name])

    def possible(self, name: str, since: float, until: float) -> set[int | None]:
        """Return the versions of a name that may have been current between two instants."""
        return {
            version.number
            for version in tuple(self._history[name])
            if version.begun <= until and version.ended >= since
        }

    def _change(self, name: str, number: int | None, change: Callable[[], object]) -> None:
        history = self._history[name]
        former = history[-1]
        history.append(Version(number, time.monotonic()))
        change()
        former.ended = time.monotonic()
        self.replacements += 1


def keep_changing(
    shelf: Shelf, coming_and_going: Iterable[str], changes_per_second: float, end: threading.Event
) -> None:
    """Replace one file after the other until the end, and let some of them come and go."""
    chance = random.Random(0)
    fleeting = set(coming_and_going)
    while not end.wait(chance.uniform(0.5, 1.5) / changes_per_second):
        name = chance.choice(shelf.names)
        if name in fleeting and shelf.is_there(name):
            shelf.remove(name)
        else:
            shelf.replace(name)
    for name in shelf.names:
        if not shelf.is_there(name):
            shelf.replace(name)
