"""The errors that epollo raises on purpose; every other exception is a bug."""

import sys
from collections.abc import Iterator
from types import TracebackType


class EpolloError(Exception):
    """Ancestor of all errors below, so that a caller can tell ours from a bug."""


class OperatorError(EpolloError):
    """The operator asked for something that cannot be done.

    The message is one line for a person; the command prints it on stderr and exits with status 2.
    ``setting`` is the setting that has to be changed, where it is a single one; ``site`` the number of
    the site that has it, where there are several.
    """

    def __init__(self, message: str, setting: str = "", site: int | None = None) -> None:
        super().__init__(message)
        self.setting = setting
        self.site = site


class UsageError(OperatorError):
    """The command line cannot be read; ``--help`` tells how it is written."""


class DescriptorLimitError(EpolloError):
    """The poller cannot watch this descriptor: its number is past what the mechanism can name."""


class ExhaustedError(EpolloError, OSError):
    """The system has no room for one more of something; the message is one line for the operator."""


def describe_missing(package: str) -> str:
    """Return what is missing, and the command that installs it for the Python that runs epollo.

    A bare ``pip`` may be that of another one, which would look for epollo itself in an index first.
    """
    import shlex  # noqa: PLC0415 - for this alone

    return f"the package {package}: {shlex.quote(sys.executable)} -m pip install {package}"


def describe_fault(fault: Exception) -> str:
    """Return one line that says what a bug did and where; for what is no bug, what was wrong."""
    if isinstance(fault, ExhaustedError):
        return str(fault)
    where = ", called by ".join(reversed([*_list_places(fault.__traceback__)][-3:]))
    if isinstance(fault, MemoryError):
        return f"there is too little memory, in {where}"
    return f"a fault in epollo, please report it: {fault!r} in {where}"


def _list_places(traceback: TracebackType | None) -> Iterator[str]:
    """Yield each function that an exception passed through, the one that caught it first.

    The module `traceback` would read lines of source, and load what wraps text.
    """
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield f"{code.co_name} ({code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno})"
        traceback = traceback.tb_next


def explain(error: Exception) -> str:
    """Return in words what was wrong: a mistake, what the system refused, or else a bug."""
    if isinstance(error, OperatorError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return describe_fault(error)
