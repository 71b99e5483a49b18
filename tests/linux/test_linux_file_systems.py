"""Which file systems tell of each name."""

import os
from pathlib import Path

import pytest

from epollo.linux.file_systems import reports_every_name

PLACES = {"/proc": False, "/sys": False, "/dev/shm": True}


def type_of(place: str) -> str:
    """Return the type of the file system that is mounted at a place, as the kernel calls it."""
    rows = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next((row[2] for row in reversed(rows) if row[1] == place), "")


@pytest.mark.parametrize(("place", "is_told"), PLACES.items())
def test_by_the_type_that_is_mounted(place: str, is_told: bool) -> None:
    if type_of(place) not in {"proc", "sysfs", "tmpfs"}:
        pytest.skip(f"{place} is another file system here")
    descriptor = os.open(place, os.O_PATH)
    try:
        assert reports_every_name(descriptor) == is_told
    finally:
        os.close(descriptor)


def test_of_a_descriptor_that_is_none_nothing_is_promised() -> None:
    assert not reports_every_name(-1)
