"""SIGUSR1: the access log continues in another file, which workers cannot open in their sandbox."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from conftest import Serve
from linux.confined import ABI
from server.workers import Load, await_line, await_true, children

INDEX = b"<!doctype html><title>index</title>\n"


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    """A folder in which another user may look."""
    return open_folder


@pytest.mark.parametrize("words", [(), ("--workers", "2"), ("--workers", "2", "--user", "nobody")])
def test_a_log_that_was_moved_away_is_begun_anew(
    serve: Serve, site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    if "nobody" in words and os.geteuid():
        pytest.skip("only root can become another user")
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    server = serve(site, "--quiet", "--access-log", str(log), *words)
    server.get("/")
    assert await_true(lambda: len(lines_of(log)) == 1)
    log.rename(old)
    server.process.send_signal(signal.SIGUSR1)
    assert await_true(log.exists)
    held = [server.pid] if not words else children(server.pid)
    assert await_true(lambda: not any(old in opened(pid) for pid in held))
    for _ in range(20):
        server.get("/")
    assert await_true(lambda: len(lines_of(log)) == 20)
    assert len(lines_of(old)) == 1
    assert server.stderr == ""


@pytest.mark.parametrize(
    ("words", "owner", "reason"),
    [
        (("--sandbox", "on"), "", "the sandbox lets no file be written"),
        (("--user", "nobody"), "", "user nobody may make no file in"),
        (("--user", "nobody"), "nobody", ""),
        (("--sandbox", "on", "--workers", "1"), "", ""),
    ],
)
def test_a_log_that_cannot_be_begun_anew_is_told_of_at_the_start(
    serve: Serve, site: Path, tmp_path: Path, words: tuple[str, ...], owner: str, reason: str
) -> None:
    if "on" in words and ABI == 0:
        pytest.skip("this kernel has no Landlock")
    if "nobody" in words and os.geteuid():
        pytest.skip("only root can become another user")
    logs = tmp_path / "logs"
    logs.mkdir()
    if owner:
        shutil.chown(logs, owner)
    log = logs / "access.log"
    server = serve(site, "--quiet", "--access-log", str(log), *words)
    log.rename(logs / "access.log.1")
    if reason:
        start = f"epollo: the access log cannot be opened again after a rotation: {reason}"
        assert server.stderr.startswith(start)
        assert server.stderr.count("\n") == 1
        server.process.send_signal(signal.SIGUSR1)
        await_line(server, "the old file stays in use")
    else:
        assert server.stderr == ""
        server.process.send_signal(signal.SIGUSR1)
        assert await_true(log.exists)


def opened(pid: int) -> list[Path]:
    """Return what a process has open; what it closes meanwhile is not among it."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(link.readlink())
    return found


def test_rotation_and_reloads_under_load_lose_no_line(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    server = serve(site, "--quiet", "--workers", "2", "--access-log", str(log))
    descriptors = server.descriptors()
    with Load(server.connect, INDEX, clients=3) as load:
        for number in range(1, 6):
            log.rename(tmp_path / f"access.log.{number}")
            server.process.send_signal(signal.SIGUSR1)
            assert await_true(log.exists)
            assert await_true(lambda: len(lines_of(log)) > 5)
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "new workers serve")
    assert await_true(lambda: len(children(server.pid)) == 2)
    assert await_true(lambda: server.descriptors() == descriptors)
    assert server.stop() == 0
    lines = [line for path in tmp_path.glob("access.log*") for line in lines_of(path)]
    assert load.failures == []
    assert len(lines) == load.answered
    assert all('"GET / HTTP/1.1" 200' in line for line in lines)


@pytest.mark.parametrize("words", [(), ("--workers", "1")])
def test_a_log_that_cannot_be_opened_again_stays_in_use(
    serve: Serve, site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    server = serve(site, "--quiet", "--access-log", str(folder / "access.log"), *words)
    folder.rename(tmp_path / "moved")
    server.process.send_signal(signal.SIGUSR1)
    await_line(server, "the old file stays in use")
    server.get("/")
    assert await_true(lambda: len(lines_of(tmp_path / "moved" / "access.log")) == 1)


@pytest.mark.parametrize("words", [(), ("--workers", "1")])
def test_without_a_log_the_signal_does_nothing(
    serve: Serve, site: Path, words: tuple[str, ...]
) -> None:
    server = serve(site, "--quiet", *words)
    server.process.send_signal(signal.SIGUSR1)
    assert server.get("/") == INDEX
    assert server.stderr == ""
