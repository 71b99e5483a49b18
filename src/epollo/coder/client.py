"""A compressor whose codings are made by a coder.

All in the loop's thread. The thread of the `Compressor` reads what has to be read in the worker all the
same: sidecar files, and the charset of a large text. If there can be no coder, this thread makes the
codings.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from epollo.annotations import Final
from epollo.coder.jobs import FileJob, Job, KeptJob, ShareJob
from epollo.coder.link import CoderLink
from epollo.coder.messages import Grade
from epollo.http.message import FileSegment
from epollo.loop import CallInLoop, EventLoop
from epollo.site.codings import CODED_OCTETS_LIMIT, CODINGS, LARGE_OCTETS, Coding
from epollo.site.compressor import (
    FILE_TASKS_LIMIT,
    TASKS_LIMIT,
    Compressor,
    Task,
)
from epollo.site.file_task import FileTask
from epollo.site.pieces import HeldContent
from epollo.site.sealed import Coded, SealedOctets

_TRIES_LIMIT: Final = 2
"""A request is made at most this often if the coder ends before it answers."""


class SharedCompressor(Compressor):
    """A compressor whose codings a coder makes.

    ``ask_for_coder`` is called where one is needed and none is there; `use` answers. ``on_silent`` is
    called where one is there and does not answer for a while.
    """

    def __init__(
        self,
        call_in_loop: CallInLoop,
        report: Callable[[str], None],
        loop: EventLoop,
        ask_for_coder: Callable[[], None],
        on_silent: Callable[[], None],
    ) -> None:
        super().__init__(call_in_loop, report)
        self._loop = loop
        self._ask_for_coder = ask_for_coder
        self._on_silent = on_silent
        self._waiting: tuple[deque[Job], ...] = tuple(deque() for _ in Grade)
        self._link: CoderLink | None = None
        self._is_asked = False
        self._is_alone = False

    def use(self, descriptor: int | None) -> None:
        """Ask the coder at the other end of this socket from now on; None if there will be none."""
        self._is_asked = False
        if descriptor is None:
            self._is_alone = True
            for queue in self._waiting:
                while queue:
                    queue.popleft().do_alone(self)
        elif self._is_closed:
            os.close(descriptor)
        else:
            kind = socket.AF_UNIX, socket.SOCK_SEQPACKET
            connection = socket.socket(*kind, 0, descriptor)
            connection.set_inheritable(False)
            self._link = CoderLink(
                self._loop,
                connection,
                take_next=self._take_next,
                on_answered=self._on_answered,
                on_end=self._on_end,
                on_silent=self._on_silent,
                report=self._tell_once,
            )

    def has_room(self) -> bool:
        """Return whether `add` would take a task now."""
        waiting = sum(len(self._waiting[grade]) for grade in Grade if grade is not Grade.SHARE)
        return waiting < TASKS_LIMIT and super().has_room()

    def has_room_for_file(self) -> bool:
        """Return whether `add_file` would take a task now."""
        return len(self._waiting[Grade.LARGE]) < FILE_TASKS_LIMIT and super().has_room_for_file()

    def add(self, task: Task) -> bool:
        """Take a task; False if too many are waiting."""
        if self._is_alone or task.sidecars:
            return super().add(task)
        return self.has_room() and self._await_kept(KeptJob(task, {}, None))

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:
        """Make codings as small as can be, if shorter than their limits; False if too many wait."""
        if self._is_alone:
            return super().improve(task, limits)
        return self.has_room() and self._await_kept(KeptJob(task, {}, limits))

    def add_file(self, task: FileTask) -> bool:
        """Take a file that is not kept; False if too many are waiting."""
        if self._is_alone or task.needs_reading:
            return super().add_file(task)
        return self.has_room_for_file() and self._await_file(task, CODINGS)

    def share(
        self,
        content: FileSegment,
        is_wanted: Callable[[], bool],
        use: Callable[[SealedOctets], None],
    ) -> None:
        """Have ``use`` called with a sealed file of the same content, the same for all that ask."""
        is_short = content.length <= CODED_OCTETS_LIMIT
        if is_short and not self._is_alone and len(self._waiting[Grade.SHARE]) < TASKS_LIMIT:
            self._await(ShareJob(content, is_wanted, use))

    def close(self) -> None:
        """Make nothing more, and hand nothing more to the loop."""
        super().close()
        if self._link is not None:
            self._link.close()
        for queue in self._waiting:
            queue.clear()

    def _make(self, task: Task, content: HeldContent, made: dict[bytes, Coded]) -> None:
        """Have the codings made that are not there, from the thread."""
        if self._is_alone:
            super()._make(task, content, made)
        else:
            self._hand_on(partial(self._go_on_with, KeptJob(task, made, None)))

    def _make_file(self, task: FileTask, codings: list[Coding]) -> None:
        """Have codings of a file made, from the thread."""
        if self._is_alone:
            super()._make_file(task, codings)
        else:
            self._hand_on(partial(self._go_on_with_file, task, codings))

    def _go_on_with(self, job: KeptJob) -> None:
        self._await_kept(job)

    def _go_on_with_file(self, task: FileTask, codings: Sequence[Coding]) -> None:
        self._await_file(task, codings)

    def _await_kept(self, job: KeptJob) -> bool:
        return job.finish() or self._await(job)

    def _await_file(self, task: FileTask, codings: Sequence[Coding]) -> bool:
        if task.content.length > CODED_OCTETS_LIMIT or task.limit <= 0:
            return True
        limits = {coding.name: task.limit for coding in codings}
        return not limits or self._await(FileJob(task, Grade.LARGE, limits))

    def _await(self, job: Job) -> bool:
        """Have a job wait for the coder."""
        self._waiting[job.grade].append(job)
        self._go_on()
        return True

    def _go_on(self) -> None:
        if self._link is not None:
            self._link.ask()
        elif not self._is_asked and not self._is_closed:
            self._is_asked = True
            self._ask_for_coder()

    def _take_next(self) -> Job | None:
        for queue in self._waiting:
            while queue:
                job = queue.popleft()
                if job.is_wanted():
                    return job
        return None

    def _on_answered(self, job: Job) -> None:
        """Have the codings of a file made better once they are there."""
        if isinstance(job, FileJob) and job.grade is Grade.LARGE:
            task = job.task
            is_for_best = task.content.length < LARGE_OCTETS and any(job.better.values())
            # Each holds a descriptor.
            files = sum(isinstance(one, FileJob) for one in self._waiting[Grade.BEST])
            if is_for_best and files < FILE_TASKS_LIMIT and job.is_wanted():
                self._await(FileJob(task, Grade.BEST, job.better))

    def _on_end(self, jobs: list[Job]) -> None:
        """Ask for the same once more, of another coder."""
        self._link = None
        for job in reversed(jobs):
            job.tries += 1
            if job.tries < _TRIES_LIMIT:
                self._waiting[job.grade].appendleft(job)
        if any(self._waiting) and not self._is_closed:
            self._go_on()
