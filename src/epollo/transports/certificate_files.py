"""The files of certificates, watched: what a client of ACME writes there is in use at once.

Facts: certbot replaces a link beside others, cert-manager the link of a folder, lego writes the file
itself; each writes certificate and key one after the other, so that for a moment they do not match.
Decision: the folders of every name on the way to a file are watched. After each event the pairs are
read again, and used if they are right. If they stay wrong for a while, the operator is told, and the
former ones stay in use. Once a minute they are read without an event, for file systems that report
none.
"""

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.inotify import INotify, flags
from epollo.loop import EventLoop, Handler
from epollo.transports.certificates import Certificates
from epollo.transports.client_certificates import check_authorities
from epollo.transports.pairs import Secrets, read_clients, read_pairs

_MASK: Final = (
    flags.CREATE | flags.MOVED_TO | flags.CLOSE_WRITE | flags.DELETE | flags.ATTRIB | flags.ONLYDIR
)
_PATIENCE_SECONDS: Final = 2.0
_LOOK_EVERY_SECONDS: Final = 60.0
_LINKS_LIMIT: Final = 40


class CertificateFiles(Handler):
    """The handler of changes of files.

    ``use`` is called with what was found to be right, and tells the operator when it is in use.
    """

    def __init__(
        self,
        certificates: Sequence[str],
        keys: Sequence[str],
        loop: EventLoop,
        report: Callable[[str], None],
        use: Callable[[Secrets], None],
        *,
        clients: Sequence[tuple[str, str]] = (("", ""),),
    ) -> None:
        """Raise `OperatorError` if they are not right now.

        ``clients`` are the ways in which clients are verified (`read_client_authorities`).
        """
        self._certificates = certificates
        self._keys = keys
        self._clients = clients
        self._loop = loop
        self._report = report
        self._use = use
        self._told = ""
        self._wrong_since = math.inf
        self._notify: INotify | None = None
        with contextlib.suppress(OSError):
            self._notify = INotify()
        self._watch()
        try:
            self.secrets = self._read()
            _check(self.secrets)
        except OperatorError:
            if self._notify is not None:
                self._notify.close()
            raise
        if self._notify is not None:
            os.set_blocking(self._notify.fileno(), False)
            loop.add_first(self._notify.fileno(), self)
        self.deadline: float = loop.clock.now + _LOOK_EVERY_SECONDS
        loop.note_deadline(self, self.deadline)

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Read what the files hold after a change."""
        assert self._notify is not None  # noqa: S101 - it has a descriptor
        with contextlib.suppress(BlockingIOError):
            self._notify.read(timeout=0)
        self._look()

    def on_deadline(self) -> None:
        """Look again."""
        self._look()

    def close(self) -> None:
        """Watch no more."""
        self.deadline = math.inf
        if self._notify is not None:
            self._loop.remove(self._notify.fileno())
            self._notify.close()
            self._notify = None

    def _look(self) -> None:
        now = self._loop.clock.now
        self._watch()
        mistake = ""
        try:
            secrets = self._read()
            if secrets != self.secrets:
                _check(secrets)
                self.secrets = secrets
                self._use(secrets)
            self._told, self._wrong_since = "", math.inf
        except OperatorError as error:
            mistake = str(error)
            self._wrong_since = min(self._wrong_since, now)
            if now - self._wrong_since >= _PATIENCE_SECONDS and mistake != self._told:
                self._told = mistake
                self._report(f"{mistake}; the former certificates stay in use")
        is_waited_for = bool(mistake) and mistake != self._told
        self.deadline = now + (_PATIENCE_SECONDS if is_waited_for else _LOOK_EVERY_SECONDS)
        self._loop.note_deadline(self, self.deadline)

    def _read(self) -> Secrets:
        """Return what the files hold. Raises `OperatorError` if one cannot be read."""
        pairs = read_pairs(self._certificates, self._keys)
        return Secrets(pairs, clients=read_clients(self._clients))

    def _watch(self) -> None:
        """Watch the folders of every name on the way to the files, links included."""
        if self._notify is None:
            return
        authorities = (path for path, _ in self._clients)
        for path in filter(None, (*self._certificates, *self._keys, *authorities)):
            # One that is gone, or may not be read, is seen by the look once a minute.
            with contextlib.suppress(OSError):
                for folder in _list_folders(path):
                    with contextlib.suppress(OSError):
                        self._notify.add_watch(folder, _MASK)


def _check(secrets: Secrets) -> None:
    """Raise `OperatorError` if they are not right."""
    Certificates(secrets.pairs)
    for authorities in filter(None, secrets.clients):
        check_authorities(authorities)


def _list_folders(path: str) -> list[Path]:
    """Return the folders in which the file, and each link on the way to it, stands."""
    folders = [Path(os.path.realpath(path)).parent]
    ways = [Path.cwd() / path]
    for _ in range(_LINKS_LIMIT):
        if not ways:
            break
        way = ways.pop()
        for here in (way, *way.parents):
            if here.is_symlink():
                folders.append(here.parent)
                ways.append(here.parent / here.readlink())
    return list(dict.fromkeys(folders))
