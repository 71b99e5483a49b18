"""The rules of the house: imports point one way; settings, command line and manual agree."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest

import epollo
from epollo.command_line import COMMAND, summarize
from epollo.settings import list_options
from epollo.settings.option import GROUPS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(epollo.__file__).resolve().parent
PAGES = [
    page
    for folder in (".", "docs", "docs/lab", "bench", "bench/results", "tests/cases")
    for page in sorted((ROOT / folder).glob("*.md"))
]


@pytest.fixture(scope="module")
def options() -> ModuleType:
    """The program that makes the tables of options."""
    specification = importlib.util.spec_from_file_location("options", ROOT / "dev" / "options.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_imports_point_one_way(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()",
         "--config", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_setting_is_on_the_command_line_with_its_default() -> None:
    parameters = {
        parameter.name: parameter
        for parameter in COMMAND.params
        if isinstance(parameter, click.Option)
    }
    for name, (option, default) in list_options().items():
        parameter = parameters.pop(name)
        typed = {*parameter.opts, *parameter.secondary_opts}
        assert typed == {flag for given in option.flags for flag in given.split("/")}
        assert parameter.default == default
        assert parameter.help == option.manual
        assert parameter.help.endswith(".")
    assert set(parameters) == {"config", "manual", "version"}


def test_every_option_has_a_group_and_the_help_shows_each_group_once() -> None:
    assert {option.group for option, _ in list_options().values()} == set(GROUPS)
    with click.Context(COMMAND, info_name="epollo") as context:
        lines = context.get_help().splitlines()
    for group in (*GROUPS, "Other"):
        assert lines.count(f"{group}:") == 1


def test_the_help_cuts_no_manual_within_brackets() -> None:
    shown = {option.flags[0]: summarize(option.manual) for option, _ in list_options().values()}
    assert {flag for flag, text in shown.items() if text.count("(") != text.count(")")} == set()


def test_no_flag_means_two_things() -> None:
    flags = [
        flag
        for option, _ in list_options().values()
        for given in option.flags
        for flag in given.split("/")
    ]
    assert len(flags) == len(set(flags))


def test_the_reference_has_the_tables_of_the_settings(options: ModuleType) -> None:
    text = options.REFERENCE.read_text()
    assert options.replace_tables(text) == text, "python dev/options.py --write makes it current"


def test_the_tables_name_every_flag(options: ModuleType) -> None:
    table = options.format_tables()
    for option, _ in list_options().values():
        assert option.manual in table
        for given in option.flags:
            for flag in given.split("/"):
                assert f"`{flag}`" in table


def test_a_table_that_is_out_of_date_is_replaced_and_the_rest_stays(options: ModuleType) -> None:
    text = f"before\n{options.BEGIN}\nold\n{options.END}\nafter\n"
    assert options.replace_tables(text) == f"before\n{options.format_tables()}\nafter\n"
    with pytest.raises(ValueError, match="missing"):
        options.replace_tables("no marks")


def test_only_one_folder_speaks_to_the_c_library() -> None:
    """Calls that Python lacks are made in one place, if they are made at all."""
    using = [
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if "ctypes" in path.read_text()
    ]
    assert set(using) <= {"linux"}


def test_no_room_is_named_after_nothing() -> None:
    words = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}
    found = [path for path in SOURCE.rglob("*.py") if words & set(path.stem.split("_"))]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_relative_link_leads_to_something(page: Path) -> None:
    text = re.sub(r"^(```.*?^```|    .*?)$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^()\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert heading in anchors, link


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 200
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in text


def test_the_readme_has_a_line_for_each_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    text = (ROOT / "README.md").read_text()
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        assert f"| [{name[0]}](" in text


def test_every_module_is_named_in_the_tree() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path for path in SOURCE.rglob("*.py") if not path.stem.startswith("__")]
    assert [path for path in modules if path.name not in tree] == []
