"""Who is ready? Four answers to the question, behind one contract (see `contract`)."""

import select as system
from collections.abc import Callable
from typing import Final

from epollo.errors import OperatorError
from epollo.pollers.busy import BusyPoller
from epollo.pollers.contract import ERROR, HANGUP, READABLE, WRITABLE, Poller
from epollo.pollers.select import FD_SETSIZE, SelectPoller

__all__ = [
    "ERROR",
    "FD_SETSIZE",
    "HANGUP",
    "POLLERS",
    "READABLE",
    "WRITABLE",
    "Poller",
    "open_poller",
]

POLLERS: Final[dict[str, Callable[[], Poller]]] = {"busy": BusyPoller, "select": SelectPoller}
"""The pollers that this system has, from the dearest to the best."""

if hasattr(system, "poll"):
    from epollo.pollers.poll import PollPoller

    POLLERS["poll"] = PollPoller
if hasattr(system, "epoll"):
    from epollo.pollers.epoll import open_epoll

    POLLERS["epoll"] = open_epoll


def open_poller(name: str) -> tuple[str, Poller]:
    """Return a poller and its name; ``auto`` takes the best that this system has.

    Raises `OperatorError` where the system lacks the named one.
    """
    if name == "auto":
        name = list(POLLERS)[-1]
    try:
        return name, POLLERS[name]()
    except KeyError:
        raise OperatorError(f"this system has no {name}; it has {', '.join(POLLERS)}") from None
