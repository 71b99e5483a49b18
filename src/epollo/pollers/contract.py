"""What every poller promises.

A poller answers one question: which of the registered descriptors are worth a try now? Its names
and its event bits are those that ``select.epoll`` has already, so the real object needs no wrapper.

The contract, held by one test suite over all of them:

* ``poll`` returns pairs of descriptor and events, each descriptor at most once.
* It may report a descriptor that turns out not to be ready (*spurious readiness*): a handler learns
  the truth from the system call, never from the events.
* It reports a descriptor again for as long as the condition lasts (*level-triggered*).
* ``ERROR`` and ``HANGUP`` need no registration. A poller that cannot tell them apart reports the
  registered events instead, and the next system call tells.
* It never returns an empty list before the timeout is over. Fractions are rounded up; otherwise a
caller that waits for an instant would wake just before it, again and again.
* ``register`` raises `FileExistsError` for a descriptor registered already, ``modify`` and
  ``unregister`` raise `FileNotFoundError` for one that is not.

What differs between the mechanisms is data (`Traits`): no caller asks for the name of a poller.
"""

from epollo.annotations import Final, Protocol
from epollo.named_tuples import NamedTuple

# The values of poll(2) and epoll(7) are the same; written out for systems that lack one of them.
READABLE: Final = 0x001
WRITABLE: Final = 0x004
ERROR: Final = 0x008
HANGUP: Final = 0x010


class Poller(Protocol):
    """Tells which descriptors are ready."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Begin to watch a descriptor for `READABLE`, `WRITABLE`, both, or neither (0)."""

    def modify(self, descriptor: int, events: int, /) -> None:
        """Watch a registered descriptor for other events."""

    def unregister(self, descriptor: int, /) -> None:
        """Forget a descriptor; to be called before it is closed."""

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        """Return the ready descriptors; wait for the first one for at most the timeout.

        ``None`` waits without end, 0 does not wait.
        """

    def close(self) -> None:
        """Release what the poller holds of the kernel."""


class Traits(NamedTuple):
    """What holds of a poller beyond the contract."""

    is_instant: bool
    """Whether the descriptors that one call reports were ready at one moment.

    Then a file change that is older than a request is reported no later than the request. A poller that
    looks at one descriptor after the other may report the request and miss the change.
    """
    batch_limit: float
    """A call that returns this many descriptors, more than one, may have left some out."""
    descriptor_limit: float
    """The first descriptor that the poller cannot name."""
    is_ordered: bool
    """Whether only descriptors that are ready are reported, in the order of registration or readiness."""


class OpenPoller(NamedTuple):
    """A poller, the name of its mechanism, and what holds of it."""

    name: str
    poller: Poller
    traits: Traits
