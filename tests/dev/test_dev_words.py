"""The deny list: which words are found, where they are looked for, and what is left alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "dev" / "words.py"

TEST_FILE = '''"""So it
is who asks."""

def test_nobody_waits():
    """For
    everyone."""
    who = "anybody"  # whoever
'''


@pytest.fixture(scope="module")
def words() -> ModuleType:
    """The program with the list."""
    specification = importlib.util.spec_from_file_location("words", PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The client who asks.", [(1, "who")]),
        ("Nobody waits.\nWhoever asks, or\nsomebody.", [(1, "Nobody"), (2, "Whoever"), (3, "somebody")]),
        ("Tell whether it is so.", [(1, "Tell whether")]),
        ("# Up to so\n    # many are kept.", [(1, "so many")]),
        ("It goes on, in vain, for\ngood.", [(1, "goes on"), (1, "in vain"), (1, "for good")]),
        ("the users whose name", [(1, "users whose")]),
        ("a file whose name", []),
        ('--user "nobody", or `nobody`', []),
        ("The whole, somebody_else, whoever-is", []),
        ("go one step", []),
    ],
)  # fmt: skip
def test_words_that_are_found(words: ModuleType, text: str, found: list[tuple[int, str]]) -> None:
    assert list(words.find_denied(text)) == found


def test_of_a_test_names_docstrings_and_comments_count(words: ModuleType) -> None:
    found = [(2, "who"), (4, "nobody"), (6, "everyone"), (7, "whoever")]
    assert sorted(words.find_in_test(TEST_FILE)) == found


def test_of_the_changes_the_unreleased_ones_count(words: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\nwho\n\n## [0.1.0]\n\nwho\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("who\n")
    assert list(words.find_in_project(tmp_path)) == [
        (Path("CHANGELOG.md"), 3, "who"),
        (Path("docs/guide.md"), 1, "who"),
    ]


def test_a_place_is_a_line_and_the_status_is_1(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    copy = tmp_path / "dev" / "words.py"
    copy.write_text(PROGRAM.read_text())
    command = [sys.executable, str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "README.md").write_text("\nThe client who asks.\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "README.md:2: who\n")
