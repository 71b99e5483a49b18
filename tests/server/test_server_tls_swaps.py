"""Certificates that are swapped again and again under load, through reloads and deaths of workers."""

import os
import signal
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509

from certificates import Authority, Made
from conftest import Serve, Server, rest
from server.workers import Load, await_line, await_true, children

AUTHORITY = Authority()
CONTENT = b"<title>swapped</title>\n"
CLIENTS = 4
PATIENCE_SECONDS = 60


def connect(server: Server) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    return context.wrap_socket(server.connect(30), server_hostname="localhost")


def read_serial(server: Server) -> int:
    with connect(server) as peer:
        certificate = peer.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def await_use(server: Server, made: Made) -> None:
    """Wait until a new connection gets a certificate."""
    serial = x509.load_pem_x509_certificate(made.certificate).serial_number
    end = time.monotonic() + PATIENCE_SECONDS
    while read_serial(server) != serial:
        assert time.monotonic() < end, server.stderr
        rest(0.005)


@pytest.mark.long
@pytest.mark.parametrize(
    ("swaps", "reloads", "kills"),
    [(40, 4, 2), pytest.param(200, 50, 10, marks=pytest.mark.slow)],
)
def test_no_request_fails(
    serve: Serve, tmp_path: Path, swaps: int, reloads: int, kills: int
) -> None:
    """But those that a worker that is killed was answering: one of each client at most."""
    root, folder = tmp_path / "site", tmp_path / "c"
    root.mkdir()
    (root / "index.html").write_bytes(CONTENT)
    server = serve(root, *AUTHORITY.issue("localhost").write(folder), "--workers", "2")
    killed: list[float] = []
    with Load(lambda: connect(server), CONTENT, clients=CLIENTS) as load:
        for number in range(1, swaps + 1):
            made = AUTHORITY.issue("localhost")
            made.write(folder)
            await_use(server, made)
            if number % (swaps // reloads) == 0:
                server.process.send_signal(signal.SIGHUP)
                await_line(server, "new workers serve", number // (swaps // reloads))
            if number % (swaps // kills) == swaps // kills - 1:
                killed.append(time.monotonic())
                os.kill(children(server.pid)[0], signal.SIGKILL)
                await_line(server, "was ended by SIGKILL", number // (swaps // kills) + 1)
                assert await_true(lambda: len(children(server.pid)) == 2)
    assert load.answered > 10 * swaps
    assert len(killed) == kills
    assert len(load.failures) <= kills * CLIENTS, load.failures
    for instant, failure in load.failures:
        assert any(0 <= instant - kill < 2 for kill in killed), failure
    assert "former certificates stay in use" not in server.stderr


def test_certificates_are_said_to_be_in_use_when_all_workers_have_them(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    """One that is stopped is waited for; one that died has another in its place."""
    log = tmp_path / "log"
    options = AUTHORITY.issue("localhost").write(tmp_path / "c")
    server = serve(site, *options, "--workers", "2", "--access-log", str(log))
    stopped, dying = children(server.pid)
    for pid in (stopped, dying):
        os.kill(pid, signal.SIGSTOP)
    try:
        AUTHORITY.issue("localhost").write(tmp_path / "c")
        # The parent has read the certificate before it obeys a signal that came later.
        log.unlink()
        log.mkdir()
        server.process.send_signal(signal.SIGUSR1)
        await_line(server, "the old file stays in use")
        assert "certificates are in use" not in server.stderr
        os.kill(dying, signal.SIGKILL)
        await_line(server, f"worker {dying} was ended by SIGKILL")
        assert "certificates are in use" not in server.stderr
    finally:
        os.kill(stopped, signal.SIGCONT)
    await_line(server, "new certificates are in use\n")


def test_a_worker_that_does_not_take_certificates_is_named(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    options = AUTHORITY.issue("localhost").write(tmp_path / "c")
    server = serve(site, *options, "--workers", "2")
    stopped, _ = children(server.pid)
    os.kill(stopped, signal.SIGSTOP)
    try:
        AUTHORITY.issue("localhost").write(tmp_path / "c")
        await_line(
            server, f"new certificates are in use, but worker {stopped} has not answered yet\n"
        )
    finally:
        os.kill(stopped, signal.SIGCONT)
