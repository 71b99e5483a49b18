"""Workers that could not start for a root are not started anew for the same one; for another at once."""

import time
from pathlib import Path

import pytest

from epollo.settings import Settings
from epollo.supervisor.root_backoff import RootBackoff


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_the_same_folder_has_to_wait(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(root=root)
    backoff = RootBackoff()
    assert not backoff.is_too_soon(settings)
    backoff.note_failure(settings)
    (root / "index.html").write_text("new")
    assert backoff.is_too_soon(settings)
    now = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert not backoff.is_too_soon(settings)


def test_what_comes_after_a_folder_that_was_there_for_a_moment_has_not(root: Path) -> None:
    settings = Settings(root=root)
    backoff = RootBackoff()
    root.rmdir()
    backoff.note_failure(settings)
    assert backoff.is_too_soon(settings)
    root.touch()
    assert not backoff.is_too_soon(settings)
    backoff.note_failure(settings)
    root.unlink()
    root.mkdir()
    assert not backoff.is_too_soon(settings)
    backoff.note_failure(settings)
    root.rename(root.with_name("former"))
    root.mkdir()
    assert not backoff.is_too_soon(settings)


def test_a_folder_that_may_be_read_at_last_has_not(root: Path) -> None:
    settings = Settings(root=root)
    backoff = RootBackoff()
    root.chmod(0o700)
    backoff.note_failure(settings)
    root.chmod(0o755)
    assert not backoff.is_too_soon(settings)


def test_the_root_of_any_site_counts(root: Path) -> None:
    other = root.with_name("other")
    other.mkdir()
    settings = Settings(sites=tuple({"root": str(one)} for one in (root, other)))
    backoff = RootBackoff()
    backoff.note_failure(settings)
    assert backoff.is_too_soon(settings)
    other.rmdir()
    assert not backoff.is_too_soon(settings)
