"""Workers under a parent: real processes, and what befalls them while clients keep asking."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import COMMAND, Serve, Server, receive_all, receive_content, receive_head, rest
from server.workers import (
    Load,
    await_line,
    await_true,
    children,
    ended,
    ignored_signals,
    is_alive,
    refusal,
)

INDEX = b"<!doctype html><title>index</title>\n"
LARGE_OCTETS = 48 * 1024 * 1024
SERVES = "serves in its place"
RELOADED = "new workers serve; the old ones finish"


@pytest.fixture
def parent(serve: Serve, site: Path) -> Server:
    return serve(site, "--workers", "2", "--quiet")


def sockets_of(pid: int) -> int:
    """Return how many sockets a process has open."""
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(link.readlink()).startswith("socket:")
    return count


def make_large(site: Path) -> None:
    with (site / "large.bin").open("wb") as file:
        file.truncate(LARGE_OCTETS)


def begin_download(server: Server) -> tuple[socket.socket, bytes, bytes]:
    peer = server.connect()
    peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
    return peer, *receive_head(peer)


# The workers.


def test_as_many_workers_as_asked_for_serve_and_the_parent_does_not(parent: Server) -> None:
    assert len(children(parent.pid)) == 2
    assert parent.get("/") == INDEX
    assert parent.stop() == 0
    assert parent.stderr == ""


def test_nothing_is_left_open_nor_warned_of(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, site: Path
) -> None:
    """Starts, a death, a reload and an end, with the interpreter's own checks on."""
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    server = serve(site, "--workers", "2", "--quiet")
    os.kill(children(server.pid)[0], signal.SIGKILL)
    await_line(server, SERVES)
    server.process.send_signal(signal.SIGHUP)
    await_line(server, RELOADED)
    assert await_true(lambda: len(children(server.pid)) == 2)
    before = server.descriptors()
    server.process.send_signal(signal.SIGHUP)
    await_line(server, RELOADED, 2)
    assert await_true(lambda: len(children(server.pid)) == 2)
    # What the parent had of a worker is closed after the worker has been waited for.
    assert await_true(lambda: server.descriptors() == before)
    assert server.get("/") == INDEX
    assert server.stop() == 0
    assert "Warning" not in server.stderr
    assert "Error" not in server.stderr


def test_a_burst_is_spread_over_the_workers(parent: Server) -> None:
    """200 connections at once: each takes its worker by chance (a hash of its addresses).

    With two workers that is a binomial distribution: 100 each, with a standard deviation of 7.1. It is
    outside of 60 to 140 once in 60 million times.
    """
    pids = children(parent.pid)
    before = [sockets_of(pid) for pid in pids]
    with contextlib.ExitStack() as peers:
        connected = [peers.enter_context(parent.connect()) for _ in range(200)]
        for peer in connected:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in connected:
            receive_head(peer)
        spread = [sockets_of(pid) - number for pid, number in zip(pids, before, strict=True)]
    assert sum(spread) == 200
    assert all(60 <= number <= 140 for number in spread), spread


def test_modules_are_not_looked_for_in_the_folder_that_is_served(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, site: Path
) -> None:
    (site / "json.py").write_text("raise SystemExit('imported from the site')\n")
    monkeypatch.chdir(site)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    server = serve(Path(), "--workers", "1", "--quiet")
    assert server.get("/") == INDEX
    server.process.send_signal(signal.SIGHUP)
    await_line(server, RELOADED)


@pytest.mark.parametrize("words", [("/nowhere",), (".", "--user", "nobody-has-this-name")])
def test_a_mistake_that_workers_find_is_said_once(words: tuple[str, ...]) -> None:
    assert refusal(words[0], "--workers", "3", "--port", "0", *words[1:])


# Death.


@pytest.mark.long
def test_a_worker_that_dies_again_and_again_is_replaced_and_costs_only_what_it_held(
    serve: Serve, site: Path
) -> None:
    kills, workers = 100, 4
    parent = serve(site, "--workers", str(workers), "--quiet")
    killed: list[float] = []
    with Load(parent.connect, INDEX) as load:
        began = dict.fromkeys(children(parent.pid), time.monotonic())
        for number in range(kills):
            oldest = min(began, key=began.__getitem__)
            # One that has served for a second is replaced without a wait; the others go meanwhile.
            rest(max(0, began.pop(oldest) + 1 - time.monotonic()))
            killed.append(time.monotonic())
            os.kill(oldest, signal.SIGKILL)
            await_line(parent, SERVES, number + 1)
            (started,) = set(children(parent.pid)) - set(began)
            began[started] = time.monotonic()
        answered = load.answered
        assert await_true(lambda: load.answered > answered + 50)
    assert parent.stderr.count("was ended by SIGKILL; another starts") == kills
    assert len(children(parent.pid)) == workers
    # A client has one request at a time, and learns at once when it is lost.
    assert len(load.failures) <= kills * load.clients
    for instant, failure in load.failures:
        assert any(0 <= instant - kill < 1 for kill in killed), failure
        assert failure.startswith(("ConnectionResetError", "BrokenPipeError", "AssertionError"))
        assert "refused" not in failure
    assert load.answered > kills


def test_the_others_accept_for_a_worker_that_does_not_come(serve: Serve, site: Path) -> None:
    """One of two places stays vacant: no client waits because the kernel dealt it that one."""
    server = serve(site, "--workers", "2", "--quiet")
    elsewhere = site.with_name("elsewhere")
    site.rename(elsewhere)
    os.kill(children(server.pid)[0], signal.SIGKILL)
    await_line(server, "there is no folder", 3)
    with contextlib.ExitStack() as peers:
        connected = [peers.enter_context(server.connect(2)) for _ in range(40)]
        for peer in connected:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in connected:
            receive_head(peer)
    elsewhere.rename(site)
    await_line(server, SERVES)
    with Load(server.connect, INDEX) as load:
        assert await_true(lambda: load.answered > 100)
    assert load.failures == []


def test_the_next_worker_waits_longer_when_they_die_at_once(serve: Serve, site: Path) -> None:
    server = serve(site, "--workers", "1", "--quiet")
    rest(1.1)
    for number in range(5):
        os.kill(children(server.pid)[0], signal.SIGKILL)
        await_line(server, SERVES, number + 1)
    waits = [
        line.rsplit("starts ", 1)[1] for line in server.stderr.splitlines() if "SIGKILL" in line
    ]
    assert waits == ["now", "now", "in 0.1 s", "in 0.2 s", "in 0.4 s"]
    assert server.get("/") == INDEX


def test_a_client_that_waits_to_be_accepted_is_served_by_the_next_worker(
    serve: Serve, site: Path
) -> None:
    server = serve(site, "--workers", "1", "--quiet")
    pid = children(server.pid)[0]
    os.kill(pid, signal.SIGSTOP)
    with server.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        os.kill(pid, signal.SIGKILL)
        head, content = receive_head(peer)
        assert receive_content(peer, head, content) == INDEX


def test_a_worker_that_is_asked_to_end_finishes_and_is_replaced(parent: Server, site: Path) -> None:
    make_large(site)
    pids = children(parent.pid)
    peer, head, content = begin_download(parent)
    with peer:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        await_line(parent, SERVES, 2)
        assert parent.get("/") == INDEX
        assert len(receive_content(peer, head, content)) == LARGE_OCTETS
    assert await_true(lambda: not any(is_alive(pid) for pid in pids))
    assert parent.stderr.count("was asked to end; another starts") == 2


def test_workers_stop_by_themselves_when_their_parent_is_killed(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--workers", "2", "--quiet")
    pids = children(server.pid)
    peer, head, content = begin_download(server)
    with peer:
        server.process.kill()
        server.process.wait()
        # What is being sent is finished first.
        assert len(receive_content(peer, head, content)) == LARGE_OCTETS
    assert await_true(lambda: not any(is_alive(pid) for pid in pids))


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all(parent: Server, number: signal.Signals) -> None:
    pids = children(parent.pid)
    with parent.connect() as idle:
        parent.get("/", peer=idle)
        before = time.monotonic()
        assert parent.stop(number) == 0
        assert time.monotonic() - before < 5
        assert idle.recv(1) == b""
    assert not any(is_alive(pid) for pid in pids)
    assert parent.stderr == ""


def test_a_signal_while_workers_start(serve: Serve, site: Path) -> None:
    server = serve(site, "--workers", "2", "--quiet")
    server.process.send_signal(signal.SIGHUP)
    assert await_true(lambda: len(children(server.pid)) == 4)
    pids = children(server.pid)
    assert server.stop(signal.SIGINT) == 0
    assert not any(is_alive(pid) for pid in pids)
    assert server.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_every_process_at_once_is_one_signal(
    parent: Server, site: Path, number: signal.Signals
) -> None:
    """Ctrl-C reaches the whole group, a service manager's SIGTERM every process: none counts twice."""
    make_large(site)
    pids = children(parent.pid)
    peer, head, content = begin_download(parent)
    with peer:
        for pid in [*pids, parent.pid]:
            os.kill(pid, number)
        assert len(receive_content(peer, head, content)) == LARGE_OCTETS
    assert parent.stop() == 0
    assert not any(is_alive(pid) for pid in pids)


def test_what_is_meant_for_the_parent_does_not_touch_workers(parent: Server) -> None:
    pids = children(parent.pid)
    meant = {signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
    for pid in pids:
        assert meant <= ignored_signals(pid)
        for number in meant:
            os.kill(pid, number)
    assert parent.get("/") == INDEX
    assert children(parent.pid) == pids


def test_the_grace_bounds_the_end(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--workers", "2", "--quiet", "--grace", "1")
    peer, head, content = begin_download(server)
    with peer:
        before = time.monotonic()
        assert server.stop() == 0
        assert 0.9 < time.monotonic() - before < 5
        assert len(receive_all(peer)) + len(content) < LARGE_OCTETS
    assert head.startswith(b"HTTP/1.1 200")


def test_a_second_signal_does_not_wait(parent: Server, site: Path) -> None:
    make_large(site)
    peer, _, content = begin_download(parent)
    with peer:
        before = time.monotonic()
        parent.process.send_signal(signal.SIGTERM)
        assert await_true(lambda: _is_refused(parent))
        assert parent.stop() == 0
        assert time.monotonic() - before < 5
        assert len(receive_all(peer)) + len(content) < LARGE_OCTETS


def _is_refused(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


# New settings and new code.


@pytest.mark.long
def test_reloads_under_load_lose_nothing(parent: Server) -> None:
    reloads = 100
    with Load(parent.connect, INDEX) as load:
        for number in range(reloads):
            before = set(children(parent.pid))
            parent.process.send_signal(signal.SIGHUP)
            await_line(parent, RELOADED, number + 1)
            assert set(children(parent.pid)) - before
        answered = load.answered
        assert await_true(lambda: load.answered > answered + 50)
    assert load.failures == []
    assert load.answered > reloads
    assert await_true(lambda: len(children(parent.pid)) == 2)


def test_a_reload_does_not_cut_a_download_nor_an_idle_connection(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--workers", "2", "--quiet", "--grace", "2")
    old = children(server.pid)
    peer, head, content = begin_download(server)
    with peer, server.connect() as idle, server.connect() as never:
        server.get("/", peer=idle)
        server.get("/", peer=never)
        server.process.send_signal(signal.SIGHUP)
        await_line(server, RELOADED)
        # The next request on a connection is answered, and is its last one.
        assert server.get("/", peer=idle) == INDEX
        assert idle.recv(1) == b""
        # One that nothing comes on is kept no longer than the grace; a download takes its time.
        assert never.recv(1) == b""
        assert len(receive_content(peer, head, content)) == LARGE_OCTETS
    assert await_true(lambda: not any(is_alive(pid) for pid in old))


def test_two_reloads_at_once_are_at_least_one_after_the_second(parent: Server) -> None:
    parent.process.send_signal(signal.SIGHUP)
    assert await_true(lambda: len(children(parent.pid)) == 4)
    parent.process.send_signal(signal.SIGHUP)
    await_line(parent, RELOADED, 2)
    assert parent.get("/") == INDEX


def test_a_terminal_that_is_closed_is_the_end_and_no_reload(site: Path) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(site), "--port", "0", "--workers", "1", "--quiet"],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    assert process.stdout is not None
    for line in process.stdout:
        if b"Ctrl-C" in line:
            break
    pids = children(process.pid)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=15)[1] == b""
    assert process.returncode == 0
    assert not any(is_alive(pid) for pid in pids)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "epollo.toml"
    path.write_text("workers = 2\n")
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("workers = 2\ncolour = 'red'\n", "there is no setting colour"),
        ("workers = 2\nport = 'http'\n", "port must be a whole number"),
        ("workers = 2\ndirectory = '/nowhere'\n", "there is no folder /nowhere"),
        ("workers = 3\nuser = 'nobody-has-this-name'\n", "nobody-has-this-name"),
        ("workers = 2\nhost = '192.0.2.1'\n", "cannot listen on 192.0.2.1"),
        ("workers = 2\nunix = '/nowhere/socket'\n", "cannot listen on /nowhere/socket"),
        ("workers = 0\n", "cannot switch workers off"),
        ("workers = 2\nworkers = 3\n", ":2: workers stands here a second time"),
    ],
)
def test_a_bad_configuration_changes_nothing_and_says_why(
    serve: Serve, site: Path, config: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.chdir(site)
    server = Server(Path("--quiet"), "--config", str(config), directory=config.parent)
    with ended(server.pid), Load(server.connect, INDEX, clients=2) as load:
        pids = children(server.pid)
        config.write_text(text)
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "nothing was changed: ")
        assert reason in server.stderr
        assert server.stderr.count("epollo: ") == 1
        assert await_true(lambda: children(server.pid) == pids)
        # What died meanwhile is replaced by the settings that hold.
        os.kill(pids[0], signal.SIGKILL)
        await_line(server, SERVES)
        answered = load.answered
        assert await_true(lambda: load.answered > answered + 20)
    assert server.stop() == 0
    assert all("refused" not in failure for _, failure in load.failures)


def test_a_reload_with_more_workers_and_then_fewer(serve: Serve, site: Path, config: Path) -> None:
    server = serve(site, "--quiet", "--config", str(config))
    with Load(server.connect, INDEX) as load:
        for number, count in enumerate((4, 1, 3, 2), 1):
            config.write_text(f"workers = {count}\n")
            server.process.send_signal(signal.SIGHUP)
            await_line(server, f"{count} new workers serve")
            await_line(server, RELOADED, number)
            answered = load.answered
            assert await_true(lambda seen=answered: load.answered > seen + 50)  # type: ignore[misc]
    assert load.failures == []
    assert await_true(lambda: len(children(server.pid)) == 2)


def test_a_reload_that_listens_elsewhere(
    site: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site)
    path = config.parent / "socket"
    config.write_text(f"workers = 2\nunix = '{path}'\n")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    server = Server(Path("--quiet"), "--config", str(config), directory=config.parent)
    with ended(server.pid):
        assert path.is_socket()
        other = config.parent / "other"
        config.write_text(f"workers = 2\nunix = '{other}'\n")
        server.process.send_signal(signal.SIGHUP)
        await_line(server, RELOADED)
        # The former sockets are closed when that has been said.
        assert await_true(lambda: not path.exists())
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(other))
            assert server.get("/", peer=peer) == INDEX
    assert server.stop() == 0
    assert not other.exists()


# A new program.


def successor_of(server: Server) -> int:
    await_line(server, "has taken over")
    return int(server.stderr.partition("process ")[2].split()[0])


def test_a_new_program_takes_over_under_load(serve: Serve, site: Path) -> None:
    make_large(site)
    server = serve(site, "--workers", "2", "--quiet")
    peer, head, content = begin_download(server)
    with peer, Load(server.connect, INDEX) as load:
        server.process.send_signal(signal.SIGUSR2)
        with ended(successor_of(server)) as pid:
            assert len(children(pid)) == 2
            assert len(receive_content(peer, head, content)) == LARGE_OCTETS
            assert server.process.wait(15) == 0
            answered = load.answered
            assert await_true(lambda: load.answered > answered + 50)
            assert server.get("/") == INDEX
            load.__exit__()
    assert load.failures == []


def test_a_new_program_that_cannot_start_changes_nothing(
    serve: Serve, site: Path, config: Path
) -> None:
    server = serve(site, "--quiet", "--config", str(config))
    pids = children(server.pid)
    with Load(server.connect, INDEX, clients=2) as load:
        config.write_text("nonsense")
        server.process.send_signal(signal.SIGUSR2)
        await_line(server, "the other program did not start; this one serves on")
        assert children(server.pid) == pids
        config.write_text("workers = 2\nuser = 'nobody-has-this-name'\n")
        server.process.send_signal(signal.SIGUSR2)
        await_line(server, "the other program did not start; this one serves on", 2)
        # As while the file is being written.
        config.write_text("")
        server.process.send_signal(signal.SIGUSR2)
        await_line(server, "the other program did not start; this one serves on", 3)
        assert "SIGUSR2 cannot switch workers off" in server.stderr
        answered = load.answered
        assert await_true(lambda: load.answered > answered + 20)
    assert load.failures == []
    config.write_text("workers = 1\n")
    server.process.send_signal(signal.SIGUSR2)
    with ended(successor_of(server)) as pid:
        assert server.get("/") == INDEX
        assert len(children(pid)) == 1
        assert server.process.wait(15) == 0


def test_a_stop_while_a_new_program_starts_stops_both(serve: Serve, site: Path) -> None:
    server = serve(site, "--workers", "1", "--quiet")
    server.process.send_signal(signal.SIGUSR2)
    assert await_true(lambda: len(children(server.pid)) == 2)
    pids = children(server.pid)
    assert server.stop() == 0
    assert await_true(lambda: not any(is_alive(pid) for pid in pids))
    assert _is_refused(server)


def test_a_path_to_listen_at_is_handed_over_too(
    site: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site)
    path = config.parent / "socket"
    server = Server(Path("--quiet"), "--workers", "1", "--unix", str(path), directory=config.parent)
    with ended(server.pid):
        server.process.send_signal(signal.SIGUSR2)
        with ended(successor_of(server)):
            assert server.process.wait(15) == 0
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                assert server.get("/", peer=peer) == INDEX
    assert server.stop() == 0
    assert await_true(lambda: not path.exists())


@pytest.mark.parametrize(
    "text", ["workers = 1\naccess-log = '/nowhere/log'\n", "access-log = '/nowhere/log'\n"]
)
def test_a_new_program_that_cannot_start_leaves_the_path_alone(
    site: Path, config: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(site)
    path, other = config.parent / "socket", config.parent / "other"
    at_path = f"unix = '{path}'\n"
    config.write_text(f"workers = 1\n{at_path}")
    server = Server(Path("--quiet"), "--config", str(config), directory=config.parent)
    with ended(server.pid):
        for number, at in enumerate((at_path, f"unix = '{other}'\n"), 1):
            config.write_text(text + at)
            server.process.send_signal(signal.SIGUSR2)
            await_line(server, "the other program did not start; this one serves on", number)
            assert path.is_socket()
            assert not other.exists()
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                assert server.get("/", peer=peer) == INDEX
    assert server.stop() == 0
    assert not path.exists()


def test_a_new_program_that_listens_elsewhere_removes_the_path(
    site: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site)
    path, other = config.parent / "socket", config.parent / "other"
    config.write_text(f"workers = 1\nunix = '{path}'\n")
    server = Server(Path("--quiet"), "--config", str(config), directory=config.parent)
    with ended(server.pid):
        config.write_text(f"workers = 1\nunix = '{other}'\n")
        server.process.send_signal(signal.SIGUSR2)
        with ended(successor_of(server)):
            assert server.process.wait(15) == 0
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(other))
                assert server.get("/", peer=peer) == INDEX
            assert await_true(lambda: not path.exists())
    assert server.stop() == 0
    assert await_true(lambda: not other.exists())


def test_a_worker_that_hangs_is_replaced(serve: Serve, site: Path) -> None:
    """No client waits for longer than it takes to notice; one that comes to, ends in order."""
    server = serve(site, "--workers", "2", "--quiet")
    stopped, other = children(server.pid)
    os.kill(stopped, signal.SIGSTOP)
    try:
        clients = [threading.Thread(target=server.get, args=("/",)) for _ in range(20)]
        for client in clients:
            client.start()
        await_line(server, f"worker {stopped} does not answer for 5 s; another starts now")
        await_line(server, "serves in its place")
        for client in clients:
            client.join()
        assert len(children(server.pid)) == 3
        assert all(server.get("/") == INDEX for _ in range(20))
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert await_true(lambda: stopped not in children(server.pid))
    assert other in children(server.pid)
    assert server.stop() == 0
    assert server.stderr.count("\n") == 2
