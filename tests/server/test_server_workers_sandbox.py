"""What a worker that the command started may do, and how it follows a root that is replaced."""

import os
import pty
import pwd
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from conftest import COMMAND, STOP_SECONDS, Serve, Server, needs_root, receive_all, rest
from linux.confined import ABI
from server.workers import Load, await_line, await_true, children, refusal

INDEX = b"<!doctype html><title>index</title>\n"
needs_landlock = pytest.mark.skipif(ABI == 0, reason="this kernel has no Landlock")


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """A folder in which another user may look."""
    return open_folder


def status_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


def sandbox_line(server: Server) -> str:
    return next((line.strip() for line in server.lines if "sandbox:" in line), "")


# A responder that tries what a request names: what an attacker with code in the worker would do.
_SUBVERTED = """
import sys
from epollo.site.respond import Site
respond = Site.respond
def respond_subverted(self, request):
    found = request.target.path.decode()
    if found.startswith("/try"):
        try:
            with open(found.removeprefix("/try"), "rb") as file:
                sys.stderr.write("WITNESS read %s\\n" % found)
        except OSError as error:
            sys.stderr.write("WITNESS %s %s\\n" % (type(error).__name__, found))
        sys.stderr.flush()
    return respond(self, request)
Site.respond = respond_subverted
"""


@pytest.fixture
def subverted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every process that the test starts answer as an attacker would want."""
    folder = tmp_path / "subverted"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SUBVERTED)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    )


def witness(server: Server, path: str) -> str:
    """Return what came of reading a path inside of a worker."""
    before = server.stderr.count("WITNESS")
    server.exchange(f"GET /try{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert await_true(lambda: server.stderr.count("WITNESS") > before)
    return str(re.findall(r"WITNESS (\w+) ", server.stderr)[-1])


@needs_landlock
@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (("--workers", "1"), "PermissionError"),
        (("--workers", "1", "--sandbox", "on"), "PermissionError"),
        (("--sandbox", "on"), "PermissionError"),
        (("--workers", "1", "--sandbox", "off"), "read"),
        ((), "read"),
    ],
)
def test_what_code_inside_of_a_worker_can_read(
    subverted: None, serve: Serve, site: Path, words: tuple[str, ...], outcome: str
) -> None:
    server = serve(site, "--quiet", *words)
    assert witness(server, "/etc/passwd") == outcome
    assert witness(server, str(site / "page.html")) == "read"
    # One line says what is in force.
    assert ("Landlock" in sandbox_line(server)) == (outcome != "read")
    pid = children(server.pid)[0] if "--workers" in words else server.pid
    assert status_of(pid)["NoNewPrivs"] == ("1" if outcome != "read" else "0")


@needs_landlock
def test_a_worker_that_replaces_another_is_confined_too(
    subverted: None, serve: Serve, site: Path
) -> None:
    server = serve(site, "--quiet", "--workers", "1")
    os.kill(children(server.pid)[0], signal.SIGKILL)
    await_line(server, "serves in its place")
    assert witness(server, "/etc/passwd") == "PermissionError"
    server.process.send_signal(signal.SIGHUP)
    await_line(server, "new workers serve")
    assert witness(server, "/etc/passwd") == "PermissionError"


_OPENED = re.compile(r"^flags:\s+0(\d+)$", re.MULTILINE)


def access_of(pid: int, descriptor: int) -> int:
    """Return how a process opened a descriptor: O_RDONLY, O_WRONLY or O_RDWR (proc_pid_fdinfo(5))."""
    found = _OPENED.search(Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text())
    assert found is not None
    return int(found[1], 8) & os.O_ACCMODE


def test_a_worker_has_nothing_of_the_operator_s_terminal(site: Path) -> None:
    """It cannot read what is typed, nor type (TIOCSTI is for the session of a terminal, ioctl_tty(2))."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(site), "--port", "0", "--workers", "1", "--sandbox", "off"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=os.environ | {"EPOLLO_TEST_SECRET": "secret"},
        start_new_session=True,
    )
    os.close(terminal)
    try:
        shown = b""
        while b"Ctrl-C" not in shown:
            shown += os.read(master, 4096)
        (worker,) = children(process.pid)
        name = os.readlink(f"/proc/{process.pid}/fd/1")
        assert name.startswith("/dev/pts/")
        assert os.getsid(worker) == worker
        assert os.readlink(f"/proc/{worker}/fd/0").startswith("pipe:")
        for descriptor in os.listdir(f"/proc/{worker}/fd"):
            if os.readlink(f"/proc/{worker}/fd/{descriptor}") == name:
                assert access_of(worker, int(descriptor)) == os.O_WRONLY
        assert access_of(worker, 1) == access_of(worker, 2) == os.O_WRONLY
        assert b"secret" not in Path(f"/proc/{worker}/environ").read_bytes()
        # What it has to say is still seen.
        port = int(re.findall(rb":(\d+)/", shown)[0])
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            peer.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
            receive_all(peer)
        while b"GET /page.html 200" not in shown:
            shown += os.read(master, 4096)
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
        os.close(master)


@needs_root
def test_workers_become_the_user_and_the_parent_does_not(serve: Serve, site: Path) -> None:
    server = serve(site, "--workers", "2", "--quiet", "--user", "nobody")
    nobody = pwd.getpwnam("nobody").pw_uid
    assert "user nobody" in sandbox_line(server)
    for pid in children(server.pid):
        status = status_of(pid)
        assert set(status["Uid"].split()) == {str(nobody)}
        assert status["CapEff"].strip("0") == ""
    assert status_of(server.pid)["Uid"].split()[0] == "0"
    assert server.get("/") == INDEX
    # The parent may still end them, replace them and take in new settings.
    server.process.send_signal(signal.SIGHUP)
    await_line(server, "new workers serve")
    assert server.get("/") == INDEX
    assert server.stop() == 0


@needs_root
def test_a_user_that_may_not_read_the_root_is_told_of_once(site: Path) -> None:
    site.chmod(stat.S_IRWXU)
    assert "cannot read" in refusal(str(site), "--workers", "2", "--port", "0", "--user", "nobody")


# A root that is a link, and is switched to the next release.


def switch(link: Path, release: Path) -> None:
    following = link.with_name("following")
    following.symlink_to(release)
    following.rename(link)


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_root_that_is_switched_is_followed_soon_and_loses_nothing(
    serve: Serve, tmp_path: Path, sandbox: str
) -> None:
    contents = [f"release {number}".encode() for number in range(4)]
    for number, content in enumerate(contents):
        (tmp_path / f"release-{number}").mkdir()
        (tmp_path / f"release-{number}" / "index.html").write_bytes(content)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "release-0")
    server = serve(link, "--workers", "2", "--quiet", "--sandbox", sandbox)
    with Load(server.connect, *contents, clients=3) as load:
        for number in range(1, 4):
            switch(link, tmp_path / f"release-{number}")
            begun = time.monotonic()
            assert await_true(lambda seen=contents[number]: server.get("/") == seen)  # type: ignore[misc]
            # The bound is a second and a half on a machine that has nothing else to do.
            assert time.monotonic() - begun < 5
            if sandbox == "auto" and ABI:
                await_line(server, "new workers serve", number)
                # The old ones accept until the parent has told them to finish.
                assert await_true(lambda: len(children(server.pid)) == 2)
            # Both workers, not just the one that was asked first.
            assert all(server.get("/") == contents[number] for _ in range(20))
    assert load.failures == []


@needs_landlock
def test_a_root_that_no_worker_can_follow_is_told_of_once_each_time(
    serve: Serve, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    server = serve(link, "--quiet", "--sandbox", "on")
    line = f"the folder was replaced: cannot read the folder {link}: Permission denied"
    for number, name in enumerate(("two", "three"), 1):
        switch(link, tmp_path / name)
        await_line(server, line, number)
        # The look of each second finds it again.
        rest(1.5)
        assert server.get("/") == b"one"
        assert server.stderr.count("\n") == number


@needs_root
def test_a_new_root_that_the_user_may_not_read_is_followed_when_it_may(
    serve: Serve, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir(0o755)
        (tmp_path / name / "index.html").write_text(name)
    (tmp_path / "two").chmod(0o700)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    server = serve(link, "--quiet", "--user", "nobody")
    switch(link, tmp_path / "two")
    await_line(server, "Permission denied; the former folder is still served")
    assert server.get("/") == b"one"
    (tmp_path / "two").chmod(0o755)
    assert await_true(lambda: server.get("/") == b"two")
    assert server.stderr.count("\n") == 1


@needs_landlock
def test_a_root_is_followed_when_no_client_asks(serve: Serve, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    server = serve(link, "--workers", "1", "--quiet")
    switch(link, tmp_path / "two")
    await_line(server, "the root was replaced; new workers take over")
    await_line(server, "new workers serve")
    # The old one accepts until the parent has told it to finish.
    assert await_true(lambda: server.get("/") == b"two")
