"""The socket by which a process talks with one that it starts."""

from collections.abc import Iterator

import pytest

from epollo.loop import EventLoop, Handler
from epollo.loop.control import open_control
from epollo.pollers import open_poller


class Heard(Handler):
    """Notes how often something was said."""

    def __init__(self) -> None:
        self.count = 0

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        self.count += 1


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    loop = EventLoop(open_poller("auto"), print)
    yield loop
    loop.close()


def test_what_is_said_at_once_is_heard_and_only_ours_stays_open(loop: EventLoop) -> None:
    heard = Heard()
    with open_control(loop, heard) as (ours, theirs):
        theirs.send(b"at once")
    loop.run_batch(0)
    assert heard.count == 1
    assert ours.recv(64) == b"at once"
    assert ours.recv(64) == b"", "the other end is closed"
    assert theirs.fileno() < 0
    loop.remove(ours.fileno())
    ours.close()


def test_of_a_start_that_fails_nothing_remains(loop: EventLoop) -> None:
    with (
        pytest.raises(OSError, match="no room"),
        open_control(loop, Heard()) as (ours, theirs),
    ):
        raise OSError("no room")
    assert (ours.fileno(), theirs.fileno()) == (-1, -1)
    assert loop.handlers() == []


def test_nothing_waits_for_what_is_not_said(loop: EventLoop) -> None:
    with open_control(loop, Heard()) as (ours, _):
        with pytest.raises(BlockingIOError):
            ours.recv(64)
        loop.remove(ours.fileno())
        ours.close()
