"""Clients with certificates, by real servers: which are served, what the log tells, what is swapped."""

import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID

from certificates import Authority, make_certificate
from conftest import Serve, Server, receive_content, receive_head
from server.workers import await_true, refusal

SITE = make_certificate("localhost")
AUTHORITY = Authority()
ALICE = AUTHORITY.sign((NameOID.ORGANIZATION_NAME, "Two Words"), (NameOID.COMMON_NAME, "alice"))
HTTPS = ("--tls-cert", "{c}/site.pem", "--tls-key", "{c}/site.key")
BOB = AUTHORITY.sign((NameOID.COMMON_NAME, "bob"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("<title>secured</title>\n")
    return root


def write_options(folder: Path, *authorities: bytes) -> list[str]:
    options = [*SITE.write(folder), "--tls-client-ca", str(folder / "ca.pem")]
    (folder / "ca.pem").write_bytes(b"".join(authorities) or AUTHORITY.certificate)
    return options


def ask(
    server: Server,
    client: ssl.SSLContext,
    persists: str = "keep-alive",
    session: ssl.SSLSession | None = None,
) -> bytes:
    """Return the content of the index. Raises `ssl.SSLError` where the client is refused."""
    with client.wrap_socket(server.connect(), server_hostname="localhost", session=session) as peer:
        peer.sendall(
            f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: {persists}\r\n\r\n".encode()
        )
        head, content = receive_head(peer)
        return receive_content(peer, head, content)


def is_served(
    server: Server, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> bool:
    try:
        return ask(server, client, session=session) == b"<title>secured</title>\n"
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_log_tells_whose_it_was(
    serve: Serve, folder: Path, tmp_path: Path, workers: str
) -> None:
    """By each of the ways that an answer goes: parsed, recalled, and recalled without a connection."""
    log = tmp_path / "log"
    options = write_options(tmp_path / "c")
    more = ["--workers", workers, "--access-log", str(log), "--tls-client-auth", "optional"]
    server = serve(folder, *options, *more)
    clients = [SITE.trust_as(made, tmp_path / "c") for made in (ALICE, BOB, None)]
    for persists in ("keep-alive", "close"):
        for client in clients * 2:
            ask(server, client, persists)
    users = await_users(log, 12)
    # Each worker writes its lines together.
    assert sorted(users) == sorted([r"CN=alice,O=Two\x20Words", "CN=bob", "-"] * 4)


def await_users(log: Path, count: int) -> list[str]:
    """Return the third field of the lines of a log, once there are that many."""
    assert await_true(lambda: log.read_text().count("\n") >= count), log.read_text()
    return [line.split(" ")[2] for line in log.read_text().splitlines()]


def test_the_log_in_json(serve: Serve, folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = write_options(tmp_path / "c")
    server = serve(folder, *options, "--access-log", str(log), "--access-log-format", "json")
    ask(server, SITE.trust_as(ALICE, tmp_path / "c"))
    assert await_true(lambda: log.read_text().endswith("\n"))
    assert json.loads(log.read_text())["subject"] == "CN=alice,O=Two Words"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_authorities_are_swapped(serve: Serve, folder: Path, tmp_path: Path, workers: str) -> None:
    """A client that was revoked is refused at the next handshake, with a ticket of before as well."""
    options = write_options(tmp_path / "c")
    server = serve(folder, *options, "--workers", workers)
    alice, bob = (SITE.trust_as(made, tmp_path / "c") for made in (ALICE, BOB))
    assert not is_served(server, SITE.trust_as(None, tmp_path / "c"))
    assert is_served(server, bob)
    with alice.wrap_socket(server.connect(), server_hostname="localhost") as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        receive_head(peer)
        session = peer.session
    (tmp_path / "c" / "ca.pem").write_bytes(AUTHORITY.certificate + AUTHORITY.revoke(ALICE))
    end = time.monotonic() + 30
    while is_served(server, alice):
        assert time.monotonic() < end, server.stderr
    for _ in range(8):
        assert is_served(server, bob)
        assert not is_served(server, alice, session)
    # What is no authority leaves the former one in use.
    (tmp_path / "c" / "ca.pem").write_bytes(b"garbage")
    while "the former certificates stay in use" not in server.stderr:
        assert is_served(server, bob)
        assert time.monotonic() < end
    assert not is_served(server, alice)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize("version", ["--tls-max 1.2", "--tlsv1.3"])
def test_curl_has_a_certificate(serve: Serve, folder: Path, tmp_path: Path, version: str) -> None:
    server = serve(folder, *write_options(tmp_path / "c"))
    _, certificate, _, key = ALICE.write(tmp_path / "c", "client")
    trusted = ["--cacert", str(tmp_path / "c" / "site.pem"), *version.split()]
    url = f"https://localhost:{server.port}/"
    for own, status in ((["--cert", certificate, "--key", key], 0), ([], None)):
        done = subprocess.run(
            ["curl", "-sS", "--fail", *trusted, *own, url],
            capture_output=True,
            timeout=60,
            check=False,
        )
        if status is None:
            assert done.returncode in {35, 56}, done
            assert not done.stdout
        else:
            assert done.stdout == b"<title>secured</title>\n", done.stderr


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (
            ["--tls-client-ca", "{c}/ca.pem"],
            "--tls-client-ca needs https: --tls-cert and --tls-key, --tls-self-signed or --acme",
        ),
        (
            ["--tls-client-auth", "optional"],
            "--tls-client-auth needs a --tls-client-ca",
        ),
        (
            ["--tls-client-ca", "{c}/none", *HTTPS],
            "cannot read {c}/none: No such file or directory",
        ),
        (
            ["--tls-client-ca", "{c}/site.pem", *HTTPS],
            "cannot verify clients by {c}/site.pem: no certificate in it is that of an authority",
        ),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, tmp_path: Path, options: list[str], mistake: str
) -> None:
    write_options(tmp_path / "c")
    words = [word.replace("{c}", str(tmp_path / "c")) for word in options]
    assert mistake.replace("{c}", str(tmp_path / "c")) in refusal(
        str(folder), "--port", "0", *words
    )
