"""Steps 1 to 4: what is ready, what is slow, what comes in pieces, and what else may happen to a socket.

Each fault is shown twice: the step before has it, in the way that the head of the step says, and the
step itself has not.
"""

import contextlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lesson.conftest import LARGE_OCTETS
from lesson.stepping import (
    PROGRAMS,
    Step,
    find_program,
    format_request,
    hears,
    receive_all,
    receive_answer,
    receive_head,
    receive_octets,
    reset,
)

Start = Callable[..., Step]


def test_there_are_eleven_programs_of_at_most_150_lines() -> None:
    names = [program.name for program in PROGRAMS]
    assert [name[:2] for name in names] == [f"{number:02}" for number in range(11)]
    for program in PROGRAMS:
        text = program.read_text()
        assert len(text.splitlines()) <= 150, program
        assert text.startswith(f'"""Step {int(program.name[:2])}: '), program
        if program != PROGRAMS[0]:
            head = text.split('"""')[1]
            assert f"What step {int(program.name[:2]) - 1} got wrong:" in head
            assert "hat it costs:" in head


def test_the_programs_need_nothing_but_the_standard_library() -> None:
    import sys

    for program in PROGRAMS:
        found = re.findall(r"^(?:import|from) (\w+)", program.read_text(), re.MULTILINE)
        assert set(found) <= set(sys.stdlib_module_names), program


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_every_step_serves(start: Start, program: Path) -> None:
    step = start(program)
    assert step.ask("/") == b"<!doctype html><title>index</title>"
    with step.connect() as client:
        for target, content in (("/small", b"small"), ("/", b"<!doctype html>")):
            client.sendall(format_request(target))
            head, received = receive_answer(client)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert received.startswith(content)
        client.sendall(format_request("/nothing"))
        assert receive_answer(client)[0].startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert step.stderr == ""


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_every_step_takes_port_7890_where_no_other_is_given(program: Path) -> None:
    assert "int(sys.argv[1]) if len(sys.argv) > 1 else 7890" in program.read_text()


def test_step_0_works_while_no_client_asks_and_step_1_sleeps(start: Start) -> None:
    polling, epoll = start(0), start(1)
    clients = [step.connect() for step in (polling, epoll) for _ in range(20)]
    for step in (polling, epoll):
        step.ask()
    before = polling.cpu_seconds(), epoll.cpu_seconds()
    # The clock of this test is the processor time that step 0 burns for nothing.
    while polling.cpu_seconds() < before[0] + 0.3:
        assert not polling.is_over
    assert epoll.cpu_seconds() <= before[1] + 0.02
    for client in clients:
        client.close()


def test_a_client_that_does_not_read_stops_step_1_and_not_step_2(start: Start) -> None:
    for number in (1, 2):
        step = start(number)
        with step.connect() as slow, step.connect() as other:
            slow.sendall(format_request("/large"))
            assert receive_head(slow).startswith(b"HTTP/1.1 200 OK")
            other.sendall(format_request("/small"))
            if number == 1:
                assert not hears(other)
                assert len(receive_octets(slow, LARGE_OCTETS)) == LARGE_OCTETS
                # Not before the slow client has taken all of it.
                assert receive_answer(other)[1] == b"small"
            else:
                assert receive_answer(other)[1] == b"small"
                assert len(receive_octets(slow, LARGE_OCTETS)) == LARGE_OCTETS


def test_step_0_loses_what_does_not_fit_and_step_2_does_not(start: Start) -> None:
    request = format_request("/large")
    assert len(start(0).exchange(request)) < LARGE_OCTETS
    assert len(start(2).exchange(request)) > LARGE_OCTETS


def test_step_2_asks_a_client_that_owes_reading_for_nothing_more(start: Start) -> None:
    step = start(2)
    with step.connect() as greedy:
        greedy.sendall(format_request("/large"))
        receive_head(greedy)
        step.ask()
        peak = step.peak_octets()
        # A second answer would be as much memory again.
        greedy.sendall(format_request("/large"))
        step.ask()
        assert step.peak_octets() < peak + LARGE_OCTETS // 2


def test_a_request_in_two_packets_is_wrong_to_step_2_and_right_to_step_3(start: Start) -> None:
    for number, status in ((2, b"404"), (3, b"200")):
        step = start(number)
        with step.connect() as client:
            client.sendall(b"GET /sma")
            # Step by step: the first piece has been read when another client is answered.
            step.ask()
            client.sendall(b"ll HTTP/1.1\r\nHost: a\r\n\r\n")
            assert receive_head(client).startswith(b"HTTP/1.1 " + status)


def test_a_piece_without_a_target_ends_step_2_and_not_step_3(start: Start) -> None:
    step = start(2)
    with step.connect() as client:
        client.sendall(b"GE")
        assert "IndexError" in step.end()
    step = start(3)
    with step.connect() as client:
        client.sendall(b"GE")
        step.ask()
        client.sendall(b"T /small HTTP/1.1\r\n\r\n")
        assert receive_answer(client)[1] == b"small"


def test_two_requests_in_one_packet_get_one_answer_of_step_2_and_two_of_step_3(
    start: Start,
) -> None:
    both = format_request("/small") + format_request("/")
    assert start(2).exchange(both).count(b"HTTP/1.1 200 OK") == 1
    assert start(3).exchange(both).count(b"HTTP/1.1 200 OK") == 2


def test_step_3_keeps_no_more_than_16_kib_of_a_head_without_end(start: Start) -> None:
    step = start(3)
    with step.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nA: " + b"a" * 17 * 1024)
        assert receive_all(client) == b""
    assert step.ask() == b"small"


def test_a_connection_that_is_reset_ends_step_3_and_not_step_4(start: Start) -> None:
    step = start(3)
    reset(step.connect())
    assert "ConnectionResetError" in step.end()
    step = start(4)
    reset(step.connect())
    slow = step.connect()
    slow.sendall(format_request("/large"))
    receive_head(slow)
    reset(slow)
    assert step.ask() == b"small"
    assert not step.is_over


def test_silent_clients_use_up_the_descriptors_of_step_3_and_not_those_of_step_4(
    start: Start,
) -> None:
    step = start(3, descriptors=24)
    clients: list[socket.socket] = []
    # It may have ended before the last of them.
    with contextlib.suppress(ConnectionError):
        for _ in range(24):
            clients += [step.connect()]
    assert "Too many open files" in step.end()
    for client in clients:
        client.close()

    step = start(4, descriptors=24)
    clients = [step.connect() for _ in range(40)]
    assert step.ask() == b"small"
    # The oldest has made room.
    assert clients[0].recv(1) == b""
    clients[-1].sendall(format_request("/small"))
    assert receive_answer(clients[-1])[1] == b"small"
    for client in clients:
        client.close()


# The fault that the order of step 4 avoids, as one would write it: hang-up read from the event, and
# the listener served when its turn comes.
READING = "            if events & select.EPOLLIN:\n"
HANGING_UP = f"""\
            if events & select.EPOLLHUP:
                raise ConnectionAbortedError
{READING}"""
LAST = """\
            is_new = batch.pop(self.listener.fileno(), 0)
            for descriptor, events in batch.items():
"""
IN_PLACE = """\
            is_new = False
            for descriptor, events in batch.items():
                if descriptor == self.listener.fileno():
                    self.accept()
                    continue
"""


@pytest.mark.parametrize("is_in_place", [False, True])
def test_an_event_of_the_former_owner_of_a_number_meets_the_next_one_unless_the_listener_is_last(
    start: Start, tmp_path: Path, *, is_in_place: bool
) -> None:
    text = find_program(4).read_text()
    assert (text.count(READING), text.count(LAST)) == (1, 1)
    text = text.replace(READING, HANGING_UP)
    if is_in_place:
        text = text.replace(LAST, IN_PLACE)
    program = tmp_path / "changed.py"
    program.write_text(text)
    step = start(program, descriptors=24)
    clients = [step.connect() for _ in range(12)]
    for client in clients:
        client.sendall(format_request("/small"))
        receive_answer(client)
    with step.paused():
        new = step.connect()
        reset(clients[0])
    new.sendall(format_request("/small"))
    if is_in_place:
        assert receive_all(new) == b""
    else:
        assert receive_answer(new)[1] == b"small"
    for client in [new, *clients[1:]]:
        client.close()


def test_a_registration_outlives_a_descriptor_that_is_closed_first() -> None:
    """Why step 4 unregisters first: epoll(7), questions and answers, Q6."""
    import select

    ours, theirs = socket.socketpair()
    copy = os.dup(ours.fileno())
    with select.epoll() as epoll:
        epoll.register(ours.fileno(), select.EPOLLIN)
        number = ours.fileno()
        ours.close()
        theirs.send(b"a")
        assert epoll.poll(0) == [(number, select.EPOLLIN)]
    os.close(copy)
    theirs.close()
