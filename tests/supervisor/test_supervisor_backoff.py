"""Which place gets another worker, and when."""

import math

from epollo.supervisor.backoff import Restarts


def test_a_place_is_due_once_and_at_its_instant() -> None:
    restarts = Restarts()
    restarts.add(0, 12.0)
    restarts.add(1, 11.0)
    assert restarts.next_instant == 11.0
    assert restarts.take_due(10.9) == []
    assert restarts.take_due(11.0) == [1]
    assert restarts.next_instant == 12.0
    assert restarts.take_due(20.0) == [0]
    assert restarts.take_due(20.0) == []


def test_no_place_is_due_where_none_waits() -> None:
    restarts = Restarts()
    assert restarts.next_instant == math.inf
    restarts.add(0, 1.0)
    restarts.clear()
    assert restarts.next_instant == math.inf
    assert restarts.take_due(2.0) == []
