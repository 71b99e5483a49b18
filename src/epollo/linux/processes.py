"""How a process ended, in words (wait(2))."""

import signal


def describe_exit(status: int) -> str:
    """Return in words how a process ended; negative numbers are signals."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        # Those for real time have no names of their own.
        return f"was ended by signal {-status}"
