"""What tests of connections share: a clock that is turned by hand, a listening socket."""

import socket
from collections.abc import Iterator

import pytest

from epollo.transports.listening import open_listening_socket
from loop.hand_clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with open_listening_socket("127.0.0.1", 0) as listening:
        yield listening
