"""How long no worker is started for roots at which none could start.

Facts: while a root that was replaced is out of the reach of a worker, it asks for other workers at each
look, once a second. They cannot start as long as the user of `--user` may not read the root.
Decision: for the same folders with the same rights, workers are started every few seconds only. If one
of the folders is another, or has other rights, they are started at once.
"""

import math
import os
import time

from epollo.annotations import Final
from epollo.settings import Settings, select_sites

_SECONDS: Final = 5.0
_State = tuple[int, int, int, int, int] | None
"""Device, number, kind with rights, and owners of what stands at a path."""


class RootBackoff:
    """What stood at the roots when workers could not start there."""

    def __init__(self) -> None:
        self._roots: list[_State] = []
        self._until = -math.inf

    def note_failure(self, settings: Settings) -> None:
        """Remember the roots of these settings, for which no worker could start just now."""
        self._roots = _find_roots(settings)
        self._until = time.monotonic() + _SECONDS

    def is_too_soon(self, settings: Settings) -> bool:
        """Return whether workers would be started too soon for the roots of these settings."""
        return time.monotonic() < self._until and _find_roots(settings) == self._roots


def _find_roots(settings: Settings) -> list[_State]:
    return [_find_state(os.fspath(site.root)) for site in select_sites(settings)]


def _find_state(path: str) -> _State:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid
