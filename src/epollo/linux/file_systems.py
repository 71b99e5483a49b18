"""What a file system is good for, by its type (statfs(2); linux/magic.h)."""

import struct

from epollo.annotations import Final
from epollo.linux.libc import call

_STATFS_OCTETS: Final = 256
"""More than there are in a ``struct statfs``, which begins with the type, a ``long``."""
_LOCAL: Final = frozenset(
    (
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0x01021994,  # tmpfs
        0xF2F52010,  # F2FS
        0xCA451A4E,  # bcachefs
        0x2FC12FC1,  # ZFS
    )
)


def reports_every_name(descriptor: int) -> bool:
    """Return whether inotify tells of each new name on the file system that this folder is on.

    It does where this kernel alone makes names. Network file systems, FUSE, those of virtual machines
    and overlays are no such: others may write to what is below them.
    """
    status = bytearray(_STATFS_OCTETS)
    try:
        call("fstatfs", descriptor, status)
    except OSError:
        return False
    kind: int = struct.unpack_from("@l", status)[0]
    return kind & 0xFFFF_FFFF in _LOCAL
