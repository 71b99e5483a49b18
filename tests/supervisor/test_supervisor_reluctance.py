"""Workers that could not start for a root are not started anew for the same one; for another at once."""

import time
from pathlib import Path

import pytest

from epollo.settings import Settings
from epollo.supervisor.reluctance import Reluctance


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_the_same_folder_has_to_wait(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(root=root)
    held = Reluctance()
    assert not held.has(settings)
    held.note(settings)
    (root / "index.html").write_text("new")
    assert held.has(settings)
    now = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert not held.has(settings)


def test_what_comes_after_a_folder_that_was_there_for_a_moment_has_not(root: Path) -> None:
    settings = Settings(root=root)
    held = Reluctance()
    root.rmdir()
    held.note(settings)
    assert held.has(settings)
    root.touch()
    assert not held.has(settings)
    held.note(settings)
    root.unlink()
    root.mkdir()
    assert not held.has(settings)
    held.note(settings)
    root.rename(root.with_name("former"))
    root.mkdir()
    assert not held.has(settings)


def test_a_folder_that_may_be_read_at_last_has_not(root: Path) -> None:
    settings = Settings(root=root)
    held = Reluctance()
    root.chmod(0o700)
    held.note(settings)
    root.chmod(0o755)
    assert not held.has(settings)


def test_the_root_of_any_site_counts(root: Path) -> None:
    other = root.with_name("other")
    other.mkdir()
    settings = Settings(sites=tuple({"root": str(one)} for one in (root, other)))
    held = Reluctance()
    held.note(settings)
    assert held.has(settings)
    other.rmdir()
    assert not held.has(settings)
