"""What a session by rustls has of its own; what it has in common is in test_transports_tls.py."""

import contextlib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from certificates import Authority, make_certificate, make_first_version_certificate
from epollo.transports.certificates import Certificates, describe_swap, load_library
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import ClientAuthorities, Pair
from transports.test_transports_tls import PAIR, Client

pytest.importorskip("rtls")
from epollo.transports.rustls_session import (
    RustlsPair,
    RustlsSession,
    find_hindrance,
    has_fitting_key,
)

EC = RustlsPair(PAIR)


def connect() -> tuple[Client, RustlsSession]:
    client, session = Client(), EC.begin(None)
    client.shake_hands(session)
    return client, session


def connect_halfway() -> tuple[Client, RustlsSession]:
    """Return a client whose last flight is still to be moved, and the session."""
    client, session = Client(), EC.begin(None)
    with pytest.raises(ssl.SSLWantReadError):
        client.object.do_handshake()
    client.incoming.write(session.shake_hands(client.outgoing.read()))
    client.object.do_handshake()
    return client, session


def end(client: Client) -> None:
    with contextlib.suppress(ssl.SSLWantReadError):
        client.object.unwrap()


def test_a_request_that_comes_with_the_end_of_the_handshake_waits() -> None:
    client, session = connect_halfway()
    client.object.write(b"x" * 40_000)
    client.object.write(b"y")
    session.shake_hands(client.outgoing.read())
    assert session.is_complete
    assert session.incoming.pending
    assert session.receive(b"") == b"x" * 40_000 + b"y"
    assert not session.incoming.pending


def test_an_end_that_comes_with_the_end_of_the_handshake_is_seen() -> None:
    client, session = connect_halfway()
    end(client)
    session.shake_hands(client.outgoing.read())
    assert session.is_ended
    assert session.incoming.pending


@pytest.mark.parametrize("octets", [1, 100, 5000, 100_000])
def test_what_follows_close_notify_is_not_read(octets: int) -> None:
    client, session = connect()
    client.object.write(b"last")
    end(client)
    assert session.receive(client.outgoing.read() + b"?" * octets) == b"last"
    assert session.is_ended
    assert session.receive(b"?" * octets) == b""


def test_nothing_yet_is_no_end() -> None:
    client, session = connect()
    client.object.write(b"request")
    octets = client.outgoing.read()
    assert session.receive(octets[:7]) == b""
    assert not session.is_ended
    assert session.receive(octets[7:]) == b"request"
    assert not session.is_ended


def test_more_than_the_library_holds_is_protected_all_the_same() -> None:
    client, session = connect()
    content = bytes(range(256)) * 1000
    client.incoming.write(session.protect(memoryview(content)))
    client.incoming.write(session.protect_parts([b"x", memoryview(content)]))
    assert client.read() == content + b"x" + content


@pytest.mark.parametrize(
    "flight", [b"\x16\x03\x01\0\x05\x01\0\0\1\0", b"\x15\x03\x03\0\x02\x02\x28"]
)
def test_what_is_no_hello_is_refused(flight: bytes) -> None:
    session = EC.begin(None)
    with pytest.raises(ssl.SSLError):
        session.shake_hands(flight)
    # An alert, or nothing to a peer that sent one.
    assert session.take()[:1] in {b"\x15", b""}


def test_all_that_waits_is_taken() -> None:
    client, session = connect()
    for _ in range(200):
        session._connection.write_plaintext(b"x")
    client.incoming.write(session.take())
    assert client.read() == b"x" * 200


def test_a_fault_in_a_handshake_has_its_alert() -> None:
    client, session = connect_halfway()
    finished = bytearray(client.outgoing.read())
    finished[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        session.shake_hands(bytes(finished))
    assert session.outgoing.pending
    client.incoming.write(session.take())
    assert not session.outgoing.pending
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.object.read(1)


def make_pair(kind: str) -> Pair:
    made = make_certificate("a.test", kind=kind)
    return Pair(made.certificate, made.key, f"{kind}.pem")


def begin(*pairs: Pair, clients: ClientAuthorities | None = None) -> object:
    certificates = Certificates(pairs, clients=clients, select_maker=load_library("rustls"))
    assert certificates.default is not None
    return certificates.makers[certificates.default](None)


def test_rustls_serves_keys_on_curves_alone() -> None:
    rsa = make_pair("rsa")
    assert has_fitting_key(PAIR)
    assert not has_fitting_key(rsa)
    assert isinstance(begin(PAIR), RustlsSession)
    assert isinstance(begin(rsa), OpensslSession)
    assert isinstance(begin(PAIR, rsa), OpensslSession)


def run(program: str) -> str:
    """Return what a program prints, in a process in which nothing was loaded before."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_first_handshake_takes_no_longer_than_others() -> None:
    """The library gathers its randomness before."""
    program = (
        "import time\n"
        "from epollo.transports.certificates import load_library\n"
        "load_library('rustls')\n"
        "from rtls import _rustls\n"
        "begun = time.thread_time()\n"
        "_rustls.rand_bytes(32)\n"
        "print(time.thread_time() - begun)\n"
    )
    assert float(run(program)) < 0.01


@pytest.mark.parametrize(
    ("module", "mistake"),
    [
        ("class RustlsConfigBuilder: pass\n", "this version of the package rtls has no "),
        ("", "this version of the package rtls has no "),
        ("import nonsuch\n", "the package rtls cannot be loaded: No module named 'nonsuch'"),
        (None, "needs the package rtls: "),
    ],
)
def test_a_package_that_cannot_be_used_is_one_line(
    tmp_path: Path, module: str | None, mistake: str
) -> None:
    if module is not None:
        package = tmp_path / "rtls"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "_rustls.py").write_text(module)
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        + ("sys.modules['rtls'] = None\n" if module is None else "")
        + "from epollo.errors import OperatorError\n"
        "from epollo.transports.certificates import load_library\n"
        "try:\n"
        "    load_library('rustls')\n"
        "except OperatorError as mistake:\n"
        "    print(mistake)\n"
    )
    said = run(program)
    assert said.startswith("--tls-library rustls")
    assert mistake in said
    assert said.count("\n") == 1


def test_openssl_asks_clients_for_certificates() -> None:
    clients = ClientAuthorities(Authority().certificate, True, "ca.pem")
    assert isinstance(begin(PAIR, clients=clients), OpensslSession)


def test_why_rustls_is_of_no_use_is_told() -> None:
    made = make_first_version_certificate()
    first_version = Pair(made.certificate, made.key, "first.pem")
    rsa = make_pair("rsa")
    assert not find_hindrance([make_pair("P-384")])
    assert not find_hindrance([rsa, Pair(*make_certificate("b.test"), "b.pem")])
    assert not find_hindrance([first_version, PAIR])
    assert "no certificate has one" in find_hindrance([rsa])
    assert "two kinds of key" in find_hindrance([rsa, PAIR])
    refused = find_hindrance([first_version, rsa])
    assert "cannot use the certificate first.pem (" in refused
    assert "UnsupportedCertVersion" in refused


def test_a_swap_to_what_rustls_cannot_serve_is_told() -> None:
    line = "new certificates are in use"
    rsa = make_pair("rsa")
    assert describe_swap("rustls", [PAIR]) == describe_swap("openssl", [rsa]) == line
    # Only the authority of clients is another, and an authority is to issue the first certificate.
    assert describe_swap("rustls", []) == line
    assert describe_swap("rustls", [rsa]).startswith(
        f"{line}, by OpenSSL; rustls is of no use: it "
    )


def test_a_bug_in_the_library_ends_a_session_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A panic is no `Exception`: it would end the loop."""
    client, session = connect()
    client.object.write(b"request")
    connection = session._connection

    class Panicking:
        wants_write = connection.wants_write

        def read_tls(self, _: bytes) -> int:
            # More than there can be.
            return len(connection.read_plaintext(2**64 - 1))

    monkeypatch.setattr(session, "_connection", Panicking())
    with pytest.raises(ssl.SSLError, match="rustls: "):
        session.receive(client.outgoing.read())
    assert "panicked at" in capfd.readouterr().err
