"""A password file outside of the site, followed: a version of it ends with the event that it is another.

Facts: the file is replaced by a rename, written to in place (htpasswd(1)), or reached through links that
are switched (the secrets of a cluster). A worker may have given up the right to read it, while inotify(7)
and stat(2) still tell of it (`linux.landlock`).
Decision: every name on the way is watched, and an event ends the version at once. A worker asks its
parent, which has kept the right, to read the file anew; requests wait for that.
Consequence: a password that was changed is refused from the next request on.
Price: an inotify descriptor besides that of the site.
"""

import contextlib
import math
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.http.message import Later
from epollo.linux.inotify import CHANGES, INotify, flags, list_events
from epollo.linux.regular_files import read_regular_file
from epollo.loop import Clock, Handler
from epollo.site.access.passwords import FILE_OCTETS_LIMIT, Passwords, parse_passwords
from epollo.site.version import Version, version_of

_LINKS_LIMIT: Final = 40
_EVENTS_OCTETS: Final = 64 * 1024
"""Events of one turn, some two thousand of them; more are not told apart: one may be of the file."""
_MISTAKES_SHOWN: Final = 5


def read_password_file(path: str) -> bytes:
    """Return what a password file holds.

    Raises `OperatorError` if it cannot be read, or is no file, or too long.
    """
    try:
        octets = read_regular_file(path, FILE_OCTETS_LIMIT + 1)
    except OSError as error:
        raise OperatorError(f"cannot read the password file {path}: {error.strerror}") from None
    if len(octets) > FILE_OCTETS_LIMIT:
        raise OperatorError(f"the password file {path} is longer than {FILE_OCTETS_LIMIT:,} bytes")
    return octets


def describe_mistakes(path: str, octets: bytes, find_mistake: Callable[[bytes], str]) -> list[str]:
    """Return a line for each of the first mistakes in a password file."""
    _, mistakes = parse_passwords(octets, find_mistake)
    lines = [f"{path}:{line}: {reason}" for line, reason in mistakes[:_MISTAKES_SHOWN]]
    if len(mistakes) > _MISTAKES_SHOWN:
        lines.append(f"{path}: {len(mistakes) - _MISTAKES_SHOWN} more lines have mistakes")
    return lines


def inspect_password_file(
    path: str, find_mistake: Callable[[bytes], str]
) -> tuple[bytes | None, list[str]]:
    """Return what a password file holds now, and lines that tell the operator what is wrong with it.

    Without octets (None) it cannot be read, and every password is to be refused.
    """
    try:
        octets = read_password_file(path)
        return octets, describe_mistakes(path, octets, find_mistake)
    except OperatorError as mistake:
        return None, [f"{mistake}; until it can be read, every password is refused"]


class PasswordFile(Handler):
    """The handler of the events of one password file; to be made before rights are given up.

    ``find_mistake`` returns what keeps a hash from being used. ``fetch`` asks the parent for what the
    file holds, which `take` is then called with; without it, the file is read here. Raises `OSError`
    if the system gives no inotify descriptor.
    """

    deadline = math.inf

    def __init__(
        self,
        path: str,
        clock: Clock,
        find_mistake: Callable[[bytes], str],
        report: Callable[[str], None],
        fetch: Callable[[], None] | None = None,
    ) -> None:
        self._path = os.fspath(Path(path).absolute())
        self._clock = clock
        self._find_mistake = find_mistake
        self._report = report
        self._fetch = fetch
        self._has_told_unwatched = False
        self._inotify = self._open_inotify()
        self.descriptor: int = -1 if self._inotify is None else self._inotify.fileno()
        """What tells of changes; -1 if nothing does, and they are seen within a second."""
        # For each watch the names that count, the empty one for what is watched itself.
        self._names: dict[int, set[bytes]] = {}
        self._is_asked = False
        self._is_doubted = False
        self._waiting: list[Later] = []
        self._version: Version | None = None
        self._passwords: Passwords | None = None
        self._reported: tuple[bytes | None, list[str]] | None = None
        self._watch_names()
        self._read(reports=False)

    def find(self) -> Passwords | None:
        """Return what the file holds now; None if it has to be waited for."""
        passwords = self._passwords
        if passwords is not None and passwords.stands(self._clock.second):
            return passwords
        if self._fetch is None:
            return self._read()
        self._ask(self._fetch)
        return None

    def wait(self, later: Later, _address: str) -> None:
        """Finish this when the file was read."""
        self._waiting.append(later)

    def take(self, octets: bytes | None) -> None:
        """Take what the parent read; None if it could not, which it has reported."""
        self._is_asked = False
        # What changed since then may have been read or not.
        self.on_ready(0)
        if self._is_doubted and self._fetch is not None:
            self._ask(self._fetch)
            return
        self._begin_version(octets)
        waiting, self._waiting = self._waiting, []
        for later in waiting:
            later.finish()

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Read the changes that are there; end the version where one is of the file, or may be."""
        if self._inotify is None:
            return
        try:
            octets = os.read(self.descriptor, _EVENTS_OCTETS)
        except BlockingIOError:
            return
        if len(octets) > _EVENTS_OCTETS // 2 or any(
            mask & flags.Q_OVERFLOW or name in self._names.get(number, ())
            for number, mask, name in list_events(octets)
        ):
            self._end()
            self._watch_names()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """Trust the version no longer; the next ones are compared once a second."""
        self._end()

    def close(self) -> None:
        """Follow the file no more."""
        if self._inotify is not None:
            self._inotify.close()

    def _open_inotify(self) -> INotify | None:
        try:
            return INotify(nonblocking=True)
        except OSError as error:
            # The user has as many as it may have (inotify_init(2)).
            self._tell_unwatched("the password file", error)
            return None

    def _end(self) -> None:
        self._is_doubted = True
        if self._passwords is not None:
            self._passwords.is_current = False

    def _ask(self, fetch: Callable[[], None]) -> None:
        if not self._is_asked:
            self._is_asked = True
            self._is_doubted = False
            self._version = self._find_version()
            fetch()

    def _read(self, *, reports: bool = True) -> Passwords:
        self._version = self._find_version()
        found = inspect_password_file(self._path, self._find_mistake)
        octets, lines = found
        if reports and found != self._reported:
            for line in lines:
                self._report(line)
        self._reported = found
        return self._begin_version(octets)

    def _begin_version(self, octets: bytes | None) -> Passwords:
        second = -1
        if octets is None:
            # What could not be read in this second may be read in the next, though it is the same.
            self._version = None
            second = self._clock.second
        users, _ = parse_passwords(octets or b"", self._find_mistake)
        self._passwords = Passwords(users, self._is_as_found, second)
        return self._passwords

    def _is_as_found(self) -> bool:
        """Compare with the file system, for changes of which no event tells."""
        return self._find_version() == self._version

    def _find_version(self) -> Version | None:
        try:
            return version_of(os.stat(self._path))
        except OSError:
            return None

    def _watch_names(self) -> None:
        """Watch each link on the way to the file, the file's name, and the file."""
        inotify = self._inotify
        if inotify is None:
            return
        former, self._names = self._names, {}
        refused: list[OSError] = []
        here = "/"
        names = deque(self._path.split("/"))
        links = 0
        while names:
            name = names.popleft()
            if name in {"", "."}:
                continue
            path = os.path.normpath(os.path.join(here, name))
            is_link = name != ".." and os.path.islink(path)
            if is_link or not any(names):
                refused += self._watch(inotify, here, name)
            if not is_link:
                here = path
                continue
            links += 1
            if links > _LINKS_LIMIT:
                break
            try:
                target = os.readlink(path)
            except OSError:
                break
            names.extendleft(reversed(target.split("/")))
            here = "/" if target.startswith("/") else here
        refused += self._watch(inotify, here, "")
        if refused:
            # This process may have given up the right; a watch that began before still tells.
            self._names = former | self._names
            if not former:
                self._tell_unwatched(here, refused[0])
        for number in former.keys() - self._names.keys():
            with contextlib.suppress(OSError):
                # What was watched may be gone, and its watch with it.
                inotify.rm_watch(number)

    def _watch(self, inotify: INotify, path: str, name: str) -> list[OSError]:
        """Watch a name in a folder, or without one what stands at the path; return what refuses it."""
        try:
            number = int(inotify.add_watch(path, CHANGES))
        except FileNotFoundError:
            # Its name is watched for.
            return []
        except OSError as error:
            return [error]
        self._names.setdefault(number, set()).add(os.fsencode(name))
        return []

    def _tell_unwatched(self, what: str, error: OSError) -> None:
        if self._has_told_unwatched:
            return
        self._has_told_unwatched = True
        self._report(
            f"cannot watch {what} ({error.strerror}); a change of the password file is seen within a "
            "second"
        )
