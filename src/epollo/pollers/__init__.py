"""Which descriptors are ready? Four answers to the question, behind one contract (see `contract`)."""

import select as system
from collections.abc import Callable

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.named_tuples import NamedTuple
from epollo.pollers import busy
from epollo.pollers import select as select_
from epollo.pollers.contract import (
    ERROR,
    HANGUP,
    READABLE,
    WRITABLE,
    OpenPoller,
    Poller,
    Traits,
)
from epollo.pollers.select import FD_SETSIZE

__all__ = [
    "ERROR",
    "FD_SETSIZE",
    "HANGUP",
    "POLLERS",
    "READABLE",
    "WRITABLE",
    "Mechanism",
    "OpenPoller",
    "Poller",
    "Traits",
    "open_poller",
]


class Mechanism(NamedTuple):
    """A way to ask the kernel: how a poller of it is opened, and what holds of it."""

    open: Callable[[], Poller]
    traits: Traits


POLLERS: Final[dict[str, Mechanism]] = {
    "busy": Mechanism(busy.BusyPoller, busy.TRAITS),
    "select": Mechanism(select_.SelectPoller, select_.TRAITS),
}
"""The pollers that this system has, from the most expensive to the best."""

if hasattr(system, "poll"):
    from epollo.pollers import poll

    POLLERS["poll"] = Mechanism(poll.PollPoller, poll.TRAITS)
if hasattr(system, "epoll"):
    from epollo.pollers import epoll

    POLLERS["epoll"] = Mechanism(epoll.open_epoll, epoll.TRAITS)


def open_poller(name: str) -> OpenPoller:
    """Open a poller; ``auto`` takes the best that this system has.

    Raises `OperatorError` if the system lacks the named one.
    """
    if name == "auto":
        name = list(POLLERS)[-1]
    try:
        mechanism = POLLERS[name]
    except KeyError:
        raise OperatorError(f"this system has no {name}; it has {', '.join(POLLERS)}") from None
    return OpenPoller(name, mechanism.open(), mechanism.traits)
