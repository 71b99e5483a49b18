"""Which sockets settings ask for, and how they are dealt out to places."""

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.linux.processors import count_processors
from epollo.settings import Settings
from epollo.supervisor.listening_sockets import (
    NOWHERE,
    Listening,
    change_listening,
    count_workers,
    open_listening,
    share_sockets,
)
from epollo.transports.listening import is_listening, open_shared_sockets


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    yield sockets
    for one in sockets:
        one.close()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("places", [1, 2, 3, 5])
def test_every_socket_has_a_place_and_every_place_a_socket(
    opened: list[socket.socket], count: int, places: int
) -> None:
    opened += open_shared_sockets("127.0.0.1", 0, count)
    shares = [share_sockets(opened, place, places) for place in range(places)]
    assert all(shares)
    assert {one.fileno() for share in shares for one in share} == {one.fileno() for one in opened}
    if count >= places:
        holders = Counter(one.fileno() for share in shares for one in share)
        assert set(holders.values()) == {1}
        sizes = [len(share) for share in shares]
        assert max(sizes) - min(sizes) <= 1
    else:
        assert all(share == opened for share in shares)


def test_each_place_has_a_socket_of_every_address(opened: list[socket.socket]) -> None:
    opened += open_shared_sockets("127.0.0.1", 0, 2)
    opened += open_shared_sockets("127.0.0.1", 0, 1)
    assert share_sockets(opened, 0, 2) == [opened[0], opened[2]]
    assert share_sockets(opened, 1, 2) == [opened[1], opened[2]]


def test_how_many_workers() -> None:
    assert count_workers(Settings(workers="3")) == 3
    assert count_workers(Settings(workers="auto")) == count_processors()
    with pytest.raises(OperatorError, match="cannot switch workers off"):
        count_workers(Settings(workers="0"))


def test_what_stays_and_what_is_added(opened: list[socket.socket]) -> None:
    first = change_listening(NOWHERE, Settings(port=0, workers="2"))
    opened += first.sockets
    assert len(first.sockets) == 2
    assert all(is_listening(one) for one in first.sockets)
    assert change_listening(first, Settings(port=0, workers="1")) is first
    more = change_listening(first, Settings(port=0, workers="3"))
    opened += more.sockets[2:]
    assert more.sockets[:2] == first.sockets
    assert more.sockets[2].getsockname() == first.sockets[0].getsockname()
    # A client that connects before a worker accepts from it would be lost if no worker came.
    assert not is_listening(more.sockets[2])
    more.close(kept=first)
    assert more.sockets[2].fileno() == -1
    assert all(is_listening(one) for one in first.sockets)


def test_another_address_is_listened_on_before_the_former_is_left(tmp_path: Path) -> None:
    path, other = tmp_path / "one", tmp_path / "other"
    first = change_listening(NOWHERE, Settings(unix=str(path), workers="2"))
    assert len(first.sockets) == 1
    second = change_listening(first, Settings(unix=str(other), workers="2"))
    assert path.is_socket()
    first.close(kept=second)
    assert (path.exists(), other.exists()) == (False, True)
    # While another program serves there, it stays.
    second.may_remove_path = False
    second.close()
    assert other.exists()
    second.may_remove_path = True
    second.close()
    assert not other.exists()


def test_a_path_that_is_another_s_by_now_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    ours = open_listening(Settings(unix=str(path)))
    path.unlink()
    theirs = open_listening(Settings(unix=str(path)))
    ours.close()
    assert path.is_socket()
    theirs.close()
    assert not path.exists()


def test_a_path_that_cannot_be_removed_is_left(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listening = open_listening(Settings(unix=str(path)))
    path.unlink()
    path.mkdir()
    listening.close()
    assert path.is_dir()


def test_all_or_nothing(tmp_path: Path) -> None:
    first = change_listening(NOWHERE, Settings(port=0, workers="1"))
    for wrong in (
        Settings(host="192.0.2.1", port=0, workers="1"),
        Settings(unix=str(tmp_path / "no" / "socket"), workers="1"),
        Settings(workers="0"),
    ):
        with pytest.raises(OperatorError):
            change_listening(first, wrong)
    assert is_listening(first.sockets[0])
    first.close()


def test_what_another_process_opened_is_never_changed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        listening = Listening([passed], None)
        assert change_listening(listening, Settings(port=1, workers="7")) is listening
