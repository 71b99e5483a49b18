"""The access log of a real server: to a file, to stdout, at once enough, and whatever happens to it."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import COMMAND, STOP_SECONDS, Serve, receive_all, receive_head
from server.workers import await_true

# A second, and what a machine that others use as well may take besides.
FLUSH_SECONDS = 1.0
SLACK_SECONDS = 5.0

GET = b"GET /page.html HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\n\r\n"
COMBINED = re.compile(
    r'(\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "([^"]*)" (\d+) (\d+) '
    r'"([^"]*)" "([^"]*)"\n'
)


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log beside the site, not in it."""
    return tmp_path / "access.log"


# To a file.


def test_every_request_gets_its_line(serve: Serve, site: Path, path: Path) -> None:
    server = serve(site, "--quiet", "--access-log", str(path))
    length = (site / "page.html").stat().st_size
    for octets in (
        GET,
        GET * 3,
        b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\nReferer: http://r/\r\n\r\n",
        b'GET /"\x7f\xff HTTP/1.1\r\nHost: a\r\nUser-Agent: \\"\r\n\r\n',
        b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nUser-Agent: u\r\n\r\nabc",
        b"nonsense\r\n\r\n",
    ):
        server.exchange(octets)
    assert server.stop() == 0
    lines = [COMBINED.fullmatch(line) for line in path.read_text().splitlines(keepends=True)]
    found = [line.groups() for line in lines if line is not None]
    page = ("127.0.0.1", "GET /page.html HTTP/1.1", "200", str(length), "-", "test")
    assert found[:4] == [page] * 4
    assert found[4] == ("127.0.0.1", "HEAD /nowhere HTTP/1.1", "404", "0", "http://r/", "-")
    assert found[5][1::4] == (r"GET /\x22\x7F\xFF HTTP/1.1", r"\x5C\x22")
    assert found[6][1::4] == ("PUT /a HTTP/1.1", "u")
    assert found[7][1:3] == ("nonsense", "400")
    assert len(found) == len(lines) == 8


def test_recall_changes_no_line(serve: Serve, site: Path, tmp_path: Path) -> None:
    logs = []
    for name in ("--recall", "--no-recall"):
        path = tmp_path / name
        server = serve(site, name, "--quiet", "--access-log", str(path))
        with server.connect() as peer:
            for _ in range(3):
                server.get("/page.html", peer=peer)
        for octets in (GET, GET, GET * 2, GET.replace(b"test", b"other"), GET):
            server.exchange(octets)
        assert server.stop() == 0
        logs.append(re.sub(r"\[[^]]*\]", "", path.read_text()))
    assert logs[0] == logs[1]
    assert logs[0].count("\n") == 9


@pytest.mark.parametrize("poller", ["busy", "epoll"])
def test_a_line_is_there_within_a_second(serve: Serve, site: Path, path: Path, poller: str) -> None:
    server = serve(site, "--quiet", "--poller", poller, "--access-log", str(path))
    with server.connect() as peer:
        server.get("/", peer=peer)
        begun = time.monotonic()
        assert await_true(lambda: count_lines(path) == 1)
        assert time.monotonic() - begun < FLUSH_SECONDS + SLACK_SECONDS


def test_a_download_that_the_peer_ends_is_shown_with_what_was_sent(
    serve: Serve, site: Path, path: Path
) -> None:
    octets = 50_000_000
    with (site / "big.bin").open("wb") as file:
        file.truncate(octets)
    server = serve(site, "--quiet", "--access-log", str(path))
    with server.connect() as peer:
        peer.sendall(b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        received = len(receive_head(peer)[1])
    assert server.stop() == 0
    found = COMBINED.fullmatch(path.read_text())
    assert found is not None
    assert found[3] == "200"
    assert received <= int(found[4]) < octets


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_rotated_log_is_opened_again(serve: Serve, site: Path, path: Path, workers: str) -> None:
    server = serve(site, "--quiet", "--workers", workers, "--access-log", str(path))
    rotated = path.with_suffix(".1")
    for _ in range(4):
        server.exchange(GET)
    path.rename(rotated)
    server.process.send_signal(signal.SIGUSR1)
    assert await_true(path.exists)

    def is_new_line_there() -> bool:
        server.exchange(GET)
        return count_lines(path) > 0

    # Each of the workers learns of it by itself, and what was noted before goes to the old file.
    assert await_true(is_new_line_there)
    assert server.stop() == 0
    assert count_lines(rotated) >= 4
    lines = (rotated.read_text() + path.read_text()).splitlines(keepends=True)
    assert all(COMBINED.fullmatch(line) for line in lines)
    assert server.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is led astray")
def test_root_follows_no_link_after_a_rotation(serve: Serve, site: Path, open_folder: Path) -> None:
    logs, victim = open_folder / "logs", open_folder / "victim"
    logs.mkdir()
    os.chown(logs, 4711, 4711)
    victim.write_text("root's own\n")
    path = logs / "access.log"
    server = serve(site, "--quiet", "--workers", "1", "--access-log", str(path))
    path.rename(path.with_suffix(".1"))
    path.symlink_to(victim)
    server.process.send_signal(signal.SIGUSR1)
    assert await_true(lambda: "the old file stays in use" in server.stderr)
    server.exchange(GET)
    assert server.stop() == 0
    assert server.stderr == (
        f"epollo: cannot write the access log {path}: "
        "a link leads there that another user may have made; the old file stays in use\n"
    )
    assert victim.read_text() == "root's own\n"
    assert count_lines(path.with_suffix(".1")) == 1


def test_a_log_that_cannot_be_written_is_refused(site: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, str(site), "--port", "0", "--access-log", str(tmp_path / "none" / "log")],
        capture_output=True,
        timeout=STOP_SECONDS,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == b""
    assert re.fullmatch(rb"epollo: cannot write the access log \S+: [^\n]+\n", result.stderr)


def test_a_log_that_clients_may_read_is_told(serve: Serve, site: Path) -> None:
    """As a first try in the current folder is."""
    for words in ((), ("--workers", "1")):
        told = serve(site, "--access-log", str(site / "access.log"), *words).stderr
        assert told.count("is in the folder that is served: every client may read it\n") == 1
    assert not serve(site, "--access-log", str(site / ".access.log")).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_and_counted(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet", "--access-log", "/dev/full")
    server.exchange(GET * 3)
    assert await_true(lambda: "dropped" in server.stderr)
    server.exchange(GET * 4)
    assert server.get("/") == (site / "index.html").read_bytes()
    assert server.stop() == 0
    assert server.stderr.splitlines() == [
        "epollo: lines of the access log are dropped: No space left on device",
        "epollo: the access log ends; 8 lines were dropped",
    ]


# To stdout.


class PipedServer:
    """A server whose stdout is a log; where it is, it says on stderr."""

    def __init__(self, site: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, str(site), "--port", "0", "--access-log", "-", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = self.process.stdout
        self.port = 0
        for line in self.process.stderr:
            if found := re.search(rb"http://\S+:(\d+)/", line):
                self.port = int(found[1])
            if b"Ctrl-C" in line:
                return
        raise AssertionError("the server did not start")

    def exchange(self, octets: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
            peer.sendall(octets)
            peer.shutdown(socket.SHUT_WR)
            return receive_all(peer)

    def stop(self) -> tuple[int, bytes, bytes]:
        """Return the exit status, and the rest of stdout and stderr."""
        self.process.send_signal(signal.SIGTERM)
        stdout, stderr = self.process.communicate(timeout=STOP_SECONDS)
        return self.process.returncode, stdout, stderr


@pytest.fixture
def piped(site: Path) -> Iterator[Callable[..., PipedServer]]:
    servers: list[PipedServer] = []

    def start(*arguments: str) -> PipedServer:
        servers.append(PipedServer(site, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        for stream in (server.process.stdout, server.process.stderr):
            assert stream is not None
            stream.close()


def test_stdout_holds_nothing_but_the_log(piped: Callable[..., PipedServer]) -> None:
    server = piped("--access-log-format", "json")
    server.exchange(GET)
    line = json.loads(server.stdout.readline())
    assert (line["target"], line["status"], line["user_agent"]) == ("/page.html", 200, "test")
    assert 0 <= line["seconds"] < 60
    server.exchange(b'GET /"\n\xff HTTP/1.1\r\n\r\n')
    status, stdout, stderr = server.stop()
    assert (status, stderr) == (0, b"")
    assert json.loads(stdout)["status"] == 400


def test_stdout_has_no_reader_any_more(piped: Callable[..., PipedServer]) -> None:
    server = piped("--access-log-format", "common")
    server.stdout.close()
    for _ in range(3):
        assert b" 200 OK\r\n" in server.exchange(GET)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(STOP_SECONDS) == 0
    assert server.process.stderr is not None
    told = server.process.stderr.read().decode().splitlines()
    assert told[0] == "epollo: lines of the access log are dropped: Broken pipe"
    assert told[-1] == "epollo: the access log ends; 3 lines were dropped"
    assert len(told) == 2


def test_a_reader_that_rests_loses_nothing_and_delays_no_client(
    piped: Callable[..., PipedServer],
) -> None:
    """More lines than a pipe holds (64 KiB, pipe(7)), fewer than may wait."""
    server = piped()
    requests = 3000
    for _ in range(requests // 50):
        assert server.exchange(GET * 50).count(b" 200 OK\r\n") == 50
    lines = [server.stdout.readline().decode() for _ in range(requests)]
    assert all(COMBINED.fullmatch(line) for line in lines)
    assert server.stop() == (0, b"", b"")
