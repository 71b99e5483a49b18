"""What every poller promises.

A poller answers one question: which of the registered descriptors are worth a try now? Its names
and its event bits are those that ``select.epoll`` has already, so the real object needs no wrapper.

The contract, held by one test suite over all of them:

* ``poll`` returns pairs of descriptor and events, each descriptor at most once.
* It may report a descriptor that turns out not to be ready (*spurious readiness*): whoever is woken
  learns the truth from the system call, never from the events.
* It goes on reporting a descriptor for as long as the condition lasts (*level-triggered*).
* ``ERROR`` and ``HANGUP`` need no registration. A poller that cannot tell them apart reports the
  registered events instead, and the next system call tells.
* It never returns empty before the timeout is over: fractions are rounded up, so that a caller who
  waits for an instant is not woken just before it, again and again.
* ``register`` raises `FileExistsError` for a descriptor registered already, ``modify`` and
  ``unregister`` raise `FileNotFoundError` for one that is not.
"""

from typing import Final, Protocol

# The values of poll(2) and epoll(7) are the same; written out for systems that lack one of them.
READABLE: Final = 0x001
WRITABLE: Final = 0x004
ERROR: Final = 0x008
HANGUP: Final = 0x010


class Poller(Protocol):
    """Tells who is ready."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Begin to watch a descriptor for some of `READABLE` and `WRITABLE`; 0 is for neither."""

    def modify(self, descriptor: int, events: int, /) -> None:
        """Watch a registered descriptor for other events."""

    def unregister(self, descriptor: int, /) -> None:
        """Forget a descriptor; to be called before it is closed."""

    def poll(self, timeout_seconds: float | None = None, /) -> list[tuple[int, int]]:
        """Return the ready descriptors; wait for the first one for at most the timeout.

        ``None`` waits for ever, 0 does not wait.
        """

    def close(self) -> None:
        """Release what the poller holds of the kernel."""
