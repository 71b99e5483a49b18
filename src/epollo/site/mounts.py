"""What is mounted: a mount over a folder changes what stands there, and inotify tells nothing of it.

Facts: the kernel marks /proc/self/mountinfo when anything is mounted or unmounted, until the next look
(proc_pid_mountinfo(5)). The file is readable at all times, so no loop can wait for it.
Decision: it stands in an epoll of its own, which asks for the mark alone and is readable when the mark
has come. A look at that epoll takes the mark away, so each call of the handler stands for a mount.
"""

import os
import select
from collections.abc import Callable

from epollo.loop import Handler


class Mounts(Handler):
    """The handler that calls ``on_change`` when something was mounted or unmounted.

    It has to be made before the process gives up the right to open the file.
    """

    __slots__ = ("_epoll", "_mountinfo", "descriptor", "on_change")

    def __init__(self) -> None:
        """Raise `OSError` if there is no /proc."""
        self.on_change: Callable[[], None] = lambda: None
        self._mountinfo = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._mountinfo, select.EPOLLPRI)
        self.descriptor: int = self._epoll.fileno()

    def on_ready(self, events: int) -> None:
        """Act on a mount; without events, look whether there was one."""
        if events:
            self.on_change()
        else:
            self.look()

    def look(self) -> None:
        """Act on a mount, if there was one; for where no poller tells."""
        if self._epoll.poll(0):
            self.on_change()

    def on_fault(self, fault: Exception) -> None:
        """Continue: the next mount is reported all the same."""

    def close(self) -> None:
        """Look no more."""
        self._epoll.close()
        os.close(self._mountinfo)


def open_mounts() -> Mounts | None:
    """Return what tells of mounts; None without /proc, where a mount is seen within a second."""
    try:
        return Mounts()
    except OSError:
        return None
