"""``dev/environment.sh`` on a machine that lacks something: Python and apt-get are played by scripts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = Path(__file__).resolve().parent.parent / "dev" / "environment.sh"

# `python -c` asks for the version or for ensurepip, `python -m venv` makes a Python that has pip.
PYTHON = """#!/bin/sh
case "$*" in
    *ensurepip*) [ -e "$MACHINE/has-venv" ] ;;
    *version_info\\[*) echo python3.11-venv ;;
    "-m venv"*)
        echo "$*" >> "$MACHINE/log"
        rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/whole ;;
    "-m pip --version") [ -e .venv/whole ] ;;
    "-m pip install"*) echo "$*" >> "$MACHINE/log" ;;
esac
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$MACHINE/log"
[ ! -e "$MACHINE/is-offline" ] || exit 100
case "$1" in install)
    touch "$MACHINE/has-venv"
    [ -e "$MACHINE/bin/python3" ] || cp "$MACHINE/python" "$MACHINE/bin/python3" ;;
esac
"""
PIP_INSTALL = "-m pip install --quiet --disable-pip-version-check --editable ."
MAKE = ["-m venv --clear .venv", PIP_INSTALL]
INSTALL_VENV = ["apt-get update -qq", "apt-get install -y -qq python3-venv"]


class Machine:
    """A checkout and the commands that its machine has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        (self.checkout / "dev").mkdir(parents=True)
        shutil.copy(ENVIRONMENT, self.checkout / "dev")
        (self.checkout / "pyproject.toml").touch()
        (self.checkout / "dev" / "run").write_text(
            'extras=""\n. "$(dirname "$0")/environment.sh"\n"$bin/python" -m pip --version\n'
        )
        (folder / "bin").mkdir()
        for name in ("dirname", "mkdir", "cp", "rm", "touch"):
            (folder / "bin" / name).symlink_to(shutil.which(name) or "")
        self.add("id", "#!/bin/sh\necho 1000\n")
        self.add("python3", PYTHON)

    def add(self, name: str, script: str) -> None:
        for path in (self.folder / "bin" / name, self.folder / name.removesuffix("3")):
            path.write_text(script)
            path.chmod(0o755)

    def become_root(self) -> None:
        self.add("id", "#!/bin/sh\necho 0\n")

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(self.checkout / "dev" / "run")],
            env={"PATH": str(self.folder / "bin"), "MACHINE": str(self.folder), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_is_made_once(machine: Machine) -> None:
    (machine.folder / "has-venv").touch()
    for _ in range(2):
        assert machine.run().returncode == 0
    assert machine.log() == MAKE


def test_it_is_renewed_in_place_when_its_project_changes(machine: Machine) -> None:
    (machine.folder / "has-venv").touch()
    machine.run()
    later = (machine.checkout / ".venv" / "stamp-").stat().st_mtime + 10
    os.utime(machine.checkout / "pyproject.toml", (later, later))
    assert machine.run().returncode == 0
    assert machine.log() == [*MAKE, PIP_INSTALL]


@pytest.mark.parametrize("has_apt_get", [True, False])
def test_an_ordinary_user_is_told_in_one_line_what_to_type(
    machine: Machine, *, has_apt_get: bool
) -> None:
    if has_apt_get:
        machine.add("apt-get", APT_GET)
    result = machine.run()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "apt-get install python3-venv" in result.stderr
    assert machine.log() == []
    assert not (machine.checkout / ".venv").exists()


def test_root_on_debian_installs_what_is_missing(machine: Machine) -> None:
    machine.become_root()
    machine.add("apt-get", APT_GET)
    assert machine.run().returncode == 0
    assert machine.log() == [*INSTALL_VENV, *MAKE]


def test_root_on_debian_gets_python_too(machine: Machine) -> None:
    machine.become_root()
    machine.add("apt-get", APT_GET)
    (machine.folder / "bin" / "python3").unlink()
    assert machine.run().returncode == 0
    assert machine.log()[1] == "apt-get install -y -qq python3 python3-venv"


def test_a_python_of_another_name_has_a_venv_module_of_its_own(machine: Machine) -> None:
    machine.become_root()
    machine.add("apt-get", APT_GET)
    assert machine.run(PYTHON="python3").returncode == 0
    assert "apt-get install -y -qq python3.11-venv" in machine.log()


def test_root_without_a_network_is_told_what_to_type(machine: Machine) -> None:
    machine.become_root()
    machine.add("apt-get", APT_GET)
    (machine.folder / "is-offline").touch()
    result = machine.run()
    assert result.returncode == 2
    assert "apt-get install python3-venv" in result.stderr.splitlines()[-1]


def test_one_that_was_made_by_half_is_made_anew(machine: Machine) -> None:
    """Without ensurepip, ``python -m venv`` fails after it has made most of the folder."""
    (machine.folder / "has-venv").touch()
    (machine.checkout / ".venv" / "bin").mkdir(parents=True)
    (machine.checkout / ".venv" / "bin" / "python").symlink_to(machine.folder / "python")
    assert machine.run().returncode == 0
    assert machine.log() == MAKE


def test_one_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    (machine.folder / "has-venv").touch()
    machine.run()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    (machine.checkout / ".venv" / "bin" / "python").symlink_to("/nowhere")
    assert machine.run().returncode == 0
    assert machine.log() == [*MAKE, *MAKE]
