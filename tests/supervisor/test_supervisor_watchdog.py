"""How a worker that hangs is found: by a client that waits, and never while nothing happens."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from epollo.errors import ExhaustedError
from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.supervisor.watchdog import SILENT_SECONDS, Watchdog
from loop.hand_clock import HandClock


class Worker:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.asked = 0
        self.kills = 0

    def ask(self) -> None:
        self.asked += 1

    def kill(self) -> None:
        self.kills += 1


class Watching:
    """A watchdog over one listening socket and two workers, under a clock that is turned by hand."""

    def __init__(self, listening: socket.socket) -> None:
        self.clock = HandClock()
        self.lines: list[str] = []
        self.silent: list[Worker] = []
        self.workers = [Worker(1), Worker(2)]
        self.listening = listening
        self.loop = EventLoop(open_poller("auto"), self.lines.append, self.clock)
        self.watchdog = Watchdog(
            self.loop, self.lines.append, lambda: list(self.workers), self.silent.append
        )
        self.watchdog.watch([listening])

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listening.getsockname())

    def turn(self, seconds: int = 0) -> None:
        """Let seconds pass, and have what is due and ready handled."""
        self.loop.run_batch(0)
        for _ in range(seconds):
            self.clock.turn(1)
            self.loop.run_batch(0)

    def asked(self) -> list[int]:
        return [worker.asked for worker in self.workers]


@pytest.fixture
def watching() -> Iterator[Watching]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        watching = Watching(listening)
        yield watching
        watching.watchdog.watch(())
        watching.loop.close()


def test_nothing_is_asked_where_nothing_happens(watching: Watching) -> None:
    watching.turn(100)
    assert watching.asked() == [0, 0]
    assert watching.silent == []


def test_a_client_that_waits_has_all_asked_once(watching: Watching) -> None:
    with watching.connect():
        for _ in range(10):
            watching.turn()
        assert watching.asked() == [1, 1]


def test_workers_that_answer_are_asked_again_after_a_moment(watching: Watching) -> None:
    with watching.connect():
        watching.turn()
        for worker in watching.workers:
            watching.watchdog.note_alive(worker)
        watching.turn(1)
        assert watching.asked() == [1, 1]
        watching.turn(2)
        assert watching.asked() == [2, 2]
    assert watching.silent == []


def test_one_that_does_not_answer_is_told_of_once(watching: Watching) -> None:
    first, second = watching.workers
    with watching.connect():
        watching.turn()
        watching.watchdog.note_alive(second)
        watching.turn(SILENT_SECONDS - 1)
        assert watching.silent == []
        watching.turn(1)
        assert watching.silent == [first]
        watching.workers.remove(first)
        watching.turn(1)
        watching.watchdog.note_alive(second)
        watching.turn(SILENT_SECONDS + 1)
    assert watching.silent == [first]


def test_a_machine_that_slept_accuses_no_worker(watching: Watching) -> None:
    """The worker wakes after the parent does."""
    with watching.connect():
        watching.turn()
        watching.clock.turn(3600)
        watching.turn(1)
        for worker in watching.workers:
            watching.watchdog.note_alive(worker)
        watching.turn(SILENT_SECONDS)
    assert watching.silent == []


def test_a_worker_that_ended_is_not_silent(watching: Watching) -> None:
    first, second = watching.workers
    with watching.connect():
        watching.turn()
        watching.watchdog.note_alive(second)
        watching.workers.remove(first)
        watching.watchdog.note_alive(first)
        watching.turn(SILENT_SECONDS)
    assert watching.silent == []


def test_a_worker_that_gives_no_sign_of_life_is_killed_in_time(watching: Watching) -> None:
    first, second = watching.workers
    watching.watchdog.kill_unless_alive(first, 10, "is not ready")
    watching.watchdog.kill_unless_alive(second, 10, "is not ready")
    watching.turn(8)
    watching.watchdog.note_alive(second)
    assert (first.kills, second.kills) == (0, 0)
    watching.turn(2)
    assert (first.kills, second.kills) == (1, 0)
    assert watching.lines == ["worker 1 is not ready after 10 s, and is killed"]
    watching.turn(20)
    assert len(watching.lines) == 1


def test_other_sockets_are_looked_at(watching: Watching) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        watching.watchdog.watch([other])
        with watching.connect():
            watching.turn(3)
            assert watching.asked() == [0, 0]
        with socket.create_connection(other.getsockname()):
            watching.turn(1)
            assert watching.asked() == [1, 1]
            # While the answers are awaited too.
            watching.watchdog.watch([watching.listening])
            watching.turn(1)
            for worker in watching.workers:
                watching.watchdog.note_alive(worker)
            watching.turn(2)
            assert watching.asked() == [2, 2]
        watching.watchdog.watch([watching.listening])
    assert watching.silent == []


def test_where_there_is_no_room_to_watch_it_is_tried_again(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        monkeypatch.context() as patch,
    ):
        real_add = EventLoop.add

        def add(loop: EventLoop, descriptor: int, *arguments: Any) -> None:
            if descriptor == other.fileno():
                raise ExhaustedError("there is no room")
            real_add(loop, descriptor, *arguments)

        patch.setattr(EventLoop, "add", add)
        watching.watchdog.watch([watching.listening, other])
        watching.turn(5)
        watching.watchdog.watch([watching.listening])
    with watching.connect():
        watching.turn(SILENT_SECONDS)
        assert watching.asked() == [1, 1]
    assert watching.lines == []
