"""What a worker inherits of its parent: few variables of the environment, and descriptors to write to.

Facts: a process can have the terminal of its session type something (TIOCSTI, ioctl_tty(2)). It can
read what a person types there, even through the descriptor for output: a shell opens one for all three
streams.
Decision: a worker has a session of its own, reads from nothing, and writes through descriptors that can
only be written to.
"""

import fcntl
import os
import stat
from collections.abc import Mapping

from epollo.annotations import Final
from epollo.linux.nonblocking import begin_relay

_NAMES: Final = frozenset(("LANG", "LANGUAGE", "TZ", "TZDIR", "LOCPATH", "LD_LIBRARY_PATH"))
"""What the C library and the interpreter need to know: how names of files are encoded, the time zone,
where libraries are."""
_BEGINNINGS: Final = ("LC_", "PYTHON", "MALLOC_", "GLIBC_")


def select_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter needs to start; a worker needs no other."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NAMES or name.startswith(_BEGINNINGS)
    }


def open_for_writing(descriptor: int) -> int:
    """Return another descriptor to where this one writes, which cannot be read from.

    The caller closes it. A file that several processes write to at one position is duplicated as it is,
    and so is a socket, which cannot be opened anew. What is written to the terminal of another user is
    relayed by this process. Raises `OSError` if there is no descriptor.
    """
    access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    mode = os.fstat(descriptor).st_mode
    if access != os.O_RDWR or stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
        return os.dup(descriptor)
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return begin_relay(descriptor)


def open_end_of_file() -> int:
    """Return a descriptor that is at its end; it needs no /dev/null, which may be missing.

    The caller closes it. Raises `OSError` if there is no descriptor.
    """
    reading, writing = os.pipe()
    os.close(writing)
    return reading
