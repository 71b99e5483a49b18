"""The proxies of docs/behind-a-proxy.md, with the very configuration that the page shows."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import STOP_SECONDS, Serve
from server.workers import await_true

PAGE = Path(__file__).resolve().parents[2] / "docs" / "behind-a-proxy.md"
COMMANDS = os.environ.get("PATH", os.defpath) + ":/usr/sbin"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
# Of this machine, and not the address that the proxies have.
CLIENT = "127.0.0.9"


def read_section(name: str) -> tuple[list[str], str]:
    """Return the options that the page gives epollo, and the configuration of the proxy."""
    section = PAGE.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    command = re.search(r"^    epollo SITE (.*)$", section, re.MULTILINE)
    configuration = re.search(r"^```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert command is not None
    assert configuration is not None
    return command[1].split(), configuration[1]


def replace_each(text: str, replacements: dict[str, str]) -> str:
    """Replace what belongs to the machine of the page; each must be there."""
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page has in /etc/ssl/site."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=example.org",
         "-addext", "subjectAltName=DNS:example.org", "-days", "1",
         "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )  # fmt: skip
    both = (folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes()
    (folder / "both.pem").write_bytes(both)
    return folder


def find_program(name: str) -> str:
    program = shutil.which(name, path=COMMANDS)
    if program is None:
        pytest.skip(f"{name} is not installed")
    return program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """Have a proxy run until the end of the block; it has started when it lets connections in."""
    log = folder / "proxy.log"
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment
        )

    def is_there() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            # The address of the client under test is limited; this one is not.
            socket.create_connection(("127.0.0.1", port), 10).close()
        except ConnectionRefusedError:
            return False
        return True

    try:
        assert await_true(is_there), log.read_text()
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Client(http.client.HTTPConnection):
    """A client with an address of its own; with a certificate to trust it speaks TLS."""

    def __init__(self, port: int, certificate: Path | None) -> None:
        super().__init__("127.0.0.1", port, timeout=10, source_address=(CLIENT, 0))
        self._certificate = certificate

    def connect(self) -> None:
        super().connect()
        if self._certificate is not None:
            context = ssl.create_default_context(cafile=self._certificate / "certificate.pem")
            self.sock = context.wrap_socket(self.sock, server_hostname="example.org")


def ask_twice(port: int, certificate: Path | None, site: Path) -> None:
    """Ask for two files, a part and a folder without its slash, on each of two connections."""
    for _ in range(2):
        client = Client(port, certificate)
        with contextlib.closing(client):
            for name in ("index.html", "page.html"):
                client.request("GET", f"/{name}", headers={"Host": "example.org"})
                answer = client.getresponse()
                assert (answer.status, answer.read()) == (200, (site / name).read_bytes())
            client.request("GET", "/", headers={"Host": "example.org", "Range": "bytes=0-9"})
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (206, (site / "index.html").read_bytes()[:10])
            client.request("GET", "/folder", headers={"Host": "example.org"})
            answer = client.getresponse()
            assert (answer.status, answer.headers["Location"]) == (301, "/folder/")
            answer.read()


def start_epollo(serve: Serve, site: Path, options: list[str], log: Path) -> int:
    """Start epollo as the page does, but on a free port and with a log of the test's."""
    return serve(
        site, *(str(log) if each == "/var/log/epollo.log" else each for each in options)
    ).port


def read_addresses(log: Path) -> set[str]:
    """Return the addresses that the access log has, once all that was asked for is in it."""
    assert await_true(lambda: log.read_text().count("\n") >= 8), log.read_text()
    return {line.partition(" ")[0] for line in log.read_text().splitlines()}


def nginx_command(folder: Path, configuration: str) -> list[str]:
    """Return how to run nginx in the foreground without touching what is installed."""
    module = f"load_module {STREAM_MODULE};\n" if STREAM_MODULE.exists() else ""
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n{module}"
        f"events {{}}\n{configuration}"
    )
    return [find_program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path)]


def test_haproxy(serve: Serve, site: Path, tmp_path: Path, certificate: Path) -> None:
    program = find_program("haproxy")
    options, configuration = read_section("HAProxy")
    log, port = tmp_path / "access.log", free_port()
    path = tmp_path / "haproxy.cfg"
    path.write_text(
        replace_each(
            configuration,
            {
                ":443": f"127.0.0.1:{port}",
                "/etc/ssl/site": str(certificate),
                "127.0.0.1:7890": f"127.0.0.1:{start_epollo(serve, site, options, log)}",
            },
        )
    )
    with running([program, "-db", "-f", str(path)], port, tmp_path):
        ask_twice(port, certificate, site)
    assert read_addresses(log) == {CLIENT}


def test_nginx(serve: Serve, site: Path, tmp_path: Path, certificate: Path) -> None:
    options, configuration = read_section("nginx")
    log, port = tmp_path / "access.log", free_port()
    server = replace_each(
        configuration,
        {
            "443": f"127.0.0.1:{port}",
            "/etc/ssl/site": str(certificate),
            "127.0.0.1:7890": f"127.0.0.1:{start_epollo(serve, site, options, log)}",
        },
    )
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    command = nginx_command(tmp_path, f"http {{\naccess_log off;\n{folders}{server}}}\n")
    with running(command, port, tmp_path):
        ask_twice(port, certificate, site)
    assert read_addresses(log) == {CLIENT}


def test_nginx_with_proxy(serve: Serve, site: Path, tmp_path: Path, certificate: Path) -> None:
    if not STREAM_MODULE.exists():
        pytest.skip("libnginx-mod-stream is not installed")
    options, configuration = read_section("nginx, with PROXY")
    log, port = tmp_path / "access.log", free_port()
    server = replace_each(
        configuration,
        {
            "443": f"127.0.0.1:{port}",
            "/etc/ssl/site": str(certificate),
            "127.0.0.1:7890": f"127.0.0.1:{start_epollo(serve, site, options, log)}",
        },
    )
    with running(nginx_command(tmp_path, server), port, tmp_path):
        ask_twice(port, certificate, site)
    assert read_addresses(log) == {CLIENT}


def test_caddy(serve: Serve, site: Path, tmp_path: Path) -> None:
    """Without TLS: the certificate would have to come from an authority on the Internet."""
    program = find_program("caddy")
    options, configuration = read_section("Caddy")
    log, port = tmp_path / "access.log", free_port()
    path = tmp_path / "Caddyfile"
    path.write_text(
        "{\n\tadmin off\n}\n"
        + replace_each(
            configuration,
            {
                "example.org {": f"http://:{port} {{\n    bind 127.0.0.1",
                "127.0.0.1:7890": f"127.0.0.1:{start_epollo(serve, site, options, log)}",
            },
        )
    )
    command = [program, "run", "--adapter", "caddyfile", "--config", str(path)]
    with running(command, port, tmp_path):
        ask_twice(port, None, site)
    assert read_addresses(log) == {CLIENT}
