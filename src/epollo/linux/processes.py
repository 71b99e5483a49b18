"""How a process ended, in words (wait(2))."""

import signal


def describe_exit(status: int) -> str:
    """Return in words how a process ended; negative numbers are signals."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        # Real-time signals have no names.
        return f"was ended by signal {-status}"
