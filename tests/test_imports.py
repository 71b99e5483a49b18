"""Modules of ours are imported as the import system imports them, but without its search."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import epollo.annotations
import epollo.imports

_SCRIPT = """
import json, sys
from epollo.imports import find_at_once
if len(sys.argv) > 1:
    find_at_once()
import epollo.room, epollo.room.thing
def describe(module):
    spec = module.__spec__
    return [
        module.VALUE, module.__name__, module.__package__, module.__file__, module.__cached__,
        list(getattr(module, "__path__", [])), module.function.__code__.co_filename,
        spec.origin, spec.parent, spec.cached, spec.has_location, spec.submodule_search_locations,
        spec.loader.get_source(module.__name__), spec.loader.get_code(module.__name__) is not None,
    ]
print(json.dumps([
    [describe(epollo.room), describe(epollo.room.thing)],
    [type(one.__spec__.loader).__name__ for one in (epollo.room, epollo.room.thing)],
]))
"""
_STANDARD = ["SourceFileLoader"] * 2
_OURS = ["_Loader"] * 2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a package of our name."""
    room = tmp_path / "epollo" / "room"
    room.mkdir(parents=True)
    for ours in (epollo.imports, epollo.annotations):
        shutil.copy(str(ours.__file__), tmp_path / "epollo")
    (tmp_path / "epollo" / "__init__.py").touch()
    (room / "__init__.py").write_text("VALUE = 1\ndef function(): pass\n")
    (room / "thing.py").write_text("VALUE = 2\ndef function(): pass\n")
    return tmp_path


def _import(
    place: Path, *words: str, options: tuple[str, ...] = (), **variables: str
) -> tuple[list[list[Any]], list[str]]:
    """Return what the modules say of themselves, and what loaded them."""
    kept = {name: one for name, one in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *options, "-c", _SCRIPT, *words],
        env={**kept, "PYTHONPATH": str(place), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    modules, loaders = json.loads(done.stdout)
    return modules, loaders


def test_modules_are_what_the_import_system_makes_of_them(place: Path) -> None:
    standard, loaders = _import(place)
    assert loaders == _STANDARD
    assert [one[0] for one in standard] == [1, 2]
    assert _import(place, "at once") == (standard, _OURS)


def test_without_a_cache_the_import_system_makes_one(place: Path) -> None:
    assert _import(place, "at once")[1] == _STANDARD
    assert _import(place, "at once")[1] == _OURS


@pytest.mark.parametrize("text", ["VALUE = 33\ndef function(): pass\n", "VALUE = 3\n" * 3])
def test_a_source_that_was_changed_is_read(place: Path, text: str) -> None:
    _import(place)
    thing = place / "epollo" / "room" / "thing.py"
    before = thing.stat()
    thing.write_text(text + "def function(): pass\n")
    if thing.stat().st_size != before.st_size:
        # The size alone tells.
        os.utime(thing, ns=(before.st_atime_ns, before.st_mtime_ns))
    modules, loaders = _import(place, "at once")
    assert modules[1][0] in {3, 33}
    assert loaders == ["_Loader", "SourceFileLoader"]


def test_a_source_of_the_same_size_that_was_changed_is_read(place: Path) -> None:
    _import(place)
    thing = place / "epollo" / "room" / "thing.py"
    before = thing.stat()
    thing.write_text(thing.read_text().replace("2", "3"))
    os.utime(thing, (before.st_atime, before.st_mtime + 1))
    assert _import(place, "at once")[0][1][0] == 3


@pytest.mark.parametrize("octets", [b"", b"x" * 40])
def test_a_cache_that_is_damaged_is_left_to_the_import_system(place: Path, octets: bytes) -> None:
    standard, _ = _import(place)
    [cache] = (place / "epollo" / "room" / "__pycache__").glob("thing.*.pyc")
    cache.write_bytes(octets)
    assert _import(place, "at once") == (standard, ["_Loader", "SourceFileLoader"])


def test_a_cache_that_does_not_go_by_time_is_left_to_the_import_system(place: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."],
        cwd=place,
        check=True,
    )
    assert _import(place, "at once")[1] == _STANDARD


def test_a_package_that_was_moved_shows_where_it_is(place: Path) -> None:
    _import(place)
    moved = place / "moved"
    moved.mkdir()
    shutil.copytree(place / "epollo", moved / "epollo", copy_function=shutil.copy2)
    modules, _ = _import(moved, "at once")
    assert modules[1][6] == str(moved / "epollo" / "room" / "thing.py")


@pytest.mark.parametrize(
    ("options", "variables"), [(("-O",), {}), ((), {"PYTHONPYCACHEPREFIX": "elsewhere"})]
)
def test_where_caches_are_elsewhere_all_is_left_to_the_import_system(
    place: Path, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    _import(place)
    variables = {name: str(place / one) for name, one in variables.items()}
    assert _import(place, "at once", options=options, **variables)[1] == _STANDARD


def test_what_a_start_loads_of_ours_is_not_searched_for() -> None:
    script = (
        "import runpy, sys; sys.argv = ['epollo', '--version']\n"
        "try: runpy.run_module('epollo', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(*(type(one.__spec__.loader).__name__ for name, one in sys.modules.items()"
        " if name.startswith('epollo.') and name not in {'epollo.annotations', 'epollo.imports'}))"
    )
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    # The first makes the caches that are not there.
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) == {"_Loader"}
