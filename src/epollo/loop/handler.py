"""What the loop calls: a handler of readiness, of a deadline, or of both."""

import math


class Handler:
    """What the loop calls when a descriptor is ready or a deadline has passed.

    Each method has a default, so that a handler says only what it does. A handler needs no descriptor: a
    deadline alone is enough (`EventLoop.note_deadline`).
    """

    __slots__ = ()

    deadline: float = math.inf
    """The instant (monotonic, seconds) at which `on_deadline` is due; infinite for never."""

    def on_ready(self, events: int, /) -> None:
        """Try what the events promise; a call without need is allowed (spurious readiness)."""

    def on_deadline(self) -> None:
        """Act on a deadline that has passed: close, or set another."""

    def on_fault(self, fault: Exception, /) -> None:  # noqa: ARG002
        """Act after a bug in one of these calls, which the loop has reported: by default, close."""
        self.close()

    def close(self) -> None:
        """Give back what the handler holds."""
