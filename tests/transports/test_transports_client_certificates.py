"""Certificates of clients: which are accepted, and what a log tells of them."""

import contextlib
import ssl
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certificates import Authority, Made, make_certificate
from epollo.errors import OperatorError
from epollo.linux.openssl import _find_control
from epollo.transports.certificates import Certificates
from epollo.transports.client_certificates import check_authorities, format_subject
from epollo.transports.openssl_session import OpensslSession
from epollo.transports.pairs import TICKET_KEY_OCTETS, ClientAuthorities, Pair

SITE = make_certificate("a.test")
PAIR = Pair(SITE.certificate, SITE.key, "site.pem")
AUTHORITY = Authority()
ALICE = AUTHORITY.sign((NameOID.COMMON_NAME, "alice"))
KEY = bytes(range(TICKET_KEY_OCTETS))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def authorities(*parts: bytes, is_required: bool = True) -> ClientAuthorities:
    return ClientAuthorities(b"".join(parts) or AUTHORITY.certificate, is_required, "ca.pem")


def make_client(folder: Any, made: Made | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    client = ssl.create_default_context(cadata=SITE.certificate.decode())
    client.maximum_version = version
    if made is not None:
        options = made.write(folder, "client")
        client.load_cert_chain(options[1], options[3])
    return client


def shake_hands(
    server: Certificates, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[OpensslSession, ssl.SSLObject]:
    """Return both ends after a handshake. Raises `ssl.SSLError` where the server refuses."""
    context = server.find(b"a.test")
    assert context is not None
    ours = OpensslSession(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = client.wrap_bio(incoming, outgoing, server_hostname="a.test", session=session)
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        incoming.write(ours.shake_hands(outgoing.read()))
    assert ours.is_complete
    incoming.write(ours.protect(b"x"))
    assert theirs.read(1) == b"x"
    return ours, theirs


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_is_known_is_served_and_named(tmp_path: Any, version: ssl.TLSVersion) -> None:
    server = Certificates([PAIR], clients=authorities())
    ours, _ = shake_hands(server, make_client(tmp_path, ALICE, version))
    assert ours.find_subject() == "CN=alice"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_without_a_certificate(tmp_path: Any, version: ssl.TLSVersion) -> None:
    client = make_client(tmp_path, None, version)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(Certificates([PAIR], clients=authorities()), client)
    ours, _ = shake_hands(Certificates([PAIR], clients=authorities(is_required=False)), client)
    assert ours.find_subject() == ""


@pytest.mark.parametrize("is_required", [True, False])
@pytest.mark.parametrize(
    "made",
    [
        Authority().sign((NameOID.COMMON_NAME, "alice")),
        AUTHORITY.sign((NameOID.COMMON_NAME, "old"), ends_in_days=-1),
        AUTHORITY.sign((NameOID.COMMON_NAME, "server"), usage=ExtendedKeyUsageOID.SERVER_AUTH),
        make_certificate("alice"),
    ],
    ids=["another authority", "expired", "for servers", "signed by itself"],
)
def test_a_certificate_that_is_not_right_is_refused(
    tmp_path: Any, made: Made, is_required: bool
) -> None:
    server = Certificates([PAIR], clients=authorities(is_required=is_required))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(server, make_client(tmp_path, made, ssl.TLSVersion.TLSv1_3))


def test_what_is_revoked_is_refused(tmp_path: Any) -> None:
    authority = Authority()
    bob, eve = (authority.sign((NameOID.COMMON_NAME, name)) for name in ("bob", "eve"))
    server = Certificates([PAIR], clients=authorities(authority.certificate, authority.revoke(eve)))
    shake_hands(server, make_client(tmp_path, bob, ssl.TLSVersion.TLSv1_3))
    with pytest.raises(ssl.SSLError, match="certificate revoked"):
        shake_hands(server, make_client(tmp_path, eve, ssl.TLSVersion.TLSv1_3))


def test_an_authority_that_is_no_root_is_enough(tmp_path: Any) -> None:
    """And any of several may have signed."""
    middle = Authority("middle", Authority("root"))
    parts = Authority("other").certificate, middle.certificate
    server = Certificates([PAIR], clients=authorities(*parts))
    made = middle.sign((NameOID.COMMON_NAME, "bob"))
    shake_hands(server, make_client(tmp_path, made, ssl.TLSVersion.TLSv1_3))


@pytest.mark.skipif(_find_control() is None, reason="this Python hides its OpenSSL")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_is_worth_nothing_with_other_authorities(
    tmp_path: Any, version: ssl.TLSVersion
) -> None:
    client = make_client(tmp_path, ALICE, version)
    clients = authorities()
    ours, theirs = shake_hands(Certificates([PAIR], KEY, clients), client)
    session = theirs.session
    ours, theirs = shake_hands(Certificates([PAIR], KEY, clients), client, session)
    assert theirs.session_reused
    assert ours.find_subject() == "CN=alice"
    other = authorities(Authority().certificate)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(Certificates([PAIR], KEY, other), client, session)
    # A ticket of a server that asks for no certificate is none of one that does.
    unknown = make_client(tmp_path, None, version)
    _, theirs = shake_hands(Certificates([PAIR], KEY), unknown)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(Certificates([PAIR], KEY, clients), unknown, theirs.session)


@pytest.mark.skipif(_find_control() is None, reason="this Python hides its OpenSSL")
def test_clients_are_told_which_authorities_are_meant(tmp_path: Any) -> None:
    """By the names of these in TLS 1.2, in which the message is not encrypted."""
    context = Certificates([PAIR], clients=authorities()).find(b"a.test")
    assert context is not None
    ours = OpensslSession(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = make_client(tmp_path, None, ssl.TLSVersion.TLSv1_2)
    theirs = client.wrap_bio(incoming, outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        theirs.do_handshake()
    assert b"epollo test authority" in ours.shake_hands(outgoing.read())


@pytest.mark.parametrize(
    ("octets", "mistake"),
    [
        (b"garbage", "it has no certificate as PEM (-----BEGIN CERTIFICATE-----)"),
        (SITE.key, "it has no certificate as PEM"),
        (SITE.certificate, "no certificate in it is that of an authority (CA:TRUE)"),
        (AUTHORITY.certificate[:200], "cannot verify clients by ca.pem: "),
        (AUTHORITY.certificate + AUTHORITY.certificate[:200], "cannot verify clients by ca.pem: "),
    ],
)
def test_a_wrong_file_is_one_line(octets: bytes, mistake: str) -> None:
    for check in (check_authorities, lambda one: Certificates([PAIR], clients=one)):
        with pytest.raises(OperatorError) as caught:
            check(authorities(octets))
        line = str(caught.value)
        assert line.startswith("cannot verify clients by ca.pem: ")
        assert mistake in line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("certificate", "subject"),
    [
        (None, ""),
        ({}, ""),
        (
            {
                "subject": (
                    (("countryName", "DE"),),
                    (("organizationName", "Example, Inc."),),
                    (("commonName", "alice"), ("emailAddress", "a@example.org")),
                )
            },
            "CN=alice+emailAddress=a@example.org,O=Example\\, Inc.,C=DE",
        ),
        ({"subject": ((("commonName", " #a\0b\\ "),),)}, "CN=\\ #a\\00b\\\\\\ "),
        ({"subject": ((("commonName", "#a;b"),),)}, "CN=\\#a\\;b"),
        ({"subject": ((("commonName", " "),),)}, "CN=\\ "),
        (
            {"subject": (), "subjectAltName": (("URI", "spiffe://a.test/web"), ("DNS", "b.test"))},
            "URI:spiffe://a.test/web",
        ),
        ({"subject": ()}, ""),
        ({"subject": ((("commonName", "x" * 5000),),)}, "CN=" + "x" * 1021),
    ],
)
def test_the_subject_as_text(certificate: dict[str, Any] | None, subject: str) -> None:
    assert format_subject(certificate) == subject
