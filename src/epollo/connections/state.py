"""The states of a connection."""

from enum import IntEnum


class State(IntEnum):
    """Up to `BETWEEN` nothing of a request is here; from `BEHIND` on nothing is read."""

    NEW = 0
    IDLE = 1
    BETWEEN = 2
    """Half an empty line is here, which is no request (RFC 9112 section 2.2) and moves no deadline."""
    RECEIVING = 3
    """Part of a request is here; its deadline stands, and no further octet moves it."""
    LINGERING = 4
    """The last answer was sent; what the peer still sends is thrown away for a while."""
    BEHIND = 5
    """More requests may be complete than one turn could answer."""
    WAITING = 6
    """The answer to a request waits for a result (`Later`)."""
    FINISHING = 7
    """To be closed as soon as the peer has taken what it is owed."""
    CLOSED = 8


# Plain numbers: an attribute of an enumeration costs more than the comparison.
NEW, IDLE, BETWEEN, RECEIVING, LINGERING, BEHIND, WAITING, FINISHING, CLOSED = map(int, State)
