"""Certificates obtained from an authority: Debian's pebble, which refuses nonces by chance."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509

from acme.hostile_authority import Answer, HostileAuthority, answer_json
from certificates import Made, make_certificate
from conftest import COMMAND, Serve, Server
from server.test_server_tls import ask
from server.workers import await_line, await_true, children, is_alive

pytestmark = pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not here")

# Above the ports that the kernel gives out; each process of pytest has its own.
BASE = 61_500 + 20 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PLAIN, SECURED, DIRECTORY, MANAGEMENT = range(BASE, BASE + 4)
SIX_DAYS_SECONDS = 6 * 24 * 3600


class NameServer:
    """Says of every name that it is on this machine (RFC 1035 section 4)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:{1}".format(*self._socket.getsockname())
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _answer(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(512)
            if not query:
                return
            end = query.index(b"\0", 12) + 5
            is_address = query[end - 4 : end - 2] == b"\0\x01"
            answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01" if is_address else b""
            head = query[:2] + b"\x81\x80\0\x01" + bytes((0, is_address)) + bytes(4)
            self._socket.sendto(head + query[12:end] + answer, sender)


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
                    "certificateValidityPeriod": SIX_DAYS_SECONDS,
                }
            }
        )
    )
    log = folder / "log"
    with log.open("wb") as output, NameServer() as names:
        process = subprocess.Popen(
            ["pebble", "-config", folder / "config.json", "-strict", "-dnsserver", names.address],
            stdout=output,
            stderr=output,
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30"},
        )
        try:
            assert await_true(lambda: b"ACME directory available" in log.read_bytes())
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


def read_if_any(port: int) -> str:
    try:
        return read_certificate(port)
    except ssl.SSLError:
        return ""


def await_certificate(server: Server) -> None:
    """Wait until the parent says that it has a certificate, and both workers have it too.

    Which of them a connection comes to is the kernel's choice: of sixteen each has some.
    """
    await_line(server, "a new certificate for localhost is in use")
    assert await_true(lambda: all(read_if_any(SECURED) for _ in range(16)))


def connect(port: int) -> ssl.SSLSocket:
    """Return a connection to what pebble's authority, which nothing trusts, has signed for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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
    await_certificate(server)
    assert "there is no certificate for localhost yet" in server.stderr
    with connect(SECURED) as peer:
        assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
    redirect = server.exchange(b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert redirect.startswith(b"HTTP/1.1 308 ")
    for path in state.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    directory = f"https://localhost:{DIRECTORY}/dir"
    assert (state / "localhost.pem").read_text().startswith(f"directory: {directory}\n-----BEGIN ")
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
    await_certificate(server)
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
            # One that asks for nothing may be closed meanwhile, as any that is idle for long.
            assert ask(before, "/")[0].startswith(b"HTTP/1.1 200 ")
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


def read_life(state: Path, name: str = "localhost") -> tuple[x509.Certificate, float]:
    """Return the certificate that was obtained, and for how many seconds it is valid in all."""
    found = x509.load_pem_x509_certificate((state / f"{name}.pem").read_bytes())
    return found, (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds()


def test_several_names_are_in_one_certificate_for_six_days(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    ports = ("--port", str(PLAIN), "--tls-port", str(SECURED))
    domains = ("--domain", "a.test", "--domain", "b.test")
    server = serve(site, *options(authority, *ports, *domains))
    await_line(server, "a new certificate for localhost, a.test, b.test is in use")
    found, life_seconds = read_life(state)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "a.test", "b.test"}
    assert abs(life_seconds - SIX_DAYS_SECONDS) < 10
    # No other is asked for yet.
    assert "trying again" not in server.stderr


class RenewingAuthority(HostileAuthority):
    """Pebble with renewal information (RFC 9773): each first certificate is wanted back at once."""

    def __init__(self, folder: Path, made: Made, directory: dict[str, str]) -> None:
        super().__init__(folder, {}, made)
        self.answers["/dir"] = answer_json({**directory, "renewalInfo": f"{self.url}/renewal"})
        self._is_first = True

    def find_answer(self, path: str) -> Answer | Callable[[], Answer]:
        if not path.startswith("/renewal/"):
            return super().find_answer(path)
        year = 2020 if self._is_first else 2100
        self._is_first = False
        window = {"start": f"{year}-01-01T00:00:00Z", "end": f"{year}-01-02T00:00:00Z"}
        return answer_json({"suggestedWindow": window})


def test_a_certificate_is_renewed_when_its_authority_wants_that(
    serve: Serve, site: Path, authority: Path, state: Path, tmp_path: Path
) -> None:
    """Long before two thirds of its life are over; the account stays the same."""
    ports = ("--port", str(PLAIN), "--tls-port", str(SECURED))
    server = serve(site, *options(authority, *ports))
    await_line(server, "a new certificate for localhost is in use")
    server.stop()
    (account,) = state.glob("acme-*.key")
    first, _ = read_life(state)

    trust = ssl.create_default_context(cafile=authority / "pebble.pem")
    with urllib.request.urlopen(f"https://localhost:{DIRECTORY}/dir", context=trust) as reply:
        directory = json.loads(reply.read())
    # Two of one issuer's name would be taken for one another.
    made = Made(*((authority / name).read_bytes() for name in ("pebble.pem", "pebble.key")))
    with RenewingAuthority(tmp_path, made, directory) as renewing:
        own_account = state / f"acme-localhost_{renewing.url.rpartition(':')[2]}.key"
        own_account.write_bytes(account.read_bytes())
        # As if it had been obtained by way of this directory.
        certificate = state / "localhost.pem"
        certificate.write_bytes(certificate.read_bytes().partition(b"\n")[2])
        server = serve(
            site,
            *("--acme", "a@example.org", "--domain", "localhost", "--workers", "2", *ports),
            *(
                "--acme-directory",
                f"{renewing.url}/dir",
                "--acme-ca",
                str(authority / "pebble.pem"),
            ),
        )
        await_line(server, "a new certificate for localhost is in use")
        # It is asked about the new one as well, and does not want that back.
        asked = [path for path in renewing.asked if path.startswith("/renewal/")]
        assert await_true(
            lambda: len({path for path in renewing.asked if path.startswith("/renewal/")}) == 2
        )
        assert asked[0].count(".") == 1
        server.stop()
    second, _ = read_life(state)
    assert second.serial_number != first.serial_number
    assert server.stderr.count("a new certificate") == 1
    assert own_account.read_bytes() == account.read_bytes()


def test_an_order_that_was_interrupted_is_made_again(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    """The parent is killed in the middle; the next one continues with the same account."""
    words = options(authority, "--port", str(PLAIN), "--tls-port", str(SECURED))
    server = serve(site, *words)
    assert await_true(lambda: len(list(state.glob("acme-*.key"))) == 1)
    workers = children(server.pid)
    server.process.kill()
    server.process.wait()
    assert not (state / "localhost.pem").exists()
    (account,) = state.glob("acme-*.key")
    octets = account.read_bytes()
    assert await_true(lambda: not any(map(is_alive, workers)))
    again = serve(site, *words)
    await_line(again, "a new certificate for localhost is in use")
    assert account.read_bytes() == octets
    assert not list(state.glob("*.part"))


def is_locked(path: Path) -> bool:
    """Return whether another process holds a lock on a file (flock(2))."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def test_servers_that_share_a_folder_obtain_one_certificate(
    serve: Serve, site: Path, authority: Path, state: Path
) -> None:
    """Only the first can be reached by the authority; the other one uses what that obtained."""
    first = serve(site, *options(authority, "--port", str(PLAIN), "--tls-port", str(SECURED)))
    assert await_true(lambda: is_locked(state / "acme.lock"))
    # It is not to have its certificate before the other one looks for one.
    os.kill(first.pid, signal.SIGSTOP)
    try:
        other = serve(site, *options(authority))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    for server in (first, other):
        await_line(server, "a new certificate for localhost is in use")
    # The line comes as soon as the parent has it, and the workers have it then.
    assert await_true(lambda: read_if_any(other.port) == read_if_any(SECURED) != "")
    assert "no new certificate" not in other.stderr
    assert (state / "acme.lock").stat().st_mode & 0o077 == 0


def test_an_authority_that_answers_garbage_is_one_line(
    serve: Serve, site: Path, state: Path, tmp_path: Path
) -> None:
    found = answer_json({"authorizations": [None], "finalize": 5})
    with HostileAuthority(tmp_path, {"/newOrder": found}) as hostile:
        server = serve(
            site,
            *("--acme", "a@example.org", "--domain", "a.test", "--workers", "1"),
            *("--acme-directory", f"{hostile.url}/dir"),
            *("--acme-ca", str(tmp_path / "authority.pem")),
        )
        await_line(server, "no new certificate for a.test: the authority is not reached by https")
        assert "fault" not in server.stderr
        assert "<title>index</title>" in server.get("/").decode()


def test_a_folder_that_others_may_write_to_holds_no_key(site: Path, state: Path) -> None:
    state.mkdir()
    state.chmod(0o777)
    words = ("--acme", "a@example.org", "--domain", "a.test", "--workers", "1")
    done = subprocess.run(
        [*COMMAND, site, "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(f"other users may write to {state}, so no key is kept there\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        (["--domain", "a.test"], "--acme needs --workers"),
        (["--workers", "1"], "--acme needs a --domain"),
        (["--workers", "1", "--domain", "a_b"], "'a_b' is no name of a host"),
        (
            ["--workers", "1", "--domain", "*.a.test"],
            "'*.a.test' is a wildcard, which needs a proof",
        ),
        (
            ["--workers", "1", "--domain", "ä.test"],
            "'ä.test' has letters that are written in ASCII",
        ),
        (["--workers", "1", "--domain", "::1"], "'::1' is an address"),
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
