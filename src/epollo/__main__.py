"""The command, also as ``python -m epollo``: Ctrl-C ends it without a word, however early it comes."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    # What serves is imported here, for that takes a good part of a second.
    from epollo.cli import main as run  # noqa: PLC0415

    run()


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """End here and now, until there is a loop that a signal can wait for.

    Not by KeyboardInterrupt: from within a string that is executed, as dataclasses have some, the
    interpreter takes it for unhandled though it is caught, and ends by the signal.
    """
    sys.exit(0)


if __name__ == "__main__":
    main()
