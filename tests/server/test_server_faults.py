"""What a machine may do to a server: the root goes away, the clock jumps, descriptors run out."""

import contextlib
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import (
    Serve,
    Server,
    content_length,
    receive_content,
    receive_head,
    rest,
)
from connections.in_process import InProcess
from epollo.budget import Budget
from epollo.http.dates import format_date, parse_date
from epollo.quantities import MEBIBYTE
from epollo.site.catalogue import Catalogue
from epollo.site.respond import Site
from loop.hand_clock import START_SECOND, HandClock
from properties.answers import AnswerRead, read_answers
from server.workers import await_true
from site_grounds import replace

ROUNDS = 10
PATIENCE_SECONDS = 20
PAGE = "/page.html"
LARGE_OCTETS = 32 * MEBIBYTE
DAY_SECONDS = 86_400


def ask(server: Server, target: str) -> tuple[int, bytes]:
    """Return status and content of an answer on a connection of its own."""
    with server.connect() as peer:
        return ask_on(peer, target)


def ask_on(peer: socket.socket, target: str) -> tuple[int, bytes]:
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, begin = receive_head(peer)
    return int(head[9:12]), receive_content(peer, head, begin)


def await_answer(server: Server, target: str, expected: tuple[int, bytes]) -> None:
    """Ask until this is the answer, which no event tells of."""
    assert await_true(lambda: ask(server, target) == expected), server.stderr


# The root


@pytest.fixture(params=["one process", "workers"])
def is_sandboxed(request: pytest.FixtureRequest) -> bool:
    """Whether there are workers: their sandbox knows the root as it was when they began."""
    return bool(request.param == "workers")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "page.html").write_bytes(b"start")
    return root


@pytest.fixture
def server(serve: Serve, root: Path, is_sandboxed: bool) -> Server:
    return serve(root, "--quiet", *(("--workers", "2") if is_sandboxed else ()))


def test_root_is_moved_away_and_back(server: Server, root: Path) -> None:
    """What was moved is served on where it is, and is the same site when it comes back."""
    away = root.with_name("away")
    with server.connect() as peer:
        for number in range(ROUNDS):
            root.rename(away)
            assert ask_on(peer, PAGE)[0] in {200, 404}
            replace(away / "page.html", b"away %d" % number)
            away.rename(root)
            assert ask_on(peer, PAGE) == (200, b"away %d" % number)
            replace(root / "page.html", b"back %d" % number)
            assert ask_on(peer, PAGE) == (200, b"back %d" % number)
            assert ask(server, PAGE) == (200, b"back %d" % number)


def test_root_is_deleted_and_made_again(server: Server, root: Path) -> None:
    for number in range(3):
        shutil.rmtree(root)
        assert ask(server, PAGE)[0] == 404
        root.mkdir()
        (root / "page.html").write_bytes(b"again %d" % number)
        await_answer(server, PAGE, (200, b"again %d" % number))


def test_root_is_a_file_for_a_while(server: Server, root: Path) -> None:
    shutil.rmtree(root)
    root.write_bytes(b"no folder")
    assert ask(server, PAGE)[0] == 404
    assert ask(server, "/")[0] == 404
    root.unlink()
    root.mkdir()
    (root / "page.html").write_bytes(b"a folder again")
    await_answer(server, PAGE, (200, b"a folder again"))


def test_root_comes_and_goes_under_load(server: Server, root: Path) -> None:
    """A client that asks meanwhile is told what is there or that nothing is, and is never refused."""
    seen: Counter[int] = Counter()
    faults: list[str] = []
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            try:
                status, content = ask(server, PAGE)
            except (OSError, AssertionError) as error:
                faults.append(repr(error))
                return
            seen[status] += 1
            if status != 404 and (status != 200 or not re.fullmatch(rb"start|load \d+", content)):
                faults.append(f"{status} {content!r}")

    askers = [threading.Thread(target=keep_asking) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for number in range(ROUNDS):
            new = root.with_name("new")
            new.mkdir()
            (new / "page.html").write_bytes(b"load %d" % number)
            root.rename(root.with_name("old"))
            new.rename(root)
            shutil.rmtree(root.with_name("old"))
            rest(0.05)
        await_answer(server, PAGE, (200, b"load %d" % (ROUNDS - 1)))
        enough = seen[200] + ROUNDS
        end = time.monotonic() + PATIENCE_SECONDS
        while seen[200] < enough and not faults:
            assert time.monotonic() < end, seen
            rest(0.02)
    finally:
        is_over.set()
        for asker in askers:
            asker.join()
    assert not faults, faults[:5]
    assert seen.keys() <= {200, 404}


def test_a_download_continues_when_its_root_is_gone(server: Server, root: Path) -> None:
    content = bytes(range(256)) * (LARGE_OCTETS // 256)
    (root / "large.bin").write_bytes(content)
    with server.connect() as peer:
        peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        head, begin = receive_head(peer)
        assert content_length(head) == LARGE_OCTETS
        shutil.rmtree(root)
        assert ask(server, "/large.bin")[0] == 404
        assert receive_content(peer, head, begin) == content


# The clock


class Jumping:
    """A site and its connections under a clock that is turned by hand."""

    def __init__(self, root: Path, *, has_recall: bool, stack: contextlib.ExitStack) -> None:
        self.clock = HandClock()
        catalogue = Catalogue(
            root,
            self.clock,
            print,
            budget=Budget(MEBIBYTE),
            kept_octets_limit=MEBIBYTE,
        )
        stack.callback(catalogue.close)
        respond = Site(catalogue, self.clock).respond
        self.way = stack.enter_context(InProcess(respond, clock=self.clock, has_recall=has_recall))
        assert catalogue.watch is not None
        self.way.loop.add_first(catalogue.watch.descriptor, catalogue.watch)
        self.peer = self.way.connect()

    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)
        self.way.loop.run_batch(0)

    def turn(self, seconds: float) -> None:
        """Let time go by; what is due in a second is looked for in the one after it."""
        self.clock.turn(seconds)
        self.way.loop.run_batch(0)
        self.way.loop.run_batch(0)

    def get(self, *lines: bytes) -> AnswerRead:
        before = len(self.peer.received)
        fields = b"".join(b"%b\r\n" % line for line in lines)
        self.peer.send(b"GET /page.html HTTP/1.1\r\nHost: a\r\n%b\r\n" % fields)
        self.way.settle(self.peer)
        received = bytes(self.peer.received[before:])
        found = re.search(rb"\r\nDate: ([^\r]+)\r\n", received)
        assert found is not None
        self.date = found[1]
        (answer,) = read_answers(received)
        return answer


@pytest.fixture(params=[True, False], ids=["recall", "no recall"])
def jumping(request: pytest.FixtureRequest, root: Path) -> Iterator[Jumping]:
    with contextlib.ExitStack() as stack:
        yield Jumping(root, has_recall=request.param, stack=stack)


JUMPS = [1, -1, 3600, -3600, 40 * 366 * DAY_SECONDS, -START_SECOND, -START_SECOND - DAY_SECONDS]


@pytest.mark.parametrize("seconds", JUMPS)
def test_date_follows_a_clock_that_jumps(jumping: Jumping, seconds: int) -> None:
    for number in range(3):
        assert jumping.get().content == b"start"
        assert jumping.date == format_date(START_SECOND + seconds * (number % 2))
        jumping.jump(-seconds if number % 2 else seconds)


@pytest.mark.parametrize("seconds", JUMPS)
def test_deadlines_do_not_follow_a_clock_that_jumps(jumping: Jumping, seconds: int) -> None:
    """A request may take ten seconds, and a connection stay open for 75: of time that goes by."""
    way, idle = jumping.way, jumping.peer
    jumping.get()
    slow = way.connect(b"GET / HTTP/1.1\r\n")
    way.settle(slow)
    jumping.jump(seconds)
    way.settle(slow)
    assert not slow.received
    jumping.turn(8)
    way.settle(slow)
    assert not slow.received
    jumping.jump(-2 * seconds)
    jumping.turn(4)
    way.settle(slow)
    assert bytes(slow.received).startswith(b"HTTP/1.1 408 ")
    assert not idle.is_closed
    jumping.turn(60)
    idle.receive()
    assert not idle.is_closed
    jumping.jump(seconds)
    jumping.turn(6)
    idle.receive()
    assert idle.is_closed


@pytest.mark.parametrize("seconds", JUMPS)
def test_changes_are_seen_when_the_clock_jumps(jumping: Jumping, root: Path, seconds: int) -> None:
    tag = jumping.get().value(b"etag")
    assert tag is not None
    for number in range(4):
        jumping.jump(seconds if number % 2 else -seconds)
        assert jumping.get(b"If-None-Match: " + tag).status == 304
        replace(root / "page.html", b"version %d" % number)
        answer = jumping.get(b"If-None-Match: " + tag)
        assert (answer.status, answer.content) == (200, b"version %d" % number)
        new_tag = answer.value(b"etag")
        assert new_tag not in {None, tag}
        tag = new_tag or b""


@pytest.mark.parametrize("seconds", JUMPS)
def test_nothing_was_modified_later_than_now(jumping: Jumping, seconds: int) -> None:
    """An origin server sends no Last-Modified that is later than Date (RFC 9110 section 8.8.2.1)."""
    # From before the file was made to long after, and back.
    for jump in (0, seconds, 60 * 366 * DAY_SECONDS, -60 * 366 * DAY_SECONDS, -seconds):
        jumping.jump(jump)
        last_modified = jumping.get().value(b"last-modified")
        if last_modified is None:
            continue
        modified_second = parse_date(last_modified, START_SECOND)
        now_second = parse_date(jumping.date, START_SECOND)
        assert modified_second is not None
        assert now_second is not None
        assert modified_second <= now_second


# Descriptors

ROOM = 4


@pytest.fixture
def full(serve: Serve, root: Path) -> Iterator[tuple[Server, list[socket.socket]]]:
    """A server that has not one descriptor left, and the clients that are connected to it."""
    (root / "kept.bin").write_bytes(bytes(200_000))
    (root / "large.bin").write_bytes(bytes(3 * MEBIBYTE))
    server = serve(root, "--quiet")
    assert ask(server, PAGE) == (200, b"start")
    server.limit_descriptors(server.settled_descriptors() + ROOM)
    with contextlib.ExitStack() as connections:
        peers = [connections.enter_context(server.connect()) for _ in range(ROOM)]
        for peer in peers:
            peer.sendall(b"GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in peers:
            assert receive_content(peer, *receive_head(peer)) == b"start"
        yield server, peers


@pytest.mark.parametrize("name", ["new.html", "kept.bin", "large.bin"])
def test_no_descriptor_to_open_a_file_with(
    full: tuple[Server, list[socket.socket]], root: Path, name: str
) -> None:
    """Not now is not never: 503 with Retry-After, and the file as soon as there is room."""
    server, peers = full
    (root / "new.html").write_bytes(b"new")
    peers[0].sendall(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
    head, begin = receive_head(peers[0])
    assert head.startswith(b"HTTP/1.1 503 "), head
    assert b"\r\nRetry-After: " in head
    receive_content(peers[0], head, begin)
    # What is known is served on, on the same connections.
    for peer in peers:
        assert ask_on(peer, PAGE) == (200, b"start")
    for peer in peers:
        peer.close()
    server.settled_descriptors()
    assert ask(server, f"/{name}") == (200, (root / name).read_bytes())


def test_a_file_changes_while_there_is_no_descriptor(
    full: tuple[Server, list[socket.socket]], root: Path
) -> None:
    """What cannot be read is not answered with what was there before."""
    server, peers = full
    replace(root / "page.html", b"changed")
    status, _ = ask_on(peers[0], PAGE)
    assert status == 503
    (root / "page.html").unlink()
    assert ask_on(peers[0], PAGE)[0] in {404, 503}
    (root / "page.html").write_bytes(b"again")
    for peer in peers[1:]:
        peer.close()
    server.settled_descriptors()
    assert ask_on(peers[0], PAGE) == (200, b"again")
