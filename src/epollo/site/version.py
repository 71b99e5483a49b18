"""What tells one version of a file from another without reading it."""

import os
from typing import Final, NamedTuple

COARSEST_TICK_NS: Final = 2_000_000_000
"""File systems count time in ticks, of up to two seconds (FAT)."""


class Version(NamedTuple):
    """A version of a file, as stat(2) shows it."""

    device: int
    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


def version_of(status: os.stat_result) -> Version:
    """Return the version that a status shows."""
    return Version(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )
