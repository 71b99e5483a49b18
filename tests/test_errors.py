"""Errors: what a fault of our own says in one line."""

import shlex
import sys

import pytest

from epollo.errors import OperatorError, describe_fault, describe_missing, explain


def _first() -> None:
    _second()


def _second() -> None:
    _third()


def _third() -> None:
    raise ValueError("of no\nuse")


def test_a_fault_says_in_one_line_where_it_was_and_how_it_came_there() -> None:
    with pytest.raises(ValueError, match="of no") as caught:
        _first()
    line = describe_fault(caught.value)
    start = "a fault in epollo, please report it: ValueError('of no\\nuse') in "
    assert line.startswith(start)
    places = line.removeprefix(start).split(", called by ")
    assert [place.partition(" (test_errors.py:")[0] for place in places] == [
        *("_third", "_second", "_first"),
    ]
    numbers = [int(place.rpartition(":")[2].rstrip(")")) for place in places]
    assert numbers == sorted(numbers, reverse=True)


def test_too_little_memory_is_no_fault_to_be_reported() -> None:
    assert describe_fault(MemoryError()) == "there is too little memory, in "


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperatorError("port 1 is in use"), "port 1 is in use"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_is_no_fault_is_explained_in_its_own_words(error: Exception, words: str) -> None:
    assert explain(error) == words


def test_what_is_missing_is_told_with_the_command_of_this_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = shlex.split(describe_missing("cryptography").partition(": ")[2])
    assert command == [sys.executable, "-m", "pip", "install", "cryptography"]
    monkeypatch.setattr(sys, "executable", "/a b/python")
    assert "'/a b/python' -m pip" in describe_missing("cryptography")
