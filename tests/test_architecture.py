"""The rules of the house: imports point one way; settings, command line and README agree."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

import epollo
from epollo.cli import _COMMAND
from epollo.settings import list_options

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(epollo.__file__).resolve().parent


@pytest.fixture(scope="module")
def options() -> ModuleType:
    """The program that makes the README's table."""
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
        for parameter in _COMMAND.params
        if isinstance(parameter, click.Option)
    }
    for name, (option, default) in list_options().items():
        parameter = parameters.pop(name)
        typed = {*parameter.opts, *parameter.secondary_opts}
        assert typed == {flag for given in option.flags for flag in given.split("/")}
        assert parameter.default == default
        assert parameter.help == option.manual
        assert parameter.help.endswith(".")
    assert set(parameters) == {"config", "version"}


def test_no_flag_means_two_things() -> None:
    flags = [
        flag
        for option, _ in list_options().values()
        for given in option.flags
        for flag in given.split("/")
    ]
    assert len(flags) == len(set(flags))


def test_the_readme_has_the_table_of_the_settings(options: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    assert options.replace_table(text) == text, "python dev/options.py --write makes it current"


def test_the_table_names_every_flag(options: ModuleType) -> None:
    table = options.format_table()
    for option, _ in list_options().values():
        assert option.manual in table
        for given in option.flags:
            for flag in given.split("/"):
                assert f"`{flag}`" in table


def test_a_table_that_is_out_of_date_is_replaced_and_the_rest_stays(options: ModuleType) -> None:
    text = f"before\n{options.BEGIN}\nold\n{options.END}\nafter\n"
    assert options.replace_table(text) == f"before\n{options.format_table()}\nafter\n"
    with pytest.raises(ValueError, match="missing"):
        options.replace_table("no marks")


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
