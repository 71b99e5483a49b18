"""Reading a file that an operator names: it may be a pipe, a folder or a device instead.

Facts: to open a pipe waits for a writer, and what was read from a pipe cannot be read again. A folder
is opened like a file; where `open` refuses it, its descriptor stays open.
"""

import errno
import os
import stat


def read_regular_file(path: str | os.PathLike[str], octets_limit: int) -> bytes:
    """Return the first octets of a file, at most the limit.

    Raises `OSError`, also if it is no regular file; ``strerror`` says so.
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
