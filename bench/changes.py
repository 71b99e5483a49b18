"""Change one file at a constant rate: ``changes.py WAY FILE RATE SECONDS``.

``rewrite`` writes over the content in place, ``replace`` renames another file over the name. The length
stays, and the content differs each time. A change that is late is made at once, so that all are made.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

LONGEST_SECONDS: Final = 600


def change(way: str, path: Path, rate: float, seconds: float) -> int:
    """Change the file until the time is over; return how often."""
    content = path.read_bytes()
    descriptor = os.open(path, os.O_WRONLY)
    beside = path.with_name(".next")
    began, count = time.monotonic(), 0
    try:
        while (due := count / rate) < min(seconds, LONGEST_SECONDS):
            time.sleep(max(0.0, began + due - time.monotonic()))
            octets = count.to_bytes(8, "little") + content[8:]
            if way == "rewrite":
                os.pwrite(descriptor, octets, 0)
            else:
                beside.write_bytes(octets)
                beside.replace(path)
            count += 1
    finally:
        os.close(descriptor)
    return count


if __name__ == "__main__":
    print(change(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
