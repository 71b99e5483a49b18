"""The command, also as ``python -m epollo``: a signal ends it without a word, early and late."""

import contextlib
import gc
import signal
import sys
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)
    # Nothing that is loaded is garbage: a collector that looks for some is a tenth of the start.
    gc.disable()
    try:
        # What serves is imported here, for that takes a good part of a second.
        from epollo.cli import main as run  # noqa: PLC0415
    except (ImportError, MemoryError, OSError) as error:
        # A library that there is no room to map is one that cannot be imported.
        sys.stderr.write(f"epollo: cannot start: {error or 'there is too little memory'}\n")
        sys.exit(1)
    gc.freeze()
    gc.enable()

    try:
        run()
    finally:
        # All has ended but the interpreter, which gives every handler back before it does. Blocked before
        # they are ignored: of a signal that has come and was not handled when that is said, it complains.
        with contextlib.suppress(SystemExit):
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """End here and now, until there is a loop that a signal can wait for.

    Not by KeyboardInterrupt: from within a string that is executed, as named tuples have some, the
    interpreter takes it for unhandled though it is caught, and ends by the signal.
    """
    sys.exit(0)


if __name__ == "__main__":
    main()
