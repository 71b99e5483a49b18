"""https, by real clients: what is served, what is refused, and certificates that are swapped."""

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Authority, Made, make_certificate
from conftest import (
    Serve,
    Server,
    managed_servers,
    receive_all,
    receive_content,
    receive_head,
)
from server.workers import await_line, await_true, refusal
from tls_libraries import RUSTLS, each_library, needs_rustls

MADE = make_certificate("localhost", "127.0.0.1", "a.test")
LARGE_OCTETS = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tls") / "site"
    root.mkdir()
    (root / "index.html").write_text("<title>secured</title>\n")
    (root / "kept.bin").write_bytes(bytes(range(256)) * 400)
    (root / "large.bin").write_bytes(bytes(range(251)) * (LARGE_OCTETS // 251))
    (root / "folder").mkdir()
    (root / "folder" / "index.html").write_text("folder\n")
    return root


@pytest.fixture(scope="module", params=["epoll", "poll", "workers", RUSTLS])
def server(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    options = MADE.write(tmp_path_factory.mktemp("certificates"))
    more = {
        "workers": ("--workers", "2"),
        "rustls": ("--tls-library", "rustls", "--sandbox", "on"),
    }.get(request.param, ("--poller", request.param))
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(folder, *options, *more)


def connect(
    server: Server, made: Made = MADE, name: str | None = "localhost", *protocols: str
) -> ssl.SSLSocket:
    context = made.trust()
    if protocols:
        context.set_alpn_protocols(protocols)
    context.check_hostname = name is not None
    return context.wrap_socket(server.connect(), server_hostname=name)


def ask(peer: ssl.SSLSocket, target: str, *lines: str, method: str = "GET") -> tuple[bytes, bytes]:
    fields = "".join(f"{line}\r\n" for line in lines)
    peer.sendall(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
    head, content = receive_head(peer)
    return head, receive_content(peer, head, content) if method == "GET" else b""


def test_files_are_served(server: Server, folder: Path) -> None:
    with connect(server) as peer:
        for _ in range(2):
            for name in ("index.html", "kept.bin", "large.bin"):
                head, content = ask(peer, f"/{name}")
                assert head.startswith(b"HTTP/1.1 200 "), head
                assert content == (folder / name).read_bytes()
        head, content = ask(peer, "/kept.bin", "Range: bytes=1000-70000")
        assert head.startswith(b"HTTP/1.1 206 ")
        assert content == (folder / "kept.bin").read_bytes()[1000:70001]
        head, _ = ask(peer, "/missing")
        assert head.startswith(b"HTTP/1.1 404 ")


def test_pipelined_requests_are_answered_in_order(server: Server, folder: Path) -> None:
    names = ["index.html", "kept.bin", "large.bin"] * 2
    with connect(server) as peer:
        peer.sendall(
            b"".join(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode() for name in names)
        )
        rest = b""
        for name in names:
            while b"\r\n\r\n" not in rest:
                rest += peer.recv(65536)
            head, _, rest = rest.partition(b"\r\n\r\n")
            found = re.search(rb"Content-Length: (\d+)", head)
            assert found is not None
            length = int(found[1])
            while len(rest) < length:
                rest += peer.recv(1024 * 1024)
            assert rest[:length] == (folder / name).read_bytes()
            rest = rest[length:]


def test_the_scheme_is_that_of_the_connection(server: Server) -> None:
    with connect(server) as peer:
        head, content = ask(peer, "https://localhost/")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert content == b"<title>secured</title>\n"
        head, _ = ask(peer, "/folder")
        assert head.startswith(b"HTTP/1.1 301 ")
        assert b"\r\nLocation: /folder/\r\n" in head


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize("version", ["--tls-max 1.2", "--tlsv1.3"])
def test_curl_reads_it(server: Server, folder: Path, tmp_path: Path, version: str) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(MADE.certificate)
    done = subprocess.run(
        ["curl", "-sS", "--fail", *version.split(), "--cacert", str(authority)]
        + [f"https://localhost:{server.port}/{name}" for name in ("kept.bin", "large.bin")],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "kept.bin").read_bytes() + (folder / "large.bin").read_bytes()


def test_old_versions_are_refused(server: Server) -> None:
    context = MADE.trust()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), server.connect() as plain:
        context.wrap_socket(plain, server_hostname="localhost")


def test_plain_http_is_answered_in_plain_http(server: Server) -> None:
    answer = server.exchange(b"GET /folder/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b'<a href="https://localhost/folder/">' in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert re.search(rb"\r\nDate: [A-Z][a-z]{2}, ", answer)
    head = server.exchange(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "protocols", "alert"),
    [
        ("other.test", (), "unrecognized.name"),
        ("localhost", ("h3",), "no.application.protocol"),
        ("localhost", ("spdy/1", "imap"), "no.application.protocol"),
    ],
)
def test_what_cannot_be_served_is_an_alert(
    server: Server, name: str, protocols: tuple[str, ...], alert: str
) -> None:
    with pytest.raises(ssl.SSLError, match=f"(?i){alert}"):
        connect(server, MADE, name, *protocols)


def test_the_protocol_is_agreed_on(server: Server) -> None:
    with connect(server, MADE, "a.test", "h2", "http/1.1") as peer:
        assert peer.selected_alpn_protocol() == "http/1.1"
        assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
    with connect(server, MADE, None) as peer:
        assert peer.selected_alpn_protocol() is None
        assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "octets", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16", b"", b"\0" * 100, b"\x80."]
)
def test_what_is_no_handshake_is_closed(server: Server, octets: bytes) -> None:
    # A half of a handshake is closed when its client gives up.
    answer = server.exchange(octets)
    assert answer in {b"", b"\x15\x03\x03\x00\x02\x02\x0a"}


def test_an_end_is_said(server: Server) -> None:
    """RFC 8446 section 6.1: a client can tell an end from a connection that was cut."""
    plain = server.connect()
    with MADE.trust().wrap_socket(
        plain, server_hostname="localhost", suppress_ragged_eofs=False
    ) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert receive_all(peer).endswith(b"<title>secured</title>\n")


def test_a_session_is_resumed(server: Server) -> None:
    """By OpenSSL; by rustls a client that comes back makes a full handshake."""
    context = MADE.trust()
    with context.wrap_socket(server.connect(), server_hostname="localhost") as first:
        ask(first, "/")
        session = first.session
    with context.wrap_socket(
        server.connect(), server_hostname="localhost", session=session
    ) as second:
        assert second.session_reused is ("--tls-library" not in str(server.process.args))
        assert ask(second, "/")[0].startswith(b"HTTP/1.1 200 ")


def test_every_worker_knows_the_tickets_of_all(serve: Serve, folder: Path, tmp_path: Path) -> None:
    """Also after a reload, for which new workers are started."""
    server = serve(folder, *MADE.write(tmp_path / "c"), "--workers", "4")
    context = MADE.trust()
    with context.wrap_socket(server.connect(), server_hostname="localhost") as first:
        ask(first, "/")
        session = first.session
    for is_reloaded in (False, True):
        if is_reloaded:
            server.process.send_signal(signal.SIGHUP)
            await_line(server, "new workers serve")
        for _ in range(16):
            plain = server.connect()
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as peer:
                assert peer.session_reused
                ask(peer, "/")


def test_silent_clients_delay_no_other(serve: Serve, folder: Path, tmp_path: Path) -> None:
    server = serve(folder, *MADE.write(tmp_path / "c"), "--request-timeout", "2")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(50)]
        for number, peer in enumerate(silent):
            peer.sendall(b"\x16\x03\x01"[: number % 4])
        with connect(server) as good:
            for _ in range(5):
                assert ask(good, "/")[0].startswith(b"HTTP/1.1 200 ")
        for peer in silent:
            # Closed by the deadline of a head.
            assert receive_all(peer) == b""


def fingerprint(server: Server, made: Made) -> bool:
    """Return whether a client that trusts this certificate alone is served."""
    try:
        with connect(server, made) as peer:
            return ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
    except ssl.SSLCertVerificationError:
        return False


@each_library
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_certificate_is_swapped(
    serve: Serve, folder: Path, tmp_path: Path, workers: str, library: str
) -> None:
    """At the next handshake, while open connections continue."""
    options = MADE.write(tmp_path / "c")
    server = serve(folder, *options, "--workers", workers, "--tls-library", library)
    with connect(server) as before:
        for _ in range(5):
            new = make_certificate("localhost")
            new.write(tmp_path / "c")
            await_swap(server, new)
            assert not fingerprint(server, MADE)
            assert ask(before, "/")[0].startswith(b"HTTP/1.1 200 ")
        # A pair that does not match leaves the former one in use, and is told of once.
        (tmp_path / "c" / "site.key").write_bytes(MADE.key)
        end = time.monotonic() + 30
        while "the former certificates stay in use" not in server.stderr:
            assert fingerprint(server, new)
            assert time.monotonic() < end
        assert server.stderr.count("the key is not that of the certificate") == 1
        assert ask(before, "/")[0].startswith(b"HTTP/1.1 200 ")


@needs_rustls
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_swap_to_a_key_that_rustls_cannot_serve_is_told(
    serve: Serve, folder: Path, tmp_path: Path, workers: str
) -> None:
    options = (*MADE.write(tmp_path / "c"), "--workers", workers, "--tls-library", "rustls")
    server = serve(folder, *options)
    new = make_certificate("localhost", kind="rsa")
    new.write(tmp_path / "c")
    await_swap(server, new)
    line = (
        "new certificates are in use, by OpenSSL; rustls is of no use: it serves keys on the curves"
    )
    await_line(server, line)


def await_swap(server: Server, made: Made) -> None:
    """Wait for what the parent says once all workers have the new pair; then each uses it."""
    assert await_true(lambda: fingerprint(server, made)), server.stderr


def test_links_are_swapped_as_certbot_does(serve: Serve, folder: Path, tmp_path: Path) -> None:
    archive, live = tmp_path / "archive", tmp_path / "live"
    MADE.write(archive, "one")
    live.mkdir()
    for suffix in ("pem", "key"):
        (live / f"site.{suffix}").symlink_to(archive / f"one.{suffix}")
    server = serve(
        folder, "--tls-cert", str(live / "site.pem"), "--tls-key", str(live / "site.key")
    )
    assert fingerprint(server, MADE)
    new = make_certificate("localhost")
    new.write(archive, "two")
    for suffix in ("pem", "key"):
        (live / f"next.{suffix}").symlink_to(archive / f"two.{suffix}")
        (live / f"next.{suffix}").replace(live / f"site.{suffix}")
    await_swap(server, new)


def test_reloads_and_swaps_lose_no_request(serve: Serve, folder: Path, tmp_path: Path) -> None:
    made = make_certificate("localhost")
    options = made.write(tmp_path / "c")
    server = serve(folder, *options, "--workers", "2")
    for number in range(30):
        if number % 10 == 5:
            server.process.send_signal(signal.SIGHUP)
        made.write(tmp_path / "c")
        with connect(server, made) as peer:
            assert ask(peer, "/kept.bin")[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (["--tls-cert", "{c}/site.pem"], "each --tls-cert needs a --tls-key"),
        (
            ["--tls-cert", "{c}/none.pem", "--tls-key", "{c}/site.key"],
            "cannot read {c}/none.pem: No such file or directory",
        ),
        (
            ["--tls-cert", "{c}/site.pem", "--tls-key", "{c}/other.key"],
            "cannot use the certificate {c}/site.pem: the key is not that of the certificate",
        ),
        (["--tls-cert", "", "--tls-key", "x"], "the value is empty"),
        (["--tls-library", "rustls"], "--tls-library needs https"),
        pytest.param(
            [*("--tls-cert", "{c}/rsa.pem", "--tls-key", "{c}/rsa.key"), "--tls-library", "rustls"],
            "--tls-library rustls is of no use: it serves keys on the curves P-256 and P-384",
            marks=needs_rustls,
        ),
        pytest.param(
            [
                *("--tls-cert", "{c}/site.pem", "--tls-key", "{c}/site.key"),
                *("--tls-client-ca", "{c}/authority.pem", "--tls-library", "rustls"),
            ],
            "--tls-library rustls is of no use with --tls-client-ca",
            marks=needs_rustls,
        ),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, tmp_path: Path, options: list[str], mistake: str
) -> None:
    MADE.write(tmp_path / "c")
    make_certificate().write(tmp_path / "c", "other")
    make_certificate(kind="rsa").write(tmp_path / "c", "rsa")
    (tmp_path / "c" / "authority.pem").write_bytes(Authority().certificate)
    words = [word.replace("{c}", str(tmp_path / "c")) for word in options]
    assert mistake.replace("{c}", str(tmp_path / "c")) in refusal(
        str(folder), "--port", "0", *words
    )


def test_the_settings_file_has_lists(serve: Serve, folder: Path, tmp_path: Path) -> None:
    other = make_certificate("other.test")
    MADE.write(tmp_path / "c")
    other.write(tmp_path / "c", "other")
    settings = tmp_path / "epollo.toml"
    settings.write_text(
        f'tls-cert = ["{tmp_path}/c/site.pem", "{tmp_path}/c/other.pem"]\n'
        f'tls-key = ["{tmp_path}/c/site.key", "{tmp_path}/c/other.key"]\n'
    )
    server = serve(folder, "--config", str(settings))
    assert server.lines[1].strip() == f"at:      https://127.0.0.1:{server.port}/"
    for made, name in ((MADE, "a.test"), (other, "other.test")):
        with connect(server, made, name) as peer:
            assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")


def reserve_ports() -> tuple[int, int]:
    """Return two ports that no other test has: above those that the kernel gives out."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 61_000 + 2 * number, 61_001 + 2 * number


@pytest.mark.parametrize("workers", ["0", "2"])
def test_plain_http_beside_it_is_redirected(
    serve: Serve, folder: Path, tmp_path: Path, workers: str
) -> None:
    plain, secured = reserve_ports()
    ports = ("--port", str(plain), "--tls-port", str(secured))
    options = (*MADE.write(tmp_path / "c"), *ports, "--hsts", "365d", "--workers", workers)
    server = serve(folder, *options)
    assert f"at:      https://127.0.0.1:{secured}/" in server.lines[1]
    assert f"at:      http://127.0.0.1:{plain}/" in server.lines[2]
    server.port = plain
    for _ in range(2):
        for host in ("localhost", "a.test"):
            answer = server.exchange(f"GET /kept.bin?x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n"), answer
            location = f"\r\nLocation: https://{host}:{secured}/kept.bin?x\r\n"
            assert location.encode() in answer
            # RFC 6797 section 7.2: never over plain HTTP.
            assert b"Strict-Transport-Security" not in answer
    assert b"HTTP/1.1 404 " in server.exchange(
        b"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    server.port = secured
    with connect(server) as peer:
        for target in ("/", "/", "/missing", "/kept.bin"):
            head, _ = ask(peer, target)
            assert b"\r\nStrict-Transport-Security: max-age=31536000" in head
    if workers != "0":
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "new workers serve")
        with connect(server) as peer:
            assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")


def test_tls_to_a_plain_port_is_told_of_once(serve: Serve, folder: Path) -> None:
    server = serve(folder)
    for _ in range(3):
        with pytest.raises(ssl.SSLError):
            connect(server)
    assert server.stderr.count("a client speaks TLS to a port of plain http") == 1
    assert server.stderr.count("\n") == 1


def test_developers_have_https_by_one_option(
    serve: Serve, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for workers in ("0", "1"):
        server = serve(folder, "--tls-self-signed", "--workers", workers)
        authority = tmp_path / "state" / "authority.pem"
        assert f"  trust:   {authority} (once, in the browser)\n" in server.lines
        context = ssl.create_default_context(cafile=authority)
        with context.wrap_socket(server.connect(), server_hostname="localhost") as peer:
            assert ask(peer, "/")[0].startswith(b"HTTP/1.1 200 ")
