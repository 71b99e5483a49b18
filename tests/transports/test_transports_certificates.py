"""Certificates: what is wrong with one is one line; the name that a client asks for selects one."""

import os
import ssl
from pathlib import Path

import pytest

from certificates import Authority, Made, encrypt_key, make_certificate, shake_hands
from epollo.errors import OperatorError
from epollo.transports.certificate_files import _list_folders
from epollo.transports.certificates import Certificates
from epollo.transports.pairs import ClientAuthorities, Pair, Secrets, read_pair, read_pairs


def pair_of(made: Made, place: str = "site.pem") -> Pair:
    return Pair(made.certificate, made.key, place)


SITE = make_certificate("Example.org", "*.example.org", "192.0.2.1")
OTHER = make_certificate("other.test")


def test_the_name_selects() -> None:
    certificates = Certificates([pair_of(SITE), pair_of(OTHER)])
    site, other = certificates.find(b"example.org"), certificates.find(b"other.test")
    assert site is not other
    assert certificates.find(b"") is site
    assert certificates.find(b"www.example.org") is site
    assert certificates.find(b"192.0.2.1") is site
    # An address is no name (RFC 6066 section 3): as if none were asked for.
    assert certificates.find(b"192.0.2.2") is site
    assert certificates.find(b"::1") is site
    # A wildcard is one label, and not none (RFC 9525 section 6.3).
    for unknown in (b"a.b.example.org", b"org", b"*.example.org.", b"other.example", b"."):
        assert certificates.find(unknown) is None, unknown
    assert set(certificates.names) == {"example.org", "*.example.org", "192.0.2.1", "other.test"}


def test_a_certificate_without_names_is_for_each_name() -> None:
    nameless = pair_of(make_certificate(has_names=False))
    alone = Certificates([nameless])
    assert alone.default is not None
    assert alone.find(b"a.example") is alone.default
    beside = Certificates([nameless, pair_of(SITE)])
    assert beside.find(b"a.example") is None


def test_a_chain_is_sought_only_among_the_authorities_of_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = Authority("root")
    between = Authority("between", root)
    pair = pair_of(between.issue("a.test"))
    asked: list[ssl.SSLContext] = []
    monkeypatch.setattr("epollo.transports.certificates.send_as_loaded", asked.append)
    assert asked == [Certificates([pair, pair]).default]
    clients = ClientAuthorities(between.certificate, False, "clients.pem")
    verifying = Certificates([pair], clients=clients).default
    assert len(asked) == 1
    assert verifying is not None
    client = ssl.create_default_context(cadata=root.certificate.decode())
    theirs, _ = shake_hands(client, verifying)
    assert theirs.version() == "TLSv1.3"


def test_two_kinds_of_keys_stand_side_by_side() -> None:
    rsa = make_certificate("a.test", kind="rsa")
    ec = make_certificate("a.test")
    certificates = Certificates([pair_of(rsa), pair_of(ec)])
    context = certificates.find(b"a.test")
    assert context is not None
    for suite, made in (
        ("ECDHE-ECDSA-AES128-GCM-SHA256", ec),
        ("ECDHE-RSA-AES128-GCM-SHA256", rsa),
    ):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(suite)
        client.load_verify_locations(cadata=made.certificate.decode())
        end, _ = shake_hands(client, context)
        cipher = end.cipher()
        assert cipher is not None
        assert cipher[0] == suite


@pytest.mark.parametrize(
    ("pair", "mistake"),
    [
        (Pair(SITE.certificate, OTHER.key, "x"), "the key is not that of the certificate"),
        (
            Pair(SITE.certificate, make_certificate(kind="rsa").key, "x"),
            "the key is not that of the certificate",
        ),
        (Pair(b"", SITE.key, "x"), "it has no certificate as PEM (-----BEGIN CERTIFICATE-----)"),
        (Pair(b"garbage", SITE.key, "x"), "it has no certificate as PEM"),
        (Pair(SITE.key, SITE.certificate, "x"), "are they swapped?"),
        (Pair(SITE.certificate, b"", "x"), "the key file has no key as PEM"),
        (Pair(SITE.certificate, b"\xff" * 100, "x"), "the key file has no key as PEM"),
        (pair_of(encrypt_key(SITE), "x"), "its key is encrypted; epollo needs it in the clear"),
        (pair_of(make_certificate(ends_in_days=0, begins_in_days=-2), "x"), "has expired"),
        (pair_of(make_certificate(begins_in_days=2), "x"), "is not valid yet"),
        (
            Pair(SITE.certificate[:200], SITE.key, "x"),
            "cannot use the certificate x: it is damaged",
        ),
        (Pair(SITE.certificate, SITE.key[:90], "x"), "certificate x: its key is damaged"),
        (
            Pair(OTHER.certificate + SITE.certificate, SITE.key, "x"),
            "the key is that of a later certificate in it",
        ),
        (Pair(ssl.PEM_cert_to_DER_cert(SITE.certificate.decode()), SITE.key, "x"), "it is DER"),
        (Pair(SITE.certificate, b"\x30\x81\x87\x02", "x"), "it is DER"),
        (
            pair_of(make_certificate(kind="secp256k1"), "x"),
            "is none that clients accept: use a key",
        ),
    ],
)
def test_a_wrong_pair_is_one_line(pair: Pair, mistake: str) -> None:
    with pytest.raises(OperatorError) as caught:
        Certificates([pair_of(OTHER), pair])
    line = str(caught.value)
    assert "certificate x" in line
    assert mistake in line
    assert "\n" not in line
    assert not any(part and part in line.encode() for part in pair.key.split(b"\n")[1:-2])


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=f"cannot read {tmp_path}/none: No such file"):
        read_pairs([str(tmp_path / "none")], [str(tmp_path / "none")])
    (tmp_path / "long").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(OperatorError, match="long is no certificate and no key: it is over 1 MiB"):
        read_pairs([str(tmp_path / "long")], [str(tmp_path / "long")])
    # A pipe without a writer is not waited for.
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(OperatorError, match=f"cannot read {path}: it is no regular file"):
            read_pairs([path], [path])


def test_a_key_is_in_no_description() -> None:
    secrets = Secrets([pair_of(SITE)], b"ticket key", proofs={"a.test": pair_of(OTHER)})
    for shown in (repr(secrets), str(secrets), f"{secrets.pairs}", repr(secrets.proofs)):
        assert "site.pem" in shown
        assert "PRIVATE" not in shown
        assert "ticket key" not in shown


def test_no_descriptor_of_a_key_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    Certificates([pair_of(SITE)])
    assert os.listdir("/proc/self/fd") == before


def test_each_link_on_the_way_is_watched(tmp_path: Path) -> None:
    """As certbot and Kubernetes lay them out."""
    archive, live, mount = tmp_path / "archive", tmp_path / "live", tmp_path / "mount"
    for folder in (archive, live, mount / "..2026"):
        folder.mkdir(parents=True)
    (archive / "cert1.pem").touch()
    (live / "cert.pem").symlink_to("../archive/cert1.pem")
    folders = {folder.resolve() for folder in _list_folders(str(live / "cert.pem"))}
    assert folders == {live, archive}
    (mount / "..2026" / "tls.crt").touch()
    (mount / "..data").symlink_to("..2026")
    (mount / "tls.crt").symlink_to("..data/tls.crt")
    folders = {folder.resolve() for folder in _list_folders(str(mount / "tls.crt"))}
    assert folders == {mount, mount / "..2026"}
    (tmp_path / "loop").symlink_to("loop")
    assert _list_folders(str(tmp_path / "loop"))


def test_files_of_an_editor_of_windows_are_read(tmp_path: Path) -> None:
    """Lines that end in CRLF, and a mark of the order of octets before all."""
    paths = [tmp_path / "site.pem", tmp_path / "site.key"]
    for path, octets in zip(paths, (SITE.certificate, SITE.key), strict=True):
        path.write_bytes(b"\xef\xbb\xbf" + octets.replace(b"\n", b"\r\n"))
    pair = read_pair(*map(str, paths))
    assert Certificates([pair]).names == Certificates([pair_of(SITE)]).names
