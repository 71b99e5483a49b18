"""The command, also as ``python -m epollo``: a signal ends it silently, early and late.

Until the first line of `main`, Ctrl-C ends with Python's traceback. So this imports only what is built
into the interpreter: to load the module ``signal`` takes five milliseconds. Before that come some twenty
that are not ours: the interpreter sets its handler of Ctrl-C and reads its site (site.py), then ``runpy``
or the script that an installer wrote.
"""

import _signal as signal  # type: ignore[import-not-found]
import gc
import os
import sys

_ENDING = (signal.SIGINT, signal.SIGTERM)
_SWALLOWED_SECONDS = 0.5


def main() -> None:
    """Run the command."""
    defaults = (signal.default_int_handler, signal.SIG_DFL)
    ours = [one for one in _ENDING if signal.getsignal(one) in defaults]
    for number in ours:
        signal.signal(number, _vanish)
    # Nothing that is loaded is garbage: a collector that looks for some is a tenth of the start. What
    # serves enables it.
    gc.disable()
    try:
        # What serves is imported here, for that takes a good part of a second.
        from epollo.imports import find_at_once  # noqa: PLC0415

        find_at_once()
        from epollo.cli import main as run  # noqa: PLC0415
    except (ImportError, MemoryError, OSError) as error:
        # A library that there is no room to map is one that cannot be imported.
        sys.stderr.write(f"epollo: cannot start: {error or 'there is too little memory'}\n")
        sys.exit(1)
    for number in ours:
        signal.signal(number, _leave)

    try:
        run()
    finally:
        # All has ended but the interpreter, which gives every handler back before it does. Signals are
        # blocked first: it complains of one that came, and was not handled, when it is to be ignored.
        ending = (*_ENDING, signal.SIGALRM)
        try:  # noqa: SIM105 (contextlib is not loaded here)
            signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        except SystemExit:
            pass
        for number in ending:
            signal.signal(number, signal.SIG_IGN)


def _vanish(number: int, frame: object) -> None:  # noqa: ARG001
    """End while nothing but imports was done, so that there is nothing to undo.

    Not by an exception: one that is raised in a callback of a weak reference, as imports have some, is
    printed and dropped, and one in a class's ``__set_name__`` becomes another.
    """
    os._exit(0)


def _leave(number: int, frame: object) -> None:  # noqa: ARG001
    """End here and now, until there is a loop that a signal can wait for.

    Not by KeyboardInterrupt: from within a string that is executed, as named tuples have some, the
    interpreter takes it for unhandled though it is caught, and ends by the signal. If what is raised is
    dropped, it is raised again.
    """
    sys.unraisablehook = lambda _: None
    signal.signal(signal.SIGALRM, _leave)
    signal.setitimer(signal.ITIMER_REAL, _SWALLOWED_SECONDS)
    sys.exit(0)


if __name__ == "__main__":
    main()
