"""The thread of flights: a bug or a lack of memory in one handshake is no end of the others."""

import queue
import ssl
from functools import partial

import pytest

from epollo.connections.flights import Flights
from epollo.transports.session import Session


class Unmade:
    """A session whose handshake comes to nothing."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def shake_hands(self, _: bytes) -> bytes:
        raise self._fault

    def take(self) -> bytes:
        return b"alert"


def begin(fault: Exception) -> Session:
    return Unmade(fault)  # type: ignore[return-value]


def test_the_thread_outlives_a_fault() -> None:
    calls: queue.SimpleQueue[partial[None]] = queue.SimpleQueue()
    outcomes: list[tuple[object, ...]] = []
    flights = Flights(calls.put)  # type: ignore[arg-type]
    fault = MemoryError()
    try:
        for one in (fault, ssl.SSLError(), fault):
            flights.make(begin(one), b"", lambda *outcome: outcomes.append(outcome))
        for _ in range(3):
            calls.get(timeout=60)()
    finally:
        flights.close()
    assert outcomes == [(False, b"", fault), (False, b"alert"), (False, b"", fault)]


def test_a_fault_without_a_thread_is_the_callers() -> None:
    flights = Flights(lambda call: call())
    with pytest.raises(MemoryError):
        flights.make_at_once(begin(MemoryError()), b"", lambda *_: None)
