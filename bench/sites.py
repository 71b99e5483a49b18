"""The sites of the wide benchmark: folders that are written once for all servers.

Every site is the same on every machine: it comes from a seeded generator.
"""

import gzip
import itertools
import os
import random
import time
from pathlib import Path
from typing import Final

import brotli

TINY_OCTETS: Final = 4096
TINY_IN_FOLDER: Final = 100
LARGE_OCTETS: Final = 256 << 20
HUGE_OCTETS: Final = 1 << 30
DOWNLOAD_OCTETS: Final = 10 << 20
PAGES: Final = 240
COLD: Final = 24_000
"""How many files can be asked for the first time."""
ASSETS: Final = (
    *((f"/assets/{name}.css", octets << 10) for name, octets in (("site", 60), ("print", 6))),
    *((f"/assets/{name}.js", octets << 10) for name, octets in (("app", 90), ("search", 40))),
    *((f"/assets/icon{number}.svg", 900 + 400 * number) for number in range(8)),
    *((f"/assets/picture{number}.png", (6 + 5 * number) << 10) for number in range(12)),
    *((f"/assets/text{number}.woff2", 18 << 10) for number in range(4)),
)
"""Targets and lengths in octets of what the pages of the documentation refer to."""

ARENA: Final = (
    *(("reset.css", 8), ("layout.css", 30), ("theme.css", 60), ("components.css", 200)),
    *(("utilities.css", 120), ("analytics.js", 12), ("app.js", 200), ("vendor.js", 240)),
    *(("router.js", 35), ("widgets.js", 90), ("header.html", 120), ("footer.html", 55)),
    *(("regular.woff2", 18), ("bold.woff2", 18), ("logo.svg", 15), ("sprite.svg", 70)),
    *(("hero.webp", 45), ("thumb1.webp", 8), ("thumb2.webp", 6), ("manifest.json", 1)),
)
"""The twenty files of HttpArena's static profile, with about their lengths in KiB."""

TEXT_ENDINGS: Final = (".html", ".css", ".js", ".svg", ".json")


def tiny_target(number: int) -> str:
    """Return the target of a file of 4 KiB; a hundred stand in each folder."""
    return f"/d{number // TINY_IN_FOLDER:04}/f{number % TINY_IN_FOLDER:02}.png"


def page_target(number: int) -> str:
    return f"/guide{number // 20:02}/page{number % 20:02}.html"


def page_octets(number: int) -> int:
    """Return the length of a page: from 4 KiB to 34 KiB, small ones more often."""
    return 4096 + (number * 7919 % 175) ** 2


class Paragraphs:
    """A stock of made-up paragraphs, of which texts of any length are put together quickly."""

    def __init__(self, chance: random.Random):
        letters, ranks = "etaoinshrdlucmfwypvbgkjqxz", range(26)
        words = ["".join(chance.choices(letters, [1 / (rank + 2) for rank in ranks], k=length))
                 for length in (chance.randint(2, 10) for _ in range(3_000))]  # fmt: skip
        weights = list(itertools.accumulate(1 / (rank + 4) for rank in range(len(words))))
        self._chance = chance
        self._stock = [
            f"<p class=part>{' '.join(chance.choices(words, cum_weights=weights, k=60))}.</p>\n"
            for _ in range(2_000)
        ]

    def compose(self, octets: int) -> bytes:
        """Return a text of this length; no two are alike."""
        parts, length = [f"<!doctype html><title>{self._chance.random()}</title>\n"], 0
        while length < octets:
            parts.append(self._chance.choice(self._stock))
            length += len(parts[-1])
        return "".join(parts).encode("ascii")[:octets]


def write_file(folder: Path, target: str, content: bytes) -> None:
    path = folder / target[1:]
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_bytes(content)


def write_tiny(folder: Path, count: int, seed: int = 11) -> None:
    """Write files of 4 KiB of noise, so that no server can spend time on their codings."""
    chance = random.Random(seed)
    for number in range(count):
        path = folder / tiny_target(number)[1:]
        if number % TINY_IN_FOLDER == 0:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(TINY_OCTETS))


def write_crawled(folder: Path, count: int) -> None:
    """Write pages of 4 KiB of text, a hundred in each folder."""
    paragraphs = Paragraphs(random.Random(13))
    for number in range(count):
        target = crawled_target(number)
        write_file(folder, target, paragraphs.compose(TINY_OCTETS))


def crawled_target(number: int) -> str:
    return tiny_target(number).replace(".png", ".html")


def write_docs(folder: Path, is_coded: bool) -> None:
    """Write a site of documentation; if ``is_coded``, each text with its .gz beside it."""
    chance = random.Random(17)
    paragraphs = Paragraphs(chance)
    files = [(page_target(number), page_octets(number)) for number in range(PAGES)]
    for target, octets in (*files, *ASSETS):
        is_text = target.endswith(TEXT_ENDINGS)
        content = paragraphs.compose(octets) if is_text else chance.randbytes(octets)
        write_file(folder, target, content)
        if is_text and is_coded:
            write_file(folder, target + ".gz", gzip.compress(content, 6, mtime=0))
    write_file(folder, "/404.html", paragraphs.compose(2_000))


def write_arena(folder: Path) -> None:
    """Write HttpArena's files, each text with its .gz and .br beside it, as HttpArena does."""
    chance = random.Random(19)
    paragraphs = Paragraphs(chance)
    for name, kibibytes in ARENA:
        is_text = name.endswith(TEXT_ENDINGS)
        octets = kibibytes << 10
        content = paragraphs.compose(octets) if is_text else chance.randbytes(octets)
        write_file(folder, f"/static/{name}", content)
        if is_text:
            write_file(folder, f"/static/{name}.gz", gzip.compress(content, 6, mtime=0))
            write_file(folder, f"/static/{name}.br", brotli.compress(content, quality=5))


def write_large(folder: Path, lengths: dict[str, int]) -> None:
    """Write large files that take no room on the disk: zeros, and a number in each mebibyte."""
    for name, octets in lengths.items():
        with (folder / name).open("wb") as file:
            file.truncate(octets)
            for number in range(octets >> 20):
                os.pwrite(file.fileno(), number.to_bytes(8, "little"), number << 20)


SETTLED_SECONDS: Final = 11.0
"""From this age on a file is sent from where it is: epollo reads one that was changed lately."""


class Sites:
    """The sites that were asked for, each written once below ``scratch``."""

    def __init__(self, scratch: Path, tiny_count: int):
        self._scratch, self.tiny_count = scratch, tiny_count

    def find(self, name: str, copy: str = "") -> Path:
        """Return the folder of a site; one of another ``copy`` is a folder of its own."""
        folder = self._scratch / f"site-{name}{copy and '-'}{copy}"
        if not folder.exists():
            folder.mkdir(mode=0o755)
            self._write(name, folder)
        return folder

    def _write(self, name: str, folder: Path) -> None:
        match name:
            case "tiny":
                write_tiny(folder, self.tiny_count)
            case "changing":
                write_tiny(folder, 1_000)
                write_file(folder, "/changed.png", random.Random(29).randbytes(TINY_OCTETS))
            case "crawled":
                write_crawled(folder, self.tiny_count)
            case "docs" | "docs-coded":
                write_docs(folder, name == "docs-coded")
            case "arena":
                write_arena(folder)
            case "large":
                write_large(folder, {"1g.bin": HUGE_OCTETS, "256m.bin": LARGE_OCTETS})
                write_large(folder, {"10m.bin": DOWNLOAD_OCTETS})
                write_file(folder, "/1k.png", random.Random(31).randbytes(1024))
                time.sleep(SETTLED_SECONDS)
            case _:
                raise ValueError(name)
