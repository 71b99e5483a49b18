"""The load generator: what it sends, how it counts, and that it judges."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replay import STAMP, Asked, Played, Replay, Trace, build_replay, compose_get, write_trace
from servers import HOST
from wire import WrongAnswerError

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Answer = Callable[[bytes, int], list[bytes]]
"""From a head and its number to what is sent: parts, each in a send of its own; none closes."""


@pytest.fixture(scope="module", name="program")
def _program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_replay(tmp_path_factory.mktemp("replay"))


@contextmanager
def _answering(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that answers one connection after another; give its port and the heads it read."""
    heads: list[bytes] = []
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with peer:
                    _converse(peer, answer, heads)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heads
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _converse(peer: socket.socket, answer: Answer, heads: list[bytes]) -> None:
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            if not (more := peer.recv(65536)):
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        heads.append(head)
        parts = answer(head, len(heads))
        for part in parts:
            peer.sendall(part)
        if not parts:
            return


def _play(
    program: Path, port: int, trace: Trace, tmp_path: Path, **options: float | None
) -> Played:
    path = tmp_path / "trace"
    write_trace(trace, path)
    return Replay(program, port, 1, path, {"seconds": 20, **options}, processor=None).wait(60)


def _one(status: int = 200, content_octets: int = 5, target: str = "/") -> Trace:
    return Trace([Asked(compose_get(target), status, content_octets)], [0])


def test_the_order_is_kept_and_repeated(program: Path, tmp_path: Path) -> None:
    asked = [Asked(compose_get(f"/{number}"), 200, 5) for number in range(3)]
    with _answering(lambda _head, _number: [OK]) as (port, heads):
        played = _play(program, port, Trace(asked, [2, 0, 1, 1]), tmp_path, requests=6, first=3)
    assert [head.split()[1] for head in heads] == [b"/1", b"/2", b"/0", b"/1", b"/1", b"/2"]
    assert (played.answers, played.wrong, played.lost) == (6, 0, 0)
    assert played.octets == 6 * len(OK)


def test_each_request_is_sent_once_if_asked_for(program: Path, tmp_path: Path) -> None:
    asked = [Asked(compose_get(f"/{number}"), 200, 5) for number in range(3)]
    with _answering(lambda _head, _number: [OK]) as (port, heads):
        _play(program, port, Trace(asked, [2]), tmp_path, each=None)
    assert [head.split()[1] for head in heads] == [b"/0", b"/1", b"/2"]


def test_a_stamp_is_another_each_time(program: Path, tmp_path: Path) -> None:
    head = compose_get("/", (("Cookie", f"session={STAMP}"),))
    trace = Trace([Asked(head, 200, 5)], [0])
    with _answering(lambda _head, _number: [OK]) as (port, heads):
        _play(program, port, trace, tmp_path, requests=20)
    assert len(set(heads)) == 20
    assert {len(head) for head in heads} == {len(head.rstrip())}


@pytest.mark.parametrize(
    ("trace", "wrong"),
    [(_one(404), 3), (_one(200, 4), 3), (_one(0, -1), 0), (_one(0, 5), 0)],
)
def test_another_status_or_length_is_wrong(
    program: Path, tmp_path: Path, trace: Trace, wrong: int
) -> None:
    with _answering(lambda _head, _number: [OK]) as (port, _):
        played = _play(program, port, trace, tmp_path, requests=3)
    assert (played.wrong, played.statuses) == (wrong, {"200": 3})
    assert bool(played.first_wrong) == bool(wrong)


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "trace"),
    [(OK, _one()), (CHUNKED, _one()), (NOT_MODIFIED, _one(304, 0))],
    ids=["length", "chunked", "without content"],
)
def test_an_answer_in_single_octets_is_read(
    program: Path, tmp_path: Path, octets: bytes, trace: Trace
) -> None:
    parts = [octets[at : at + 1] for at in range(len(octets))]
    with _answering(lambda _head, _number: parts) as (port, _):
        played = _play(program, port, trace, tmp_path, requests=2)
    assert (played.answers, played.wrong, played.lost) == (2, 0, 0)


def test_a_connection_that_ends_within_an_answer_is_a_lost_request(
    program: Path, tmp_path: Path
) -> None:
    with _answering(lambda _head, number: [OK] if number % 2 else []) as (port, _):
        played = _play(program, port, _one(), tmp_path, requests=4)
    assert (played.answers, played.lost, played.wrong) == (2, 2, 0)


def test_octets_that_were_not_asked_for_are_wrong(program: Path, tmp_path: Path) -> None:
    with _answering(lambda _head, _number: [OK + b"more"]) as (port, _):
        played = _play(program, port, _one(), tmp_path, requests=1)
    assert played.wrong == 1


def test_a_server_that_stands_still_is_charged_for_all_that_waited(
    program: Path, tmp_path: Path
) -> None:
    """At 1,000 a second, a pause of half a second is in the latencies of hundreds of requests."""

    def answer(_head: bytes, number: int) -> list[bytes]:
        if number == 10:
            time.sleep(0.5)
        return [OK]

    with _answering(answer) as (port, _):
        played = _play(program, port, _one(), tmp_path, rate=1_000, requests=1_000)
    assert played.answers == 1_000
    assert played.p90 > 100_000  # without a due instant, one of 1,000 would be slow
    assert played.most >= 500_000


def test_time_bounds_a_run_in_the_middle_of_an_answer(program: Path, tmp_path: Path) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
    with _answering(lambda _head, _number: [large]) as (port, _):
        played = _play(program, port, _one(), tmp_path, seconds=0.2, cut=None)
    assert (played.answers, played.unanswered, played.octets) == (0, 1, len(large))


def test_a_trace_that_is_cut_short_is_refused(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    write_trace(_one(), path)
    path.write_bytes(path.read_bytes()[:-1])
    with (
        _answering(lambda _head, _number: [OK]) as (port, _),
        pytest.raises(WrongAnswerError, match="could not drive"),
    ):
        Replay(program, port, 1, path, {}, processor=None).wait(30)
