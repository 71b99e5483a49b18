"""The command ``sh dev/test`` on a copy of ``dev/`` whose tools are scripts of these tests."""

import contextlib
import os
import select
import shutil
import subprocess
from pathlib import Path

import pytest

DEV = Path(__file__).parents[2] / "dev"
LINTERS = ("ruff", "lint-imports", "mypy")
PROGRAMS = ("curl", "wget", "strace", "slowhttptest", "chromium", "chromedriver", "cc")
SUMMARY = "==== 3 passed in 0.01s ===="
PYTEST = f"echo \"pytest $*\"\necho '{SUMMARY}'"


class Checkout:
    """A tree with the commands of ``dev/``, each tool of which does what a test says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / ".venv" / "bin"
        self.programs = root / "programs"
        shutil.copytree(DEV, root / "dev", ignore=shutil.ignore_patterns("__pycache__"))
        (root / "pyproject.toml").touch()
        for name in LINTERS:
            self.write_tool(name, "exit 0")
        self.write_tool("pytest", PYTEST)
        self.write_tool("python", "exit 0")
        (root / ".venv" / "stamp-[test]").touch()
        self.programs.mkdir()
        for name in PROGRAMS:
            self.write_program(name, "exit 0")

    def write_tool(self, name: str, script: str) -> None:
        self.bin.mkdir(parents=True, exist_ok=True)
        self._write(self.bin / name, script)

    def write_program(self, name: str, script: str) -> None:
        self._write(self.programs / name, script)

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; stdout and stderr come in one, as a terminal shows them."""
        return subprocess.run(
            ["sh", f"dev/{command}", *arguments],
            cwd=self.root,
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    @staticmethod
    def _write(path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_where_all_pass_the_summary_of_pytest_is_the_last_line(checkout: Checkout) -> None:
    done = checkout.run("test")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[1::2] == [SUMMARY, SUMMARY]
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize("linter", LINTERS)
@pytest.mark.parametrize("status", [1, 2])
def test_a_linter_that_fails_fails_the_command(
    checkout: Checkout, linter: str, status: int
) -> None:
    checkout.write_tool(linter, f"echo '{linter} found this'\nexit {status}")
    done = checkout.run("test")
    assert done.returncode == 1, done.stdout
    assert f"\n{linter} found this\n" in f"\n{done.stdout}"
    assert SUMMARY in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("linters: FAILED")


def test_the_first_linter_that_fails_is_the_one_that_is_shown(checkout: Checkout) -> None:
    for name in LINTERS:
        checkout.write_tool(name, f"echo '{name} found this'\nexit 1")
    done = checkout.run("lint")
    assert done.returncode == 1
    assert done.stdout == "\nruff found this\nlinters: FAILED: ruff format --check .\n"


def test_linters_that_pass_print_nothing(checkout: Checkout) -> None:
    checkout.write_tool("mypy", "echo 'Success: no issues found'")
    done = checkout.run("lint")
    assert (done.returncode, done.stdout) == (0, "")


def test_each_linter_runs(checkout: Checkout) -> None:
    for name in (*LINTERS, "python"):
        checkout.write_tool(name, f'echo "{name} $*" >>ran')
    assert checkout.run("test").returncode == 0
    ran = (checkout.root / "ran").read_text().splitlines()
    assert [line for line in ran if "other_pythons" not in line] == [
        "ruff format --check .",
        "ruff check .",
        "lint-imports --no-logo",
        "mypy ",
        "python dev/words.py",
    ]


def test_a_denied_word_fails_the_command(checkout: Checkout) -> None:
    checkout.write_tool(
        "python", '[ "$1" != dev/words.py ] || { echo "README.md:1: so many"; exit 1; }'
    )
    done = checkout.run("test")
    assert done.returncode == 1
    assert "README.md:1: so many" in done.stdout.splitlines()


@pytest.mark.parametrize("status", [1, 2, 5])
def test_the_status_of_pytest_is_that_of_the_command(checkout: Checkout, status: int) -> None:
    checkout.write_tool("pytest", f"echo '1 failed'\nexit {status}")
    done = checkout.run("test", "tests")
    assert (done.returncode, done.stdout) == (status, "1 failed\n")


def test_tests_that_fail_and_a_linter_that_fails_are_both_printed(checkout: Checkout) -> None:
    checkout.write_tool("pytest", "echo '1 failed'\nexit 3")
    checkout.write_tool("mypy", "echo 'mypy found this'\nexit 1")
    done = checkout.run("test", "tests")
    assert done.returncode == 3
    assert "1 failed" in done.stdout
    assert "mypy found this" in done.stdout


def test_tests_do_not_wait_for_linters(checkout: Checkout) -> None:
    """The first linter ends only after pytest has said that it runs."""
    os.mkfifo(checkout.root / "pytest-runs")
    checkout.write_tool("ruff", '[ "$1" != format ] || read -r line <pytest-runs')
    checkout.write_tool("pytest", f"echo >pytest-runs\necho '{SUMMARY}'")
    assert checkout.run("test", "tests").returncode == 0


def test_the_command_waits_for_linters(checkout: Checkout) -> None:
    """The last linter ends only after pytest has ended, and its fault is still printed."""
    os.mkfifo(checkout.root / "pytest-ends")
    checkout.write_tool("mypy", "read -r line <pytest-ends\necho 'mypy found this'\nexit 1")
    checkout.write_tool("pytest", f"echo '{SUMMARY}'\n(exec >&- 2>&-; echo >pytest-ends) &")
    done = checkout.run("test", "tests")
    assert done.returncode == 1
    assert "mypy found this" in done.stdout


def test_an_interrupted_command_leaves_no_linter_behind(checkout: Checkout) -> None:
    os.mkfifo(checkout.root / "never-written")
    checkout.write_tool("ruff", "echo $$ >linter; read -r line <never-written")
    checkout.write_tool(
        "pytest", "until [ -s linter ]; do sleep 0.01; done; kill -TERM $PPID; exit 1"
    )
    done = checkout.run("test", "tests")
    assert done.returncode == 143
    number = int((checkout.root / "linter").read_text())
    # It was sent a signal, and ends when it has a processor: its descriptor tells.
    with contextlib.suppress(ProcessLookupError):
        ended = os.pidfd_open(number)
        try:
            assert select.select([ended], [], [], 30)[0]
        finally:
            os.close(ended)


def test_tests_that_run_alone_are_first_and_the_others_share_the_processors(
    checkout: Checkout,
) -> None:
    checkout.write_program("nproc", "echo 3")
    checkout.write_tool("pytest", 'echo "$1 $2 $4 $5 $6 $7"')
    done = checkout.run("test")
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        "-m alone and not slow",
        "-m not alone and not slow -n 6 --dist worksteal",
    ]


def test_what_the_tests_leave_is_kept_where_one_fails(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a new folder: to clear away what other runs have left is no work of this one."""
    monkeypatch.setenv("TMPDIR", str(checkout.root))
    checkout.write_tool("pytest", 'mkdir "${3#--basetemp=}"; echo "${3#--basetemp=}" >>folders')
    assert checkout.run("test").returncode == 0
    folders = [Path(line) for line in (checkout.root / "folders").read_text().splitlines()]
    assert [folder.name for folder in folders] == ["alone", "shared"]
    assert not any(folder.parent.exists() for folder in folders)
    checkout.write_tool("pytest", 'mkdir "${3#--basetemp=}"; exit 1')
    done = checkout.run("test")
    (kept,) = checkout.root.glob("epollo-tests.*")
    assert sorted(path.name for path in kept.iterdir()) == ["alone", "shared"]
    assert f"what the tests left is in {kept}" in done.stdout.splitlines()


def test_an_interrupted_command_leaves_no_files_behind(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(checkout.root))
    checkout.write_tool("pytest", "kill -TERM $PPID; exit 1")
    assert checkout.run("test").returncode == 143
    assert list(checkout.root.glob("epollo-tests.*")) == []


@pytest.mark.parametrize("status", [1, 2])
@pytest.mark.parametrize(("failing", "other"), [("alone", "not alone"), ("not alone", "alone")])
def test_each_run_of_tests_can_fail_the_command(
    checkout: Checkout, failing: str, other: str, status: int
) -> None:
    checkout.write_tool(
        "pytest", f'[ "$2" != "{failing} and not slow" ] || exit {status}\necho "ran $2"'
    )
    done = checkout.run("test")
    assert done.returncode == status
    assert f"ran {other} and not slow" in done.stdout.splitlines()
    assert ("tests that run alone: FAILED" in done.stdout) == (failing == "alone")


def test_arguments_are_those_of_pytest(checkout: Checkout) -> None:
    """A few tests have run before more processes have started."""
    done = checkout.run("test", "tests/http", "-k", "ranges or dates")
    assert done.stdout.splitlines()[0] == "pytest tests/http -k ranges or dates"


def test_compiled_modules_are_kept(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each server of a test would compile its modules anew."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    checkout.write_tool("pytest", 'echo "[$PYTHONDONTWRITEBYTECODE]"')
    assert checkout.run("test").stdout == "[]\n[]\n"
