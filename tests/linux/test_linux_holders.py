"""Which process has a socket."""

import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from epollo.linux import holders
from epollo.linux.holders import (
    Listening,
    describe_path_holder,
    describe_port_holder,
    parse_listening,
)

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
REST = "00000000:00000000 00:00000000 00000000"
WE = f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"


@pytest.mark.parametrize(
    ("line", "listening"),
    [
        (
            f"   0: 0100007F:1ED2 00000000:0000 0A {REST}    33        0 60080 1 0 100 0 0 10 0",
            [Listening(ip_address("127.0.0.1"), 7890, 33, 60080)],
        ),
        (
            f"   1: 00000000000000000000000001000000:0050 {'0' * 32}:0000 0A {REST} 0 0 7 1 0",
            [Listening(ip_address("::1"), 80, 0, 7)],
        ),
        (
            f"   1: 0000000000000000FFFF00000100007F:0050 {'0' * 32}:0000 0A {REST} 0 0 7 1 0",
            [Listening(ip_address("127.0.0.1"), 80, 0, 7)],
        ),
        (f"   0: 0100007F:1ED2 0100007F:9999 01 {REST}     0        0 60080 1 0", []),
        ("   0: 0100007F:1ED2", []),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="the lines are those of another machine")
def test_what_listens(line: str, listening: list[Listening]) -> None:
    assert list(parse_listening(HEADER + line + "\n")) == listening


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "::"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_the_process_that_listens_on_a_port(bound: str, wanted: str) -> None:
    with socket.create_server((bound, 0)) as one:
        assert describe_port_holder(wanted, one.getsockname()[1]) == WE


def test_another_address_is_another_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert describe_port_holder("127.0.0.2", one.getsockname()[1]) == ""


def test_of_another_user_only_the_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptors are not for us to see (proc_pid_fd(5))."""
    monkeypatch.setattr(holders, "_find_process", lambda _: 0)
    with socket.create_server(("127.0.0.1", 0)) as one:
        holder = describe_port_holder("127.0.0.1", one.getsockname()[1])
    assert holder == f"a process of user {holders._name_user(os.getuid())}"


def test_the_process_that_listens_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        assert describe_path_holder(str(path)) == ""
        one.listen()
        assert describe_path_holder(str(path)) == WE
