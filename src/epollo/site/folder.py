"""The folder that is served, as an operator names it: opened, or what is wrong with it in one line."""

import os

from epollo.errors import OperatorError


def open_root(path: str | bytes, shown: str) -> int:
    """Return a descriptor (O_PATH) of a folder that can be listed; ``shown`` is its name in messages.

    Raises `OperatorError` if the path is no such folder.
    """
    try:
        os.listdir(path)
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        reason = f"there is no folder {shown}"
    except NotADirectoryError:
        folder = os.path.dirname(shown.rstrip("/")) or "."
        reason = f"{shown} is not a folder; it is in the folder {folder}"
    except OSError as error:
        reason = f"cannot read the folder {shown}: {error.strerror}"
    raise OperatorError(reason, "root")
