"""How fast a peer takes what it is owed, and when that is too slow.

Facts: octets that the kernel took need not have reached the peer: buffers hold megabytes, and report
room only when a third of them is free. SIOCOUTQ (tcp(7)) tells how many octets are not confirmed yet.
Decision: the pace is looked at when a deadline comes, not when something is sent: every
`WINDOW_SECONDS`, and when the peer may have taken nothing for too long. The peer has taken what was
owed at one look and is neither owed nor unconfirmed at the next.
Consequence: a download costs nothing for this, and a peer that takes a few octets now and then cannot
put its end off.
Price: a look is a system call; a peer that stops is noticed up to a window late.
"""

import fcntl
import math
import sys
import termios

from epollo.annotations import Final

WINDOW_SECONDS: Final = 10.0
"""The pace is averaged over this time; a peer that begins slowly has the first window as grace."""


class Pace:
    """The pace of one peer since it first did not take everything at once."""

    __slots__ = ("_begun", "_left_at_begin", "_left_octets", "_moved")

    def __init__(self, now: float, left_octets: int) -> None:
        self._begun = now
        """When this window began, with how many octets left."""
        self._left_at_begin = left_octets
        self._moved = now
        """When the peer was last seen to have taken something."""
        self._left_octets = left_octets

    def next_look(self, patience_seconds: float) -> float:
        """Return the instant of the next look."""
        return min(self._begun + WINDOW_SECONDS, self._moved + patience_seconds)

    def is_kept(
        self, now: float, left_octets: int, *, patience_seconds: float, octets_per_second: float
    ) -> bool:
        """Look; return whether the peer takes enough to be waited for.

        ``left_octets`` is what it has not taken yet.
        """
        if left_octets < self._left_octets:
            self._left_octets = left_octets
            self._moved = now
        elif now - self._moved >= patience_seconds:
            return False
        elapsed_seconds = now - self._begun
        if elapsed_seconds >= WINDOW_SECONDS:
            if self._left_at_begin - left_octets < math.floor(octets_per_second * elapsed_seconds):
                return False
            self._begun = now
            self._left_at_begin = left_octets
        return True


def count_unconfirmed_octets(descriptor: int) -> int:
    """Return how many octets the kernel has taken from us and the peer has not confirmed.

    0 where the kernel cannot tell.
    """
    try:
        # SIOCOUTQ has the number of TIOCOUTQ (tcp(7)).
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)
