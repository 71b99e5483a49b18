"""The command as a person types it: what it understands, what it prints, how it ends."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import copies
from conftest import COMMAND, Serve, Server, receive_all, receive_content, receive_head
from server.workers import await_line

LARGE_OCTETS = 32 * 1024 * 1024
SOON_SECONDS = 3

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command with any words; what still runs in the end is killed.

    As a copy, unless the test wants more of an interpreter than words and a folder.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *words: str, command: list[str] | None = None, cwd: Path = tmp_path, **more: object
    ) -> subprocess.Popen[bytes]:
        if command is None and not more:
            process = copies.start([*COMMAND, *words], folder=cwd)
        else:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [*(command or COMMAND), *words],
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": cwd, **more},
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_link(process: subprocess.Popen[bytes]) -> str:
    """Return the first link that is printed, once the server has said all that it says at first."""
    assert process.stdout is not None
    link = ""
    for line in process.stdout:
        found = re.search(rb"http://\S+", line)
        if found and not link:
            link = found[0].decode()
        if b"Ctrl-C" in line:
            return link
    raise AssertionError(f"it did not start: {process.communicate()}")


def fetch(link: str) -> bytes:
    with urllib.request.urlopen(link, timeout=10) as answer:
        content: bytes = answer.read()
    return content


@pytest.fixture
def port() -> Iterator[int]:
    """A port that the kernel chooses for no other socket.

    Sockets with SO_REUSEADDR may bind a port that is bound, if none listens there (socket(7)).
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("", 0))
        yield bound.getsockname()[1]


def finish(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, bytes]:
    """Send a signal; return the status and what was printed on stderr."""
    process.send_signal(number)
    _, stderr = process.communicate(timeout=15)
    return process.returncode, stderr


def run_to_end(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that does not come to serving."""
    return copies.run([*COMMAND, *words], cwd, timeout_seconds=20)


def assert_refused(result: subprocess.CompletedProcess[str], *fragments: str) -> None:
    """One line on stderr that holds the fragments, nothing on stdout, status 2."""
    text = result.stderr
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    assert text.startswith("epollo: ")
    for fragment in fragments:
        assert fragment in text
    assert result.stdout == ""
    assert result.returncode == 2


# What is understood.


def test_the_first_lines_say_what_is_served_and_where_and_how_to_stop_it(
    start: Start, site: Path
) -> None:
    # In full: that lines come at once through a pipe is no merit of the interpreter's options.
    process = start("site", "--port", "0", command=COMMAND)
    assert process.stdout is not None
    lines = [process.stdout.readline().decode() for _ in range(4)]
    assert lines[0] == f"epollo serves {site.resolve()}\n"
    found = re.fullmatch(r"  at: +(http://127\.0\.0\.1:\d+/)\n", lines[1])
    assert found is not None
    assert re.fullmatch(r"  poller: +(epoll|poll|select)\n", lines[2])
    assert "Ctrl-C" in lines[3]
    assert fetch(found[1]) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_without_a_path_the_current_folder_is_served(start: Start, site: Path) -> None:
    process = start("--port", "0", cwd=site)
    assert fetch(read_link(process)) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_a_number_without_a_flag_is_the_port(start: Start, site: Path, port: int) -> None:
    process = start("site", str(port))
    assert read_link(process) == f"http://127.0.0.1:{port}/"
    assert finish(process) == (0, b"")


@pytest.mark.parametrize("words", [["-p", "{}"], ["-p{}"], ["--port={}"]])
def test_the_port_has_a_short_flag(start: Start, site: Path, port: int, words: list[str]) -> None:
    process = start("site", *(word.format(port) for word in words))
    assert read_link(process) == f"http://127.0.0.1:{port}/"
    assert finish(process) == (0, b"")


def test_what_people_type_for_python_http_server(start: Start, site: Path, port: int) -> None:
    process = start(str(port), "-d", str(site), "-b", "127.0.0.2")
    assert read_link(process) == f"http://127.0.0.2:{port}/"
    assert fetch(f"http://127.0.0.2:{port}/page.html") == (site / "page.html").read_bytes()
    assert finish(process) == (0, b"")


def test_a_folder_whose_name_is_a_number_is_a_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "index.html").write_text("a year")
    process = start("2026", "--port", "0")
    assert fetch(read_link(process)) == b"a year"
    assert finish(process) == (0, b"")


@pytest.mark.parametrize("name", ["with space", "ünï", "100%", "\udcff\udcfe", "new\nline"])
def test_a_folder_may_have_any_name(start: Start, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "index.html").write_text("here")
    process = start(name, "--port", "0", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"epollo serves ")
    assert process.stdout.readline().startswith(b"  at: ")
    process.stdout.readline()
    assert finish(process) == (0, b"")


def test_the_installed_command_is_the_same_as_the_module(start: Start, site: Path) -> None:
    command = shutil.which("epollo", path=sysconfig.get_path("scripts"))
    if command is None:
        pytest.skip("epollo is not installed here; it runs from its source")
    process = start("site", "--port", "0", command=[command])
    assert fetch(read_link(process)) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_sharing_shows_the_address_that_others_can_reach(start: Start, site: Path) -> None:
    process = start("site", "--port", "0", "--host", "0.0.0.0")
    assert process.stdout is not None
    lines = b""
    while b"Ctrl-C" not in lines:
        lines += process.stdout.readline()
    here = re.search(rb"here: +(http://localhost:\d+/)", lines)
    assert here is not None
    assert b"http://0.0.0.0" not in lines
    others = re.search(rb"others: +(http://[\d.]+:\d+/)", lines)
    for link in [found[1].decode() for found in (here, others) if found]:
        assert fetch(link) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_ipv6(start: Start, site: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    process = start("site", "--port", "0", "--host", "::1")
    link = read_link(process)
    assert link.startswith("http://[::1]:")
    assert fetch(link) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_help_is_short_enough_to_read() -> None:
    result = run_to_end("--help")
    text = result.stdout
    assert result.returncode == 0
    assert result.stderr == ""
    assert text.startswith("Usage: epollo [OPTIONS] [PATH] [PORT]")
    for flag in ("--host", "--port", "--poller", "--quiet", "--grace", "http.server"):
        assert flag in text
    # Two to three lines for an option: the whole manual is asked for by itself.
    assert len(text.splitlines()) < 160
    assert max(map(len, text.splitlines())) <= 100
    whole = run_to_end("--manual")
    assert whole.returncode == 0
    assert "0.0.0.0 lets the whole network connect" in " ".join(whole.stdout.split())
    assert "0.0.0.0 lets the whole network connect" not in " ".join(text.split())


def test_version() -> None:
    result = run_to_end("--version")
    assert re.fullmatch(r"epollo \d+\.\d+\.\d+\S*\n", result.stdout)
    assert result.returncode == 0


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_what_was_asked_for_cannot_be_printed(word: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*COMMAND, word], stdout=full, stderr=subprocess.PIPE, timeout=20, check=False
        )
    assert result.stderr == b"epollo: cannot write to stdout: No space left on device\n"
    assert result.returncode == 2


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_no_reader_takes_what_was_asked_for(word: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        result = subprocess.run(
            [*COMMAND, word], stdout=stdout, stderr=subprocess.PIPE, timeout=20, check=False
        )
    assert (result.returncode, result.stderr) == (0, b"")


# What is refused: one line, status 2.


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["nowhere"], ["there is no folder nowhere"]),
        (["-d", "nowhere"], ["there is no folder nowhere"]),
        (["site/page.html"], ["site/page.html is not a folder"]),
        (["two\nlines"], [r"two\nlines"]),
        ([""], ["empty"]),
        (["-d", ""], ["empty"]),
        (["site", "bare"], ["one folder", "site and bare"]),
        (["site", "--prot", "1"], ["--prot", "--help"]),
        (["site", "-Z"], ["-Z", "--help"]),
        (["site", "--port"], ["--port"]),
        (["site", "--port", "http"], ["--port", "http"]),
        (["site", "--port", "70000"], ["--port", "70000", "65535"]),
        (["site", "--port", "-1"], ["--port", "-1"]),
        (["site", "70000"], ["70000", "65535"]),
        (["site", "1" * 300], ["1" * 300, "65535"]),
        (["site", "1" * 5000], ["1" * 5000, "65535"]),
        (["a" * 300], ["cannot read the folder", "too long"]),
        (["site", "80", "90"], ["one port", "80 and 90"]),
        (["site", "--user", ""], ["--user", "empty"]),
        (["site", "--unix", ""], ["--unix", "empty"]),
        (["site", "--access-log="], ["--access-log", "empty"]),
        (["site", "--host", ""], ["--host", "empty"]),
        (["site", "--proxy-from", "nobody"], ["nobody"]),
        (["site", "--cache-control", ""], ["--cache-control"]),
        (["site", "--cache-control", " "], ["--cache-control", "max-age=3600"]),
        (["site", "--cache-control", "no cache"], ["--cache-control", "no cache"]),
        (["site", "--cache-control", "no-cache\r\nX: y"], [r"no-cache\r\nX: y"]),
        (["site", "--cache-control", "no-cache\n"], [r"no-cache\n"]),
        (["site", "--cache-control", "max-age=60\x7f"], [r"max-age=60\x7f"]),
        (["site", "--cache-control", "für-immer"], ["--cache-control"]),
        (["site", "--workers", "1", "--cache-control", "max-age:60"], ["max-age:60"]),
        (["site", "--poller", "kqueue"], ["--poller", "kqueue", "epoll"]),
        (["site", "--grace", "nan"], ["--grace", "nan"]),
        (["site", "--grace", "-1"], ["--grace", "-1"]),
        (["site", "--idle-timeout", "inf"], ["--idle-timeout"]),
        (["site", "--idle-timeout", "1e300"], ["--idle-timeout"]),
        (["site", "--cache-size", "much"], ["--cache-size", "much", "256M"]),
        (["site", "--max-head", "1T"], ["--max-head", "1T is more than 1M"]),
        (["site", "--grace", "soon"], ["--grace", "soon", "10s"]),
        (["site", "-port", "80"], ["No such option: -port. Is --port meant?"]),
        (["site", "--fast"], ["No such option: --fast. (epollo --help"]),
        (["lab", "--quik"], ["No such option: --quik. Is --quick meant?"]),
        (["lab", "watch", "--prot", "1"], ["No such option: --prot. Is --port meant?"]),
        (["site", "--host", "no.such.host.invalid"], ["no.such.host.invalid"]),
        (["site", "--host", "a" * 70], ["a" * 70]),
        (["site", "--host", ".."], ["cannot listen on .."]),
        (["site", "--host", "192.0.2.1"], ["192.0.2.1"]),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    words: list[str], fragments: list[str], site: Path
) -> None:
    assert_refused(run_to_end(*words, cwd=site.parent), *fragments)


def test_a_port_in_use(site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        by = f"in use by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"
        assert_refused(run_to_end(str(site), "--port", port), port, by, "is free: --port ")


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["site/page.html"], "site/page.html is not a folder"),
        (["site", "--proxy-from", "nobody"], "'nobody' is no address"),
        (["site", "--user", "no-such-user"], "there is no user no-such-user"),
        (["site", "--access-log", "none/log"], "cannot write the access log none/log"),
        (["nowhere", "--access-log", "none/log"], "there is no folder nowhere"),
    ],
)
def test_other_mistakes_are_told_before_a_port_in_use(
    words: list[str], fragment: str, more: list[str], site: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = ["--port", str(other.getsockname()[1])]
        assert_refused(run_to_end(*words, *port, *more, cwd=site.parent), fragment)


def test_a_folder_that_may_not_be_read(site: Path) -> None:
    # root may read everything, by two capabilities (capabilities(7)) that can be dropped.
    dropped = "-dac_override,-dac_read_search"
    unprivileged = ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped]
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed, and root may read everything")
    site.chmod(0)
    try:
        result = subprocess.run(
            [*(unprivileged if os.geteuid() == 0 else []), *COMMAND, str(site)],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        site.chmod(0o755)
    assert_refused(result, str(site), "ermission denied")


def test_the_current_folder_was_deleted(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    result = subprocess.run(
        ["sh", "-c", f'rmdir "$PWD"; exec {sys.executable} -m epollo --port 0'],
        cwd=gone,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert_refused(result, "No such file")


@pytest.mark.parametrize("limit", [6, 7, 8, 9])
@pytest.mark.parametrize("words", ["", "--workers 1", "--workers 2"])
def test_too_few_descriptors(site: Path, limit: int, words: str) -> None:
    result = subprocess.run(
        ["sh", "-c", f"ulimit -n {limit}; exec {sys.executable} -m epollo {site} --port 0 {words}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert_refused(result, "Too many open files")


# The terminal.


def test_a_line_for_each_request(serve: Serve, site: Path) -> None:
    server = serve(site)
    server.get("/page.html")
    length = (site / "page.html").stat().st_size
    assert re.fullmatch(rf"GET /page\.html 200 {length} \d+\.\d ms\n", server.read_line())
    server.exchange(b"HEAD /nowhere?a=b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert re.fullmatch(r"HEAD /nowhere\?a=b 404 0 \d+\.\d ms\n", server.read_line())
    server.exchange(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert re.fullmatch(r"OPTIONS \* 204 0 \d+\.\d ms\n", server.read_line())
    server.exchange(b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert re.fullmatch(r"DELETE / 405 \d+ \d+\.\d ms\n", server.read_line())
    server.exchange(b"nonsense\r\n\r\n")
    assert re.fullmatch(r"- - 400 \d+ \d+\.\d ms\n", server.read_line())


def test_the_same_request_again_gets_its_line_again(serve: Serve, site: Path) -> None:
    server = serve(site)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    server.exchange(request * 3)
    with server.connect() as peer:
        for _ in range(3):
            server.get("/", peer=peer)
    lines = [server.read_line() for _ in range(6)]
    assert all(line.startswith("GET / 200 ") for line in lines)


@pytest.fixture(scope="module")
def printing(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of an empty folder that prints a line for each request."""
    return serve_module(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize(
    "target",
    [
        b"/\x1b[2J\x1b]0;owned\x07",
        b"/a\tb",
        b"/%0d%0aGET%20/fake%20200",
        b"/%1b[31m",
        b"/\xff\xfe\x80",
        b"/\xe2\x80\xae",
        b"/" + b"x" * 4000,
        b"/?" + b"\x07" * 10,
    ],
)
def test_a_hostile_target_cannot_break_its_line(printing: Server, target: bytes) -> None:
    server = printing
    server.exchange(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    server.exchange(b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n")
    line = server.read_line()
    assert line.removesuffix("\n").isprintable()
    assert line.isascii()
    assert len(line) < 1000
    assert re.fullmatch(r"\S+ \S+ \d{3} \d+ \d+\.\d ms\n", line)
    assert server.read_line().startswith("GET /last 404 ")


def test_quiet_prints_no_line_for_a_request(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet")
    server.get("/")
    assert server.stop() == 0
    assert server.process.stdout is not None
    assert server.process.stdout.closed
    assert not any("GET" in line for line in server.lines)


def test_nothing_but_the_first_lines_is_printed_when_quiet(start: Start, site: Path) -> None:
    process = start("site", "--port", "0", "--quiet")
    assert fetch(read_link(process))
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=15) == (b"", b"")


def test_the_lines_have_no_reader_any_more(start: Start, site: Path) -> None:
    process = start("site", "--port", "0")
    link = read_link(process)
    assert process.stdout is not None
    process.stdout.close()
    for _ in range(3):
        assert fetch(link) == (site / "index.html").read_bytes()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert process.stderr is not None
    stderr = process.stderr.read().decode()
    assert stderr.count("\n") == 1, stderr
    assert "stdout" in stderr


def test_the_lines_are_not_read_for_a_while(serve: Serve, site: Path) -> None:
    """More lines than a pipe holds (64 KiB, pipe(7)): left out and counted, not waited for."""
    requests = 5000
    server = serve(site)
    request = b"GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as peer:
        for _ in range(requests // 50):
            peer.sendall(request * 50)
            octets = b""
            while octets.count(b"HTTP/1.1 200 OK\r\n") < 50 or not octets.endswith(b"</title>\n"):
                octets += peer.recv(65536)
    lines = 0
    while "left out" not in (line := server.read_line()):
        assert line.startswith("GET /page.html 200 ")
        lines += 1
        if lines % 500 == 0:
            server.get("/page.html")
            requests += 1
    omitted = re.fullmatch(r"\((\d+) lines are left out: stdout was not read\)\n", line)
    assert omitted is not None
    # The last ones are printed while the first are read.
    server.get("/")
    while server.read_line().startswith("GET /page.html 200 "):
        lines += 1
    assert lines + int(omitted[1]) == requests


def test_into_head_1(site: Path, port: int) -> None:
    """``epollo | head -1``: head reads one line and goes; no traceback follows."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*COMMAND, str(site), "--port", str(port)], stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(writing)
        with open(reading, "rb", buffering=0) as stdout:
            assert stdout.read(15) == b"epollo serves /"
        status, stderr = None, b""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
        status, stderr = finish(process)
    assert status == 0
    assert b"Traceback" not in stderr
    assert stderr.count(b"\n") <= 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_the_shell_closed(site: Path, port: int, closed: str) -> None:
    """No peer gets what is printed, and nothing fails for want of a stream."""
    command = " ".join([*COMMAND, str(site), "--port", str(port), closed])
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 10
        answer = b""
        while not answer and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(
                ("127.0.0.1", port), 10
            ) as peer:  # fmt: skip
                peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = receive_all(peer)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith((site / "index.html").read_bytes())
        assert finish(process) == (0, b"")


# The end.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [(), ("--workers", "1")])
def test_a_signal_while_it_is_being_imported_is_silent(
    start: Start, site: Path, tmp_path: Path, words: tuple[str, ...], number: int
) -> None:
    """A module that all else waits for says that it is there, and stays there until a signal comes."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "socket.py").write_text(
        "import signal\nprint('importing', flush=True)\nsignal.pause()\n"
    )
    path = os.pathsep.join([str(tmp_path / "modules"), os.environ.get("PYTHONPATH", "")])
    process = start("site", "--port", "0", *words, env={**os.environ, "PYTHONPATH": path})
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing\n"
    assert finish(process, number) == (0, b"")


_DROPPED_BY_A_CALLBACK = """
class Lock: pass
lock = Lock()
reference = weakref.ref(lock, lambda _: os.kill(os.getpid(), NUMBER))
del lock
"""
_RENAMED_BY_A_CLASS = """
class Named:
    def __set_name__(self, owner, name): os.kill(os.getpid(), NUMBER)
class Owner: named = Named()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["epollo.cli", "epollo.worker.process"])
@pytest.mark.parametrize("moment", [_DROPPED_BY_A_CALLBACK, _RENAMED_BY_A_CLASS])
def test_a_signal_is_silent_where_python_drops_or_renames_what_its_handler_raises(
    start: Start, site: Path, tmp_path: Path, module: str, moment: str, number: int
) -> None:
    """The moment is put before the first line of a module, which is imported early, or last."""
    hook = f"""
import importlib.machinery, os, weakref
original = importlib.machinery.SourceFileLoader.exec_module
def exec_module(loader, module):
    if module.__name__ == {module!r}:
        exec({moment.replace("NUMBER", str(int(number)))!r}, globals())
    original(loader, module)
importlib.machinery.SourceFileLoader.exec_module = exec_module
"""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(hook)
    path = os.pathsep.join([str(tmp_path / "modules"), os.environ.get("PYTHONPATH", "")])
    process = start("site", "--port", "0", env={**os.environ, "PYTHONPATH": path})
    _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [(), ("--workers", "1")])
def test_signals_until_the_very_end_do_not_change_the_status(
    start: Start, site: Path, words: tuple[str, ...], number: int
) -> None:
    process = start("site", "--port", "0", *words)
    read_link(process)
    while process.poll() is None:
        process.send_signal(number)
    assert finish(process, number) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_an_idle_server_at_once(start: Start, site: Path, number: int) -> None:
    process = start("site", "--port", "0", "--grace", "60")
    read_link(process)
    begun = time.monotonic()
    assert finish(process, number) == (0, b"")
    assert time.monotonic() - begun < SOON_SECONDS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("poller", ["busy", "select", "poll", "epoll"])
def test_idle_connections_do_not_hold_up_the_end(
    serve: Serve, site: Path, number: int, poller: str
) -> None:
    server = serve(site, "--grace", "60", "--poller", poller)
    with contextlib.ExitStack() as open_peers:
        peers = [open_peers.enter_context(server.connect()) for _ in range(20)]
        for peer in peers:
            server.get("/", peer=peer)
        begun = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - begun < SOON_SECONDS
        assert [peer.recv(1) for peer in peers] == [b""] * 20


def make_large(site: Path) -> Path:
    """Make a file too large to be kept, with content that is not all the same."""
    path = site / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGE_OCTETS)
        for offset in range(0, LARGE_OCTETS, 1024 * 1024):
            os.pwrite(file.fileno(), b"%d" % offset, offset)
    return path


def begin_download(server: Server) -> tuple[socket.socket, bytes, bytes]:
    """Ask for the large file; return the connection, the head and the first octets."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    peer.settimeout(15)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    return peer, *receive_head(peer)


def await_refusal(server: Server) -> None:
    """Wait until no client is accepted any more."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            server.connect().close()
        except ConnectionError:
            return
    raise AssertionError("connections are still accepted")


@pytest.mark.parametrize("poller", ["busy", "epoll"])
def test_what_is_being_sent_is_finished(serve: Serve, site: Path, poller: str) -> None:
    """And then it ends at once: a connection that is kept alive is idle then."""
    large = make_large(site)
    server = serve(site, "--grace", "60", "--quiet", "--poller", poller)
    peer, head, content = begin_download(server)
    with peer:
        server.process.send_signal(signal.SIGTERM)
        await_refusal(server)
        assert server.process.poll() is None
        assert receive_content(peer, head, content) == large.read_bytes()
        # Two or three seconds to say what it may be sending still, and to end.
        assert server.process.wait(10) == 0
        assert peer.recv(1) == b""


def test_the_grace_bounds_the_end(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--grace", "1", "--quiet")
    peer, _, _ = begin_download(server)
    with peer:
        begun = time.monotonic()
        assert server.stop() == 0
        assert 0.9 < time.monotonic() - begun < 1 + SOON_SECONDS
        assert len(receive_all(peer)) < LARGE_OCTETS


def test_a_second_signal_ends_at_once(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--grace", "60", "--quiet")
    peer, _, _ = begin_download(server)
    with peer:
        server.process.send_signal(signal.SIGINT)
        await_refusal(server)
        await_line(server, "epollo: finishing 1 connection, for at most ")
        begun = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
        assert time.monotonic() - begun < SOON_SECONDS


def test_a_hang_up_ends_in_order(serve: Serve, site: Path, tmp_path: Path) -> None:
    """What is being sent is finished, the log is written, the path is removed."""
    large = make_large(site)
    log, path = tmp_path / "access.log", tmp_path / "socket"
    server = serve(site, "--grace", "60", "--unix", str(path), "--access-log", str(log))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(15)
        peer.connect(str(path))
        peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        head, content = receive_head(peer)
        server.process.send_signal(signal.SIGHUP)
        assert receive_content(peer, head, content) == large.read_bytes()
        assert server.process.wait(SOON_SECONDS) == 0
    assert f'"GET /large.bin HTTP/1.1" 200 {LARGE_OCTETS}' in log.read_text()
    assert not path.exists()


def test_a_hang_up_that_was_ignored_at_the_start_stays_so(start: Start, site: Path) -> None:
    command = f"trap '' HUP; exec {' '.join(COMMAND)} {site} --port 0"
    process = start(command=["sh", "-c", command])
    link = read_link(process)
    process.send_signal(signal.SIGHUP)
    assert fetch(link) == (site / "index.html").read_bytes()
    assert finish(process) == (0, b"")


def test_there_is_no_takeover_without_workers(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet")
    server.process.send_signal(signal.SIGUSR2)
    assert server.get("/") == (site / "index.html").read_bytes()
    assert server.stop() == 0
    assert server.stderr.count("\n") == 1
    assert "--workers" in server.stderr


def test_two_signals_at_once(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--grace", "60", "--quiet")
    peer, _, _ = begin_download(server)
    with peer:
        begun = time.monotonic()
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            server.process.send_signal(number)
        assert server.process.wait(15) == 0
        assert time.monotonic() - begun < SOON_SECONDS


def test_a_signal_right_after_the_first_lines_is_not_lost(site: Path) -> None:
    """From the first lines on, a signal stops the server."""
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-m", "epollo", str(site), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert finish(process) == (0, b"")
