"""Where the lines of an access log go: a file, or a pipe, or what else stdout is.

Facts: a pipe is full if its reader is slow, and a disk may be full; both may take more a moment later.
Several processes may write to the same place. What one call writes stays together in a file that was
opened with O_APPEND (write(2)), and up to PIPE_BUF octets do in a pipe (pipe(7)).
Decision: lines that a pipe does not take now wait, up to `_WAITING_OCTETS`. What exceeds that, and what
a disk does not take, is dropped in whole lines and counted. The operator is told when that begins. Once
nothing was dropped for a second, the operator is told how much it was.
Consequence: no client waits for an answer because of its line. A line that was begun is finished before
the next one begins, however late.
Price: to a pipe, a system call for each 4 KiB.
"""

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Callable

from epollo.access_log.walk import open_log_file
from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.nonblocking import await_room, choose_write, open_nonblocking

STDOUT: Final = "-"
"""The name of a log that goes to stdout."""

_WAITING_OCTETS: Final = 1024 * 1024
_PARTING_SECONDS: Final = 1.0
"""A slow reader is waited for at most this long at the end."""

# Not every user of the machine may read what clients requested.
_MODE: Final = 0o640
# Without O_NONBLOCK a named pipe without a reader would stop the start (fifo(7)).
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
_LINE_END: Final = b"\n"


class Destination:
    """Takes lines, and never waits; owns its descriptor.

    ``open_again`` returns a descriptor to continue with after a rotation, and raises `OSError` or
    `OperatorError` if it cannot. ``report`` tells the operator, in one line.
    """

    def __init__(
        self, descriptor: int, open_again: Callable[[], int], report: Callable[[str], None]
    ) -> None:
        self._open_again = open_again
        self._report = report
        self._descriptor = descriptor
        self._write = choose_write(descriptor)
        self._is_file = _is_file(descriptor)
        self._waiting = b""
        # Whether the last octet that was written is in the middle of a line.
        self._is_in_line = False
        self._failure: OSError | None = None
        self._dropped = 0
        self._has_dropped_lately = False

    @property
    def is_unsettled(self) -> bool:
        """Return whether `settle` is to be called in a second, even if nothing is written until then."""
        return bool(self._waiting) or (self._dropped > 0 and self._failure is None)

    def write(self, lines: bytes) -> None:
        """Write whole lines, after those that wait."""
        octets = self._waiting + lines
        if not octets:
            return
        view = memoryview(octets)
        position = 0
        self._failure = None
        try:
            while position < len(octets):
                end = len(octets) if self._is_file else _find_step(octets, position)
                position += self._write(view[position:end])
        except BlockingIOError as failure:
            self._failure = failure
        except OSError as failure:
            self._failure = failure
        if position:
            self._is_in_line = octets[position - 1 : position] != _LINE_END
        self._await(octets, position)

    def settle(self) -> None:
        """Try again what waits; say what was dropped, if nothing has been for a while."""
        self.write(b"")
        if self._dropped and self._failure is None and not self._has_dropped_lately:
            self._report(f"the access log is written again; {self._count(self._dropped)}")
            self._dropped = 0
        self._has_dropped_lately = False

    def reopen(self) -> None:
        """Continue with another file of the same name, after a rotation."""
        try:
            descriptor = self._open_again()
        except (OSError, OperatorError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._report(
                f"the access log could not be opened again: {reason}; the old file stays in use"
            )
        else:
            self.move_to(descriptor)

    def move_to(self, descriptor: int) -> None:
        """Write to another descriptor from now on."""
        self.write(b"")
        if self._is_in_line:
            # Its beginning is in the old place.
            _, _, self._waiting = self._waiting.partition(_LINE_END)
            self._drop(1)
            self._is_in_line = False
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._write = choose_write(descriptor)
        self._is_file = _is_file(descriptor)
        self.write(b"")

    def close(self) -> None:
        """Write what waits, if need be for a moment; say what was dropped."""
        until = time.monotonic() + _PARTING_SECONDS
        while self._waiting and self._is_reader_slow():
            if not await_room(self._descriptor, until - time.monotonic()):
                break
            self.write(b"")
        dropped = self._dropped + self._waiting.count(_LINE_END)
        if dropped:
            self._report(f"the access log ends; {self._count(dropped)}")
        os.close(self._descriptor)

    def _await(self, octets: bytes, position: int) -> None:
        """Keep what may wait of the octets that were not written; drop the rest."""
        end = octets.index(_LINE_END, position) + 1 if self._is_in_line else position
        if self._is_reader_slow():
            end = max(end, octets.rfind(_LINE_END, position, position + _WAITING_OCTETS) + 1)
        self._waiting = octets[position:end]
        self._drop(octets.count(_LINE_END, end))

    def _drop(self, lines: int) -> None:
        if not lines:
            return
        if not self._dropped:
            reason = "" if self._failure is None else self._failure.strerror
            if self._is_reader_slow():
                reason = "it is not read as fast as it is written"
            self._report(f"lines of the access log are dropped: {reason}")
        self._dropped += lines
        self._has_dropped_lately = True

    def _is_reader_slow(self) -> bool:
        return isinstance(self._failure, BlockingIOError)

    @staticmethod
    def _count(lines: int) -> str:
        return f"{lines:,} line{' was' if lines == 1 else 's were'} dropped"


def _find_step(octets: bytes, position: int) -> int:
    """Return the end of as many whole lines as a pipe keeps together, of one at the least."""
    end = octets.rfind(_LINE_END, position, position + select.PIPE_BUF) + 1
    return end or octets.index(_LINE_END, position) + 1


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def open_destination(name: str) -> int:
    """Return a descriptor for the log of this name, which never blocks.

    Raises `OperatorError` if there can be none.
    """
    try:
        if name == STDOUT:
            return open_nonblocking(sys.stdout.fileno())
        return open_log_file(name, _FLAGS | os.O_CREAT, _MODE)
    except OSError as error:
        is_unread = error.errno == errno.ENXIO
        reason = "it is a pipe that no program reads" if is_unread else error.strerror
        raise _make_refusal(name, reason) from None


def check_destination(name: str) -> None:
    """Raise `OperatorError` if there can be no log of this name; nothing is made, nothing stays open.

    A pipe is not opened, for its reader takes a writer that comes and goes for the last one (fifo(7)):
    only the permission is looked at. So it is for the folder of a log that is not there yet.
    """
    if name == STDOUT:
        return
    if _is_pipe(name):
        if not os.access(name, os.W_OK):
            raise _make_refusal(name, os.strerror(errno.EACCES))
        return
    try:
        os.close(open_log_file(name, _FLAGS, _MODE))
    except FileNotFoundError:
        _check_folder(name)
    except OSError as error:
        raise _make_refusal(name, error.strerror) from None


def _check_folder(name: str) -> None:
    """Raise `OperatorError` if no file of this name can be made."""
    folder = os.path.dirname(os.path.realpath(name))
    try:
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    except OSError as error:
        raise _make_refusal(name, error.strerror) from None
    if is_read_only:
        raise _make_refusal(name, os.strerror(errno.EROFS))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _make_refusal(name, os.strerror(errno.EACCES))


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def _make_refusal(name: str, reason: str | None) -> OperatorError:
    return OperatorError(f"cannot write the access log {name}: {reason}")
