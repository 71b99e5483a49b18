"""Files in memory (memfd_create(2)): bytes for a library that reads files alone, also in a sandbox."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def open_memory_file(octets: bytes) -> Iterator[str]:
    """Yield a path from which the octets can be read while the context lasts (memfd_create(2)).

    Raises `OSError` if the system has no descriptor or no memory.
    """
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(octets)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
