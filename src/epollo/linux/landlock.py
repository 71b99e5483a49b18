"""Landlock: a thread gives up rights over files, sockets and signals, and cannot get them back.

What a ruleset handles is refused, except where a rule allows it; what it does not handle stays as it
was. Each version of the ABI handles more, and a kernel refuses a ruleset that asks for what it does not
know. So the ruleset is made from a table (landlock(7); the kernel's userspace-api/landlock). One rule
is added for each root: read files and folders beneath it.

Three things follow that the rest of the server has to know. Rights are checked when a file is *opened*,
so descriptors from before stay usable. O_PATH opens, stat(2), readlink(2) and inotify_add_watch(2) are
not checked, so a root can still be watched from above. The rule belongs to the folder, not to its name:
what replaces the root later cannot be read, and takes a new process. And only the calling thread is
restricted, with the threads and processes that it starts afterwards.
"""

import os
import struct
from collections.abc import Sequence
from enum import IntFlag

from epollo.annotations import Final
from epollo.linux.libc import call
from epollo.named_tuples import NamedTuple

# The same numbers on every architecture that CPython supports (the kernel's asm-generic/unistd.h).
_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_SYS_LANDLOCK_ADD_RULE: Final = 445
_SYS_LANDLOCK_RESTRICT_SELF: Final = 446

_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

_RULESET: Final = struct.Struct("=QQQ")
"""struct landlock_ruleset_attr: handled access to files, to the network, and scopes. A kernel that
knows a shorter one takes this too, if what it does not know is zero."""
_PATH_BENEATH: Final = struct.Struct("=Qi")


class FileAccess(IntFlag):
    """What may be done to files and folders."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    """To link or rename from one folder to another. A kernel that cannot handle it always refuses it."""
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class NetworkAccess(IntFlag):
    """What may be done with TCP sockets; those that are bound or connected already stay usable."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(IntFlag):
    """What reaches no further than to processes under the same restriction."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


class Handled(NamedTuple):
    """What a ruleset handles."""

    files: FileAccess
    network: NetworkAccess
    scopes: Scope


_NOTHING: Final = Handled(FileAccess(0), NetworkAccess(0), Scope(0))
_ADDED_BY_ABI: Final = {
    1: _NOTHING._replace(files=FileAccess((1 << 13) - 1)),
    2: _NOTHING._replace(files=FileAccess.REFER),
    3: _NOTHING._replace(files=FileAccess.TRUNCATE),
    4: _NOTHING._replace(network=NetworkAccess.BIND_TCP | NetworkAccess.CONNECT_TCP),
    5: _NOTHING._replace(files=FileAccess.IOCTL_DEV),
    6: _NOTHING._replace(scopes=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL),
}

READING: Final = FileAccess.READ_FILE | FileAccess.READ_DIR
"""All that is allowed, and only beneath the root."""


def select_handled(abi: int) -> Handled:
    """Return everything that a kernel with this version of the ABI can refuse."""
    files, network, scopes = _NOTHING
    for version, added in _ADDED_BY_ABI.items():
        if version <= abi:
            files |= added.files
            network |= added.network
            scopes |= added.scopes
    return Handled(files, network, scopes)


def describe_handled(abi: int) -> str:
    """Return, for a person, what this version of the ABI refuses, and what of the rest it cannot."""
    handled = select_handled(abi)
    refused = "files: only reading below the root"
    if not handled.files & FileAccess.TRUNCATE:
        refused += " (and emptying what it owns)"
    outwards = ["TCP"] if handled.network else []
    outwards += ["signals"] if handled.scopes else []
    if outwards:
        refused += f"; outwards: no {', no '.join(outwards)}"
    return f"{refused} (Landlock ABI {abi})"


def find_abi() -> int:
    """Return the version of the ABI of this kernel, at least 1.

    Raises `OSError`: ENOSYS where the kernel was built without Landlock, EOPNOTSUPP where it was
    started without, EPERM where a filter of system calls (a container may have one) refuses the
    question.
    """
    return call("syscall", _SYS_LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict_to_reading(roots: Sequence[int], abi: int) -> None:
    """Let this thread, and those that it starts, do nothing to files but read beneath the roots.

    ``roots`` are descriptors of folders, O_PATH is enough. Raises `OSError`, and nothing is in force
    then: EPERM where no_new_privs is not set, E2BIG after sixteen restrictions.
    """
    ruleset = call(
        "syscall",
        _SYS_LANDLOCK_CREATE_RULESET,
        _RULESET.pack(*select_handled(abi)),
        _RULESET.size,
        0,
    )
    try:
        for root in roots:
            rule = _PATH_BENEATH.pack(READING, root)
            call("syscall", _SYS_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        call("syscall", _SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
