"""Hashes as the programs write them that users make password files with."""

import shutil
import subprocess
import sys

import argon2
import pytest

from epollo.site.access import hashes as module
from epollo.site.access.hashes import PASSWORD_OCTETS_LIMIT, Hashes

# A password of each length on which the steps of MD5-crypt depend, and not all of ASCII.
PASSWORDS = ["a", "ab", "correct horse battery", "sixteen letters.", "p" * 33, "pässwörd", " x "]


@pytest.fixture(scope="module")
def hashes() -> Hashes:
    return Hashes()


def judge(hashes: Hashes, password: str, hashed: str) -> None:
    assert hashes.find_mistake(hashed.encode()) == ""
    assert hashes.is_password(password.encode(), hashed.encode()) is True
    assert hashes.is_password(password.encode() + b"x", hashed.encode()) is False
    assert hashes.is_password(b"", hashed.encode()) is False


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("option", ["-B", "-m", "-s", "-2", "-5"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_what_htpasswd_writes(hashes: Hashes, option: str, password: str) -> None:
    line = run("htpasswd", "-nb", option, "user", password)
    judge(hashes, password, line.removeprefix("user:"))


@pytest.mark.parametrize("option", ["-apr1", "-5", "-6"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_what_openssl_writes(hashes: Hashes, option: str, password: str) -> None:
    judge(hashes, password, run("openssl", "passwd", option, password))


@pytest.mark.parametrize("kind", list(argon2.low_level.Type))
def test_argon2(hashes: Hashes, kind: argon2.low_level.Type) -> None:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=kind)
    judge(hashes, "a", hasher.hash("a"))


def test_known_hashes(hashes: Hashes) -> None:
    """So that these hold where none of the programs is installed."""
    judge(hashes, "myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/")
    judge(hashes, "myPassword", "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=")
    judge(hashes, "myPassword", "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC")


@pytest.mark.parametrize(
    ("hashed", "reason"),
    [
        ("", "is of no kind that epollo knows"),
        ("password", "is of no kind that epollo knows"),
        ("rqXexS6ZhobKA", "is of the kind of htpasswd -d"),
        ("$1$abc$BXBqpb9BZcZhXLgbee.0s/", "is MD5-crypt"),
        ("$2x$05$" + "a" * 53, "is of a bcrypt that had a fault"),
        ("{SSHA}abc", "is of a kind that htpasswd does not write"),
        ("{PLAIN}abc", "is of a kind that htpasswd does not write"),
        ("$2y$05$tooshort", "is of no kind that epollo knows"),
        ("{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE", "is of no kind that epollo knows"),
    ],
)
def test_what_is_not_taken_has_a_reason_and_a_remedy(
    hashes: Hashes, hashed: str, reason: str
) -> None:
    mistake = hashes.find_mistake(hashed.encode())
    assert mistake.startswith(reason)
    assert mistake.endswith("make it anew with htpasswd -B")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_load_argon2", lambda: None)
    monkeypatch.setattr("epollo.linux.crypt._find_function", lambda: None)
    hashes = Hashes()
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("a").encode()
    assert f"{sys.executable} -m pip install argon2-cffi" in hashes.find_mistake(hashed)
    assert hashes.is_password(b"a", hashed) is None
    assert "libcrypt" in hashes.find_mistake(b"$2y$05$" + b"a" * 53)
    assert hashes.find_mistake(b"{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=") == ""


def test_a_password_of_any_length_takes_bounded_time(hashes: Hashes) -> None:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    for length, is_right in ((PASSWORD_OCTETS_LIMIT, True), (PASSWORD_OCTETS_LIMIT + 1, False)):
        password = "a" * length
        assert hashes.is_password(password.encode(), hasher.hash(password).encode()) is is_right


def test_parameters_that_the_library_refuses_are_told(hashes: Hashes) -> None:
    hashed = b"$argon2id$v=19$m=1,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"
    assert hashes.find_mistake(hashed) == ""
    assert hashes.is_password(b"a", hashed) is None
