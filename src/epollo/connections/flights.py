"""The thread of the flights of handshakes that take long.

Facts: a hand-over to a thread and back takes up to 15 % of a handshake. The library releases the
interpreter, so that the loop serves others meanwhile (`handshakes`).
"""

import operator
import ssl
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from epollo.annotations import Final, TypeAlias
from epollo.linux.threads import start_thread
from epollo.loop import CallInLoop
from epollo.transports.session import Buffers, Session

_PARTING_SECONDS: Final = 1.0
"""A flight takes less than a thousandth of it."""


_Done: TypeAlias = Callable[..., None]
"""What is called with the outcome (`Flights.make`)."""
_Flight: TypeAlias = tuple[Session, bytes, _Done]
"""A session, and what its peer sent."""


class Flights:
    """A thread that makes the first flights of handshakes, started when the first is asked for."""

    def __init__(self, call_in_loop: CallInLoop) -> None:
        self._call_in_loop = call_in_loop
        # Written in C: a queue that waits for a condition of `threading` costs a tenth of a handshake.
        self._queue: SimpleQueue[_Flight | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.buffers = Buffers()
        """Those of the sessions whose handshake is complete."""
        self.handshakes = 0
        """How many handshakes are open."""

    def make_at_once(self, session: Session, octets: bytes, done: _Done) -> None:
        """Continue a session now, in the thread of the loop; the arguments are those of `make`."""
        self._make(session, octets, done, operator.call)

    def make(self, session: Session, octets: bytes, done: _Done) -> None:
        """Continue a session in the thread of flights.

        Then the loop calls ``done`` with whether that succeeded, and with the octets to send. If it is
        no fault of the peer that it did not, the fault is a third argument.
        """
        if self._thread is None:
            self._thread = start_thread(self._work, "handshakes")
        if self._thread is None:
            # The system has no room for a thread: the loop makes the flight.
            self.make_at_once(session, octets, done)
            return
        self._queue.put((session, octets, done))

    def may_make_next(self, session: Session) -> bool:
        """Have a session that waits for its peer use no shared buffers; return whether it uses none.

        Then the thread may make its next flight.
        """
        shared = self.buffers.incoming
        if session.incoming is shared:
            session.share(Buffers())
        return session.incoming is not shared

    def close(self) -> None:
        """Make no more."""
        self._is_closed = True
        self._queue.put(None)
        # A thread that calls OpenSSL while the process ends, and OpenSSL with it, kills the process.
        if self._thread is not None:
            self._thread.join(_PARTING_SECONDS)

    def _work(self) -> None:
        while (flight := self._queue.get()) is not None and not self._is_closed:
            try:
                self._make(*flight, self._call_in_loop)
            except Exception as fault:
                self._call_in_loop(partial(flight[2], False, b"", fault))

    def _make(
        self,
        session: Session,
        octets: bytes,
        done: _Done,
        call: CallInLoop,
    ) -> None:
        try:
            owed = session.shake_hands(octets)
            is_right = True
        except ssl.SSLError:
            owed = session.take()
            is_right = False
        call(partial(done, is_right, owed))
