"""What ACME is told and shown: signed requests, identifiers, and when a certificate is renewed."""

import base64
import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certificates import make_certificate
from epollo.acme.credentials import (
    choose_within,
    dump_key,
    find_renewal,
    identify,
    load_key,
    make_key,
    make_proof,
    make_request,
)
from epollo.acme.messages import authorize, describe_key, encode, sign

KEY = make_key()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_request_is_signed_over_head_and_content() -> None:
    message = json.loads(sign(KEY, "https://a.test/x", "nonce", "", {"b": 1}))
    head = json.loads(decode(message["protected"]))
    assert head == {
        "alg": "ES256",
        "nonce": "nonce",
        "url": "https://a.test/x",
        "jwk": describe_key(KEY),
    }
    assert json.loads(decode(message["payload"])) == {"b": 1}
    octets = decode(message["signature"])
    numbers = int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")
    signed = f"{message['protected']}.{message['payload']}".encode()
    KEY.public_key().verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))


def test_an_account_stands_in_the_place_of_its_key() -> None:
    message = json.loads(sign(KEY, "https://a.test/x", "n", "https://a.test/account/1", None))
    head = json.loads(decode(message["protected"]))
    assert head["kid"] == "https://a.test/account/1"
    assert "jwk" not in head
    # POST-as-GET (RFC 8555 section 6.3).
    assert message["payload"] == ""


def test_a_token_is_authorized_by_the_thumbprint_of_the_key() -> None:
    token, _, thumbprint = authorize(KEY, "token").partition(".")
    assert token == "token"
    assert len(decode(thumbprint)) == 32
    assert "=" not in thumbprint
    assert authorize(make_key(), "token") != authorize(KEY, "token")
    assert encode(b"\xff\xfe") == "__4"


def test_keys_survive() -> None:
    loaded = load_key(dump_key(KEY))
    assert loaded is not None
    assert loaded.public_key() == KEY.public_key()
    assert load_key(b"") is None
    assert load_key(make_certificate("a.test", kind="rsa").key) is None


def test_a_request_for_a_certificate_has_all_names() -> None:
    request = x509.load_der_x509_csr(make_request(["a.test", "b.test"], KEY))
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test", "b.test"]


def test_a_proof_has_the_digest_in_a_critical_extension() -> None:
    certificate, key = make_proof("a.test", "token.thumbprint")
    parsed = x509.load_pem_x509_certificate(certificate)
    found = parsed.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert found.critical
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"token.thumbprint")
    assert found.value.public_bytes() == b"\x04\x20" + digest.finalize()
    loaded = load_key(key)
    assert loaded is not None
    assert loaded.public_key() == parsed.public_key()


def test_a_certificate_is_identified_as_rfc_9773_has_it() -> None:
    """The example of section 4.1."""
    name = x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    identifier = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
    begun = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(0x87654321)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=6))
    )
    extension = x509.AuthorityKeyIdentifier(identifier, None, None)
    made = begun.add_extension(extension, critical=False).sign(KEY, hashes.SHA256())
    octets = made.public_bytes(serialization.Encoding.PEM)
    assert identify(octets) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    with pytest.raises(ValueError, match="no identifier"):
        identify(begun.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("begins", "ends"), [(-1, 89), (-1, 5), (-300, 65)])
def test_a_certificate_is_renewed_after_two_thirds_of_its_life(begins: int, ends: int) -> None:
    made = make_certificate("a.test", begins_in_days=begins, ends_in_days=ends)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    expected = now + (begins + (ends - begins) * 2 / 3) * 86_400
    assert abs(find_renewal(made.certificate) - expected) < 60


def test_an_instant_is_chosen_within_the_window() -> None:
    first, last = "2026-01-03T00:00:00Z", "2026-01-07T00:00:00+00:00"
    begin = datetime.datetime(2026, 1, 3, tzinfo=datetime.UTC).timestamp()
    chosen = [choose_within(first, last) for _ in range(50)]
    assert all(begin <= one <= begin + 4 * 86_400 for one in chosen)
    assert len(set(chosen)) > 1
    assert choose_within(last, first) == begin + 4 * 86_400
    with pytest.raises(ValueError, match="Invalid isoformat"):
        choose_within("soon", last)
