"""epoll(7): the event-notification server's poller.

Facts: the kernel keeps the list of descriptors itself, and each socket that becomes ready puts
itself on a second list; ``epoll_wait`` copies out that second list and nothing else.
Consequence: a call costs what is ready, not what is registered.
Decision: level-triggered, one registration per connection, ``modify`` only when a peer does not
take its answer; edge-triggering would save nothing here, since one ``recv`` takes a whole request.
Price: Linux only.
"""

import math
import select

from epollo.annotations import Final
from epollo.pollers.contract import Traits

# select.epoll.poll returns at most FD_SETSIZE - 1 events at once (Modules/selectmodule.c).
TRAITS: Final = Traits(
    is_instant=True, batch_limit=1023, descriptor_limit=math.inf, is_ordered=True
)


def open_epoll() -> select.epoll:
    """Return the interpreter's own epoll object: it has the names of the contract already."""
    return select.epoll()
