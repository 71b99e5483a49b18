"""Servers that are copies: each is what a start in full makes."""

import os
from pathlib import Path

import pytest

from conftest import Serve, Server


def _read(server: Server, name: str) -> str:
    return Path(f"/proc/{server.pid}/{name}").read_text()


@pytest.fixture
def both(serve: Serve, site: Path, monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """A copy, and a server that is started in full, since its environment is another."""
    copy = serve(site)
    monkeypatch.setenv("OTHER", "1")
    return [copy, serve(site)]


def test_a_copy_has_what_a_start_gives(both: list[Server]) -> None:
    copy, other = both
    assert "-m\0epollo\0" not in _read(copy, "cmdline")
    assert "-m\0epollo\0" in _read(other, "cmdline")
    for server in both:
        # Leaks are shown, and are errors.
        assert "\0-X\0dev\0-W\0error\0" in _read(server, "cmdline")
        assert server.get("/").startswith(b"<!doctype html>")
        assert f"PPid:\t{os.getpid()}\n" in _read(server, "status")
    # Handlers and mask of signals, rights, and what it may have at most.
    for name in ("SigBlk:", "SigIgn:", "SigCgt:", "CapEff:", "Umask:", "Threads:", "Seccomp:"):
        one, two = (
            [line for line in _read(server, "status").splitlines() if line.startswith(name)]
            for server in both
        )
        assert one == two
    assert _read(copy, "limits") == _read(other, "limits")
    assert os.readlink(f"/proc/{copy.pid}/cwd") == str(Path.cwd())
    assert copy.settled_descriptors() == other.settled_descriptors()
    assert copy.lines[1:] != other.lines[1:]


def test_a_copy_knows_nothing_of_another(serve: Serve, site: Path) -> None:
    first, second = serve(site), serve(site, "--quiet", "--no-compress")
    assert first.settled_descriptors() == second.settled_descriptors()
    assert first.stop() == 0
    assert second.get("/").startswith(b"<!doctype html>")
    assert (second.stop(), second.stderr) == (0, "")
