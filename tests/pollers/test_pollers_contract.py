"""The contract of epollo.pollers.contract, held by all four pollers alike."""

import fcntl
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from epollo.errors import DescriptorLimitError, OperatorError
from epollo.pollers import (
    ERROR,
    FD_SETSIZE,
    HANGUP,
    POLLERS,
    READABLE,
    WRITABLE,
    Poller,
    open_poller,
)

NAMES = ["busy", "select", "poll", "epoll"]
ASKING_NAMES = [name for name in NAMES if name != "busy"]
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=NAMES)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller = open_poller(request.param)[1]
    yield poller
    poller.close()


@pytest.fixture(params=ASKING_NAMES)
def asking_poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    """A poller that asks the kernel, and so may say that nothing is ready."""
    poller = open_poller(request.param)[1]
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture
def connection() -> Iterator[Pair]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    with client, server:
        yield client, server


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset (socket(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_nothing_is_ready_where_nothing_is_registered(poller: Poller) -> None:
    assert poller.poll(0) == []


def test_a_descriptor_with_octets_to_read_is_readable(poller: Poller, pair: Pair) -> None:
    left, right = pair
    poller.register(left.fileno(), READABLE)
    right.send(b"x")
    assert poller.poll(1) == [(left.fileno(), READABLE)]


def test_a_descriptor_with_room_to_write_is_writable(poller: Poller, pair: Pair) -> None:
    poller.register(pair[0].fileno(), WRITABLE)
    assert poller.poll(1) == [(pair[0].fileno(), WRITABLE)]


def test_both_at_once_are_one_entry(poller: Poller, pair: Pair) -> None:
    left, right = pair
    poller.register(left.fileno(), READABLE | WRITABLE)
    right.send(b"x")
    assert poller.poll(1) == [(left.fileno(), READABLE | WRITABLE)]


def test_each_descriptor_comes_once(poller: Poller) -> None:
    pairs = [socket.socketpair() for _ in range(20)]
    for left, right in pairs:
        poller.register(left.fileno(), READABLE)
        right.send(b"x")
    ready = poller.poll(1)
    assert sorted(ready) == sorted((left.fileno(), READABLE) for left, _ in pairs)
    for pair in pairs:
        for end in pair:
            end.close()


def test_readiness_lasts_as_long_as_its_cause(poller: Poller, pair: Pair) -> None:
    left, right = pair
    poller.register(left.fileno(), READABLE)
    right.send(b"xy")
    for _ in range(3):
        assert poller.poll(1) == [(left.fileno(), READABLE)]
    left.recv(1)
    assert poller.poll(1) == [(left.fileno(), READABLE)]


def test_no_cause_no_readiness(asking_poller: Poller, pair: Pair) -> None:
    left, right = pair
    asking_poller.register(left.fileno(), READABLE)
    assert asking_poller.poll(0) == []
    right.send(b"x")
    assert asking_poller.poll(1)
    left.recv(1)
    assert asking_poller.poll(0) == []


def test_spurious_readiness_is_told_by_the_system_call(pair: Pair) -> None:
    poller = open_poller("busy")[1]
    left = pair[0]
    left.setblocking(False)
    poller.register(left.fileno(), READABLE)
    assert poller.poll(10) == [(left.fileno(), READABLE)]
    with pytest.raises(BlockingIOError):
        left.recv(1)


def test_busy_poller_never_sleeps(pair: Pair) -> None:
    poller = open_poller("busy")[1]
    begun = time.thread_time(), time.monotonic()
    poller.register(pair[0].fileno(), 0)
    for timeout_seconds in (None, 60, 0):
        assert poller.poll(timeout_seconds) == []
    assert time.monotonic() - begun[1] < 30


def test_modify_changes_what_is_watched_for(poller: Poller, pair: Pair) -> None:
    left, right = pair
    right.send(b"x")
    poller.register(left.fileno(), READABLE)
    poller.modify(left.fileno(), WRITABLE)
    assert poller.poll(1) == [(left.fileno(), WRITABLE)]
    poller.modify(left.fileno(), READABLE)
    assert poller.poll(1) == [(left.fileno(), READABLE)]


def test_no_events_is_for_neither(poller: Poller, pair: Pair) -> None:
    left, right = pair
    right.send(b"x")
    poller.register(left.fileno(), 0)
    assert poller.poll(0) == []
    poller.modify(left.fileno(), READABLE)
    assert poller.poll(1) == [(left.fileno(), READABLE)]
    poller.modify(left.fileno(), 0)
    assert poller.poll(0) == []


def test_a_descriptor_that_is_unregistered_is_not_reported(poller: Poller, pair: Pair) -> None:
    left, right = pair
    right.send(b"x")
    poller.register(left.fileno(), READABLE | WRITABLE)
    assert poller.poll(1)
    poller.unregister(left.fileno())
    assert poller.poll(0) == []
    poller.register(left.fileno(), READABLE)
    assert poller.poll(1) == [(left.fileno(), READABLE)]


def test_half_close_is_readable(poller: Poller, connection: Pair) -> None:
    client, server = connection
    poller.register(server.fileno(), READABLE)
    client.shutdown(socket.SHUT_WR)
    ((descriptor, events),) = poller.poll(5)
    assert descriptor == server.fileno()
    assert events & READABLE
    assert server.recv(1) == b""


@pytest.mark.parametrize("events", [READABLE, WRITABLE, READABLE | WRITABLE])
def test_hang_up_is_reported_and_the_next_system_call_tells(
    poller: Poller, connection: Pair, events: int
) -> None:
    client, server = connection
    poller.register(server.fileno(), events)
    reset(client)
    ((descriptor, reported),) = poller.poll(5)
    assert descriptor == server.fileno()
    assert reported & (events | ERROR | HANGUP)
    with pytest.raises(ConnectionResetError):
        server.recv(1)


@pytest.mark.parametrize("name", ["poll", "epoll"])
def test_hang_up_and_error_need_no_registration(name: str, connection: Pair) -> None:
    client, server = connection
    poller = open_poller(name)[1]
    poller.register(server.fileno(), 0)
    reset(client)
    ((descriptor, reported),) = poller.poll(5)
    assert descriptor == server.fileno()
    assert reported & (ERROR | HANGUP)
    assert not reported & (READABLE | WRITABLE)
    poller.close()


def test_refused_connection_is_reported(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    with socket.socket() as client:
        client.setblocking(False)
        assert client.connect_ex(address) != 0
        poller.register(client.fileno(), WRITABLE)
        ((descriptor, events),) = poller.poll(5)
        assert descriptor == client.fileno()
        assert events & (WRITABLE | ERROR | HANGUP)
        with pytest.raises(ConnectionRefusedError):
            client.send(b"x")


@pytest.mark.parametrize("timeout_seconds", [0.0, 0.0001, 0.0015, 0.01, 0.0209])
def test_never_empty_before_the_timeout_is_over(
    asking_poller: Poller, pair: Pair, timeout_seconds: float
) -> None:
    asking_poller.register(pair[0].fileno(), READABLE)
    for _ in range(5):
        begun = time.monotonic()
        assert asking_poller.poll(timeout_seconds) == []
        assert time.monotonic() - begun >= timeout_seconds


def test_no_timeout_waits_until_a_descriptor_is_ready(asking_poller: Poller, pair: Pair) -> None:
    left, right = pair
    asking_poller.register(left.fileno(), READABLE)
    is_waiting = threading.Event()

    def send() -> None:
        is_waiting.wait()
        right.send(b"x")

    sender = threading.Thread(target=send)
    sender.start()
    is_waiting.set()
    assert asking_poller.poll(None) == [(left.fileno(), READABLE)]
    sender.join()


def test_timeout_ends_early_when_a_descriptor_is_ready(asking_poller: Poller, pair: Pair) -> None:
    left, right = pair
    asking_poller.register(left.fileno(), READABLE)
    right.send(b"x")
    begun = time.monotonic()
    assert asking_poller.poll(60) == [(left.fileno(), READABLE)]
    assert time.monotonic() - begun < 30


def test_register_twice(poller: Poller, pair: Pair) -> None:
    descriptor = pair[0].fileno()
    poller.register(descriptor, READABLE)
    with pytest.raises(FileExistsError):
        poller.register(descriptor, WRITABLE)
    pair[1].send(b"x")
    assert poller.poll(1) == [(descriptor, READABLE)]


def test_register_twice_without_events(poller: Poller, pair: Pair) -> None:
    poller.register(pair[0].fileno(), 0)
    with pytest.raises(FileExistsError):
        poller.register(pair[0].fileno(), READABLE)


def test_modify_unknown(poller: Poller, pair: Pair) -> None:
    with pytest.raises(FileNotFoundError):
        poller.modify(pair[0].fileno(), READABLE)
    assert poller.poll(0) == []


def test_unregister_unknown(poller: Poller, pair: Pair) -> None:
    with pytest.raises(FileNotFoundError):
        poller.unregister(pair[0].fileno())
    poller.register(pair[0].fileno(), READABLE)
    poller.unregister(pair[0].fileno())
    with pytest.raises(FileNotFoundError):
        poller.unregister(pair[0].fileno())


@pytest.fixture
def high_descriptor(pair: Pair) -> Iterator[int]:
    """A readable descriptor that has no bit in an ``fd_set``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FD_SETSIZE + 64)), hard))
    pair[1].send(b"x")
    descriptor = fcntl.fcntl(pair[0].fileno(), fcntl.F_DUPFD_CLOEXEC, FD_SETSIZE)
    yield descriptor
    os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_select_cannot_name_high_descriptors(high_descriptor: int) -> None:
    poller = open_poller("select")[1]
    assert high_descriptor >= FD_SETSIZE
    with pytest.raises(DescriptorLimitError, match=str(FD_SETSIZE)):
        poller.register(high_descriptor, READABLE)
    assert poller.poll(0) == []
    with pytest.raises(FileNotFoundError):
        poller.unregister(high_descriptor)


@pytest.mark.parametrize("name", ["busy", "poll", "epoll"])
def test_the_others_can(name: str, high_descriptor: int) -> None:
    poller = open_poller(name)[1]
    poller.register(high_descriptor, READABLE)
    assert poller.poll(1) == [(high_descriptor, READABLE)]
    poller.close()


def test_select_names_the_last_descriptor_of_its_set(pair: Pair, high_descriptor: int) -> None:
    poller = open_poller("select")[1]
    descriptor = os.dup2(high_descriptor, FD_SETSIZE - 1)
    poller.register(descriptor, READABLE)
    assert poller.poll(1) == [(descriptor, READABLE)]
    poller.unregister(descriptor)
    os.close(descriptor)


def test_auto_takes_the_best() -> None:
    name, poller = open_poller("auto")[:2]
    assert name == list(POLLERS)[-1] == "epoll"
    poller.close()


def test_auto_takes_the_best_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(POLLERS, "epoll")
    name, poller = open_poller("auto")[:2]
    assert name == "poll"
    poller.close()


def test_all_are_there_from_the_dearest_to_the_best() -> None:
    assert list(POLLERS) == NAMES


def test_one_that_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(POLLERS, "epoll")
    with pytest.raises(OperatorError, match="no epoll; it has busy, select, poll"):
        open_poller("epoll")


@pytest.mark.parametrize("name", NAMES)
def test_named_poller_says_its_name(name: str) -> None:
    found, poller, _ = open_poller(name)
    assert found == name
    poller.close()
