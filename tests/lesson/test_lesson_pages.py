"""The pages of the lesson: made from the programs, equal in both languages, and every command is run."""

import contextlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lesson.stepping import LESSON, PROGRAMS

ROOT = LESSON.parent
EXAMPLE = ROOT / "example"


def load(path: Path) -> ModuleType:
    """Return a module that is no part of a package."""
    sys.path.insert(0, str(LESSON))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(LESSON))


making = load(ROOT / "dev" / "make_lesson.py")
measuring = load(LESSON / "measure.py")


def test_the_pages_are_what_the_programs_the_words_and_the_figures_make_of_them() -> None:
    pages = making.make_pages()
    assert len(pages) == 2 * (len(PROGRAMS) + 2)
    for path, page in pages.items():
        assert (EXAMPLE / path).read_text() == page, f"{path}: run dev/make_lesson.py"
    for folder in ("lesson", "zh/lesson"):
        committed = {f"{folder}/{path.name}" for path in (EXAMPLE / folder).iterdir()}
        assert committed == {path for path in pages if path.rpartition("/")[0] == folder}


def test_the_listing_of_changes_leads_from_one_program_to_the_next() -> None:
    for before, after in itertools.pairwise(PROGRAMS):
        changes = making.list_changes(before, after)
        taken = [line for mark, line in changes if mark == "-"]
        given = [line for mark, line in changes if mark == "+"]
        code = making.read_code(before)
        for line in taken:
            code.remove(line)
        assert sorted(code + given) == sorted(making.read_code(after))
        assert len(taken) + len(given) <= 80, f"more than one idea: {after.name}"


class Outline(HTMLParser):
    """The elements of a page, without their words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: list[str] = []
        self.identities: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names += [value or "" for name, value in attributes if name in {"style", "onclick"}]
        self.identities += [value or "" for name, value in attributes if name == "id"]


def outline(page: str) -> Outline:
    reader = Outline()
    reader.feed(page)
    return reader


def test_both_languages_have_the_same_pages_of_the_same_form() -> None:
    pages = making.make_pages()
    for path, page in pages.items():
        if path.startswith("zh/"):
            continue
        english, chinese = outline(page), outline(pages[f"zh/{path}"])
        assert english.tags == chinese.tags, path
        for one in (english, chinese):
            # A policy that forbids inline styles and handlers costs nothing here.
            assert one.names == [], path
            assert len(one.identities) == len(set(one.identities)), path


def test_the_words_say_the_same_things_in_both_languages() -> None:
    english, chinese = making.read_words("en"), making.read_words("zh")
    assert list(english) == list(chinese) == [program.stem for program in PROGRAMS]
    assert list(making.read_commands()) == list(english)
    for name, words in english.items():
        assert set(words) == set(chinese[name]), name
        assert len(words["labels"]) == len(chinese[name]["labels"])
        assert set(words["rooms"]) == set(chinese[name]["rooms"])
        for room in words["rooms"]:
            assert (ROOT / room).is_file(), room
        for key, text in chinese[name].items():
            if isinstance(text, str):
                # Full-width punctuation between Chinese words.
                assert not re.search("[\u4e00-\u9fff][,;:?!]|[,;:?!][\u4e00-\u9fff]", text), (
                    name,
                    key,
                )


def test_the_questions_are_ten_and_each_names_the_test_that_answers_it() -> None:
    questions = making.read_questions()
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert len(questions) == 10
    for texts, test in questions:
        assert f"def {test}(" in tests
        assert all(text for pair in texts.values() for text in pair)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_command_shows_the_fault_of_the_step_before_and_that_it_is_gone(
    number: int, moment: str, tmp_path: Path
) -> None:
    words = making.read_commands()[PROGRAMS[number].stem]
    if moment not in words:
        assert number == 0  # There is no step before the first.
        return
    command = making.format_command(
        words["command"], PROGRAMS[number - 1 if moment == "before" else number]
    )
    for tool in ("curl", "strace"):
        if f"{tool} " in command and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # As it is pasted, but on a free port and with files of its own.
    command = re.sub(r"(lesson/\w+\.py)(?! 7890)", r"\1 7890", command)
    command = command.replace("7890", str(port)).replace("/tmp/", f"{tmp_path}/")
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    # What the commands name, where they may write beside it.
    checkout = tmp_path / "checkout"
    for name in ("lesson", "dev"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=checkout,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        process.wait(100)
    finally:
        # Nothing that the command started is left.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert re.search(words[moment], printed.read_text(), re.MULTILINE), printed.read_text()


def test_a_step_is_measured(tmp_path: Path) -> None:
    (tmp_path / "dish").write_bytes(b"." * measuring.CONTENT_OCTETS)
    cpu_microseconds, rate = measuring.measure(PROGRAMS[10], tmp_path, 5, 0.1)
    assert cpu_microseconds > 0
    assert rate > 0


def test_the_figures_are_those_of_all_steps_and_the_pictures_show_them() -> None:
    results: dict[str, Any] = json.loads((LESSON / "results.json").read_text())
    measured = {(step["program"], step["idle"]) for step in results["steps"]}
    assert measured == {(path.stem, idle) for path in PROGRAMS for idle in measuring.IDLE}
    for name, svg in measuring.draw_all(results).items():
        assert (ROOT / "docs" / "lesson" / name).read_text() == svg, "run lesson/measure.py --draw"
