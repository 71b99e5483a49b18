"""What a generation tells its workers."""

import errno
import os

import pytest

from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.settings import Settings
from epollo.supervisor.deliveries import Deliveries
from epollo.supervisor.generation import Generation
from epollo.supervisor.listening_sockets import NOWHERE
from loop.hand_clock import HandClock


def test_secrets_that_cannot_be_passed_on_now_are_passed_on_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A parent that has no descriptor left for a moment neither ends nor forgets them."""
    clock = HandClock()
    lines: list[str] = []
    loop = EventLoop(open_poller("auto"), lines.append, clock)
    generation = Generation(Settings(workers="1"), NOWHERE)

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("epollo.supervisor.generation.write_orders", refuse)
        generation._send_secrets(
            loop, Deliveries(loop), lambda addition: lines.append(f"in use{addition}")
        )
        for _ in range(3):
            clock.turn(1)
            loop.run_batch(0)
    assert lines == []
    clock.turn(2)
    loop.run_batch(0)
    assert lines == ["in use"]
    loop.close()
