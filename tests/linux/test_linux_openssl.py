"""What Python's ssl lacks: keys of tickets that several contexts share, and groups."""

import contextlib
import os
import ssl

import pytest

from certificates import Authority, make_certificate, shake_hands
from epollo.linux.openssl import (
    _find_control,
    say_end,
    send_as_loaded,
    set_buffers,
    set_groups,
    set_suites,
    set_ticket_key,
)
from epollo.transports.certificates import make_context
from epollo.transports.pairs import TICKET_KEY_OCTETS, Pair

MADE = make_certificate("a.test")
PAIR = Pair(MADE.certificate, MADE.key, "a.pem")

pytestmark = pytest.mark.skipif(
    _find_control() is None, reason="this Python does not let its OpenSSL be called"
)


def connect(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
) -> ssl.SSLObject:
    """Return the client's end after a handshake and one octet, behind which the tickets come."""
    theirs, ours = shake_hands(client, server, session=session)
    ours.write(b"x")
    assert theirs.read(1) == b"x"
    return theirs


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_contexts_with_one_key_know_each_others_tickets(version: ssl.TLSVersion) -> None:
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    client.maximum_version = version
    key, other = os.urandom(TICKET_KEY_OCTETS), os.urandom(TICKET_KEY_OCTETS)
    first, second, third = (make_context(PAIR) for _ in range(3))
    assert set_ticket_key(first, key)
    assert set_ticket_key(second, key)
    assert set_ticket_key(third, other)
    session = connect(first, client).session
    assert not connect(third, client, session).session_reused
    assert connect(second, client, session).session_reused


def test_a_key_of_another_length_is_refused() -> None:
    assert not set_ticket_key(make_context(PAIR), b"x" * 48)


def test_groups_are_those_that_are_recommended() -> None:
    server = make_context(PAIR)
    assert set_groups(server)
    for group, is_taken in (("prime256v1", True), ("secp384r1", True), ("secp521r1", False)):
        client = ssl.create_default_context(cadata=MADE.certificate.decode())
        client.set_ecdh_curve(group)
        if is_taken:
            connect(server, client)
        else:
            with pytest.raises(ssl.SSLError):
                connect(server, client)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "AES_128"),
        ("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "CHACHA20"),
        ("TLS_AES_256_GCM_SHA384", "AES_256"),
    ],
)
def test_the_suite_is_ours_unless_a_client_has_no_hardware_for_aes(
    offered: str, chosen: str
) -> None:
    server = make_context(PAIR)
    assert set_suites(server)
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    assert set_suites(client, offered.encode())
    assert chosen in (connect(server, client).cipher() or "")[0]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("ECDHE+AES256:ECDHE+AESGCM:ECDHE+CHACHA20", "AES128-GCM"),
        ("ECDHE+CHACHA20:ECDHE+AESGCM", "CHACHA20"),
    ],
)
def test_the_suite_of_the_former_version_is_ours_too(offered: str, chosen: str) -> None:
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(offered)
    assert chosen in (connect(make_context(PAIR), client).cipher() or "")[0]


def test_a_chain_is_not_sought_where_the_certificates_are_sent_as_they_were_loaded() -> None:
    root = Authority("root")
    between = Authority("between", root)
    made = between.issue("a.test")
    client = ssl.create_default_context(cadata=root.certificate.decode())
    server = make_context(Pair(made.certificate, made.key, "a.pem"))
    server.load_verify_locations(cadata=between.certificate.decode())
    connect(server, client)
    assert send_as_loaded(server)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, client)


def test_the_end_is_said_once_and_not_before_the_handshake() -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cadata=MADE.certificate.decode())
    theirs = client.wrap_bio(to_client, to_server, server_hostname="a.test")
    ours = make_context(PAIR).wrap_bio(to_server, to_client, server_side=True)
    engine = ours._sslobj  # type: ignore[attr-defined]
    assert not say_end(engine)
    with pytest.raises(ssl.SSLError, match="SHUTDOWN_WHILE_IN_INIT"):
        engine.shutdown()
    for _ in range(4):
        for end in (theirs, ours):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert say_end(engine)
    said = to_client.pending
    assert theirs.read(1) == b""
    assert said
    say_end(engine)
    assert not to_client.pending


def test_a_session_uses_the_buffers_that_it_is_given() -> None:
    context = make_context(PAIR)
    own = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    for _ in range(3):
        session = context.wrap_bio(*own, server_side=True)
        assert set_buffers(session._sslobj, incoming, outgoing)  # type: ignore[attr-defined]
        incoming.write(b"\x16\x03\x01\0\x05hello")
        with pytest.raises(ssl.SSLError):
            session.do_handshake()
        assert not own[1].pending
        # An alert (RFC 8446 section 6), and the buffer outlives the session.
        del session
        assert outgoing.read()[0] == 21
        incoming.read()
