"""What is asked: the files, and each workload as data."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from wire import Fields

CONNECTIONS = 64

USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Safari/537.36"
)
BROWSER_FIELDS: Fields = (
    ("Connection", "keep-alive"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("User-Agent", USER_AGENT),
    ("sec-ch-ua", '"Chromium";v="130", "Not?A_Brand";v="99"'),
    ("sec-ch-ua-mobile", "?0"),
    ("Accept", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "no-cors"),
    ("Sec-Fetch-Dest", "image"),
    ("Referer", "http://127.0.0.1/1k.html"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,zh;q=0.8"),
)


@dataclass(frozen=True)
class Workload:
    """One kind of request, and what must come back.

    ``first`` and ``last`` bound the part of the file that is the content, as Python slices do.
    ``idle`` is the number of connections that stay open besides and ask nothing after their first
    request.
    """

    name: str
    title: str
    file: str
    fields: Fields = ()
    status: str = "200 OK"
    first: int = 0
    last: int | None = None
    coding: str = ""
    script: str = "report.lua"
    depth: int = 1
    idle: int = 0
    is_closing: bool = False
    is_conditional: bool = False

    @property
    def target(self) -> str:
        """Return the request target, in origin-form."""
        return f"/{self.file}"

    def content(self, site: dict[str, bytes]) -> bytes:
        """Return the content that a right answer carries, not encoded."""
        return site[self.file][self.first : self.last]


WORKLOADS = (
    Workload("1k", "1 KiB", "1k.html"),
    Workload("10k", "10 KiB", "10k.css"),
    Workload("100k", "100 KiB", "100k.jpg"),
    Workload("10m", "10 MiB", "10m.bin"),
    Workload(
        "new-connection",
        "1 KiB, a new connection per request",
        "1k.html",
        fields=(("Connection", "close"),),
        is_closing=True,
    ),
    Workload(
        "unique",
        "1 KiB, a browser's fields, every request another",
        "1k.png",
        fields=BROWSER_FIELDS,
        script="unique.lua",
    ),
    Workload(
        "gzip",
        "100 KiB of text, compressed",
        "text.html",
        fields=(("Accept-Encoding", "gzip"),),
        coding="gzip",
    ),
    Workload(
        "304", "304 Not Modified", "1k.html", status="304 Not Modified", last=0, is_conditional=True
    ),
    Workload(
        "range",
        "100 octets of 100 KiB",
        "100k.jpg",
        fields=(("Range", "bytes=0-99"),),
        status="206 Partial Content",
        last=100,
    ),
    Workload("pipelined", "1 KiB, 16 pipelined", "1k.html", script="pipelined.lua", depth=16),
    Workload("idle-1000", "1 KiB, 1,000 idle connections besides", "1k.html", idle=1_000),
    Workload("idle-10000", "1 KiB, 10,000 idle connections besides", "1k.html", idle=10_000),
)


def compose_text(chance: random.Random, octets: int) -> bytes:
    """Return a page of made-up words, frequent ones short: it compresses about as prose does."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [1 / (rank + 2) for rank in range(len(letters))]
    words = [
        "".join(chance.choices(letters, weights, k=2 + min(rank // 40, 9))) for rank in range(1_500)
    ]
    ranks = [1 / (rank + 1) for rank in range(len(words))]
    phrases = [" ".join(chance.choices(words, ranks, k=chance.randint(2, 7))) for _ in range(800)]
    weights = [1 / (rank + 8) for rank in range(len(phrases))]
    page = ["<!doctype html><html lang=en><meta charset=utf-8><title>Text</title>"]
    length = len(page[0])
    while length < octets:
        text = ", ".join(chance.choices(phrases, weights, k=12)).capitalize()
        page.append(f'<section class="part"><h2>{text[:24]}</h2>\n<p>{text}.</p></section>')
        length += len(page[-1]) + 1
    return "\n".join(page).encode("ascii")[:octets]


def compose_site() -> dict[str, bytes]:
    """Return the files, the same on every machine: text for text types, noise for pictures."""
    chance = random.Random(7)
    return {
        "1k.html": compose_text(chance, 1 << 10),
        "1k.png": chance.randbytes(1 << 10),
        "10k.css": compose_text(chance, 10 << 10),
        "100k.jpg": chance.randbytes(100 << 10),
        "10m.bin": chance.randbytes(10 << 20),
        "text.html": compose_text(chance, 100 << 10),
    }


def write_site(site: dict[str, bytes], folder: Path) -> None:
    """Write the files, readable by the accounts that servers started as root change to."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    for name, content in site.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o644)
