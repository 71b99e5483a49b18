"""The scheduler of a coder: urgent work first, each client in turn, none far ahead of the others.

Fact: urgent work goes first, also between two pieces of other work. So a client that always asks for some
would have all of the coder, and no other would ever get a coding that takes long.
Decision: the processor time that was spent on each client is counted. If one has had some seconds more
than another that waits, the other is served.
Consequence: a client that was idle for long has no claim to the time that it did not use: it begins
with as much as that waiting client has had which had the least.
"""

from collections import OrderedDict, deque

from epollo.annotations import Final
from epollo.coder.clients import Client, Work
from epollo.coder.messages import Grade

AHEAD_SECONDS: Final = 3.0
"""How much more processor time a client may have had than another one that waits."""
_REMEMBERED_LIMIT: Final = 1024


class Scheduler:
    """The clients of a coder, the next to be served first."""

    def __init__(self) -> None:
        self._clients: deque[Client] = deque()
        # What was spent on clients that are gone: another socket makes no other client.
        self._spent: OrderedDict[int, float] = OrderedDict()

    def add(self, client: Client) -> None:
        """Serve a client; the socket that it had before is closed, so it cannot have many."""
        for former in [one for one in self._clients if one.number == client.number]:
            former.close()
        client.spent_seconds = self._spent.pop(client.number, 0.0)
        self._clients.append(client)

    def remove(self, client: Client) -> None:
        """Serve a client no longer."""
        self._clients.remove(client)
        self._spent[client.number] = client.spent_seconds
        if len(self._spent) > _REMEMBERED_LIMIT:
            self._spent.popitem(last=False)

    def note_begin(self, client: Client) -> None:
        """Note that a client that waited for nothing waits from now on."""
        waiting = [
            one.spent_seconds for one in self._clients if one is not client and one.under_way
        ]
        if waiting:
            client.spent_seconds = max(client.spent_seconds, min(waiting))

    def pick(self, least_urgent: Grade, interrupted: Client | None = None) -> Work | None:
        """Return what is to be done next; ``interrupted`` is the client whose work waits for that."""
        waiting = [one for one in self._clients if any(one.queues) and not one.is_blocked]
        spent = [one.spent_seconds for one in waiting]
        if interrupted is not None:
            spent.append(interrupted.spent_seconds)
        limit = min(spent, default=0.0) + AHEAD_SECONDS
        for queued in range(least_urgent + 1):
            for _ in range(len(self._clients)):
                client = self._clients[0]
                self._clients.rotate(-1)
                if (
                    client.queues[queued]
                    and not client.is_blocked
                    and client.spent_seconds <= limit
                ):
                    return client.queues[queued].popleft()
        return None
