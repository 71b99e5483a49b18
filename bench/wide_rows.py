"""The rows of the wide benchmark: each load as data, and the bar that epollo is held to."""

import functools
from collections.abc import Callable
from typing import Final

from replay import Trace
from sites import COLD, DOWNLOAD_OCTETS, HUGE_OCTETS, tiny_target
from traces import (
    ARENA_CODINGS,
    CODINGS,
    Learned,
    arena_targets,
    compose_arena,
    compose_changed,
    compose_cold,
    compose_crawl,
    compose_docs,
    compose_download,
    compose_missing,
    compose_ranges,
    compose_tiny,
    compose_whole,
    compose_zipf,
    docs_targets,
)
from wide_load import Beside, Row

WIDTHS: Final = (100, 1_000, 3_000, 10_000, 30_000)
"""Numbers of URLs of the picture."""
PICTURED: Final = ("epollo", "nginx", "h2o", "lighttpd")
CACHED: Final = 10_000
"""This many files fit into nginx's cache everywhere; with more, another configuration may be its best."""
LARGE_CACHE: Final = ("--cache-size", "2G")
CHANGED: Final = "/changed.png"
PLAIN_FILES: Final = tuple(tiny_target(number) for number in range(1_000))


def _given(compose: Callable[..., Trace], *words: float | str) -> Callable[[Learned], Trace]:
    """Return a function of what was learned, for a trace that does not depend on it."""
    return lambda _learned: compose(*words)


def _uniform(count: int) -> Row:
    return Row(
        f"uniform-{count}", f"{count:,} files of 4 KiB", _given(compose_tiny, count),
        servers=PICTURED, bar=1.0 if count >= 1_000 else None, checked=PLAIN_FILES[:count], files=count,
        is_quick=count in {1_000, 10_000}, together="uniform",
        best="tiny" if count <= CACHED else "wide",
    )  # fmt: skip


def _zipf(exponent: float, bar: float) -> Row:
    return Row(
        f"zipf-{exponent}", f"100,000 files of 4 KiB, Zipf {exponent}",
        _given(compose_zipf, 100_000, exponent), options=LARGE_CACHE, bar=bar,
        checked=PLAIN_FILES, files=100_000, best="wide",
    )  # fmt: skip


def _arena(connections: int, bar: float) -> Row:
    return Row(
        f"arena-{connections}", f"HttpArena's static files, {connections:,} connections",
        compose_arena, site="arena", best="arena", connections=connections,
        servers=("epollo", "nginx", "fastpysgi"), learned=tuple(arena_targets()),
        codings=(ARENA_CODINGS,), coded_site="arena", bar=bar, checked=tuple(arena_targets()),
    )  # fmt: skip


_DOCS: Final = functools.partial(
    Row, site="docs", coded_site="docs-coded", best="docs", learned=tuple(docs_targets()),
    codings=(CODINGS,), checked=tuple(docs_targets()),
)  # fmt: skip

ROWS: Final = (
    *(_uniform(count) for count in WIDTHS),
    _zipf(0.9, 1.3),
    _zipf(1.1, 1.15),
    Row(
        "paced", "10,000 URLs at 6,000 requests a second", _given(compose_tiny, 10_000), rate=6_000,
        servers=PICTURED, bar=1.5, checked=PLAIN_FILES, files=10_000, is_quick=True,
    ),
    _DOCS("docs", "documentation, a browser's heads, codings finished", compose_docs, bar=1.3,
          is_quick=True),
    _DOCS("docs-made", "documentation, a browser's heads, codings being made",
          functools.partial(compose_docs, is_checked=False), is_restarted=True, bar=1.6),
    Row("missing", "404 over 3,000 names", _given(compose_missing, 3_000), servers=PICTURED, bar=1.1,
        files=3_000, is_quick=True),
    Row("ranges", "64 KiB ranges of one file, each another", _given(compose_ranges, 40_000),
        site="large", best="ranges", bar=1.6, is_quick=True),
    Row("cold", "the first request of a file of 4 KiB", _given(compose_cold, COLD), best="cold",
        is_cold=True, bar=4, checked=PLAIN_FILES, files=COLD, is_quick=True),
    Row("cold-paced", "the first request of a file, p99 at 2,500 a second",
        _given(compose_cold, COLD), best="cold", is_cold=True, rate=2_500, figure="p99", bar=4,
        files=COLD),
    Row("crawl", "the first request of a page of 4 KiB, codings accepted",
        _given(compose_crawl, COLD), site="crawled", best="cold", is_cold=True,
        files=COLD),
    Row("rewritten", "one file, written over 1,000 times a second", _given(compose_changed),
        site="changing", best="changed", is_own_site=True, bar=3,
        beside=Beside(CHANGED, "rewrite", 1_000)),
    Row("replaced", "1,000 URLs at 6,000 a second, another replaced 100 times a second",
        _given(compose_tiny, 1_000), site="changing", best="tiny", rate=6_000, is_own_site=True,
        bar=1.5, beside=Beside(CHANGED, "replace", 100), checked=PLAIN_FILES),
    *(_arena(connections, bar) for connections, bar in
      ((64, 0.9), (256, 0.95), (1_024, 0.85), (4_096, 0.85))),
    Row("beside-downloads", "1 KiB at 200 a second beside 16 downloads of 256 MiB, p99",
        _given(compose_whole, "/1k.png", 1024), site="large", connections=8, rate=200,
        figure="p99", bar=0.7, is_urgent=True, beside=Beside("/256m.bin", connections=16),
        variants=("sendfile tcp_nopush",)),
    Row("10m", "10 MiB", _given(compose_download), site="large", best="large",
        unit_octets=DOWNLOAD_OCTETS, bar=1.1),
    Row("1g-1", "1 GiB, one reader", _given(compose_whole, "/1g.bin", HUGE_OCTETS), site="large",
        best="large", connections=1, unit_octets=HUGE_OCTETS, bar=1.1),
    Row("1g-64", "1 GiB, 64 readers", _given(compose_whole, "/1g.bin", HUGE_OCTETS), site="large",
        best="large", connections=64, unit_octets=HUGE_OCTETS, bar=1.1),
)  # fmt: skip
