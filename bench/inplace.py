"""Files that rsync writes in place, with their old times, and clients that must not get two versions.

While rsync writes, what stands in the file is its new beginning and its old end; an answer may be that,
or be cut, or be refused for a second where each look at the file finds another write. What no answer may
be is an old beginning and a new end: that was in the file at no time. On a busy machine a file may be
quiet for ten seconds between two writes. Then the server lends the network its pages (docs/limits.md);
an answer that begins as the old version may have octets of the new one: of 710 such, 12 had.
"""

import hashlib
import math
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Final, NamedTuple

from doors import Door

LENGTHS: Final = {"synced.bin": 100_000, "synced-large.bin": 6 * 1024 * 1024}
_MODIFIED: Final = 1_000_000_000
"""When each version was last changed, if rsync is to be believed."""
_WRITES_PER_SECOND: Final = 4
_QUIET_SECONDS: Final = 9.5
"""After so long without a write, the server may lend the network pages of the file (docs/limits.md)."""
_RECEIVE_OCTETS: Final = 64 * 1024
_DESCRIBED: Final = 8
"""How many of the last versions are searched for what a wrong content is made of."""


@lru_cache(maxsize=16)
def compose(name: str, number: int) -> bytes:
    """Return the content of one version: that of any other differs from it everywhere."""
    return hashlib.shake_128(f"{name} {number}".encode()).digest(LENGTHS[name])


class Writing(NamedTuple):
    """A version while rsync writes it and from then on: instants of the monotonic clock.

    Before ``begun`` it is not in the file; from ``done`` on it is all that is, until the next one begins.
    """

    number: int
    begun: float
    done: float


class SyncedFiles:
    """Files of a folder that are written in place by rsync."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.writes = 0
        self._root = root
        self._source = scratch / "source"
        self._source.mkdir()
        self._history: dict[str, list[Writing]] = {name: [] for name in LENGTHS}
        for name in LENGTHS:
            self.write(name)

    def write(self, name: str, touch: Callable[[Path], object] | None = None) -> None:
        """Write the next version, after something else was done to the file."""
        history = self._history[name]
        number = len(history) + 1
        source = self._source / name
        source.write_bytes(compose(name, number))
        os.utime(source, (_MODIFIED, _MODIFIED))
        if touch is not None:
            touch(self._root / name)
        history.append(Writing(number, time.monotonic(), math.inf))
        subprocess.run(
            ["rsync", "--inplace", "--times", "--ignore-times", "--whole-file", source, self._root],
            check=True,
        )
        history[-1] = history[-1]._replace(done=time.monotonic())
        self.writes += 1

    def possible(self, name: str, since: float, until: float) -> tuple[list[int], list[int]]:
        """Return the versions that may have been in the file between two instants.

        First those that may have been whole, then those that were being written over the one before.
        """
        history = tuple(self._history[name])
        ended = [*(one.done for one in history[1:]), math.inf]
        whole = [
            one.number
            for one, end in zip(history, ended, strict=True)
            if one.begun <= until and end >= since
        ]
        written = [one.number for one in history if one.begun <= until and one.done >= since]
        return whole, [number for number in written if number > 1]

    def was_lent(self, name: str, content: bytes, written: list[int]) -> bool:
        """Return whether an answer is of pages that were lent: the file was quiet for so long before.

        It begins as the old version, and each octet is that of the old or of the new one.
        """
        history = self._history[name]
        return any(
            history[number - 1].begun - history[number - 2].done > _QUIET_SECONDS
            and _is_mixed_of(content, compose(name, number - 1), compose(name, number))
            for number in written
        )


def _touch_nothing(_path: Path) -> None:
    """Let rsync be the first to touch the file."""


def _change_mode(path: Path) -> None:
    path.chmod(0o644 if path.stat().st_mode & 0o111 else 0o755)


def _open_and_close(path: Path) -> None:
    with path.open("ab"):
        pass


TOUCHES: Final = (_touch_nothing, _change_mode, _open_and_close)
"""What may be done to a file before rsync writes it; none of it changes the content."""


def keep_writing(files: SyncedFiles, end: threading.Event) -> None:
    """Write one file after the other until the end."""
    chance = random.Random(0)
    names = list(LENGTHS)
    while not end.wait(chance.uniform(0.5, 1.5) / _WRITES_PER_SECOND):
        files.write(chance.choice(names), chance.choice(TOUCHES))


@dataclass
class SyncedCount:
    """What one client saw of these files."""

    answers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class SyncedClient:
    """A client that takes these files, quickly or slowly, each time on a new connection."""

    def __init__(self, door: Door, files: SyncedFiles, seed: int) -> None:
        self.count = SyncedCount()
        self._door = door
        self._files = files
        self._chance = random.Random(seed)
        self._contents: dict[str, str] = {}
        """What the content of each entity tag is called."""

    def run(self, end: threading.Event, pause_seconds: float) -> None:
        """Ask for one file after the other until the end."""
        while not end.wait(pause_seconds):
            name = self._chance.choice(list(LENGTHS))
            try:
                self._ask(name)
            except (OSError, HTTPException) as error:
                self.count.wrong.append(f"{self._door.kind}, {name}: {error!r}")

    def _ask(self, name: str) -> None:
        with self._door.connect() as peer:
            sent = time.monotonic()
            peer.sendall(f"GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = HTTPResponse(peer)
            answer.begin()
            is_slow = self._chance.random() < 0.3
            parts = []
            is_cut = False
            try:
                while part := answer.read(_RECEIVE_OCTETS):
                    parts.append(part)
                    if is_slow and len(parts) % 8 == 0:
                        time.sleep(self._chance.random() / 50)
            except (IncompleteRead, ConnectionError):
                is_cut = True
            content = b"".join(parts)
            is_cut |= answer.status == 200 and len(content) < LENGTHS[name]
            self._check(name, answer, None if is_cut else content, sent)

    def _check(self, name: str, answer: HTTPResponse, content: bytes | None, sent: float) -> None:
        """Check an answer, whose content is None where it was cut."""
        whole, written = self._files.possible(name, sent, time.monotonic())
        self.count.statuses[answer.status] += 1
        if answer.status == 503 and answer.headers["Retry-After"] == "1" and content is not None:
            self.count.answers["synced-refused"] += 1
            if not written:
                self._say(name, "refused, although nothing was written")
        elif answer.status != 200:
            self._say(name, f"status {answer.status}")
        elif content is None:
            self.count.answers["synced-cut"] += 1
            if not written:
                self._say(name, "cut, although nothing was written")
        else:
            version = self._recognise(name, content, whole, written)
            if version is None and self._files.was_lent(name, content, written):
                self.count.answers["synced-lent"] += 1
                return
            self.count.answers["synced"] += 1
            if version is None:
                self._say(name, self._describe(name, content, whole))
                return
            tag = answer.headers["ETag"]
            known = self._contents.setdefault(f"{name} {tag}", version)
            if known != version:
                self._say(name, f"the entity tag {tag} for {known} and for {version}")

    def _recognise(
        self, name: str, content: bytes, whole: list[int], written: list[int]
    ) -> str | None:
        """Return what a content is called: a version, or a new beginning and an old end."""
        for number in whole:
            if content == compose(name, number):
                return f"version {number}"
        for number in written:
            new, old = (compose(name, one) for one in (number, number - 1))
            common = _count_common(content, new)
            if len(content) == len(old) and content[common:] == old[common:]:
                return f"version {number} up to octet {common}"
        return None

    def _describe(self, name: str, content: bytes, whole: list[int]) -> str:
        """Say what a wrong content is made of: where it begins and ends as which version."""
        last = max(whole)
        versions = {
            number: compose(name, number) for number in range(max(1, last - _DESCRIBED), last + 1)
        }
        kind = "stale" if content in versions.values() else "mixed"
        begins = [number for number, one in versions.items() if one[:16] == content[:16]]
        ends = [number for number, one in versions.items() if one[-16:] == content[-16:]]
        return f"{kind}: begins as {begins}, ends as {ends}, but {whole} were possible"

    def _say(self, name: str, text: str) -> None:
        self.count.wrong.append(f"{self._door.kind}, {name}: {text}")


def _is_mixed_of(content: bytes, old: bytes, new: bytes) -> bool:
    """Return whether a content begins as the old one, and has octets of these two alone."""
    if len(content) != len(old) or content[:1] != old[:1]:
        return False
    return all(one in others for one, *others in zip(content, old, new, strict=True))


def _count_common(one: bytes, other: bytes) -> int:
    """Return how many octets two contents begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
