"""A folder to serve, and the steps that serve it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lesson.stepping import Step, find_program

LARGE_OCTETS = 64 * 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>index</title>")
    (folder / "small").write_bytes(b"small")
    with (folder / "large").open("wb") as file:
        file.truncate(LARGE_OCTETS)
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Step]]:
    """Start a step by its number or by the path of its program."""
    steps: list[Step] = []

    def begin(program: int | Path, *arguments: str, descriptors: int | None = None) -> Step:
        path = program if isinstance(program, Path) else find_program(program)
        steps.append(Step(path, folder, *arguments, descriptors=descriptors))
        return steps[-1]

    yield begin
    for step in steps:
        step.close()
