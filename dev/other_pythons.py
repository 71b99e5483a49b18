"""Make an environment for each other Python from 3.11 on that this machine has.

What is strict must be strict on each of them, so tests/test_other_pythons.py runs the tests of the pure
rooms and of the wire there. The environments are .venv-others/VERSION, and are made anew when
pyproject.toml changes. A Python for which none can be made is named, and left out.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-others"
_OLDEST = (3, 11)
# Where a system keeps its own, whatever PATH says.
_FOLDERS = ("/usr/bin", "/usr/local/bin")
# What the tests there import, of those that pyproject.toml names for tests.
_NEEDED = re.compile(r"(?:argon2-cffi|cryptography|h11|httptools|hypothesis|pytest|rtls)\b")
_DESCRIBE = (
    "import platform, sys; print(platform.python_implementation(), sys.prefix == sys.base_prefix,"
    " platform.python_version())"
)
_SECONDS = 300


def list_pythons() -> Iterator[tuple[str, Path]]:
    """Yield each version of CPython that is here, once, and where it is; environments are left out."""
    seen = {".".join(map(str, sys.version_info[:3]))}
    for folder in (*os.get_exec_path(), *_FOLDERS):
        for path in sorted(Path(folder).glob("python3*")):
            if not re.fullmatch(r"python3(?:\.[0-9]+)?", path.name):
                continue
            told = _tell(path)
            if len(told) != 3 or told[:2] != ["CPython", "True"] or told[2] in seen:
                continue
            numbers = tuple(int(number) for number in re.findall(r"[0-9]+", told[2])[:2])
            if numbers >= _OLDEST:
                seen.add(told[2])
                yield told[2], path


def _tell(path: Path) -> list[str]:
    """Return what a Python says of itself; nothing where it does not start."""
    try:
        done = subprocess.run(
            [path, "-c", _DESCRIBE], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split()


def make(version: str, python: Path) -> None:
    """Make the environment of a Python, unless it is there.

    Raises OSError or SubprocessError where it cannot be made.
    """
    folder = ENVIRONMENTS / version
    project = ROOT / "pyproject.toml"
    stamp = folder / "stamp"
    if stamp.exists() and stamp.stat().st_mtime > project.stat().st_mtime:
        return
    print(f"setting up {folder.relative_to(ROOT)} ...", file=sys.stderr)
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]["test"]
    # Without pip, as Debian has it in another package; that of this environment does as well.
    _run(python, "-m", "venv", "--without-pip", "--clear", folder)
    _run(
        sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--quiet",
        "--disable-pip-version-check", "install", "--editable", ROOT,
        *(name for name in extras if _NEEDED.match(name)),
    )  # fmt: skip
    stamp.touch()


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, timeout=_SECONDS, stdout=sys.stderr)


def main() -> None:
    """Make what is missing."""
    for version, python in list_pythons():
        try:
            make(version, python)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(ENVIRONMENTS / version, ignore_errors=True)
            print(f"{python} ({version}) is not tested: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
