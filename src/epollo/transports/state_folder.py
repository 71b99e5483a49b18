"""The folder in which epollo keeps what it made itself: keys and certificates, for one user alone."""

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.regular_files import read_regular_file

AUTHORITY: Final = "authority.pem"
"""The certificate of the authority that signs for this machine."""
_OWNER_ONLY: Final = 0o700
_LIMIT_OCTETS: Final = 2 * 1024 * 1024
"""More than an authority's reply holds."""
_SYSTEM_FOLDER: Final = Path("/var/lib/epollo")


def find_state_folder() -> Path:
    """Return where a user's state is kept: /var/lib/epollo for root, else by XDG's rule.

    XDG Base Directory Specification, version 0.8: ``$XDG_STATE_HOME``, or ``~/.local/state``. A service
    manager's ``$STATE_DIRECTORY`` (systemd.exec(5)) goes first.
    """
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return _SYSTEM_FOLDER
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()
    return base / "epollo"


def open_state_folder(folder: Path) -> None:
    """Make the folder, for its owner alone. Raises `OperatorError` if another user may write to it."""
    try:
        folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise OperatorError(f"cannot make the folder {folder}: {error.strerror}") from None
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
        raise OperatorError(f"other users may write to {folder}, so no key is kept there")


def read_secret(path: Path) -> bytes:
    """Return what a file of the folder holds. Raises `OSError`, also where it is no file, or too long."""
    octets = read_regular_file(path, _LIMIT_OCTETS + 1)
    if len(octets) > _LIMIT_OCTETS:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return octets


def write_secret(path: Path, octets: bytes) -> None:
    """Replace a file by one that only its owner may read, whole or not at all.

    Raises `OperatorError`.
    """
    write_secrets({path: octets})


def write_secrets(contents: Mapping[Path, bytes]) -> None:
    """Replace files that belong together, as `write_secret` does: none before all are written.

    Raises `OperatorError`.
    """
    parts = {path: path.with_name(path.name + ".part") for path in contents}
    path = next(iter(parts))
    try:
        for path, octets in contents.items():
            _write(parts[path], octets)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink()
        raise OperatorError(f"cannot write {path}: {error.strerror}") from None


def _write(part: Path, octets: bytes) -> None:
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
