"""Sockets that workers did not open: passed by a service manager, at a path, for two families."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import make_certificate
from conftest import Serve, receive_content, receive_head
from linux.confined import ABI
from server.workers import (
    Load,
    ServiceManager,
    await_line,
    await_true,
    children,
    ended,
    refusal,
)

INDEX = b"<!doctype html><title>index</title>\n"
WORKERS = [(), ("--workers", "2")]

# As systemd does it: the descriptor has a certain number, and the variable names this very process.
_PASS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[2]))
os.execv(sys.executable, [sys.executable, "-m", "epollo", *sys.argv[3:]])
"""


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """A folder in which another user may look."""
    return open_folder


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    yield manager
    manager.close()


def get(peer: socket.socket) -> bytes:
    peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head, content = receive_head(peer)
    assert head.startswith(b"HTTP/1.1 200 ")
    return receive_content(peer, head, content)


def get_at(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        return get(peer)


def start_with(listening: socket.socket, site: Path, *words: str, off: int = 0) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PASS, str(listening.fileno()), str(off), str(site), *words],
        pass_fds=[listening.fileno()],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        _, stderr = process.communicate(timeout=15)
    assert stderr in {b"", b"epollo: 2 new workers serve; the old ones finish\n"}
    assert process.returncode == 0


# A service manager.


@pytest.mark.parametrize("words", WORKERS)
def test_a_socket_that_was_passed_is_served(
    manager: ServiceManager, site: Path, words: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start = contextlib.contextmanager(start_with)
        with start(listening, site, "--quiet", *words) as pid:
            assert manager.read() == {"READY": "1"}
            with socket.create_connection(listening.getsockname(), 10) as peer:
                assert get(peer) == INDEX
            if words:
                os.kill(pid, signal.SIGHUP)
                assert manager.read()["RELOADING"] == "1"
                assert manager.read() == {"READY": "1"}
                with socket.create_connection(listening.getsockname(), 10) as peer:
                    assert get(peer) == INDEX
        assert manager.read() == {"STOPPING": "1"}


@pytest.mark.parametrize("words", WORKERS)
def test_a_path_that_was_passed_is_not_ours_to_remove(
    manager: ServiceManager, site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "passed"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with contextlib.contextmanager(start_with)(listening, site, "--quiet", *words):
            assert manager.read() == {"READY": "1"}
            assert get_at(path) == INDEX
    assert path.exists()


@pytest.mark.parametrize("words", WORKERS)
def test_a_name_that_was_passed_is_served(
    manager: ServiceManager, site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """As with ListenStream=@name: a name of the abstract name space, which is no path."""
    name = f"\0epollo-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        log = tmp_path / "access.log"
        start = contextlib.contextmanager(start_with)
        with start(listening, site, "--access-log", str(log), *words):
            assert manager.read() == {"READY": "1"}
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(name)
                assert get(peer) == INDEX


def test_what_was_passed_to_another_process_is_left_alone(
    manager: ServiceManager, site: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start = contextlib.contextmanager(start_with)
        with start(listening, site, "--quiet", "--port", "0", off=1):
            assert manager.read() == {"READY": "1"}
            listening.setblocking(False)
            with socket.create_connection(listening.getsockname(), 10):
                # It waits for us, and for no other client.
                assert await_true(lambda: accepts(listening))


def accepts(listening: socket.socket) -> bool:
    try:
        peer, _ = listening.accept()
    except BlockingIOError:
        return False
    peer.close()
    return True


@pytest.mark.parametrize("words", WORKERS)
def test_what_does_not_listen_is_refused(site: Path, words: tuple[str, ...]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        result = subprocess.run(
            [sys.executable, "-c", _PASS, str(silent.fileno()), "0", str(site), *words],
            pass_fds=[silent.fileno()],
            capture_output=True,
            timeout=20,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == b"epollo: descriptor 3 was passed, but does not listen\n"


@pytest.mark.parametrize("words", WORKERS)
@pytest.mark.parametrize("has_path", [False, True])
def test_a_port_of_tls_that_was_not_passed_is_missed(
    site: Path, tmp_path: Path, words: tuple[str, ...], has_path: bool
) -> None:
    """Each socket would lead to a port that no client can connect to."""
    made = make_certificate("localhost")
    (tmp_path / "cert").write_bytes(made.certificate)
    (tmp_path / "key").write_bytes(made.key)
    command = [sys.executable, "-c", _PASS]
    tls = [f"--tls-cert={tmp_path}/cert", f"--tls-key={tmp_path}/key", "--tls-port=112"]
    with socket.socket(socket.AF_UNIX) if has_path else socket.socket() as listening:
        # The second octet of the name is ord("p"), 112.
        listening.bind("\0p" if has_path else ("127.0.0.1", 0))
        listening.listen()
        result = subprocess.run(
            [*command, str(listening.fileno()), "0", str(site), *words, *tls],
            pass_fds=[listening.fileno()],
            capture_output=True,
            timeout=20,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == (
        b"epollo: no socket of port 112 was passed, on which --tls-port speaks https: pass one\n"
    )


def test_a_service_manager_is_told_what_happens(
    manager: ServiceManager, serve: Serve, site: Path, tmp_path: Path
) -> None:
    config = tmp_path / "epollo.toml"
    config.write_text("workers = 2\n")
    server = serve(site, "--quiet", "--config", str(config))
    assert manager.read() == {"READY": "1"}
    config.write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    reloading = manager.read()
    assert reloading["RELOADING"] == "1"
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.read() == {"READY": "1"}
    config.write_text("workers = 2\ndirectory = '/nowhere'\nuser = 'nobody-has-this-name'\n")
    server.process.send_signal(signal.SIGHUP)
    assert manager.read()["RELOADING"] == "1"
    assert manager.read() == {"READY": "1"}
    await_line(server, "nothing was changed", 2)
    config.write_text("workers = 1\n")
    server.process.send_signal(signal.SIGUSR2)
    messages = [manager.read(), manager.read()]
    assert {"READY": "1"} in messages
    (successor,) = (one["MAINPID"] for one in messages if "MAINPID" in one)
    with ended(int(successor)):
        assert server.process.wait(15) == 0
    assert manager.read() == {"STOPPING": "1"}


# A path.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "epollo.socket"


@pytest.mark.parametrize("words", WORKERS)
def test_it_listens_at_a_path(serve: Serve, site: Path, path: Path, words: tuple[str, ...]) -> None:
    server = serve(site, "--quiet", "--unix", str(path), *words)
    assert any(str(path) in line for line in server.lines)
    assert get_at(path) == INDEX
    # A process that reaches the path may connect, as with an address of this machine.
    assert path.stat().st_mode & 0o777 == 0o666
    assert "in use" in refusal(str(site), "--unix", str(path), *words)
    assert get_at(path) == INDEX
    assert server.stop() == 0
    assert not path.exists()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_at_a_path(serve: Serve, site: Path, path: Path) -> None:
    serve(site, "--quiet", "--unix", str(path), "--workers", "2")
    result = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--unix-socket", str(path), "http://any.example/"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (result.stdout, result.stderr) == (INDEX, b"")


@pytest.mark.parametrize("words", WORKERS)
def test_a_path_that_was_left_behind_is_taken(
    serve: Serve, site: Path, path: Path, words: tuple[str, ...]
) -> None:
    former = serve(site, "--quiet", "--unix", str(path), *words)
    pids = children(former.pid)
    former.process.kill()
    former.process.wait()
    assert path.is_socket()
    assert await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    serve(site, "--quiet", "--unix", str(path), *words)
    assert get_at(path) == INDEX


@pytest.mark.parametrize("words", [("--user", "nobody"), ("--sandbox", "on")])
def test_a_path_that_may_not_be_removed_any_more_is_left(
    serve: Serve, site: Path, path: Path, words: tuple[str, ...]
) -> None:
    if "on" in words and ABI == 0:
        pytest.skip("this kernel has no Landlock")
    if "nobody" in words and os.geteuid():
        pytest.skip("only root can become another user")
    server = serve(site, "--quiet", "--unix", str(path), *words)
    assert server.stop() == 0
    assert server.stderr == ""
    assert path.is_socket()
    serve(site, "--quiet", "--unix", str(path))
    assert get_at(path) == INDEX


def test_reloads_at_a_path_lose_nothing(serve: Serve, site: Path, path: Path) -> None:
    server = serve(site, "--quiet", "--unix", str(path), "--workers", "2")

    def connect() -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(10)
        peer.connect(str(path))
        return peer

    with Load(connect, INDEX, clients=3) as load:
        for number in range(3):
            server.process.send_signal(signal.SIGHUP)
            await_line(server, "new workers serve", number + 1)
    assert load.failures == []


# Families of addresses.


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("words", WORKERS)
@pytest.mark.parametrize(
    ("host", "reachable"),
    [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"]), ("127.0.0.1", ["127.0.0.1"])],
)
def test_the_families_of_a_host(
    serve: Serve, site: Path, words: tuple[str, ...], host: str, reachable: list[str]
) -> None:
    server = serve(site, "--quiet", "--host", host, *words)
    for address in ("::1", "127.0.0.1"):
        if address in reachable:
            with socket.create_connection((address, server.port), 10) as peer:
                assert get(peer) == INDEX
        else:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, server.port), 10)


def test_a_port_in_use_is_refused(serve: Serve, site: Path) -> None:
    server = serve(site, "--workers", "2", "--quiet")
    words = (str(site), "--workers", "2", "--port", str(server.port))
    assert "in use" in refusal(*words)
    assert server.get("/") == INDEX
