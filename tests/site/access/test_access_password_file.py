"""A password file that is followed: what is wrong for a moment is right in the next second."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.access.password_file import PasswordFile
from site_grounds import TurnedClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "passwords"
    path.write_bytes(b"ann:hash\n")
    return path


class Followed:
    """A password file, and what was said of it."""

    def __init__(self, path: Path, *, has_parent: bool = False) -> None:
        self.clock = TurnedClock()
        self.reports: list[str] = []
        self.fetched = 0
        self.file = PasswordFile(
            os.fspath(path),
            self.clock,
            lambda _: "",
            self.reports.append,
            self._fetch if has_parent else None,
        )

    def _fetch(self) -> None:
        self.fetched += 1

    def users(self) -> dict[bytes, bytes] | None:
        self.file.on_ready(0)
        passwords = self.file.find()
        return None if passwords is None else dict(passwords.users)


@pytest.fixture
def followed(path: Path) -> Iterator[Followed]:
    followed = Followed(path)
    yield followed
    followed.file.close()


def test_a_file_that_cannot_be_read_for_a_moment_is_read_again(
    path: Path, followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert followed.users() == {b"ann": b"hash"}
    path.write_bytes(b"bob:hash\n")
    with monkeypatch.context() as patch:

        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        patch.setattr(os, "open", refuse)
        assert followed.users() == {}
    followed.clock.turn()
    assert followed.users() == {b"bob": b"hash"}
    assert len(followed.reports) == 1


def test_what_a_parent_cannot_read_for_a_moment_is_asked_for_again(path: Path) -> None:
    followed = Followed(path, has_parent=True)
    path.write_bytes(b"bob:hash\n")
    assert followed.users() is None
    followed.file.take(None)
    assert followed.users() == {}
    assert followed.fetched == 1
    followed.clock.turn()
    assert followed.users() is None
    assert followed.fetched == 2
    followed.file.take(b"bob:hash\n")
    for _ in range(3):
        followed.clock.turn()
        assert followed.users() == {b"bob": b"hash"}
    assert followed.fetched == 2
    followed.file.close()


def test_a_storm_beside_the_file_ends_its_version(path: Path, followed: Followed) -> None:
    assert followed.users() == {b"ann": b"hash"}
    for number in range(2_000):
        (path.parent / str(number % 7)).touch()
    path.write_bytes(b"bob:hash\n")
    assert followed.users() == {b"bob": b"hash"}
