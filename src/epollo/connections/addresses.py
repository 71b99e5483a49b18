"""How many connections each address has open."""


class Addresses:
    """Counts by address; only addresses with open connections take room."""

    __slots__ = ("_counts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more, unless there are as many as may be; tell which.

        A peer without an address, of a unix-domain socket, is not counted.
        """
        if not address:
            return True
        count = self._counts.get(address, 0)
        if count >= self.limit:
            return False
        self._counts[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        """Count one connection less."""
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]

    def __len__(self) -> int:
        return len(self._counts)
