"""inotify(7) as inotify_simple has it, with the C library that is in this process already.

Facts: when `INotify` is first used, inotify_simple looks for the C library by ldconfig(8), a compiler
and temporary files, each of which may be missing or refused. It does so by `ctypes.util`, which loads
`tempfile`, `shutil` and compressors: a fourteenth of what a worker loads.
Decision: it is given the library, and `ctypes.util` is not loaded.
Consequence: all other modules import inotify_simple's names from here.
Price: two names that inotify_simple does not promise; if they are gone, it looks for the library again.
"""

import importlib
import struct
import sys
from collections.abc import Container, Iterator
from types import ModuleType

from epollo.annotations import Final
from epollo.linux.libc import LIBC

_SEARCH: Final = "ctypes.util"


def _load_without_search() -> ModuleType:
    """Load inotify_simple with a stand-in for what would look for the C library."""
    if _SEARCH in sys.modules or "inotify_simple" in sys.modules:
        return importlib.import_module("inotify_simple")
    stand_in = ModuleType(_SEARCH)
    # None stands for the process itself, of which the C library is a part (dlopen(3)).
    stand_in.__dict__["find_library"] = lambda _: None
    sys.modules[_SEARCH] = stand_in
    try:
        return importlib.import_module("inotify_simple")
    finally:
        del sys.modules[_SEARCH]


_load_without_search().__dict__["_libc"] = LIBC

from inotify_simple import INotify, flags, parse_events  # noqa: E402 - loaded as above

__all__ = ["CHANGES", "INotify", "flags", "list_events", "parse_events"]

CHANGES: Final = (
    flags.ATTRIB
    | flags.CLOSE_WRITE
    | flags.CREATE
    | flags.DELETE
    | flags.DELETE_SELF
    | flags.MODIFY
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.MOVE_SELF
)
"""Every event of a folder by which a name in it, or what stands there, may be another."""

# struct inotify_event: number of the watch, mask, cookie, octets of the name with what fills it up.
_EVENT: Final = struct.Struct("iIII")


def list_events(octets: bytes, without: Container[int] = ()) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, mask and name of each event that was read (inotify(7)); no name is ``b""``.

    Events of the numbers in ``without`` are passed over.

    In a storm of changes most events are of names that nothing depends on. For each, this takes an
    eighth of the time that `inotify_simple.parse_events` takes.
    """
    unpack = _EVENT.unpack_from
    begin = _EVENT.size
    position = 0
    while position < len(octets):
        number, mask, _, length = unpack(octets, position)
        position += begin + length
        if number not in without:
            name = octets[position - length : position].rstrip(b"\0") if length else b""
            yield number, mask, name
