"""What a row of load is, as data, and which configurations of nginx are tried for it."""

import itertools
import resource
from collections.abc import Callable
from dataclasses import dataclass

from replay import Trace
from servers import NGINX_BROTLI
from traces import Learned
from wide_results import Bar
from wire import Fields


@dataclass(frozen=True)
class Beside:
    """What else happens to a server while it is measured.

    ``change`` is a way of ``changes.py``, ``target`` the file, ``rate`` how often in a second; without a
    change, ``connections`` download the target all the time.
    """

    target: str
    change: str = ""
    rate: float = 0
    connections: int = 0


@dataclass(frozen=True)
class Row:
    """One kind of load, and what must come back.

    - ``rate`` is in requests per second, 0 for a closed loop; ``figure`` is what is judged.
    - ``is_cold``: each round asks for ``part`` files that were never asked for.
    - ``is_restarted``: each round has a server that was just started.
    - ``learned`` are the targets for which each server is asked beforehand with ``codings``, until all
      texts are coded; ``coded_site`` is the site of servers that make no codings of their own.
    - ``unit_octets``: answers are counted by their octets, each this long, because large ones are under
      way when the time is over.
    - ``best`` names rows that share a search for the best of nginx, if there are no ``variants``.
    - rows of the same ``together`` are measured in the same rounds, so that their figures compare.
    - ``checked`` are targets that are compared with their files; ``files`` is how many the site needs.
    """

    name: str
    title: str
    compose: Callable[[Learned], Trace]
    site: str = "tiny"
    best: str = "tiny"
    connections: int = 64
    rate: float = 0
    figure: str = "cpu"
    servers: tuple[str, ...] = ("epollo", "nginx")
    options: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    codings: Fields = ()
    coded_site: str = ""
    is_cold: bool = False
    part: int = 3_000
    is_restarted: bool = False
    is_own_site: bool = False
    is_urgent: bool = False
    unit_octets: int = 0
    beside: Beside | None = None
    bar: float | None = None
    checked: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    files: int = 0
    is_quick: bool = False
    together: str = ""

    def count_files(self, rounds: int) -> int:
        """Return how many files the site needs for this many rounds."""
        return min(self.files, (rounds + 1) * self.part) if self.is_cold else self.files

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Return the bound of epollo's figure over nginx's, if there is one."""
        if self.bar is None:
            return ()
        return (Bar(figure=self.figure, ours="epollo", theirs="nginx", bound=self.bar),)


def open_file_cache() -> str:
    """Return the variant of nginx with its cache as large as can be: each file takes a descriptor."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return f"open_file_cache={max(1_000, min(200_000, hard - 5_000))}"


def nginx_variants(row: Row, is_quick: bool) -> list[str]:
    """Return the configurations of nginx to choose the best of."""
    if row.variants:
        return list(row.variants)
    cache = open_file_cache()
    ways: tuple[str, ...] = ("", "sendfile tcp_nopush", "output_buffers=1:128k")
    caches: tuple[str, ...] = ("", cache)
    if is_quick:
        ways, caches = (("sendfile tcp_nopush",) if row.site == "large" else ("",)), (cache,)
    static = "gzip_static" if row.coded_site else ""
    if row.coded_site == "arena" and NGINX_BROTLI.exists():
        static += " brotli_static"
    return [
        " ".join(filter(None, choice)) or "plain"
        for choice in itertools.product(ways, caches, [static])
    ]
