"""The order of entries: natural, folders first, the same in steps as at once."""

from collections.abc import Generator
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.site.listing.entries import (
    Entry,
    Sort,
    make_natural_key,
    order_in_steps,
    search_in_steps,
)

Result = TypeVar("Result")


def finish(steps: Generator[None, None, Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def order(
    entries: list[Entry], sort: Sort = Sort.NAME, *, is_descending: bool = False
) -> list[str]:
    ordered = finish(order_in_steps(entries, sort, is_descending=is_descending))
    return [entry.name.decode() for entry in ordered]


def file(name: str, octets: int = 0, modified_ns: int | None = 0) -> Entry:
    return Entry(name.encode(), False, octets, modified_ns)


def test_numbers_are_compared_as_numbers_and_letters_without_case() -> None:
    names = ["b10.txt", "B9.txt", "a.txt", "10", "9", "b9a", "ä", "a 2", "a 10"]
    assert order(list(map(file, names))) == [
        *("9", "10", "a 2", "a 10", "a.txt", "B9.txt", "b9a", "b10.txt", "ä")
    ]


def test_folders_stand_first_in_both_directions() -> None:
    entries = [file("a"), Entry(b"z", True, 0, 0), file("b"), Entry(b"y", True, 0, 0)]
    assert order(entries) == ["y", "z", "a", "b"]
    assert order(entries, is_descending=True) == ["z", "y", "b", "a"]


def test_by_size_and_by_time() -> None:
    entries = [file("a", 5, 30), file("b", 1, 20), file("c", 9, None), file("d", 5, 10)]
    assert order(entries, Sort.SIZE) == ["b", "a", "d", "c"]
    assert order(entries, Sort.TIME) == ["c", "d", "b", "a"]
    assert order(entries, Sort.TIME, is_descending=True) == ["a", "b", "d", "c"]


@given(st.lists(st.binary(min_size=1, max_size=12)))
def test_any_names_have_keys_that_can_be_compared(names: list[bytes]) -> None:
    keys = sorted(map(make_natural_key, names))
    assert all(before <= after for before, after in pairwise(keys))


@pytest.mark.parametrize("is_descending", [False, True])
def test_many_entries_are_ordered_as_at_once(is_descending: bool) -> None:
    entries = [
        Entry(b"%d" % (number * 7919 % 5000), number % 9 == 0, number % 100, number)
        for number in range(5000)
    ]
    ordered = finish(order_in_steps(entries, Sort.SIZE, is_descending=is_descending))
    files = [entry for entry in entries if not entry.is_folder]
    files.sort(
        key=lambda entry: (entry.octets, make_natural_key(entry.name)), reverse=is_descending
    )
    assert [entry for entry in ordered if not entry.is_folder] == files
    assert [entry.is_folder for entry in ordered] == sorted(
        (entry.is_folder for entry in entries), reverse=True
    )


def test_no_step_takes_all_entries() -> None:
    """Each step is bounded, so there are about as many of them as entries by the hundred."""
    entries = [file(str(number)) for number in range(20_000)]
    assert sum(1 for _ in order_in_steps(entries, Sort.NAME, is_descending=False)) > 300
    assert sum(1 for _ in search_in_steps(entries, "7")) > 100


def test_a_search_wants_each_word_whatever_its_case() -> None:
    entries = list(map(file, ["Annual report 2024.pdf", "report.txt", "ANNUAL.txt"]))
    found = finish(search_in_steps(entries, "REPORT annual"))
    assert [entry.name for entry in found] == [b"Annual report 2024.pdf"]
