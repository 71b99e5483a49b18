"""What a service manager hands over and is told; it need not be there."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.linux.systemd import (
    notify_ready,
    notify_reloading,
    notify_stopping,
    notify_successor,
    take_passed_descriptors,
)


@pytest.mark.parametrize(
    ("number", "is_ours", "descriptors"),
    [
        ("1", True, [3]),
        ("3", True, [3, 4, 5]),
        ("0", True, []),
        ("1", False, []),
        ("", True, []),
        ("one", False, []),
    ],
)
def test_descriptors_are_taken_once_by_the_process_they_are_for(
    monkeypatch: pytest.MonkeyPatch, number: str, is_ours: bool, descriptors: list[int]
) -> None:
    monkeypatch.setenv("LISTEN_FDS", number)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + (0 if is_ours else 1)))
    monkeypatch.setenv("LISTEN_FDNAMES", "web")
    assert list(take_passed_descriptors()) == descriptors
    assert not {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} & set(os.environ)
    assert list(take_passed_descriptors()) == []


@pytest.mark.parametrize("number", ["-1", "one", "\u00b2", "1 ", "9999999"])
def test_a_number_of_descriptors_that_is_none(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("LISTEN_FDS", number)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(OperatorError, match=f"LISTEN_FDS is no number of sockets: '{number}'"):
        take_passed_descriptors()
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize("is_abstract", [False, True])
def test_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool) -> None:
    path = f"@epollo-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + path[1:] if is_abstract else path)
        manager.settimeout(10)
        notify_ready()
        assert manager.recv(100) == b"READY=1"
        notify_reloading()
        first, second = manager.recv(100).split(b"\n")
        assert first == b"RELOADING=1"
        assert second.removeprefix(b"MONOTONIC_USEC=").isdigit()
        notify_successor(4711)
        assert manager.recv(100) == b"MAINPID=4711"
        notify_stopping()
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("where", ["", "/nowhere/socket"])
def test_no_service_manager_needs_to_be_there(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", where)
    before = len(os.listdir("/proc/self/fd"))
    notify_ready()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed (apt install systemd)"
)
def test_the_unit_is_as_hardened_as_the_guide_says() -> None:
    docs = Path(__file__).parents[2] / "docs"
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "epollo.service"],
        cwd=docs / "systemd",
        env={**os.environ, "LANG": "C", "SYSTEMD_UNIT_PATH": os.fspath(docs / "systemd")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for epollo.service: ([0-9.]+)", result.stdout)
    if found is None:
        pytest.skip(f"this systemd examines no file: {result.stderr}")
    said = re.search(
        r"`systemd-analyze security`\s+says ([0-9.]+)\)", (docs / "guide.md").read_text()
    )
    assert said is not None
    assert float(found[1]) <= float(said[1])
