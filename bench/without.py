"""epollo without one of its tricks for speed: ``.venv/bin/python bench/without.py TRICK ARGUMENTS``.

For tricks.py, which measures what each of them is worth. The arguments are epollo's.
"""

import sys
from collections.abc import Callable

from epollo import cli
from epollo.site import partial, representation


def keep_octets() -> None:
    """Keep long content as octets, not as a sealed file that ``sendfile`` sends."""
    representation._KEPT_FILES_LIMIT = 0  # type: ignore[misc]


def copy_no_ranges() -> None:
    """Send a short range of such a file by ``sendfile``, too."""
    partial._COPIED_OCTETS = 0  # type: ignore[misc]


TRICKS: dict[str, Callable[[], None]] = {
    "sealed": keep_octets,
    "copied": copy_no_ranges,
}


def main() -> None:
    """Leave a trick out, and run epollo."""
    TRICKS[sys.argv.pop(1)]()
    cli.main()


if __name__ == "__main__":
    main()
