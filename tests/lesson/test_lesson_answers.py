"""Steps 5 to 10: what is answered, for how long, from where and at what price.

Each fault is shown twice: the step before has it, in the way that the head of the step says, and the
step itself has not.
"""

import contextlib
import ctypes
import os
import re
import signal
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
)

Start = Callable[..., Step]
IN_OPEN = 0x20


@pytest.mark.parametrize(
    "target", ["/../secret", "/inside/../../secret", "/out", "/.git/config", "/way/secret"]
)
def test_a_path_leaves_the_folder_of_step_4_and_not_that_of_step_5(
    start: Start, folder: Path, target: str
) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    (folder / "inside").mkdir()
    (folder / "out").symlink_to(folder.parent / "secret")
    (folder / "way").symlink_to(folder.parent)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"secret")
    assert start(4).exchange(format_request(target)).endswith(b"secret")
    answer = start(5).exchange(format_request(target))
    assert answer.startswith(b"HTTP/1.1 404")
    assert not answer.endswith(b"secret")


@pytest.mark.parametrize("number", range(5, 11))
def test_an_encoded_path_does_not_leave_the_folder(start: Start, folder: Path, number: int) -> None:
    (folder / "index.html").unlink()
    (folder.parent / "secret").write_bytes(b"secret")
    (folder / "out").symlink_to("../secret")
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"secret")
    step = start(number)
    for target in (
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/out",
        "/%2Egit/config",
        "/small%00",
        "/",
        "//",
    ):
        assert step.exchange(format_request(target)).startswith(b"HTTP/1.1 404"), target
    assert step.ask() == b"small"


def test_a_link_within_the_folder_is_followed(start: Start, folder: Path) -> None:
    (folder / "link").symlink_to("small")
    assert start(5).ask("/link") == b"small"


def test_a_name_that_is_encoded_is_not_found_by_step_4_and_found_by_step_5(
    start: Start, folder: Path
) -> None:
    (folder / "a b").write_bytes(b"found")
    assert start(4).exchange(format_request("/a%20b")).startswith(b"HTTP/1.1 404")
    assert start(5).ask("/a%20b") == b"found"


def test_a_target_that_is_not_utf_8_ends_step_4_and_not_step_5(start: Start) -> None:
    step = start(4)
    step.exchange(b"GET /\xff HTTP/1.1\r\n\r\n")
    assert "UnicodeDecodeError" in step.end()
    assert start(5).exchange(b"GET /\xff HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")


def test_a_fifo_stops_step_4_and_not_step_5(start: Start, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    step = start(4)
    with step.connect() as client, step.connect() as other:
        client.sendall(format_request("/fifo"))
        # A FIFO has a reader as soon as this opens it: the server is in open(2), or comes to it.
        with (folder / "fifo").open("wb"):
            other.sendall(format_request("/small"))
            assert not hears(other)
        assert receive_answer(other)[1] == b"small"
    step = start(5)
    assert step.exchange(format_request("/fifo")).startswith(b"HTTP/1.1 404")
    assert step.ask() == b"small"


def test_step_5_counts_letters_and_step_6_counts_bytes(start: Start) -> None:
    for number, left_over in ((5, b"\n"), (6, b"")):
        with start(number).connect() as client:
            client.sendall(format_request("/caf%C3%A9"))
            assert receive_answer(client)[1]
            client.sendall(format_request("/small"))
            # What is left of the first answer stands before the second.
            assert receive_head(client).startswith(left_over + b"HTTP/1.1 200 OK")


def test_step_5_answers_head_with_content_and_step_6_does_not(start: Start) -> None:
    request = format_request("/small", method="HEAD")
    assert start(5).exchange(request).endswith(b"\r\n\r\nsmall")
    answer = start(6).exchange(request)
    assert b"Content-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_octets",
    [
        format_request("/small", "1.0"),
        format_request("/small", fields="Connection: close\r\n"),
        format_request("/small", fields="connection:  keep-alive, Close\r\n"),
    ],
)
def test_a_client_that_waits_for_the_end_never_gets_that_of_step_5(
    start: Start, request_octets: bytes
) -> None:
    for number in (5, 6):
        step = start(number)
        with step.connect() as client:
            client.sendall(request_octets)
            head, content = receive_answer(client)
            assert content == b"small"
            if number == 5:
                assert not hears(client)
            else:
                assert b"\r\nConnection: close\r\n" in head
                assert client.recv(1) == b""


def test_content_is_a_request_to_step_5_and_nothing_to_step_6(start: Start) -> None:
    hidden = format_request("/small")
    post = format_request("/small", method="POST", fields=f"Content-Length: {len(hidden)}\r\n")
    assert start(5).exchange(post + hidden).count(b"HTTP/1.1") == 2
    answer = start(6).exchange(post + hidden)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nAllow: GET, HEAD\r\n" in answer


def test_content_that_is_not_read_does_not_cost_the_answer_of_step_6(start: Start) -> None:
    with start(6).connect() as client:
        client.sendall(
            format_request("/small", method="POST", fields="Content-Length: 3000000\r\n")
        )
        for _ in range(30):
            client.sendall(bytes(100_000))
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while octets := client.recv(65536):  # a reset would raise
            answer += octets
    assert answer.endswith(b"405 Method Not Allowed")


def test_an_empty_head_ends_step_5_and_is_400_to_step_6(start: Start) -> None:
    step = start(5)
    step.exchange(b"\r\n\r\n")
    assert "IndexError" in step.end()
    assert start(6).exchange(b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


NO_HEADS = (
    b"GET /small HTTP/1.1\r\n\r\n",
    b"GET /small\r\n\r\n",
    b"GET /small HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET /small HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /small HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET  /small HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET small HTTP/1.1\r\nHost: a\r\n\r\n",
)


@pytest.mark.parametrize("number", range(6, 11))
def test_a_head_that_is_none_is_400(start: Start, number: int) -> None:
    step = start(number)
    for head in NO_HEADS:
        answer = step.exchange(head + format_request("/small"))
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), head
        # What follows it could be anything.
        assert answer.count(b"HTTP/1.1") == 1, head


def test_step_6_says_type_and_date_and_knows_a_query(start: Start) -> None:
    assert b"Date:" not in start(5).exchange(format_request("/"))
    assert start(5).exchange(format_request("/small?a")).startswith(b"HTTP/1.1 404")
    answer = start(6).exchange(format_request("/?a=b"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nContent-Type: text/html\r\n" in answer


def test_a_silent_client_stays_in_step_6_and_has_a_deadline_in_step_7(start: Start) -> None:
    patient, strict = start(6), start(7, "0.2")
    with patient.connect() as stays, strict.connect() as goes:
        assert goes.recv(1) == b""
        assert not hears(stays, 0)
    assert strict.ask() == b"small"


def test_a_client_that_sends_a_byte_at_a_time_has_the_same_deadline(start: Start) -> None:
    strict = start(7, "0.5")
    with strict.connect() as client:
        sent = 0
        while not hears(client, 0.02):
            client.sendall(b"G")
            sent += 1
        assert 0 < sent < 1000
        assert receive_all(client) == b""


def test_a_client_that_does_not_read_stays_in_step_6_and_goes_in_step_7(start: Start) -> None:
    for number, is_whole in ((6, True), (7, False)):
        step = start(number, "0.2")
        with step.connect() as slow:
            slow.sendall(format_request("/large"))
            receive_head(slow)
            if number == 7:
                # A silent client that comes later has the later deadline.
                with step.connect() as silent:
                    assert silent.recv(1) == b""
            assert (len(receive_all_of(slow, LARGE_OCTETS)) == LARGE_OCTETS) is is_whole


def receive_all_of(client: socket.socket, length: int) -> bytes:
    """Return ``length`` octets, or what comes before the connection ends."""
    content = bytearray()
    try:
        while len(content) < length and (octets := client.recv(1 << 20)):
            content += octets
    except ConnectionResetError:
        pass
    return bytes(content)


def test_a_client_that_reads_has_time_for_each_piece(start: Start) -> None:
    step = start(7, "1")
    with step.connect() as client:
        client.sendall(format_request("/large"))
        assert len(receive_answer(client)[1]) == LARGE_OCTETS


def test_step_7_takes_a_file_into_memory_and_step_8_does_not(start: Start) -> None:
    peaks = {}
    for number in (7, 8):
        step = start(number)
        with step.connect() as client:
            client.sendall(format_request("/large"))
            assert receive_answer(client)[1] == bytes(LARGE_OCTETS)
        peaks[number] = step.peak_octets()
    assert peaks[7] > LARGE_OCTETS > peaks[8]


@pytest.mark.parametrize("number", range(8, 11))
def test_a_file_that_becomes_shorter_ends_the_connection(
    start: Start, folder: Path, number: int
) -> None:
    step = start(number)
    with step.connect() as client:
        client.sendall(format_request("/large"))
        receive_head(client)
        os.truncate(folder / "large", 1024 * 1024)
        assert len(receive_all(client)) < LARGE_OCTETS
    assert step.ask() == b"small"


@pytest.mark.parametrize("number", range(8, 11))
def test_a_large_file_goes_out_in_pieces_between_which_others_are_answered(
    start: Start, number: int
) -> None:
    step = start(number)
    with step.connect() as large, step.connect() as small:
        large.sendall(format_request("/large"))
        receive_head(large)
        small.sendall(format_request("/small"))
        assert receive_answer(small)[1] == b"small"
        large.sendall(format_request("/small"))
        content = receive_all_of(large, LARGE_OCTETS)
        assert content.count(b"\0") == LARGE_OCTETS
        rest = content[LARGE_OCTETS:]
        while not rest.endswith(b"small"):
            rest += large.recv(65536)
        assert rest.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("number", range(8, 11))
def test_an_empty_file_and_head_of_a_large_one(start: Start, folder: Path, number: int) -> None:
    (folder / "empty").touch()
    with start(number).connect() as client:
        for method, target in (("GET", "/empty"), ("HEAD", "/large"), ("GET", "/small")):
            client.sendall(format_request(target, method=method))
            head = receive_head(client)
            assert head.startswith(b"HTTP/1.1 200 OK")
        assert client.recv(5) == b"small"


def count_openings(start: Start, folder: Path, number: int) -> int:
    """Return for how many of five requests a step opens the file (inotify(7), IN_OPEN)."""
    libc = ctypes.CDLL(None)
    step = start(number)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(folder / "small"), IN_OPEN) >= 0
    openings = 0
    try:
        for _ in range(5):
            assert step.ask("/small") == b"small"
            with contextlib.suppress(BlockingIOError):
                openings += bool(os.read(watch, 65536))
    finally:
        os.close(watch)
    return openings


def test_step_8_opens_a_file_for_each_request_and_step_9_once(start: Start, folder: Path) -> None:
    assert count_openings(start, folder, 8) == 5
    assert count_openings(start, folder, 9) == 1


@pytest.mark.parametrize("number", [9, 10])
def test_every_change_is_in_the_next_answer(start: Start, folder: Path, number: int) -> None:
    step = start(number)
    with step.connect() as client:

        def ask(target: str = "/small") -> bytes:
            client.sendall(format_request(target))
            head, content = receive_answer(client)
            return content if b" 200 " in head else b"missing"

        for turn in range(50):
            (folder / "small").write_bytes(b"%d" % turn)
            assert ask() == b"%d" % turn
        (folder / "new").write_bytes(b"replaced")
        (folder / "new").rename(folder / "small")
        assert ask() == b"replaced"
        (folder / "small").unlink()
        assert ask() == b"missing"
        (folder / "a").mkdir()
        assert ask("/a/b/c") == b"missing"
        (folder / "a/b").mkdir()
        (folder / "a/b/c").write_bytes(b"deep")
        assert ask("/a/b/c") == b"deep"
        (folder / "a/b/c").write_bytes(b"deeper")
        assert ask("/a/b/c") == b"deeper"
        (folder / "a").rename(folder / "d")
        assert ask("/a/b/c") == b"missing"
        (folder / "d/b/c").write_bytes(b"moved")
        assert ask("/d/b/c") == b"moved"


READING_NOTES = (
    "                with contextlib.suppress(BlockingIOError):\n"
    "                    self.watch(os.read(self.inotify, 65536))\n"
)


def change(tmp_path: Path, number: int, old: str, new: str) -> Path:
    """Return a program that differs from a step in one place."""
    text = find_program(number).read_text()
    assert text.count(old) == 1
    program = tmp_path / f"changed-{number}.py"
    program.write_text(text.replace(old, new))
    return program


@pytest.mark.parametrize("number", [9, 10])
@pytest.mark.parametrize("is_read_first", [True, False])
def test_the_notes_are_read_between_the_request_and_its_answer(
    start: Start, folder: Path, tmp_path: Path, number: int, *, is_read_first: bool
) -> None:
    """A request that is sent after a change gets what is true now, also from a server in its sleep."""
    program = find_program(number)
    if not is_read_first:
        # As one would write it: once for each batch, before what is in it.
        program = change(tmp_path, number, READING_NOTES, "")
        text = program.read_text()
        polling = "            batch = dict(self.epoll.poll(left))\n"
        assert text.count(polling) == 1
        notes = READING_NOTES.replace("\n    ", "\n").removeprefix("    ")
        program.write_text(text.replace(polling, notes + polling))
    step = start(program)
    with step.connect() as client:
        client.sendall(format_request("/small"))
        assert receive_answer(client)[1] == b"small"
        with step.paused():
            (folder / "small").write_bytes(b"changed")
            client.sendall(format_request("/small"))
        assert receive_answer(client)[1] == (b"changed" if is_read_first else b"small")


def count_answers_made(start: Start, tmp_path: Path, number: int) -> tuple[int, int]:
    """Return how many of 200 equal requests a step reads, and in how many seconds they were answered."""
    first_line = "    found = HEAD.fullmatch(head)\n"
    program = change(
        tmp_path, number, first_line, f'    print("respond", flush=True)\n{first_line}'
    )
    step = start(program)
    dates = set()
    with step.connect() as client:
        for _ in range(200):
            client.sendall(format_request("/small"))
            head, content = receive_answer(client)
            assert content == b"small"
            dates |= set(re.findall(rb"\r\nDate: ([^\r]+)", head))
    step.process.send_signal(signal.SIGINT)
    assert step.process.stdout is not None
    return step.process.stdout.read().count(b"respond"), len(dates)


def test_step_9_reads_equal_requests_anew_and_step_10_once_a_second(
    start: Start, tmp_path: Path
) -> None:
    assert count_answers_made(start, tmp_path, 9)[0] == 200
    made, seconds = count_answers_made(start, tmp_path, 10)
    assert made == seconds


def test_the_steps_end_at_ctrl_c_without_a_word(start: Start) -> None:
    for program in PROGRAMS:
        step = start(program)
        step.process.send_signal(signal.SIGINT)
        assert step.process.wait(20) == 0
        assert step.stderr == ""
