"""Reading a file that an operator names, which may be anything else by now.

Facts: of a pipe without a writer an open waits, and what a pipe gives is gone when it is read again; a
folder is opened like a file, and `open` leaves its descriptor open when it refuses it.
"""

import errno
import os
import stat


def read_regular_file(path: str | os.PathLike[str], octets_limit: int) -> bytes:
    """Return the first octets of a file, at most the limit.

    Raises `OSError`, also where there is something else than a regular file; its ``strerror`` says so.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(octets_limit)
    finally:
        os.close(descriptor)
