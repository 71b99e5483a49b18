"""What tells one version of a file from another without reading it."""

import os
import struct

from epollo.annotations import Final, TypeAlias
from epollo.named_tuples import NamedTuple

COARSEST_TICK_NS: Final = 2_000_000_000
"""File systems count time in ticks, of up to two seconds (FAT)."""

_1980_SECONDS: Final = 315_532_800
_DATES_OF_PACKERS: Final = frozenset((0, 1, _1980_SECONDS, _1980_SECONDS + 1))
"""Times that tools set to make the same package of the same files: the epoch (OSTree, tar), a second
later (Nix, Flatpak), and the first two seconds that zip knows (buildpacks set the second one)."""


class Version(NamedTuple):
    """A version of a file, as stat(2) shows it."""

    device: int
    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


VersionMark: TypeAlias = bytes | Version
"""A version as it is kept: packed, as one object instead of six, where its numbers have 64 bits."""

_VERSION: Final = struct.Struct("QQqqq")


def mark_version(status: os.stat_result) -> VersionMark:
    """Return the version that a status shows, as it is kept."""
    try:
        return _VERSION.pack(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )
    except struct.error:
        # A time beyond the year 2262.
        return version_of(status)


def read_mark(mark: VersionMark) -> Version:
    """Return the version that is kept so."""
    return mark if isinstance(mark, Version) else Version(*_VERSION.unpack(mark))


def version_of(status: os.stat_result) -> Version:
    """Return the version that a status shows."""
    return Version(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def is_version(status: os.stat_result, version: VersionMark) -> bool:
    """Return whether a status shows this version, without making one of it."""
    if isinstance(version, bytes):
        return mark_version(status) == version
    # Unpacked: five attributes of a named tuple take as long as the rest.
    device, inode, octets, modified_ns, changed_ns = version
    return (
        status.st_ctime_ns == changed_ns
        and status.st_ino == inode
        and status.st_size == octets
        and status.st_mtime_ns == modified_ns
        and status.st_dev == device
    )


def date_of(modified_ns: int) -> int | None:
    """Return the second (since 1970) of a time of modification; None if that says nothing.

    Two contents under one name would both have the date that a packer sets: a client that asks with it
    would keep the former one. No file is older than the epoch.
    """
    seconds = modified_ns // 1_000_000_000
    return None if seconds < 0 or seconds in _DATES_OF_PACKERS else seconds
