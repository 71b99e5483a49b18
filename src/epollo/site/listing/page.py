"""A page of a listing as a value: what is shown of a folder, in no form yet.

Every reference is relative to the folder, so that a listing also works below a path of a proxy.
"""

import time
from collections.abc import Sequence

from epollo.annotations import Final
from epollo.http.target import encode_path
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late
from epollo.site.listing.entries import Entry
from epollo.site.listing.view import ALL, View
from epollo.site.media_types import select_media_type
from epollo.site.resolve import Names

PAGE_ENTRIES: Final = 5000
"""The most entries of a page: some hundred kilobytes, which a browser shows at once."""
WHOLE_ENTRIES: Final = 250_000
"""The most entries of the page that has all, some fifty megabytes; of more there are only the others."""

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_YEAR_1_SECONDS: Final = -62_135_596_800
_YEAR_9999_SECONDS: Final = 253_370_764_800
_YEAR_10000_SECONDS: Final = 253_402_300_800
# A colon would make what stands before it a scheme; some tools decode the two others.
_ENCODED_BESIDES: Final = {b":"[0]: "%3A", b"&"[0]: "%26", b";"[0]: "%3B"}
_CONTROLS: Final = compile_late(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ARCHIVES: Final = frozenset(b"7z br bz2 deb gz jar lz lz4 rar rpm tar tgz txz xz zip zst".split())
_CODE: Final = frozenset(
    b"""bash bat c cc cpp css dart ex exs fish go graphql h hpp hs html java jl js json jsx kt less lua
    m mjs ml php pl proto ps1 py pyi r rb rs scala scss sh sql swift toml ts tsx vue xml yaml yml zig
    zsh""".split()
)


class Crumb(NamedTuple):
    """A folder on the way to the one that is shown; ``href`` leads there."""

    name: str
    href: str


class Page(NamedTuple):
    """A page of a listing.

    ``entries`` are those of this page, ``total`` is how many there are on all ``pages`` together, of
    which ``folders`` are folders; ``octets`` are those of all files together. ``crumbs`` are the folders
    from the root to this one.
    """

    view: View
    folder: Names
    crumbs: tuple[Crumb, ...]
    entries: Sequence[Entry]
    total: int
    folders: int
    octets: int
    pages: int


def make_page(names: Names, view: View, entries: Sequence[Entry], octets: int) -> Page:
    """Return the page of a folder that a view asks for, or the last one where it has fewer.

    The page of all entries is the first where there is one only, or where they are too many.

    ``entries`` are all that were found, in order, and ``octets`` those of all files among them.
    """
    pages = max(1, -(-len(entries) // PAGE_ENTRIES))
    number = min(view.page, pages)
    if number == ALL and not PAGE_ENTRIES < len(entries) <= WHOLE_ENTRIES:
        number = 1
    start = max(0, number - 1) * PAGE_ENTRIES
    if number == ALL:
        pages = 1
    return Page(
        view._replace(page=number),
        names,
        make_crumbs(names),
        entries if number == ALL else entries[start : start + PAGE_ENTRIES],
        len(entries),
        count_folders(entries),
        octets,
        pages,
    )


def count_folders(entries: Sequence[Entry]) -> int:
    """Return how many folders stand before the files."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle].is_folder:
            low = middle + 1
        else:
            high = middle
    return low


def make_crumbs(names: Names) -> tuple[Crumb, ...]:
    """Return the folders from the root to the one at a path of names."""
    depth = len(names)
    ways = ["../" * (depth - index) or "./" for index in range(depth + 1)]
    shown = ["Home", *map(show_name, names)]
    return tuple(map(Crumb, shown, ways))


def format_href(entry: Entry) -> str:
    """Return the reference from the folder to what stands there; it has exactly the bytes of the name."""
    names = (entry.name, b"") if entry.is_folder else (entry.name,)
    return encode_path(names)[1:].decode("ascii").translate(_ENCODED_BESIDES)


def show_name(name: bytes) -> str:
    """Return a name as text: U+FFFD stands for what is not UTF-8 and for what cannot be seen."""
    return _CONTROLS.sub("\ufffd", name.decode("utf-8", "replace"))


def show_size(octets: int) -> str:
    """Return a number of bytes as it is read: three digits and a unit of 1,024s."""
    if octets < 1024:
        return f"{octets} {'byte' if octets == 1 else 'bytes'}"
    value = float(octets)
    unit = 0
    # What would be rounded up to 1,024 of a unit is one of the next.
    while value >= 1023.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}" if value < 99.95 else f"{value:.0f} {_UNITS[unit]}"


def format_time(modified_ns: int) -> str:
    """Return an instant in UTC (RFC 3339), to the second; the nearest that the form has."""
    seconds = max(_YEAR_1_SECONDS, modified_ns // 1_000_000_000)
    if seconds >= _YEAR_10000_SECONDS:
        seconds = _YEAR_9999_SECONDS
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def select_kind(entry: Entry) -> str:
    """Return what stands there in one word: for the eye, by the name alone."""
    if entry.is_folder:
        return "folder"
    extension = entry.name.rpartition(b".")[2].lower() if b"." in entry.name else b""
    if extension in _ARCHIVES:
        return "archive"
    if extension in _CODE:
        return "code"
    media_type = select_media_type(entry.name).value
    kind = media_type.partition(b"/")[0].decode()
    if kind in {"image", "audio", "video", "text", "font"}:
        return kind
    return "document" if media_type == b"application/pdf" or b"document" in media_type else "file"
