"""A log that root opens in a folder of another user, and the traps that this user may lay there."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from epollo.access_log.destination import check_destination, open_destination
from epollo.errors import OperatorError

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root is led astray, and can give folders to other users"
)
USER = 4711


@pytest.fixture
def victim(open_folder: Path) -> Path:
    """A file of root's that no log line may reach."""
    path = open_folder / "victim"
    path.write_text("root's own\n")
    return path


@pytest.fixture
def theirs(open_folder: Path) -> Path:
    """A folder of another user."""
    folder = open_folder / "theirs"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


def write(path: Path) -> None:
    descriptor = open_destination(str(path))
    os.write(descriptor, b"line\n")
    os.close(descriptor)


def test_a_file_in_a_folder_of_another_user(theirs: Path) -> None:
    for _ in range(2):
        write(theirs / "access.log")
    assert (theirs / "access.log").read_text() == "line\n" * 2
    check_destination(str(theirs / "access.log"))


def _link(theirs: Path, victim: Path) -> Path:
    (theirs / "access.log").symlink_to(victim)
    return theirs / "access.log"


def _link_to_nothing(theirs: Path, victim: Path) -> Path:
    (theirs / "access.log").symlink_to(victim.with_name("made"))
    return theirs / "access.log"


def _link_beside(theirs: Path, victim: Path) -> Path:
    (theirs / "access.log").symlink_to(os.path.relpath(victim, theirs))
    return theirs / "access.log"


def _second_name(theirs: Path, victim: Path) -> Path:
    (theirs / "access.log").hardlink_to(victim)
    return theirs / "access.log"


def _folder_that_is_a_link(theirs: Path, victim: Path) -> Path:
    (theirs / "logs").symlink_to(victim.parent)
    return theirs / "logs" / "victim"


def _link_of_root_to_theirs(theirs: Path, victim: Path) -> Path:
    _link(theirs, victim)
    link = victim.with_name("ours")
    link.symlink_to(theirs / "access.log")
    return link


def _way_back(theirs: Path, victim: Path) -> Path:
    (theirs / "logs").symlink_to(victim.parent / "theirs")
    return theirs / "logs" / ".." / "victim"


def _device(theirs: Path, victim: Path) -> Path:
    os.mknod(theirs / "access.log", 0o20666, os.makedev(1, 3))
    return theirs / "access.log"


@pytest.mark.parametrize(
    "lay",
    [
        _link,
        _link_to_nothing,
        _link_beside,
        _second_name,
        _folder_that_is_a_link,
        _link_of_root_to_theirs,
        _way_back,
        _device,
    ],
)
def test_a_trap(theirs: Path, victim: Path, lay: Callable[[Path, Path], Path]) -> None:
    path = lay(theirs, victim)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OperatorError, match="another user may have") as refusal:
        write(path)
    assert str(refusal.value).startswith(f"cannot write the access log {path}: ")
    assert len(os.listdir("/proc/self/fd")) == before
    assert victim.read_text() == "root's own\n"
    assert not victim.with_name("made").exists()


@pytest.mark.parametrize(
    ("mode", "group", "is_taken"),
    [
        (0o755, USER, True),
        (0o775, 0, True),
        (0o775, USER, False),
        (0o777, 0, False),
        (0o1777, 0, False),
    ],
)
def test_a_folder_that_others_may_write_to(
    open_folder: Path, mode: int, group: int, is_taken: bool
) -> None:
    folder = open_folder / "logs"
    folder.mkdir()
    os.chown(folder, 0, group)
    folder.chmod(mode)
    if is_taken:
        write(folder / "access.log")
    else:
        with pytest.raises(
            OperatorError, match=rf"others may write to its folder \(mode {mode:04o}"
        ):
            write(folder / "access.log")
        assert list(folder.iterdir()) == []


def test_links_of_root_are_followed(open_folder: Path) -> None:
    (open_folder / "real").mkdir()
    (open_folder / "logs").symlink_to("real")
    (open_folder / "access.log").symlink_to(open_folder / "logs" / "access.log")
    write(open_folder / "access.log")
    assert (open_folder / "real" / "access.log").read_text() == "line\n"


@pytest.mark.parametrize("name", ["/dev/stderr", "/proc/self/fd/2", "/dev/null"])
def test_what_is_no_path(name: str) -> None:
    source = (
        "import os; from epollo.access_log.destination import open_destination;"
        f"os.write(open_destination({name!r}), b'line')"
    )
    result = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, check=True, timeout=60
    )
    assert result.stderr == (b"" if name == "/dev/null" else b"line")


@pytest.mark.parametrize("name", ["/", ".", "/nowhere/access.log", "loop"])
def test_what_is_no_file(open_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(open_folder)
    Path("loop").symlink_to("loop")
    with pytest.raises(OperatorError, match=r"directory|symbolic links"):
        write(Path(name))


def test_another_user_is_no_concern(open_folder: Path) -> None:
    """Of a user that is not root, no more can be had than it can do itself."""
    (open_folder / "shared").mkdir()
    (open_folder / "shared").chmod(0o777)
    source = (
        "import os, sys; from epollo.access_log.walk import open_log_file; os.setuid(4711);"
        "os.close(open_log_file(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o640))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    target = open_folder / "shared" / "access.log"
    subprocess.run([sys.executable, "-c", source, str(target)], check=True, env=environment)
    assert target.exists()
