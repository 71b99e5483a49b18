"""What stands in a folder, and its order: pure functions, in steps where they may take long.

A *step* is what a generator does up to its next ``yield``: well under a millisecond.
"""

import heapq
from collections.abc import Callable, Generator, Iterator, Sequence
from enum import Enum
from itertools import islice

from epollo.annotations import TYPE_CHECKING, Any, Final, TypeAlias
from epollo.named_tuples import NamedTuple
from epollo.patterns import compile_late
from epollo.site.resolve import Names

if TYPE_CHECKING:
    # Loaded where a site has passwords.
    from epollo.site.access.realm import Realm
_STEP_ENTRIES: Final = 128
_SORTED_AT_ONCE: Final = 1024
# Digits beyond these say nothing of an order, and int() refuses more than some thousand of them.
_NUMBER: Final = compile_late(r"([0-9]{1,40})")


class Entry(NamedTuple):
    """A name in a folder, and what stands there.

    ``octets`` is 0 for a folder. ``modified_ns`` is since 1970; None if no time is shown.
    """

    name: bytes
    is_folder: bool
    octets: int
    modified_ns: int | None


class Sort(Enum):
    """By what entries are sorted."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


Steps: TypeAlias = Generator[None, None, Sequence[Entry]]


def make_natural_key(name: bytes) -> list[Any]:
    """Return a key by which ``file9`` stands before ``file10``, and ``A`` beside ``a``."""
    parts: list[Any] = _NUMBER.split(name.decode("utf-8", "surrogateescape").casefold())
    # Texts and numbers take turns, so that a text is never compared with a number.
    parts[1::2] = map(int, parts[1::2])
    return parts


def order_in_steps(entries: Sequence[Entry], sort: Sort, *, is_descending: bool) -> Steps:
    """Return the entries in order: folders first, whatever the direction."""
    folders: list[Entry] = []
    files: list[Entry] = []
    for start in range(0, len(entries), _STEP_ENTRIES):
        for entry in entries[start : start + _STEP_ENTRIES]:
            (folders if entry.is_folder else files).append(entry)
        yield
    ordered: list[Entry] = []
    for some in (folders, files):
        ordered += yield from _sort_in_steps(some, _KEYS[sort], is_descending=is_descending)
    return ordered


def leave_out_in_steps(entries: Sequence[Entry], realm: "Realm", folder: Names) -> Steps:
    """Return the entries of a folder that need no password."""
    found: list[Entry] = []
    for start in range(0, len(entries), _STEP_ENTRIES):
        some = entries[start : start + _STEP_ENTRIES]
        found += (entry for entry in some if not realm.has((*folder, entry.name)))
        yield
    return found


def search_in_steps(entries: Sequence[Entry], search: str) -> Steps:
    """Return the entries that have each word of the search in their names, whatever its case."""
    words = search.casefold().split()
    found: list[Entry] = []
    for start in range(0, len(entries), _STEP_ENTRIES):
        for entry in entries[start : start + _STEP_ENTRIES]:
            name = entry.name.decode("utf-8", "replace").casefold()
            if all(word in name for word in words):
                found.append(entry)
        yield
    return found


_KEYS: Final[dict[Sort, Callable[[Entry], Any]]] = {
    Sort.NAME: lambda entry: make_natural_key(entry.name),
    Sort.SIZE: lambda entry: (entry.octets, make_natural_key(entry.name)),
    Sort.TIME: lambda entry: (
        -1 if entry.modified_ns is None else entry.modified_ns,
        make_natural_key(entry.name),
    ),
}


def _drain(part: list[tuple[Any, Entry]]) -> Iterator[tuple[Any, Entry]]:
    """Yield what is in a list and take it out: to release all keys at once would take a while."""
    part.reverse()
    while part:
        yield part.pop()


def _sort_in_steps(
    entries: Sequence[Entry], key: Callable[[Entry], Any], *, is_descending: bool
) -> Steps:
    """Sort parts of a thousand, and merge them: a sort of all cannot be interrupted."""
    parts: list[list[tuple[Any, Entry]]] = []
    for start in range(0, len(entries), _SORTED_AT_ONCE):
        part: list[tuple[Any, Entry]] = []
        end = min(start + _SORTED_AT_ONCE, len(entries))
        for begin in range(start, end, _STEP_ENTRIES):
            part += ((key(one), one) for one in entries[begin : min(begin + _STEP_ENTRIES, end)])
            yield
        # Equal keys are told apart by the names, no two of which are equal.
        part.sort(reverse=is_descending)
        parts.append(part)
        yield
    if len(parts) == 1:
        return [entry for _, entry in parts[0]]
    merged = heapq.merge(*map(_drain, parts), reverse=is_descending)
    ordered: list[Entry] = []
    while some := [entry for _, entry in islice(merged, _STEP_ENTRIES)]:
        ordered += some
        yield
    return ordered
