"""inotify(7) as inotify_simple has it, with the C library that is in this process already.

Fact: when `INotify` is first used, inotify_simple looks for the C library by ldconfig(8), a compiler and
temporary files, each of which may be missing or refused.
Decision: it is given the library.
Price: a name of inotify_simple that it does not promise; without it, the library is looked for again.
"""

import struct
from collections.abc import Iterator
from typing import Final

import inotify_simple
from inotify_simple import INotify

from epollo.linux.libc import LIBC

__all__ = ["INotify", "list_events"]

inotify_simple._libc = LIBC

# struct inotify_event: number of the watch, mask, cookie, octets of the name with what fills it up.
_EVENT: Final = struct.Struct("iIII")


def list_events(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, mask and name of each event that was read (inotify(7)); no name is ``b""``.

    In a storm of changes most events are of names that nothing depends on: this takes an eighth of what
    `inotify_simple.parse_events` takes for each.
    """
    unpack = _EVENT.unpack_from
    begin = _EVENT.size
    position = 0
    while position < len(octets):
        number, mask, _, length = unpack(octets, position)
        position += begin
        name = octets[position : position + length].rstrip(b"\0") if length else b""
        position += length
        yield number, mask, name
