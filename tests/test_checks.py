"""What is wrong with settings, known before a socket is opened."""

import os
import select
from pathlib import Path

import pytest

from epollo import checks
from epollo.checks import check_settings
from epollo.errors import OperatorError
from epollo.settings import Settings


def test_sound_settings_pass_and_leave_nothing_open(site: Path, tmp_path: Path) -> None:
    settings = Settings(root=site, access_log=str(tmp_path / "log"))
    before = len(os.listdir("/proc/self/fd"))
    check_settings(settings)
    assert len(os.listdir("/proc/self/fd")) == before
    # The server may be another user, which could not write to a file that is made here.
    assert not (tmp_path / "log").exists()
    (tmp_path / "link").symlink_to("log")
    check_settings(Settings(root=site, access_log=str(tmp_path / "link")))
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none/log", "No such file or directory"), ("file/log", "Not a directory")],
)
def test_a_log_needs_a_folder(site: Path, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(name)
    for path in (tmp_path / name, tmp_path / "link"):
        with pytest.raises(OperatorError, match=f"cannot write the access log {path}: {reason}"):
            check_settings(Settings(root=site, access_log=str(path)))


def test_a_log_needs_a_folder_that_may_be_written_to(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    settings = Settings(root=site, access_log=str(path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OperatorError, match=f"access log {path}: Permission denied"):
        check_settings(settings)
    fields = [*os.statvfs(tmp_path)]
    fields[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    with pytest.raises(OperatorError, match=f"access log {path}: Read-only file system"):
        check_settings(settings)


@pytest.fixture
def mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | Path]:
    """A wrong value for each setting that is checked, in the order of the checks."""
    monkeypatch.setattr(
        "epollo.linux.confinement.find_abi", lambda: os.stat(tmp_path / "no Landlock")
    )
    return {
        "root": tmp_path / "nowhere",
        "proxies": "nobody",
        "user": "no-such-user",
        "sandbox": "on",
        "access_log": str(tmp_path),
    }


def test_the_first_mistake_is_told_and_names_its_setting(
    site: Path, mistakes: dict[str, str | Path]
) -> None:
    remaining = list(mistakes)
    while remaining:
        wrong = {name: mistakes[name] for name in remaining}
        with pytest.raises(OperatorError) as refused:
            check_settings(Settings(**{"root": site, **wrong}))  # type: ignore[arg-type]
        assert refused.value.setting == remaining.pop(0)


def test_no_site_serves_the_password_file_of_another(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "users").write_text("")
    first = {"hosts": ["a.example"], "default": False, "root": site, "auth": str(other / "users")}
    second = {"hosts": ["b.example"], "default": False, "root": tmp_path / "third"}
    (tmp_path / "third").mkdir()
    check_settings(Settings(sites=(first, second)))
    with pytest.raises(
        OperatorError, match=f"password file {other}/users is in the folder"
    ) as told:
        check_settings(Settings(sites=(first, second | {"root": other})))
    assert told.value.setting == "auth"


def test_no_site_serves_a_key(site: Path, tmp_path: Path) -> None:
    for folder, setting in ((site, "tls_keys"), (tmp_path, "tls_certificates")):
        key = folder / "site.key"
        key.write_text("no key")
        names = {"tls_certificates": (str(key),), "tls_keys": (str(key),)}
        with pytest.raises(OperatorError) as told:
            check_settings(Settings(root=site, **names))  # type: ignore[arg-type]
        assert told.value.setting == setting
        assert ("is in the folder that is served" in str(told.value)) is (folder == site)
    # A hidden name is served to no client.
    key = site / ".key"
    key.write_text("no key")
    with pytest.raises(OperatorError, match=str(key)) as told:
        check_settings(Settings(root=site, tls_certificates=(str(key),), tls_keys=(str(key),)))
    assert told.value.setting == "tls_certificates"


def test_a_folder_is_no_key(site: Path) -> None:
    with pytest.raises(OperatorError, match="Is a directory"):
        check_settings(Settings(root=site, tls_certificates=(str(site),), tls_keys=(str(site),)))


def test_a_self_signed_certificate_of_our_own_is_not_counted(site: Path) -> None:
    """A certificate without a key, and the pair that epollo has made besides."""
    names = {"tls_certificates": ("their.pem", "our.pem"), "tls_keys": ("our.key",)}
    with pytest.raises(OperatorError, match="1 and 0 were given"):
        check_settings(Settings(root=site, tls_self_signed=True, **names))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("domains", ("a.example",), "--domain"),
        ("acme_directory", "staging", "--acme-directory"),
        ("acme_ca", "ca.pem", "--acme-ca"),
        ("acme_profile", "shortlived", "--acme-profile"),
    ],
)
def test_what_is_asked_of_an_authority_takes_one(
    site: Path, name: str, value: object, flag: str
) -> None:
    with pytest.raises(OperatorError, match=f"{flag} is of no use without --acme") as told:
        check_settings(Settings(root=site, **{name: value}))  # type: ignore[arg-type]
    assert told.value.setting == name


def test_an_authority_is_told_an_address_of_email(site: Path) -> None:
    settings = Settings(root=site, acme="me", domains=("a.example",), workers="1")
    with pytest.raises(OperatorError, match="'me' is no address of email"):
        check_settings(settings)


def test_another_user_takes_root(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OperatorError, match="only root can become user 65534:65534"):
        check_settings(Settings(root=site, user="65534:65534"))


def test_the_reader_of_a_named_pipe_is_not_told_of_an_end(site: Path, tmp_path: Path) -> None:
    """A writer that comes and goes is the end of the file to the reader (poll(2), fifo(7))."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poller = select.poll()
        poller.register(reading)
        check_settings(Settings(root=site, access_log=str(path)))
        assert poller.poll(0) == []
        path.open("wb").close()
        assert poller.poll(0) == [(reading, select.POLLHUP)]
    finally:
        os.close(reading)


def test_a_named_pipe_without_a_reader_passes(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    check_settings(Settings(root=site, access_log=str(path)))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"domains": ("a.example",)}, "--domain is of no use without --acme"),
        ({"tls_port": 8443}, "--tls-port and --hsts need a certificate"),
        ({"hsts_seconds": 60}, "--tls-port and --hsts need a certificate"),
    ],
)
def test_what_needs_a_certificate_says_which_options_give_one(
    site: Path, settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(OperatorError, match=reason):
        check_settings(Settings(root=site, **settings))  # type: ignore[arg-type]


def test_what_is_not_looked_at_where_it_has_its_default_is_right(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    for check, _ in checks._SITE_CHECKS:
        check(settings)
    for check_all, _ in checks._SERVER_CHECKS:
        check_all(settings)
