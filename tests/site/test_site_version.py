"""What tells versions of a file apart, as it is kept."""

import os
from types import SimpleNamespace
from typing import cast

import pytest

from epollo.site.version import is_version, mark_version, read_mark, version_of


def make_status(**changes: int) -> os.stat_result:
    numbers = {"st_dev": 1, "st_ino": 2, "st_size": 3, "st_mtime_ns": 4, "st_ctime_ns": 5}
    return cast(os.stat_result, SimpleNamespace(**{**numbers, **changes}))


NUMBERS = [
    {},
    {"st_dev": 2**64 - 1, "st_ino": 2**64 - 1, "st_size": 2**63 - 1},
    {"st_mtime_ns": -1, "st_ctime_ns": 2**63 - 1},
    # Beyond the year 2262, and before 1677.
    {"st_mtime_ns": 2**63},
    {"st_mtime_ns": -(2**63) - 1, "st_ctime_ns": 2**70},
]


@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_version_is_kept_as_it_is(numbers: dict[str, int]) -> None:
    status = make_status(**numbers)
    mark = mark_version(status)
    assert read_mark(mark) == version_of(status)
    assert is_version(status, mark)
    assert is_version(status, version_of(status))


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("name", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_number_makes_another_version(numbers: dict[str, int], name: str) -> None:
    status = make_status(**numbers)
    other = make_status(**{**numbers, name: 77})
    assert not is_version(other, mark_version(status))
    assert not is_version(other, version_of(status))
