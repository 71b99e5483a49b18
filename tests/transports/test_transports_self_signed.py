"""A certificate for this machine, of an authority that can sign for nothing else."""

import os
import ssl
from pathlib import Path

import pytest

from certificates import shake_hands
from epollo.errors import OperatorError
from epollo.transports import self_signed
from epollo.transports.certificates import Certificates
from epollo.transports.pairs import read_pairs
from epollo.transports.self_signed import ensure_certificate, list_local_names
from epollo.transports.state_folder import find_state_folder, open_state_folder, write_secret

NAMES = ("localhost", "127.0.0.1", "::1")


def verify(local: self_signed.Local, name: str) -> None:
    """Have a client that trusts the authority verify the certificate for a name."""
    client = ssl.create_default_context(cafile=str(local.authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = Certificates(read_pairs([str(local.certificate)], [str(local.key)])).default
    assert server is not None
    shake_hands(client, server, name)


def test_a_client_that_trusts_the_authority_verifies_it(tmp_path: Path) -> None:
    local = ensure_certificate(tmp_path / "state", NAMES)
    for name in NAMES:
        verify(local, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(local, "example.org")
    for path in (tmp_path / "state").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_it_is_made_once(tmp_path: Path) -> None:
    local = ensure_certificate(tmp_path, NAMES)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert ensure_certificate(tmp_path, NAMES) == local
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    # Another name: another certificate, of the same authority.
    ensure_certificate(tmp_path, (*NAMES, "10.1.2.3"))
    verify(local, "10.1.2.3")
    assert local.authority.read_bytes() == before[local.authority]


@pytest.mark.parametrize("name", ["local.pem", "local.key", "authority.pem", "authority.key"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, name: str) -> None:
    local = ensure_certificate(tmp_path, NAMES)
    (tmp_path / name).write_bytes(b"damaged")
    ensure_certificate(tmp_path, NAMES)
    verify(local, "localhost")


def test_what_is_nearly_over_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_signed, "_CERTIFICATE_DAYS", 29)
    local = ensure_certificate(tmp_path, NAMES)
    before = local.certificate.read_bytes()
    monkeypatch.undo()
    ensure_certificate(tmp_path, NAMES)
    assert local.certificate.read_bytes() != before


def test_the_authority_can_sign_for_no_other_host(tmp_path: Path) -> None:
    local = ensure_certificate(tmp_path, NAMES)
    self_signed._make_certificate(local, tmp_path / "authority.key", ["example.org"])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        verify(local, "example.org")


def test_names_are_those_of_this_machine() -> None:
    names = list_local_names("192.168.1.5", "10.0.0.7")
    assert {"localhost", "127.0.0.1", "::1", "192.168.1.5", "10.0.0.7"} <= set(names)
    for host in ("0.0.0.0", "::", "8.8.8.8", "100.64.0.1", "192.0.2.1", "example.org", ""):
        assert host not in list_local_names(host, None)


def test_where_state_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/a:{tmp_path}/b")
    assert find_state_folder() == tmp_path / "a"
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert find_state_folder() == tmp_path / "epollo"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_state_folder() == tmp_path / ".local/state/epollo"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_state_folder() == Path("/var/lib/epollo")


def test_a_folder_that_others_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(OperatorError, match="other users may write to"):
        open_state_folder(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "file").touch()
    with pytest.raises(
        OperatorError, match=r"cannot make the folder .*file/state: Not a directory"
    ):
        open_state_folder(tmp_path / "file" / "state")
    with pytest.raises(OperatorError, match=r"cannot write .*none/key: No such file"):
        write_secret(tmp_path / "none" / "key", b"x")


def test_a_secret_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"former")
    path.chmod(0o644)
    (tmp_path / "key.part").write_bytes(b"left behind")
    write_secret(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["key"]
