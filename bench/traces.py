"""What the wide benchmark asks for: requests as they are sent, and their order.

Each function returns the same trace every time; chance is seeded. ``Learned`` is what the server that is
asked said of a target: a coding has another length in each server, and an entity tag is the server's own.
"""

import itertools
import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from replay import STAMP, Asked, Trace, compose_get
from sites import (
    ARENA,
    ASSETS,
    DOWNLOAD_OCTETS,
    LARGE_OCTETS,
    PAGES,
    TINY_OCTETS,
    crawled_target,
    page_octets,
    page_target,
    tiny_target,
)
from wire import Fields

DRAWS: Final = 200_000
"""Steps of an order that chance makes; then it begins again."""
RANGE_OCTETS: Final = 64 << 10
CODINGS: Final = ("Accept-Encoding", "gzip, deflate, br, zstd")
ARENA_CODINGS: Final = ("Accept-Encoding", "br;q=1, gzip;q=0.8")
PLAIN: Final[Fields] = (("User-Agent", "replay"), ("Accept", "*/*"))

_AGENTS: Final = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for system in (
        *("X11; Linux x86_64", "Windows NT 10.0; Win64; x64"),
        *("Macintosh; Intel Mac OS X 10_15_7", "Linux; Android 10; K"),
    )
    for version in range(126, 138)
)
_LANGUAGES: Final = ("en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "zh-CN,zh;q=0.9", "fr,en;q=0.7")


class Known(NamedTuple):
    """What a server said of a target: status, length of the content as it is sent, entity tag."""

    status: int
    octets: int
    entity_tag: str


Learned = Mapping[str, Known]


def compose_tiny(count: int) -> Trace:
    """Return ``count`` files of 4 KiB, each as likely as any other."""
    asked = [Asked(compose_get(tiny_target(n), PLAIN), 200, TINY_OCTETS) for n in range(count)]
    chance = random.Random(41)
    return Trace(asked, [chance.randrange(count) for _ in range(max(DRAWS, count))])


def compose_zipf(count: int, exponent: float) -> Trace:
    """Return files asked for as a site's readers do: the n-th most wanted 1 / n ** exponent as often.

    Rank and place have nothing to do with each other: the wanted ones are spread over the folders.
    """
    asked = compose_tiny(count).asked
    chance = random.Random(43)
    places = list(range(count))
    chance.shuffle(places)
    sums = list(itertools.accumulate(rank**-exponent for rank in range(1, count + 1)))
    return Trace(asked, chance.choices(places, cum_weights=sums, k=DRAWS))


def compose_missing(count: int) -> Trace:
    """Return links to pages that are gone, in folders that stand."""
    asked = [
        Asked(compose_get(tiny_target(number).replace("/f", "/gone"), PLAIN), 404)
        for number in range(count)
    ]
    chance = random.Random(47)
    return Trace(asked, [chance.randrange(count) for _ in range(DRAWS)])


def compose_ranges(count: int) -> Trace:
    """Return ranges of 64 KiB of one large file, none of them twice."""
    chance = random.Random(53)
    asked = []
    for first in chance.sample(range(LARGE_OCTETS - RANGE_OCTETS), count):
        field = ("Range", f"bytes={first}-{first + RANGE_OCTETS - 1}")
        asked.append(Asked(compose_get("/256m.bin", (*PLAIN, field)), 206, RANGE_OCTETS))
    return Trace(asked, range(count))


def compose_cold(count: int) -> Trace:
    """Return each file once, as a crawler asks for it: folder after folder."""
    asked = [Asked(compose_get(tiny_target(n), PLAIN), 200, TINY_OCTETS) for n in range(count)]
    return Trace(asked, range(count))


def compose_crawl(count: int) -> Trace:
    """Return each page once, with the fields of a browser; it may come in any coding."""
    asked = [Asked(compose_page(crawled_target(number), "/"), 200) for number in range(count)]
    return Trace(asked, range(count))


def compose_changed() -> Trace:
    """Return the one file that is changed, again and again."""
    return Trace([Asked(compose_get("/changed.png", PLAIN), 200, TINY_OCTETS)], [0])


def compose_whole(target: str, octets: int) -> Trace:
    return Trace([Asked(compose_get(target, PLAIN), 200, octets)], [0])


def compose_download() -> Trace:
    return compose_whole("/10m.bin", DOWNLOAD_OCTETS)


def arena_targets() -> list[str]:
    return [f"/static/{name}" for name, _ in ARENA]


def compose_arena(learned: Learned) -> Trace:
    """Return HttpArena's twenty files in turn, each with the field of its load generator."""
    asked = []
    for target in arena_targets():
        head = compose_get(target, (*PLAIN, ARENA_CODINGS))
        asked.append(Asked(head, 200, learned[target].octets))
    return Trace(asked, range(len(asked)))


def compose_page(target: str, referer: str, chance: random.Random | None = None) -> bytes:
    """Return a browser's head for a page or what belongs to it; its cookie is another each time."""
    chance = chance or random.Random(target)
    return compose_get(target, _browser_fields(target, referer, chance))


def _browser_fields(target: str, referer: str, chance: random.Random) -> Fields:
    is_page = target.endswith((".html", "/"))
    accept = (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
        if is_page
        else "*/*"
    )
    return (
        ("Connection", "keep-alive"),
        ("sec-ch-ua-platform", '"Linux"'),
        ("User-Agent", chance.choice(_AGENTS)),
        ("Accept", accept),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate" if is_page else "no-cors"),
        ("Sec-Fetch-Dest", "document" if is_page else "empty"),
        ("Referer", f"https://site.example{referer}"),
        CODINGS,
        ("Accept-Language", chance.choice(_LANGUAGES)),
        ("Cookie", f"theme=dark; _ga=GA1.1.{chance.randrange(10**9)}; session={STAMP}"),
    )


def docs_targets() -> list[str]:
    """Return all targets of the site of documentation that stand."""
    return [*(page_target(number) for number in range(PAGES)), *(target for target, _ in ASSETS)]


def compose_docs(learned: Learned, *, is_checked: bool = True, visits: int = 3_000) -> Trace:
    """Return visits to a site of documentation, a page and five of its parts each.

    Seven in ten readers have been there and ask whether what they have is current. One request in
    twenty is for a page that is gone, one in fifty for a range. Pages are wanted by Zipf's law. If not
    ``is_checked``, a 304 may be a 200, and lengths may differ: codings are being made.
    """
    chance = random.Random(59)
    asked: list[Asked] = []
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(PAGES)))

    def append(target: str, referer: str, *, is_conditional: bool) -> None:
        fields = _browser_fields(target, referer, chance)
        known = learned[target]
        status, octets = known.status, known.octets
        if is_conditional and known.entity_tag:
            fields = (*fields, ("If-None-Match", known.entity_tag))
            status, octets = 304, 0
        if not is_checked:
            status, octets = 0, -1
        asked.append(Asked(compose_get(target, fields), status, octets))

    for _ in range(visits):
        page, came_from = (
            page_target(number) for number in chance.choices(range(PAGES), cum_weights=weights, k=2)
        )
        is_back = chance.random() < 0.7
        append(page, came_from, is_conditional=is_back and chance.random() < 0.5)
        for target, _ in chance.sample(ASSETS, 5):
            append(target, page, is_conditional=is_back)
        if chance.random() < 0.3:
            gone = page.replace(".html", f"-{chance.randrange(400)}.html")
            asked.append(Asked(compose_get(gone, _browser_fields(gone, page, chance)), 404))
        if chance.random() < 0.12:
            target, octets = chance.choice([item for item in ASSETS if item[0].endswith(".png")])
            first = chance.randrange(octets // 2)
            field = ("Range", f"bytes={first}-{first + 2047}")
            head = compose_get(target, (*_browser_fields(target, page, chance), field))
            asked.append(Asked(head, 206, min(2048, octets - first)))
    return Trace(asked, range(len(asked)))


def sizes_of_docs() -> dict[str, int]:
    """Return the length of each file of the documentation, without a coding."""
    sizes = {page_target(number): page_octets(number) for number in range(PAGES)}
    return sizes | dict(ASSETS)
