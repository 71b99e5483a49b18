"""The server, confined: it serves as before, and nothing that it does needs a file outside the root."""

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import content_length, receive_content, receive_head, stop_process
from linux.confined import ABI

pytestmark = pytest.mark.skipif(ABI == 0, reason="this kernel has no Landlock")

_PROGRAM = """
import json, os, socket, sys
from pathlib import Path
from epollo.access_log.terminal_log import TerminalLog
from epollo.transports.listening import open_listening_socket
from epollo.linux.confinement import confine
from epollo.pollers import open_poller
from epollo.settings import Settings
from epollo.site.respond import Site
from epollo.terminal import make_streams_nonblocking, report, tell
from epollo.worker.process import Worker

respond = Site.respond
def respond_or_fail(self, request, *others):
    if b"fault" in request.target.path:
        raise LookupError("wanted by the test")
    return respond(self, request, *others)
Site.respond = respond_or_fail

def audit(event, details):
    # O_PATH names a file, and reads nothing of it; a number is a descriptor that is open already.
    is_opening = event == "open" and not isinstance(details[0], int)
    if event == "import" or (is_opening and not (details[2] or 0) & os.O_PATH):
        sys.stderr.write(f"AUDIT {event} {details[0]!r}\\n")

root = Path(sys.argv[1])
# No test reads the lines of all requests.
make_streams_nonblocking()
with open_listening_socket("127.0.0.1", 0) as listening:
    open_poller("auto")[1].close()
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    confine([descriptor], "on")
    os.close(descriptor)
    sys.addaudithook(audit)
    # The modules are there, and importing them again reads nothing.
    worker = Worker(Settings(root=root, sandbox="on"), [listening], report, TerminalLog())
    tell(json.dumps([listening.getsockname()[1], worker.sandbox]))
    worker.run()
"""


class ConfinedServer:
    def __init__(self, root: Path, stderr: Path) -> None:
        self._stderr = stderr
        with stderr.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-W", "error", "-c", _PROGRAM, str(root)],
                stdout=subprocess.PIPE,
                stderr=file,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert first, stderr.read_text()
        self.port, self.in_force = json.loads(first)

    def get(self, target: str, *lines: str) -> tuple[bytes, bytes]:
        """Return head and content of an answer."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
            fields = "".join(f"{line}\r\n" for line in ("Host: a", "Connection: close", *lines))
            peer.sendall(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode())
            head, content = receive_head(peer)
            return head, receive_content(peer, head, content)

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def audited(self) -> set[str]:
        return set(re.findall(r"^AUDIT (.*)$", self.stderr, re.MULTILINE))

    def stop(self) -> int:
        return stop_process(self.process)


@pytest.fixture
def server(site: Path, tmp_path: Path) -> Iterator[ConfinedServer]:
    (site / "text.txt").write_text("again and " * 2000)
    (site / "large.bin").write_bytes(bytes(3 * 1024 * 1024))
    server = ConfinedServer(site, tmp_path / "stderr")
    yield server
    assert server.stop() == 0
    # Below the root the walk opens names relative to a folder. The lines of a fault are looked for in
    # the source, and gone without.
    expected = re.compile(r"open b'[a-z0-9.]+'|open '.*\.py'")
    assert {line for line in server.audited() if not expected.fullmatch(line)} == set()


def status_of(head: bytes) -> int:
    return int(head.split()[1])


def test_serves(server: ConfinedServer, site: Path) -> None:
    assert "Landlock" in server.in_force
    assert "seccomp" in server.in_force
    assert "no inotify" not in server.stderr
    for target, path in (
        ("/", "index.html"),
        ("/folder/", "folder/index.html"),
        ("/large.bin", "large.bin"),
    ):
        head, content = server.get(target)
        assert status_of(head) == 200
        assert content == (site / path).read_bytes()
    assert status_of(server.get("/nothing")[0]) == 404
    assert status_of(server.get("/bare/../../../etc/passwd")[0]) in {400, 404}
    head, content = server.get("/text.txt", "Range: bytes=0-4,10-14")
    assert status_of(head) == 206
    assert content.count(b"again") == 2


def test_sees_changes_at_once(server: ConfinedServer, site: Path) -> None:
    for number in range(20):
        (site / "new").write_text(str(number))
        (site / "new").rename(site / "page.html")
        assert server.get("/page.html")[1] == str(number).encode()
    (site / "later").mkdir()
    (site / "later" / "index.html").write_text("later")
    assert server.get("/later/")[1] == b"later"
    (site / "page.html").unlink()
    assert status_of(server.get("/page.html")[0]) == 404
    assert "cannot watch" not in server.stderr


def test_lists_folders(server: ConfinedServer, site: Path) -> None:
    (site / "index.html").unlink()
    (site / "link.html").symlink_to("page.html")
    (site / "hard.html").hardlink_to(site / "page.html")
    head, content = server.get("/?format=json")
    assert status_of(head) == 200
    assert [entry["name"] for entry in json.loads(content)["entries"]] == [
        *("bare", "folder", "hard.html", "large.bin", "link.html", "page.html", "text.txt")
    ]
    style = re.search(rb'href="\./(\S+css\?\S+)"', server.get("/")[1])
    assert style is not None
    assert status_of(server.get(f"/{style[1].decode()}")[0]) == 200


def test_a_link_out_of_the_root(server: ConfinedServer, site: Path) -> None:
    (site / "out").symlink_to("/etc/passwd")
    assert status_of(server.get("/out")[0]) in {403, 404}


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_makes_codings(server: ConfinedServer, site: Path, coding: str) -> None:
    end = time.monotonic() + 20
    accept = f"Accept-Encoding: {coding}"
    wanted = f"\r\nContent-Encoding: {coding}".encode()
    while wanted not in (answer := server.get("/text.txt", accept))[0]:
        assert status_of(answer[0]) == 200
        assert time.monotonic() < end, answer[0]
    assert content_length(answer[0]) < 1000
    if coding == "gzip":
        assert gzip.decompress(answer[1]) == (site / "text.txt").read_bytes()


@pytest.mark.parametrize("has_sidecar", [False, True])
def test_codes_a_file_that_is_not_kept(
    server: ConfinedServer, site: Path, has_sidecar: bool
) -> None:
    content = b"some words to be sent\n" * 60_000
    (site / "large.txt").write_bytes(content)
    if has_sidecar:
        (site / "large.txt.gz").write_bytes(gzip.compress(content, 1))
    end = time.monotonic() + 300
    while (
        b"\r\nContent-Encoding: gzip"
        not in (answer := server.get("/large.txt", "Accept-Encoding: gzip"))[0]
    ):
        assert status_of(answer[0]) == 200
        assert time.monotonic() < end, answer[0]
    assert gzip.decompress(answer[1]) == content
    if has_sidecar:
        assert answer[1] == (site / "large.txt.gz").read_bytes()


def test_tells_of_a_fault(server: ConfinedServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as peer:
        peer.sendall(b"GET /fault HTTP/1.1\r\nHost: a\r\n\r\n")
        while peer.recv(65536):
            pass
    assert "LookupError('wanted by the test') in respond_or_fail" in server.stderr
    assert status_of(server.get("/")[0]) == 200
