"""https by curl, wget, openssl, Node and Chromium: names, versions, resumption, HSTS."""

import base64
import contextlib
import hashlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certificates import Authority
from chromium import Chromium, find_chromium
from conftest import Server, managed_servers
from server.workers import await_true

AUTHORITY = Authority()
NAMES = ("localhost", "a.test", "b.test")
RESUMED = b"\0\x29\0\x02\0\0"
"""The extension of a ServerHello that takes the first session offered (RFC 8446 section 4.2.11)."""


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    path.write_bytes(AUTHORITY.certificate)
    return str(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<!doctype html><title>secured</title>\n")
    (root / "large.bin").write_bytes(bytes(range(250)) * 12_000)
    return root


CERTIFICATES = {name: AUTHORITY.issue(name) for name in NAMES}


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each name has a certificate of its own."""
    folder = tmp_path_factory.mktemp("certificates")
    options = [word for name, made in CERTIFICATES.items() for word in made.write(folder, name)]
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(root, *options, "--workers", "2", "--hsts", "1d", "--idle-timeout", "2")


def run(*command: str, text: str = "") -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def require(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")


@pytest.mark.parametrize(
    "options", ["--tlsv1.3", "--tlsv1.2 --tls-max 1.2", "--http1.1", "--http1.0"]
)
@pytest.mark.parametrize("name", NAMES)
def test_curl_is_served(server: Server, trusted: str, options: str, name: str) -> None:
    require("curl")
    said = run(
        *("curl", "-sSv", "--fail", "--cacert", trusted, *options.split()),
        *("--resolve", f"{name}:{server.port}:127.0.0.1"),
        *(f"https://{name}:{server.port}/", f"https://{name}:{server.port}/"),
    )
    assert said.count("<title>secured</title>") == 2
    assert f'subjectAltName: host "{name}" matched' in said
    assert ("TLSv1.2" if "1.2" in options else "TLSv1.3") in said
    assert "strict-transport-security: max-age=86400" in said.lower()


def test_curl_is_told_by_an_alert_what_is_not_spoken(server: Server, trusted: str) -> None:
    require("curl")
    done = subprocess.run(
        [
            *("curl", "-sS", "-k", "--tlsv1.0", "--tls-max", "1.1"),
            *("--ciphers", "DEFAULT@SECLEVEL=0", f"https://localhost:{server.port}/"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 35
    assert "protocol version" in done.stderr


def test_wget_is_served(server: Server, trusted: str, tmp_path: Path, root: Path) -> None:
    require("wget")
    for version in ("TLSv1_2", "TLSv1_3"):
        to = tmp_path / version
        run(
            *("wget", "-q", "--ca-certificate", trusted, "--secure-protocol", version),
            *("--no-hsts", "-O", str(to), f"https://localhost:{server.port}/large.bin"),
        )
        assert to.read_bytes() == (root / "large.bin").read_bytes()


def test_openssl_resumes(server: Server, trusted: str, tmp_path: Path) -> None:
    """Whichever of the workers it comes to."""
    require("openssl")
    common: tuple[str, ...]
    common = ("openssl", "s_client", "-connect", f"localhost:{server.port}", "-CAfile", trusted)
    common = (
        *common,
        "-servername",
        "a.test",
        "-verify_return_error",
        "-verify_hostname",
        "a.test",
    )
    said = run(*common, "-tls1_2", "-reconnect")
    assert said.count("\nNew, TLSv1.2, ") == 1
    assert said.count("\nReused, TLSv1.2, ") == 5

    session = str(tmp_path / "session")
    request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    run(*common, "-tls1_3", "-sess_out", session, "-ign_eof", text=request)
    for _ in range(4):
        said = run(*common, "-tls1_3", "-sess_in", session, "-ign_eof", text=request)
        assert "\nReused, TLSv1.3, " in said
        assert "<title>secured</title>" in said
        assert "\nEarly data was not sent" in said


def test_openssl_may_not_renegotiate(server: Server, trusted: str) -> None:
    """The request before is answered, and the attempt ends the connection of the client."""
    require("openssl")
    with subprocess.Popen(
        [
            *("openssl", "s_client", "-connect", f"localhost:{server.port}"),
            *("-CAfile", trusted, "-tls1_2", "-servername", "a.test"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as client:
        said, _ = client.communicate(b"R\n", timeout=60)
    assert b"RENEGOTIATING" in said
    assert b"no renegotiation" in said


NODE = """
const https = require('https'), fs = require('fs');
const agent = new https.Agent({ca: fs.readFileSync(process.argv[1]), keepAlive: false});
const ask = left => https.get({host: '127.0.0.1', port: process.argv[2], path: '/large.bin',
    servername: process.argv[3], headers: {Host: process.argv[3]}, agent}, answer => {
  let octets = 0;
  const {socket} = answer, isReused = socket.isSessionReused(), version = socket.getProtocol();
  answer.on('data', part => { octets += part.length; });
  answer.on('end', () => {
    console.log(answer.statusCode, octets, isReused, version, socket.authorized);
    if (left) ask(left - 1);
  });
});
ask(3);
"""


@pytest.mark.parametrize("name", NAMES)
def test_node_is_served_and_resumes(server: Server, trusted: str, name: str) -> None:
    require("node")
    said = run("node", "-e", NODE, trusted, str(server.port), name).splitlines()
    assert said[0] == "200 3000000 false TLSv1.3 true"
    assert said[1:] == ["200 3000000 true TLSv1.3 true"] * 3


class Listener:
    """Stands between a client and the server, and notes what each connection says first."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.first: list[bytes] = []
        """The first octets of the server's side, of each connection."""
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    @property
    def is_in_use(self) -> bool:
        """Whether a connection is open."""
        return any(thread.is_alive() for thread in self._threads[1:])

    @property
    def resumed(self) -> int:
        """How many connections resumed a session of TLS 1.3."""
        return sum(RESUMED in octets[:200] for octets in self.first)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self.first.append(b"")
                ends = client, self._server.connect(60)
                for number in (0, 1):
                    args = (ends[number], ends[1 - number], len(self.first) - 1, number == 1)
                    thread = threading.Thread(target=self._forward, args=args)
                    self._threads.append(thread)
                    thread.start()

    def _forward(
        self, source: socket.socket, to: socket.socket, place: int, is_noted: bool
    ) -> None:
        with source, contextlib.suppress(OSError):
            while octets := source.recv(65536):
                if is_noted and not self.first[place]:
                    self.first[place] = octets
                to.sendall(octets)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)


def find_pin(certificate: bytes) -> str:
    """Return the hash of a key by which Chromium is told to accept a certificate."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


@pytest.mark.skipif(find_chromium() is None, reason="Chromium is not here")
def test_chromium_is_served_resumes_and_keeps_to_https(server: Server, tmp_path: Path) -> None:
    pins = ",".join(find_pin(made.certificate) for made in CERTIFICATES.values())
    with Listener(server) as listener:
        browser = Chromium(
            tmp_path / "profile",
            f"--ignore-certificate-errors-spki-list={pins}",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
        )
        try:
            for name in ("a.test", "b.test"):
                page = browser.load(f"https://{name}:{listener.port}/")
                assert page.title == "secured"
                assert 200 in page.statuses.values()
            # The first connection has nothing to resume; another one of the same page may have.
            assert RESUMED not in listener.first[0][:200]
            resumed = listener.resumed
            # The server closes connections that are idle; another one resumes.
            assert await_true(lambda: not listener.is_in_use)
            assert browser.load(f"https://a.test:{listener.port}/large.html?x").statuses
            assert listener.resumed > resumed
            # HSTS: what is asked for by http is asked for by https.
            page = browser.load(f"http://b.test:{listener.port}/?plain")
            assert page.title == "secured"
            assert page.statuses[f"https://b.test:{listener.port}/?plain"] == 200
            # A name that no certificate has is no site.
            unknown = browser.load(f"https://c.test:{listener.port}/")
            assert any("ERR_SSL_UNRECOGNIZED_NAME_ALERT" in fault for fault in unknown.faults)
        finally:
            browser.close()
