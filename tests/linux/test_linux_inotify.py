"""Events of inotify are read as inotify_simple reads them."""

import os
import struct

from hypothesis import given
from hypothesis import strategies as st
from inotify_simple import parse_events

from epollo.linux.inotify import list_events

NAMES = st.binary(max_size=255).map(lambda name: name.replace(b"\0", b"").replace(b"/", b""))
NUMBERS = st.integers(-1, 2**31 - 1)
MASKS = st.integers(0, 2**32 - 1)


def format_event(number: int, mask: int, name: bytes) -> bytes:
    # inotify(7): a name is filled up with NUL to where the next event may begin.
    length = -(-(len(name) + 1) // 16) * 16 if name else 0
    return struct.pack("iIII", number, mask, 7, length) + name.ljust(length, b"\0")


@given(st.lists(st.tuples(NUMBERS, MASKS, NAMES), max_size=20))
def test_events_are_those_of_inotify_simple(events: list[tuple[int, int, bytes]]) -> None:
    octets = b"".join(format_event(*event) for event in events)
    assert list(list_events(octets)) == events
    theirs = [(one.wd, one.mask, os.fsencode(one.name)) for one in parse_events(octets)]
    assert theirs == events
