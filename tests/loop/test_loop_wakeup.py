import os
import signal
import threading
from collections.abc import Iterator

import pytest

from epollo.errors import EpolloError
from epollo.loop import EventLoop, Wakeup
from epollo.pollers import open_poller


@pytest.fixture(params=["busy", "select", "poll", "epoll"])
def loop(request: pytest.FixtureRequest) -> Iterator[EventLoop]:
    loop = EventLoop(open_poller(request.param), print)
    yield loop
    loop.close()


@pytest.fixture
def wakeup(loop: EventLoop) -> Iterator[Wakeup]:
    wakeup = Wakeup(loop)
    yield wakeup
    wakeup.close()


def test_a_call_from_another_thread_is_made_by_the_loop(loop: EventLoop, wakeup: Wakeup) -> None:
    made: list[int] = []

    def call() -> None:
        made.append(threading.get_ident())
        loop.stop()

    other = threading.Thread(target=lambda: wakeup.call(call))
    other.start()
    loop.run()
    other.join()
    assert made == [threading.get_ident()]


def test_calls_are_made_in_their_order_and_once(loop: EventLoop, wakeup: Wakeup) -> None:
    made: list[int] = []
    for number in range(10):
        wakeup.call(lambda number=number: made.append(number))  # type: ignore[misc]
    loop.run_batch(0)
    loop.run_batch(0)
    assert made == list(range(10))


def test_more_calls_than_the_socket_holds(loop: EventLoop, wakeup: Wakeup) -> None:
    count = 5_000
    made: list[None] = []
    for _ in range(count):
        wakeup.call(lambda: made.append(None))
    for _ in range(100):
        loop.run_batch(0)
    assert len(made) == count


def test_a_call_that_asks_for_another(loop: EventLoop, wakeup: Wakeup) -> None:
    made: list[str] = []

    def call() -> None:
        made.append("one")
        wakeup.call(lambda: made.append("two"))

    wakeup.call(call)
    loop.run_batch(0)
    loop.run_batch(0)
    assert made == ["one", "two"]


def test_a_signal_is_served_by_the_loop(loop: EventLoop, wakeup: Wakeup) -> None:
    served: list[str] = []

    def stop() -> None:
        served.append("usr2")
        loop.stop()

    wakeup.on_signal(signal.SIGUSR1, lambda: served.append("usr1"))
    wakeup.on_signal(signal.SIGUSR2, stop)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert served == []
    loop.run()
    assert sorted(served) == ["usr1", "usr2"]


def test_a_signal_is_served_where_there_is_no_room_to_tell_of_it(
    loop: EventLoop, wakeup: Wakeup
) -> None:
    """Other signals, and threads, fill the socket faster than the loop reads it."""
    served: list[str] = []
    wakeup.on_signal(signal.SIGUSR1, lambda: served.append("usr1"))
    for _ in range(5_000):
        wakeup.call(lambda: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(100):
        loop.run_batch(0)
    assert served == ["usr1"]


def test_a_signal_ends_the_sleep(wakeup: Wakeup, loop: EventLoop) -> None:
    wakeup.on_signal(signal.SIGALRM, loop.stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    loop.run()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_signals_are_given_back(loop: EventLoop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    wakeup = Wakeup(loop)
    wakeup.on_signal(signal.SIGUSR1, loop.stop)
    assert signal.getsignal(signal.SIGUSR1) is not before
    wakeup.close()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert loop.handlers() == []


def test_signals_that_no_handler_is_to_get_any_more(loop: EventLoop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    wakeup = Wakeup(loop)
    wakeup.on_signal(signal.SIGUSR1, loop.stop)
    wakeup.close(gives_back=False)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_cannot_be_served_ends_the_loop(loop: EventLoop, wakeup: Wakeup) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    wakeup.call(fail)
    with pytest.raises(EpolloError, match="a bug"):
        loop.run_batch(0)


def test_being_called_without_reason(wakeup: Wakeup) -> None:
    wakeup.on_ready(1)
    wakeup.on_deadline()
    assert wakeup.deadline == float("inf")


def test_a_call_that_comes_when_all_is_over(loop: EventLoop) -> None:
    """A thread may finish its work while the loop's thread closes."""
    wakeup = Wakeup(loop)
    wakeup.close()
    made: list[str] = []
    wakeup.call(lambda: made.append("call"))
    assert not made
