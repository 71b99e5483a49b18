"""Opening a log as root, where another user may have put a link in its place.

Root opens its log again at each rotation. In a folder that another user may write to, a link, or a second
name of a file (link(2)), would have root append what clients send to whatever file that user chooses.

Decision: root walks the path name by name. It follows a link only where no other user can have made it.
It refuses a folder of the log that a group or all may write to, as logrotate(8) does. In a folder of
another user, it refuses a log that has more than one name. For any user but root, none of this applies.
"""

import os
import stat

from epollo.annotations import Final

_LINKS_LIMIT: Final = 40
"""path_resolution(7)."""
_SHARED: Final = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(OSError):
    """Another user may have led us here; the second argument is the reason, as `OSError` has it."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, reason)


def open_log_file(name: str, flags: int, mode: int) -> int:
    """Return a descriptor like `os.open`; raise `UntrustedError` if another user chose the path."""
    if os.geteuid() != 0:
        return os.open(name, flags, mode)
    folder = os.open("/" if name.startswith("/") else ".", os.O_PATH | os.O_CLOEXEC)
    try:
        names = _split(name)
        links = 0
        while names:
            one = names.pop(0)
            if not names and one not in {".", ".."}:
                link = _read_link(one, folder)
                if link is None or _is_of_process(folder):
                    return _open_last(one, folder, flags, mode)
            else:
                link = _read_link(one, folder)
            if link is None:
                folder = _move(folder, one)
                continue
            links += 1
            if links > _LINKS_LIMIT:
                raise UntrustedError("Too many levels of symbolic links")
            names = [*_split(link), *names]
            if link.startswith("/"):
                folder = _move(folder, "/")
        raise IsADirectoryError(None, "Is a directory")
    finally:
        os.close(folder)


def _split(path: str) -> list[str]:
    return [one for one in path.split("/") if one]


def _move(folder: int, name: str) -> int:
    """Return a descriptor of the folder of this name, and close the one that it is in."""
    below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    os.close(folder)
    return below


def _read_link(name: str, folder: int) -> str | None:
    """Return where a link leads; None if it is none, or nothing is there."""
    try:
        status = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    holder = os.fstat(folder)
    # In a folder with the sticky bit, what is root's stays root's (inode(7)).
    is_sticky = bool(holder.st_mode & stat.S_ISVTX) and status.st_uid == 0
    if holder.st_uid != 0 or (_is_shared(holder) and not is_sticky):
        raise UntrustedError("a link leads there that another user may have made")
    return os.readlink(name, dir_fd=folder)


def _is_shared(folder: os.stat_result) -> bool:
    """Return whether any but the owner may write to a folder; root's group counts as root."""
    shared = folder.st_mode & (_SHARED if folder.st_gid else stat.S_IWOTH)
    return bool(shared)


def _is_of_process(folder: int) -> bool:
    """Return whether a folder is of /proc, whose links are no paths (proc_pid_fd(5))."""
    try:
        return os.fstat(folder).st_dev == os.stat("/proc").st_dev
    except OSError:
        return False


def _open_last(name: str, folder: int, flags: int, mode: int) -> int:
    holder = os.fstat(folder)
    if _is_of_process(folder):
        return os.open(name, flags, mode, dir_fd=folder)
    if _is_shared(holder):
        raise UntrustedError(
            f"others may write to its folder (mode {stat.S_IMODE(holder.st_mode):04o})"
        )
    descriptor = os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=folder)
    status = os.fstat(descriptor)
    is_single = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    if holder.st_uid != 0 and not is_single:
        os.close(descriptor)
        raise UntrustedError("another user may have put it there: it is no file with one name")
    return descriptor
