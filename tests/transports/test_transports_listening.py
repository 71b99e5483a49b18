"""Listening sockets: opened, shared, joined, at a path, handed over."""

import contextlib
import errno
import os
import re
import socket
from pathlib import Path

import pytest

from epollo.errors import OperatorError
from epollo.transports import bind_errors
from epollo.transports.bind_errors import explain_address
from epollo.transports.listening import (
    adopt,
    describe_address,
    is_listening,
    join_sockets,
    open_listening_socket,
    open_shared_sockets,
    open_unix_socket,
)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host.invalid", "a" * 70, "."])
def test_an_address_that_cannot_be_had_is_one_line(host: str) -> None:
    with pytest.raises(OperatorError) as refused:
        open_listening_socket(host, 0)
    with pytest.raises(OperatorError) as refused_too:
        open_shared_sockets(host, 0, 2)
    assert str(refused.value) == str(refused_too.value)
    begin, _, reason = str(refused.value).partition(": ")
    assert begin == f"cannot listen on {host} port 0"
    assert reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no-such-host.invalid", "there is no host of this name"),
        ("a" * 70, "there is no host of this name"),
        ("256.1.1.1", "there is no host of this name"),
        (
            "http://a.example",
            "this is a URL; --host takes a name or an address, and --port the port",
        ),
        ("[::1]", "an address stands without brackets, such as ::1"),
        ("a.example:80", "the port is an option of its own: --host a.example --port 80"),
    ],
)
def test_what_is_no_host_is_told_with_what_is_meant(
    monkeypatch: pytest.MonkeyPatch, host: str, reason: str
) -> None:
    """A machine without a network knows no name at all."""

    def refuse(*_: object, **__: object) -> None:
        if len(host) > 63:
            raise UnicodeError("label too long")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OperatorError) as refused:
        open_listening_socket(host, 80)
    assert str(refused.value) == f"cannot listen on {host} port 80: {reason}"


@pytest.mark.parametrize("count", [1, 4])
def test_sockets_that_share_an_address(count: int) -> None:
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(one) for one in open_shared_sockets("127.0.0.1", 0, count)]
        assert len(sockets) == count
        assert len({one.getsockname() for one in sockets}) == 1
        assert all(is_listening(one) for one in sockets)
        _, port = sockets[0].getsockname()
        # They share it with no socket that comes later.
        with pytest.raises(OperatorError, match="in use"):
            open_shared_sockets("127.0.0.1", port, 2)
        with pytest.raises(OperatorError, match="in use"):
            open_listening_socket("127.0.0.1", port)


def test_a_socket_that_joins_gets_no_peer_until_it_listens() -> None:
    with contextlib.ExitStack() as opened:
        (first,) = (opened.enter_context(one) for one in open_shared_sockets("127.0.0.1", 0, 1))
        (joined,) = (opened.enter_context(one) for one in join_sockets(first, 1))
        assert not is_listening(joined)
        peers = [
            opened.enter_context(socket.create_connection(first.getsockname(), 10))
            for _ in range(20)
        ]
        for peer in peers:
            # The listener holds a connection back until octets have come (TCP_DEFER_ACCEPT).
            peer.sendall(b"x")
        first.settimeout(10)
        for _ in peers:
            first.accept()[0].close()


@pytest.mark.parametrize("host", ["::", "::1"])
def test_whether_ipv4_is_listened_on_is_up_to_the_host_alone(host: str) -> None:
    try:
        one = open_listening_socket(host, 0)
    except OperatorError:
        pytest.skip("this machine has no IPv6")
    with one:
        is_only_six = one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        assert bool(is_only_six) == (host == "::1")
        assert describe_address(one) == (host, one.getsockname()[1])


@pytest.mark.parametrize(("host", "wanted"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_a_port_in_use_is_told_with_its_holder_and_a_free_one(host: str, wanted: str) -> None:
    with socket.create_server((host, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OperatorError) as refused:
            open_listening_socket(wanted, port)
    name = Path("/proc/self/comm").read_text().strip()
    found = re.fullmatch(
        rf"cannot listen on {wanted} port {port}: it is in use by {name} \(pid {os.getpid()}\)"
        r"(?:; (\d+) is free: --port \1)?",
        str(refused.value),
    )
    assert found is not None
    assert found[1] is None or port < int(found[1]) <= port + 20


def test_a_port_that_is_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may have it: the refusal of the kernel is played."""
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(bind_errors, "_find_privileged_end", lambda: 1024)
    reason = explain_address(denied, "127.0.0.1", 80)
    assert reason.startswith(
        "Permission denied: ports below 1024 are for root. Take another (--port 8080)"
    )
    assert "sysctl net.ipv4.ip_unprivileged_port_start=80" in reason
    assert explain_address(denied, "127.0.0.1", 1024) == "Permission denied"


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(bind_errors, "_has_ipv6", lambda: False)
    error = OSError(number, os.strerror(number))
    assert explain_address(error, "::1", 80) == "there is no IPv6 on this machine"
    assert explain_address(error, "127.0.0.1", 80) != "there is no IPv6 on this machine"


def test_an_address_of_another_machine() -> None:
    with pytest.raises(OperatorError, match="this machine has no such address"):
        # Of the range for documentation (RFC 5737).
        open_listening_socket("203.0.113.77", 0)


def test_a_link_local_address_without_its_interface() -> None:
    error = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    assert "fe80::1%eth0" in explain_address(error, "fe80::9", 0)


# A path.


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    open_unix_socket(path).close()
    assert path.is_socket()
    with open_unix_socket(path) as one, socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        assert describe_address(one) == str(path)


@pytest.mark.parametrize("backlog", [0, 5])
def test_a_socket_that_is_listened_on_is_not_replaced(tmp_path: Path, backlog: int) -> None:
    """Nor is one whose queue is full, which refuses no peer and has each one wait."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other, contextlib.ExitStack() as waiting:
        other.bind(str(path))
        other.listen(backlog)
        for _ in range(backlog + 1):
            peer = waiting.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            peer.connect(str(path))
        inode = path.stat().st_ino
        with pytest.raises(OperatorError, match="in use"):
            open_unix_socket(path)
        assert path.stat().st_ino == inode


@pytest.mark.parametrize("kind", ["file", "folder", "link to a file", "link to a socket"])
def test_whatever_else_is_at_the_path_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "path", tmp_path / "other"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("kept")
    else:
        if kind == "link to a file":
            other.write_text("kept")
        else:
            open_unix_socket(other).close()
        path.symlink_to(other)
    before = path.lstat()
    with pytest.raises(OperatorError, match=f"cannot listen on {path}"):
        open_unix_socket(path)
    assert path.lstat().st_ino == before.st_ino


def test_the_reasons_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, reason in (
        ("none/socket", f"there is no folder {tmp_path / 'none'}"),
        ("file", "the file there is no socket, and is not replaced"),
        ("file/socket", "Not a directory"),
    ):
        path = tmp_path / name
        with pytest.raises(OperatorError) as refused:
            open_unix_socket(path)
        assert str(refused.value) == f"cannot listen on {path}: {reason}"


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="too long"):
        open_unix_socket(tmp_path / ("a" * 120))


@pytest.mark.parametrize(
    ("name", "shown"), [(b"\0epollo-test-%d", "@epollo-test-%d"), (b"\0\xff\0%d", "@\udcff\0%d")]
)
def test_a_name_of_the_abstract_name_space(name: bytes, shown: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(name % os.getpid())
        assert describe_address(one) == shown % os.getpid()


# Handed over.


def test_descriptors_are_adopted_and_go_no_further() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        descriptor = os.dup(one.fileno())
        os.set_inheritable(descriptor, True)
        (adopted,) = adopt([descriptor])
        with adopted:
            assert adopted.getsockname() == one.getsockname()
            assert not adopted.get_inheritable()
            assert not adopted.getblocking()


@pytest.mark.parametrize("kind", ["file", "datagrams", "closed"])
def test_a_descriptor_that_is_no_stream_socket_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "datagrams":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            descriptor = one.detach()
    else:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        if kind == "closed":
            os.close(descriptor)
    with pytest.raises(OperatorError, match=f"descriptor {descriptor} was passed"):
        adopt([descriptor])
    with contextlib.suppress(OSError):
        os.close(descriptor)
