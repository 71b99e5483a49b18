"""crypt(3) through the system's library."""

import pytest

from epollo.linux import crypt as module
from epollo.linux.crypt import Crypt

# Of crypt_blowfish and of the specification of SHA-crypt (Ulrich Drepper, 2007).
VECTORS = [
    (b"U*U", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"U*U", b"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"Hello world!", b"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (
        b"Hello world!",
        b"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjn%b"
        % b"QJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
]


@pytest.mark.parametrize(("password", "hashed"), VECTORS)
def test_a_password_is_known_by_its_hash(password: bytes, hashed: bytes) -> None:
    crypt = Crypt()
    assert crypt.is_known
    assert crypt.is_password(password, hashed) is True
    assert crypt.is_password(password + b"!", hashed) is False
    assert crypt.is_password(b"", hashed) is False
    assert crypt.is_password(password, hashed) is True


@pytest.mark.parametrize("hashed", [b"*0", b"*1", b"", b"$nothing$", b"$5"])
def test_a_format_that_is_not_known_is_told(hashed: bytes) -> None:
    assert Crypt().is_password(b"a", hashed) is None


class NoFunctions:
    def __getitem__(self, name: str) -> None:
        raise AttributeError(name)


def test_a_system_may_lack_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIBRARIES", ("libnothing.so.9",))
    monkeypatch.setattr(module, "LIBC", NoFunctions())
    monkeypatch.setattr("ctypes.CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    crypt = Crypt()
    assert not crypt.is_known
    assert crypt.is_password(*VECTORS[0]) is None
