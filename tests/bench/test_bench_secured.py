import shutil
import socket
import ssl
from pathlib import Path

import pytest

from secured import Row, format_head, format_line, plan_servers
from servers import HOST, running
from tls_libraries import needs_rustls


def test_a_line_has_medians_and_the_spread_of_rounds() -> None:
    found = {"nginx": [10.0, 20.0, 1000.0], "h2o": [1.0, 2.0, 4.0], "epollo": [5.0, 22.0, 1500.0]}
    line = format_line(Row("1 KiB", 1024, 64, 0.85), found)
    assert line == "| 1 KiB | 20.0 | 2.0 | 22.0 | 1.10 (0.80 to 1.30) | 0.85 |"
    head, rule = format_head(found)
    assert head.count("|") == rule.count("|") == line.count("|")


def test_each_library_has_its_share_and_its_bar() -> None:
    found = {"nginx": [10.0] * 2, "epollo": [11.0] * 2, "epollo, rustls": [6.0] * 2}
    line = format_line(Row("a full handshake", 1024, 300, 1.15, 0.65), found)
    assert line.endswith("| 1.10 (1.10 to 1.10) | 1.15 | 0.60 (0.60 to 0.60) | 0.65 |")
    head, rule = format_head(found)
    assert head.count("|") == rule.count("|") == line.count("|")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
@pytest.mark.parametrize(
    "server", ["h2o", "epollo", pytest.param("epollo, rustls", marks=needs_rustls)]
)
def test_each_serves_what_is_asked_for(tmp_path: Path, server: str) -> None:
    if server == "h2o" and shutil.which(server) is None:
        pytest.skip(f"{server} is not here")
    site = tmp_path / "site"
    site.mkdir()
    (site / "1024.bin").write_bytes(b"x" * 1024)
    plan, order = plan_servers(tmp_path, site)[server]
    context = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    with (
        running(plan, order, None),
        socket.create_connection((HOST, order.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as peer,
    ):
        peer.sendall(b"GET /1024.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        octets = b""
        while part := peer.recv(65536):
            octets += part
    assert octets.startswith(b"HTTP/1.1 200 ")
    assert octets.endswith(b"x" * 1024)
