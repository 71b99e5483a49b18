"""What the guests understand of an answer."""

import pytest

from epollo.lab.guests import TurnedAwayError, measure_answer


def test_an_answer_is_as_long_as_its_head_says() -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\n"
    assert measure_answer(head) == measure_answer(head + b"dish!") == len(head) + 5


def test_an_answer_without_a_length_is_none_that_a_guest_can_wait_for() -> None:
    with pytest.raises(TurnedAwayError):
        measure_answer(b"HTTP/1.1 200 OK\r\n\r\n")
