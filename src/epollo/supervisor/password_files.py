"""Password files, read by the parent for workers that gave up the right to read them."""

import contextlib
import os
from collections.abc import Callable

from epollo.settings import select_sites
from epollo.supervisor.worker_process import WorkerProcess
from epollo.worker.orders import PASSWORDS, write_content


class PasswordFiles:
    """What workers are told of the password files of their settings, and of no other file.

    Every worker asks by itself; the operator is told once what is wrong with a version.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._reported: dict[str, tuple[bytes | None, list[str]]] = {}

    def answer(self, worker: WorkerProcess, number: int) -> None:
        """Tell a worker what the file of one of its sites holds now."""
        sites = select_sites(worker.settings)
        path = sites[number].auth if number < len(sites) else ""
        if not path:
            return
        # Asked by each worker as it starts, where there are passwords; other servers need nothing of it.
        from epollo.site.access.hashes import Hashes  # noqa: PLC0415
        from epollo.site.access.password_file import inspect_password_file  # noqa: PLC0415

        found = inspect_password_file(path, Hashes().find_mistake)
        octets, lines = found
        if self._reported.get(path) != found:
            self._reported[path] = found
            for line in lines:
                self._report(line)
        message = PASSWORDS + b"%d" % number
        descriptor = -1
        with contextlib.suppress(OSError):
            # Without a descriptor, or memory, for it the worker learns that it cannot be read now.
            descriptor = -1 if octets is None else write_content(octets)
        if descriptor < 0:
            worker.tell(message)
            return
        try:
            worker.tell(message, [descriptor])
        finally:
            os.close(descriptor)
