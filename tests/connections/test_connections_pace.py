import contextlib
import socket

import pytest

from epollo.connections.pace import WINDOW_SECONDS, Pace, count_unconfirmed_octets

PATIENCE_SECONDS = 30.0


def look(pace: Pace, now: float, left_octets: int, octets_per_second: float = 0) -> bool:
    return pace.is_kept(
        now,
        left_octets,
        patience_seconds=PATIENCE_SECONDS,
        octets_per_second=octets_per_second,
    )


def test_a_peer_that_takes_nothing_is_given_up_when_patience_ends() -> None:
    pace = Pace(100, 5000)
    assert look(pace, 110, 5000)
    assert look(pace, 120, 5000)
    assert pace.next_look(PATIENCE_SECONDS) == 130
    assert look(pace, 129.9, 5000)
    assert not look(pace, 130, 5000)


def test_a_little_renews_patience_where_no_pace_is_asked_for() -> None:
    pace = Pace(100, 5000)
    for number in range(1, 50):
        assert look(pace, 100 + 29 * number, 5000 - number)


@pytest.mark.parametrize(
    ("taken_octets", "is_kept"), [(2560, True), (2559, False), (0, False), (100_000, True)]
)
def test_the_pace_of_a_window(taken_octets: int, is_kept: bool) -> None:
    pace = Pace(100, 200_000)
    assert pace.next_look(PATIENCE_SECONDS) == 100 + WINDOW_SECONDS
    assert look(pace, 109, 200_000, 256)
    assert look(pace, 110, 200_000 - taken_octets, 256) == is_kept


def test_what_was_taken_in_one_window_does_not_count_in_the_next() -> None:
    pace = Pace(100, 200_000)
    assert look(pace, 110, 100_000, 256)
    assert not look(pace, 120, 100_000 - 2559, 256)


def test_a_look_that_comes_late_asks_for_more() -> None:
    pace = Pace(100, 200_000)
    assert not look(pace, 115, 200_000 - 2560, 256)


def test_a_peer_of_which_nothing_is_asked() -> None:
    pace = Pace(100, 200_000)
    assert look(pace, 110, 200_000, 0)


def test_patience_shorter_than_a_window_is_looked_at_in_time() -> None:
    pace = Pace(100, 5000)
    assert pace.next_look(1) == 101
    assert not pace.is_kept(101, 5000, patience_seconds=1, octets_per_second=0)


def test_what_the_peer_has_not_confirmed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as sender,
    ):
        receiver, _ = listening.accept()
        with receiver:
            sender.setblocking(False)
            assert count_unconfirmed_octets(sender.fileno()) == 0
            sent_octets = 0
            with contextlib.suppress(BlockingIOError):
                while sent_octets < 1_000_000_000:
                    sent_octets += sender.send(bytes(65536))
            assert 0 < count_unconfirmed_octets(sender.fileno()) <= sent_octets
            taken_octets = 0
            while taken_octets < sent_octets:
                taken_octets += len(receiver.recv(1_000_000))
            receiver.sendall(b"x")
            # It comes with the confirmation of all that was received.
            sender.setblocking(True)
            assert sender.recv(1) == b"x"
            assert count_unconfirmed_octets(sender.fileno()) == 0


def test_where_the_kernel_cannot_tell() -> None:
    with socket.socket() as closed:
        closed.listen()
        assert count_unconfirmed_octets(closed.fileno()) == 0
