"""A coder among clients that lie to it, and what its sandbox leaves it."""

import fcntl
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.coding import TEXT, Coding, Wanted, decode
from epollo.coder.messages import (
    REQUESTS_LIMIT,
    Answer,
    Grade,
    Outcome,
    Request,
    format_request,
    parse_answer,
)
from epollo.coder.sockets import HELLO, MESSAGE_OCTETS
from epollo.linux.system_calls import find_architecture
from epollo.site.codings import CODED_OCTETS_LIMIT, CODINGS
from epollo.site.entity_tags import tag_content
from epollo.site.sealed import Coded, adopt_sealed, seal
from linux.confined import ABI

ALL = (CODED_OCTETS_LIMIT,) * len(CODINGS)
MEBIBYTE = 1024 * 1024
DESCRIPTORS_LIMIT = 253
"""The most that one message passes (SCM_RIGHTS, unix(7))."""


@pytest.fixture(scope="module")
def coding() -> Iterator[Coding]:
    coding = Coding()
    yield coding
    coding.close()


class RawClient:
    """A client that sends what it likes, and waits for what comes."""

    def __init__(self, coding: Coding) -> None:
        given: list[int | None] = []
        coding.supply.ask(given.append, coding.new_number())
        coding.await_true(lambda: bool(given))
        descriptor = given[0]
        assert descriptor is not None
        self.socket = socket.socket(fileno=descriptor)
        self.socket.settimeout(60)
        coding.prefer_coder()
        assert self.socket.recv(64) == HELLO

    def send(self, request: Request | bytes, *descriptors: int) -> None:
        message = request if isinstance(request, bytes) else format_request(request)
        socket.send_fds(self.socket, [message], descriptors)

    def receive(self) -> tuple[Answer, Coded | None]:
        """Return the next answer with its coding."""
        message, descriptors, _, _ = socket.recv_fds(self.socket, MESSAGE_OCTETS, 1)
        answer = parse_answer(message, has_descriptor=bool(descriptors))
        if answer.content is not None:
            return answer, Coded(answer.content, answer.entity_tag)
        if descriptors:
            return answer, Coded(adopt_sealed(descriptors[0], answer.octets), answer.entity_tag)
        return answer, None

    def receive_all(self) -> list[tuple[Answer, Coded | None]]:
        """Return all answers to a request."""
        answers = [self.receive()]
        while not answers[-1][0].is_last:
            answers.append(self.receive())
        return answers

    def is_dismissed(self) -> bool:
        """Wait for the coder to close the socket; return that it did."""
        try:
            return self.socket.recv(MESSAGE_OCTETS) == b""
        except ConnectionError:
            return True

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def write_memory(octets: bytes) -> int:
    """Return a file in memory that is not sealed."""
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC)
    os.write(descriptor, octets)
    return descriptor


def pipe_end() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


LARGE = Request(7, Grade.LARGE, MEBIBYTE * 2, ALL, None)


@pytest.mark.parametrize(
    ("request_", "open_descriptor"),
    [
        (b"nothing", None),
        (b"\xff" * 60, None),
        (LARGE, pipe_end),
        (LARGE, lambda: os.open("/dev/zero", os.O_RDONLY)),
        (LARGE, lambda: os.open("/", os.O_RDONLY)),
    ],
    ids=["short", "junk", "pipe", "device", "folder"],
)
def test_a_client_that_does_not_keep_to_the_rules_is_dismissed(
    coding: Coding, request_: Request | bytes, open_descriptor: object
) -> None:
    with RawClient(coding) as client:
        descriptors = [open_descriptor()] if callable(open_descriptor) else []
        client.send(request_, *descriptors)
        assert client.is_dismissed()
        for descriptor in descriptors:
            os.close(descriptor)
    wanted = Wanted(TEXT)
    coding.open_compressor().add(wanted.task())
    coding.await_true(wanted.is_done)


def test_a_client_that_asks_for_too_much_at_once_is_dismissed(coding: Coding) -> None:
    with RawClient(coding) as client:
        descriptor = write_memory(b"long " * (MEBIBYTE * 2 // 5 + 1))
        octets = os.fstat(descriptor).st_size
        try:
            for number in range(REQUESTS_LIMIT + 1):
                client.send(LARGE._replace(number=number, octets=octets), descriptor)
        except ConnectionError:
            pass
        while not client.is_dismissed():
            continue
        os.close(descriptor)


@pytest.mark.parametrize("octets", [0, 1, MEBIBYTE * 2, CODED_OCTETS_LIMIT])
def test_a_length_that_is_not_the_files_gets_nothing(coding: Coding, octets: int) -> None:
    descriptor = write_memory(TEXT)
    with RawClient(coding) as client:
        client.send(LARGE._replace(octets=octets), descriptor)
        answers = client.receive_all()
    os.close(descriptor)
    assert {answer.outcome for answer, _ in answers} == {Outcome.CHANGED}
    assert all(coded is None for _, coded in answers)


def test_what_one_client_writes_over_reaches_no_other(coding: Coding) -> None:
    """Content that its client changes while it is read: the other client gets the coding of its own."""
    before, after = b"good " * (MEBIBYTE * 2 // 5), b"evil " * (MEBIBYTE * 2 // 5)
    descriptor = write_memory(before)
    is_over = threading.Event()

    def keep_writing() -> None:
        while not is_over.is_set():
            os.pwrite(descriptor, after, 0)
            os.pwrite(descriptor, before, 0)

    thread = threading.Thread(target=keep_writing)
    with RawClient(coding) as liar, RawClient(coding) as other:
        thread.start()
        for number in range(3):
            liar.send(LARGE._replace(number=number, octets=len(before)), descriptor)
            liar.receive_all()
        is_over.set()
        thread.join()
        for content in (before, after):
            honest = write_memory(content)
            other.send(LARGE._replace(octets=len(content)), honest)
            for answer, coded in other.receive_all():
                assert coded is not None
                assert decode(CODINGS[answer.place].name, coded) == content
            os.close(honest)
    os.close(descriptor)


def test_a_client_that_takes_no_answers_holds_up_no_other(coding: Coding) -> None:
    with RawClient(coding) as slow:
        slow.socket.settimeout(0.5)
        sent = 0
        noise = os.urandom(30_000).hex().encode()
        try:
            while sent < REQUESTS_LIMIT:
                limits = (len(noise),) * len(CODINGS)
                slow.send(Request(sent, Grade.QUICK, len(noise), limits, noise))
                sent += 1
        except TimeoutError:
            pass
        wanted = Wanted(TEXT + b"beside one that is slow")
        coding.open_compressor().add(wanted.task())
        coding.await_true(wanted.is_done)
        slow.socket.settimeout(60)
        numbers = []
        for _ in range(sent):
            answers = slow.receive_all()
            numbers.append(answers[0][0].number)
            assert all(
                coded is not None and decode(CODINGS[answer.place].name, coded) == noise
                for answer, coded in answers
            )
        assert numbers == list(range(sent))


def test_what_a_client_is_given_can_be_changed_by_none(coding: Coding) -> None:
    content = b"".join(b"%d, " % (number * 7919) for number in range(60_000))
    descriptor = write_memory(content)
    with RawClient(coding) as client:
        client.send(Request(1, Grade.QUICK, len(content), ALL, None), descriptor)
        for _, coded in client.receive_all():
            assert coded is not None
            assert not isinstance(coded.content, bytes)
            given = coded.content.descriptor
            octets = coded.content.read(0, coded.length)
            assert coded.entity_tag == tag_content(octets)
            for attempt in (
                lambda: os.pwrite(given, b"evil", 0),  # noqa: B023
                lambda: os.ftruncate(given, 0),  # noqa: B023
                lambda: fcntl.fcntl(given, fcntl.F_ADD_SEALS, 0),  # noqa: B023
            ):
                with pytest.raises(PermissionError):
                    attempt()
            assert coded.content.read(0, coded.length) == octets
    os.close(descriptor)


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


def test_a_coder_holds_nothing_of_its_parent(coding: Coding) -> None:
    with RawClient(coding):
        folder = Path(f"/proc/{coding.coder_pid}/fd")
        kinds = {int(one.name): os.readlink(one) for one in folder.iterdir()}
    assert kinds[0] == kinds[1] == kinds[2]
    assert kinds[0].startswith("pipe:")
    rest = [kind for number, kind in kinds.items() if number > 2]
    assert all(kind.startswith(("socket:", "anon_inode:", "/memfd:")) for kind in rest), kinds
    environment = Path(f"/proc/{coding.coder_pid}/environ").read_bytes()
    assert b"HOME=" not in environment
    assert os.getsid(coding.coder_pid) == coding.coder_pid


@pytest.mark.skipif(
    ABI == 0 or find_architecture() is None, reason="this kernel has no Landlock or filter"
)
def test_a_coder_is_confined(coding: Coding) -> None:
    with RawClient(coding):
        status = status_of(coding.coder_pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Threads"] == "1"


def count_files(coding: Coding) -> int:
    return len(os.listdir(f"/proc/{coding.coder_pid}/fd"))


def test_descriptors_that_are_not_asked_for_are_closed(coding: Coding) -> None:
    with RawClient(coding) as client:
        before = count_files(coding)
        descriptor = write_memory(TEXT)
        request = LARGE._replace(octets=len(TEXT))
        for number in range(5):
            # The most that a message passes; one of them is taken.
            client.send(request._replace(number=number), *[descriptor] * DESCRIPTORS_LIMIT)
            assert {answer.outcome for answer, _ in client.receive_all()} == {Outcome.MADE}
        assert count_files(coding) <= before + 1
        # With content there is to be none.
        inline = Request(9, Grade.QUICK, len(TEXT), ALL, TEXT)
        client.send(inline, *[descriptor] * DESCRIPTORS_LIMIT)
        assert client.is_dismissed()
        os.close(descriptor)
    assert count_files(coding) <= before


@pytest.mark.parametrize("flags", [os.O_PATH, os.O_WRONLY], ids=["path", "write"])
def test_a_file_that_cannot_be_read_gets_nothing(
    coding: Coding, tmp_path: Path, flags: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    descriptor = os.open(path, flags)
    with RawClient(coding) as client:
        client.send(LARGE._replace(octets=len(TEXT)), descriptor)
        assert {answer.outcome for answer, _ in client.receive_all()} == {Outcome.CHANGED}
    os.close(descriptor)


def test_a_file_that_is_cut_off_while_it_is_read_ends_no_coder(coding: Coding) -> None:
    """What is mapped would end the process (SIGBUS); the coder reads."""
    content = b"short " * (MEBIBYTE * 2 // 6)
    descriptor = write_memory(content)
    is_over = threading.Event()

    def keep_cutting() -> None:
        while not is_over.is_set():
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, content, 0)

    thread = threading.Thread(target=keep_cutting)
    pid = coding.coder_pid
    with RawClient(coding) as client:
        thread.start()
        for number in range(3):
            client.send(LARGE._replace(number=number, octets=len(content)), descriptor)
            client.receive_all()
        is_over.set()
        thread.join()
    os.close(descriptor)
    wanted = Wanted(TEXT)
    coding.open_compressor().add(wanted.task())
    coding.await_true(wanted.is_done)
    assert coding.coder_pid == pid


def test_what_is_not_sealed_is_not_handed_on(coding: Coding) -> None:
    content = os.urandom(100_000)
    descriptor = write_memory(content)
    share = Request(3, Grade.SHARE, len(content), (0,) * len(CODINGS), None)
    with RawClient(coding) as liar, RawClient(coding) as other:
        liar.send(share, descriptor)
        ((answer, coded),) = liar.receive_all()
        assert answer.outcome is Outcome.CHANGED
        assert coded is None
        honest = seal((content,))
        other.send(share, honest.descriptor)
        ((answer, coded),) = other.receive_all()
        assert coded is not None
        assert not isinstance(coded.content, bytes)
        assert os.path.samestat(os.fstat(coded.content.descriptor), os.fstat(honest.descriptor))
        # A length that is not the file's, and a file that is not in memory.
        liar.send(share._replace(octets=len(content) - 1), honest.descriptor)
        assert liar.receive_all()[0][0].outcome is Outcome.CHANGED
        with open(__file__, "rb") as file:
            liar.send(share._replace(octets=os.fstat(file.fileno()).st_size), file.fileno())
            assert liar.receive_all()[0][0].outcome is Outcome.CHANGED
    os.close(descriptor)
