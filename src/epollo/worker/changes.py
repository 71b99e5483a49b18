"""How a worker learns of changes of files and mounts: first in a batch, and whenever it looks."""

from epollo.connections.service import Service
from epollo.linux.readiness_signal import await_signal
from epollo.loop import EventLoop
from epollo.site.mounts import Mounts
from epollo.worker.sites import Sites


class Changes:
    """What changes under a worker. ``mounts`` tells of mounts; None if nothing does."""

    def __init__(self, loop: EventLoop, sites: Sites, mounts: Mounts | None) -> None:
        self._loop = loop
        self._sites = sites
        self._mounts = mounts
        self._service: Service | None = None

    def begin(self, service: Service) -> None:
        """Have the kernel tell of changes from now on; ``service`` is told what its looks need."""
        self._service = service
        mounts = self._mounts
        self._sites.learn_of_changes(service.note_change)
        if mounts is not None:
            mounts.on_change = self._sites.look_anew
            if self._loop.traits.is_ordered:
                self._loop.add_first(mounts.descriptor, mounts)

    def look(self) -> None:
        """Learn of every change up to now, and whether the next report tells of those that come."""
        service = self._service
        assert service is not None  # noqa: S101 - it alone looks
        is_signalled = not service.is_report_instant
        service.is_report_instant = self._loop.traits.is_instant
        if is_signalled and self._loop.traits.is_instant:
            # Behind it: a signal that waits is noted at once, and not taken back.
            await_signal()
        if not self._sites.look_for_changes():
            service.is_report_instant = False
        if self._mounts is not None and not self._loop.traits.is_ordered:
            self._mounts.look()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._mounts is not None:
            self._mounts.close()
