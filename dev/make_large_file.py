#!/usr/bin/env python3
"""Make example/media/large.bin, a file too large to keep in memory.

The content is the SHAKE-128 stream of the seed and the number of each mebibyte, so every machine
makes the same octets, none of them compress, and any part can be checked without the others.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

MEBIBYTE_OCTETS = 1 << 20
SEED = b"epollo example large file"
TARGET = Path(__file__).resolve().parent.parent / "example" / "media" / "large.bin"


def format_mebibyte(number: int) -> bytes:
    """Return the octets of mebibyte `number`, counted from 0."""
    return hashlib.shake_128(SEED + number.to_bytes(8, "big")).digest(MEBIBYTE_OCTETS)


def write_large_file(target: Path, mebibytes: int) -> str:
    """Write `mebibytes` MiB to `target` and return the SHA-256 of the whole in hex.

    The file appears under its name only when it is complete. Raises OSError.
    """
    digest = hashlib.sha256()
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    has_terminal = sys.stderr.isatty()
    try:
        with partial.open("wb") as file:
            for number in range(mebibytes):
                content = format_mebibyte(number)
                digest.update(content)
                file.write(content)
                done = number + 1
                if has_terminal or done == mebibytes or done % 16 == 0:
                    end = "\r" if has_terminal and done < mebibytes else "\n"
                    percent = 100 * done // mebibytes
                    print(f"{done:>6} of {mebibytes} MiB  {percent:>3} %", end=end, file=sys.stderr)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a large file for the example site.")
    parser.add_argument("--mebibytes", type=int, default=64, help="size in MiB (default: 64)")
    parser.add_argument("--output", type=Path, default=TARGET, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.mebibytes < 1:
        parser.error("--mebibytes must be 1 or more")
    try:
        sha256 = write_large_file(arguments.output, arguments.mebibytes)
    except OSError as error:
        print(f"make_large_file: {error}", file=sys.stderr)
        return 1
    print(f"{sha256}  {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
