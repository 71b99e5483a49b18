"""https where something is odd, by real servers: names, proxies in front, files that do not fit."""

import ssl
import time
from pathlib import Path

import pytest

from certificates import Made, make_certificate
from conftest import Serve, Server, receive_content, receive_head

INDEX = b"<title>secured</title>\n"
EC = make_certificate("localhost", "a.test")
RSA = make_certificate("localhost", "a.test", kind="rsa")
EXPIRED = make_certificate("localhost", "a.test", ends_in_days=-1, begins_in_days=-3)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_bytes(INDEX)
    return root


def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(EC.certificate + RSA.certificate).decode())


def make_hello(name: bytes) -> bytes:
    """Return a ClientHello with these octets as its name, which no client would send."""
    placeholder = (b"xxxxxxxxx." * 30)[: len(name) - 1] + b"x"
    outgoing = ssl.MemoryBIO()
    client = trust().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=placeholder.decode())
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    at = hello.index(b"\0" + len(name).to_bytes(2) + placeholder)
    return hello[: at + 3] + name + hello[at + 3 + len(name) :]


def begin(server: Server, hello: bytes) -> bytes:
    """Return the first octets of the answer: 0x16 begins a flight, 0x15 an alert."""
    with server.connect() as peer:
        peer.sendall(hello)
        return peer.recv(7)


def test_odd_names_are_refused_by_an_alert_or_served(
    serve: Serve, site: Path, tmp_path: Path
) -> None:
    server = serve(site, *EC.write(tmp_path / "c"))
    for name in (b"LOCALHOST", b"a.test.", b"A.Test.", b"127.0.0.1", b"255.255.255.255"):
        assert begin(server, make_hello(name))[:1] == b"\x16", name
    for name in (
        *(b"b.test", b"a.test..", b".a.test", b"xa.test", b"a.test.b", b"*.test", b"localhos"),
        *(b"b\xc3\xbccher.test", b"xn--bcher-kva.test", b"a_test", b"a.test:443", b"a" * 250),
        *(b"a\0test", b"a test", b"a.test\n", b"\xff\xfe"),
    ):
        answer = begin(server, make_hello(name))
        # unrecognized_name (RFC 6066 section 3), or decode_error for what is no name.
        assert answer[:6] == b"\x15\x03\x03\0\x02\x02", name
        assert answer[6] in {112, 50, 47}, name


def ask(server: Server, *, head: bytes = b"") -> tuple[bytes, bytes]:
    """Return the content of the index, and the certificate; ``head`` goes before the handshake."""
    plain = server.connect()
    plain.sendall(head)
    with trust().wrap_socket(plain, server_hostname="localhost") as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer, content = receive_head(peer)
        certificate = peer.getpeercert(binary_form=True)
        assert certificate is not None
        return receive_content(peer, answer, content), certificate


PROXY_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\0\x05\x01\xbb"


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 192.0.2.1 5 443\r\n", PROXY_2])
def test_a_proxy_tells_whose_the_handshake_is(
    serve: Serve, site: Path, tmp_path: Path, header: bytes
) -> None:
    log = tmp_path / "log"
    options = ("--proxy-protocol", "--access-log", str(log))
    server = serve(site, *EC.write(tmp_path / "c"), *options)
    assert ask(server, head=header)[0] == INDEX
    # The handshake may come together with the header.
    assert begin(server, header + make_hello(b"localhost"))[:1] == b"\x16"
    for octets in (make_hello(b"localhost"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        with server.connect() as peer:
            peer.sendall(octets)
            assert not peer.recv(100)
    assert begin(server, header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b"HTTP/1."
    end = time.monotonic() + 30
    while not log.read_text():
        assert time.monotonic() < end
    assert log.read_text().startswith("192.0.2.7 ")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_does_not_fit_leaves_the_former_certificate_in_use(
    serve: Serve, site: Path, tmp_path: Path, workers: str
) -> None:
    """A key of another kind is used; one that expired, or is not there yet, is told of."""
    folder = tmp_path / "c"
    server = serve(site, *EC.write(folder), "--workers", workers)

    def put(made: Made) -> None:
        for name, octets in (("site.pem", made.certificate), ("site.key", made.key)):
            (folder / f"{name}.new").write_bytes(octets)
            (folder / f"{name}.new").replace(folder / name)

    def await_certificate(made: Made) -> None:
        expected = ssl.PEM_cert_to_DER_cert(made.certificate.decode())
        end = time.monotonic() + 30
        while ask(server)[1] != expected:
            assert time.monotonic() < end, server.stderr

    def await_told(words: str) -> None:
        end = time.monotonic() + 30
        while words not in server.stderr:
            assert ask(server)[0] == INDEX
            assert time.monotonic() < end, server.stderr

    await_certificate(EC)
    put(RSA)
    await_certificate(RSA)
    put(EXPIRED)
    await_told("has expired; the former certificates stay in use")
    await_certificate(RSA)
    # The certificate comes long before its key.
    (folder / "site.pem").write_bytes(EC.certificate)
    await_told("the key is not that of the certificate; the former certificates stay in use")
    await_certificate(RSA)
    (folder / "site.key").write_bytes(EC.key)
    await_certificate(EC)
