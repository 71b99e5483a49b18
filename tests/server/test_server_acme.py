"""Certificates obtained from an authority: Debian's pebble, which refuses nonces by chance."""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import make_certificate
from conftest import Serve, Server
from server.test_server_tls import ask
from server.workers import await_line, await_true

pytestmark = pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not here")

# Above the ports that the kernel gives out; each process of pytest has its own.
BASE = 61_500 + 20 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PLAIN, SECURED, DIRECTORY, MANAGEMENT = range(BASE, BASE + 4)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An authority that asks the ports above; its folder has the certificate to trust it by."""
    folder = tmp_path_factory.mktemp("pebble")
    own = make_certificate("localhost", "127.0.0.1")
    own.write(folder, "pebble")
    (folder / "config.json").write_text(
        json.dumps(
            {
                "pebble": {
                    "listenAddress": f"127.0.0.1:{DIRECTORY}",
                    "managementListenAddress": f"127.0.0.1:{MANAGEMENT}",
                    "certificate": str(folder / "pebble.pem"),
                    "privateKey": str(folder / "pebble.key"),
                    "httpPort": PLAIN,
                    "tlsPort": SECURED,
                    "ocspResponderURL": "",
                    "externalAccountBindingRequired": False,
                }
            }
        )
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["pebble", "-config", folder / "config.json", "-strict"],
            stdout=output,
            stderr=output,
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30"},
        )
    try:
        assert await_true(lambda: b"ACME directory available" in log.read_bytes()), log.read_text()
        yield folder
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def options(authority: Path, *more: str) -> tuple[str, ...]:
    directory = f"https://localhost:{DIRECTORY}/dir"
    return (
        *("--acme", "a@example.org", "--domain", "localhost", "--acme-directory", directory),
        *("--acme-ca", str(authority / "pebble.pem"), "--workers", "2", *more),
    )


def read_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def connect(port: int) -> ssl.SSLSocket:
    """Return a connection to what pebble's authority, which nothing trusts, has signed for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    server = Server.__new__(Server)
    server.port = port
    return context.wrap_socket(server.connect(), server_hostname="localhost")


def test_a_certificate_is_obtained_by_plain_http(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    ports = ("--port", str(PLAIN), "--tls-port", str(SECURED))
    server = serve(site, *options(authority, *ports))
    server.port = PLAIN
    with contextlib.suppress(AssertionError):
        # Until there is a certificate the site is served.
        assert "<title>index</title>" in server.get("/").decode()
    await_line(server, "a new certificate for localhost is in use")
    assert "there is no certificate for localhost yet" in server.stderr
    with connect(SECURED) as peer:
        assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
    redirect = server.exchange(b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert redirect.startswith(b"HTTP/1.1 308 ")
    for path in state.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    obtained = read_certificate(SECURED)
    server.stop()
    assert server.stderr.count("a new certificate") == 1

    # What was obtained is used by the next start, and no other is asked for.
    again = serve(site, *options(authority, *ports))
    assert read_certificate(SECURED) == obtained
    assert again.stderr == ""


def test_a_certificate_is_obtained_by_a_handshake(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    """With one port, which speaks plain HTTP until there is a certificate."""
    server = serve(site, *options(authority, "--port", str(SECURED)))
    await_line(server, "a new certificate for localhost is in use")
    with connect(SECURED) as peer:
        assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
    server.port = SECURED
    assert server.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(
        b"HTTP/1.1 400 "
    )


def test_a_renewal_under_load_loses_no_request(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    """The certificate in the state folder is nearly over: it is used, and renewed at once."""
    old = make_certificate("localhost", begins_in_days=-20, ends_in_days=5)
    state.mkdir(mode=0o700)
    (state / "localhost.pem").write_bytes(old.certificate)
    (state / "localhost.key").write_bytes(old.key)
    ports = ("--port", str(PLAIN), "--tls-port", str(SECURED))
    server = serve(site, *options(authority, *ports))
    seen = set()
    end = time.monotonic() + 60
    with connect(SECURED) as before:
        while "a new certificate for localhost is in use" not in server.stderr:
            seen.add(read_certificate(SECURED))
            with connect(SECURED) as peer:
                assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
            assert time.monotonic() < end, server.stderr
        assert ask(before, "/")[0].startswith(b"HTTP/1.1 200 ")
    assert await_true(lambda: read_certificate(SECURED) not in seen or len(seen) > 1)
    assert "there is no certificate" not in server.stderr


def test_a_refusal_is_one_line_and_the_site_is_served(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    """Nothing answers on the ports that the authority asks: the challenge fails."""
    server = serve(site, *options(authority))
    await_line(server, "no new certificate for localhost: localhost: ")
    line = next(one for one in server.stderr.splitlines() if "no new certificate" in one)
    assert line.endswith("trying again in 1 min")
    assert "<title>index</title>" in server.get("/").decode()


def test_an_authority_that_is_not_there_is_one_line(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    server = serve(
        site, *options(authority)[:-2], "--workers", "1", "--acme-directory", "https://localhost:1/"
    )
    await_line(server, "no new certificate for localhost: localhost:1 cannot be reached: ")
    assert "<title>index</title>" in server.get("/").decode()


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        (["--domain", "a.test"], "--acme needs --workers"),
        (["--workers", "1"], "--acme needs a --domain"),
        (["--workers", "1", "--domain", "a_b"], "'a_b' is no name of a host"),
        (["--workers", "1", "--domain", "*.a.test"], "'*.a.test' is no name of a host"),
        (
            ["--workers", "1", "--domain", "a.test", "--acme-directory", "http://a.test/"],
            "is no directory: production, staging, or a URL of https",
        ),
        (
            ["--workers", "1", "--domain", "a.test", "--acme-ca", "/nowhere"],
            "cannot read /nowhere: No such file or directory",
        ),
    ],
)
def test_mistakes_are_one_line(site: Path, more: list[str], mistake: str) -> None:
    from conftest import COMMAND

    done = subprocess.run(
        [*COMMAND, site, "--port", "0", "--acme", "a@example.org", *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert mistake in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
