"""Compression in the background: once per version of a file, never while a client waits.

One thread of the lowest priority makes the codings; the libraries release the interpreter while
they work. A coding of content that is kept is first made quickly; to make one as small as it can be
takes thirty times as long, and is asked for by itself. A file that is too large to be kept is coded once,
and gives way between two pieces to content that waits for its quick codings. What comes out is handed to
the loop.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from epollo.annotations import Final, TypeVar
from epollo.errors import describe_fault
from epollo.http.message import FileSegment, Segment
from epollo.linux.threads import lower_priority, start_thread
from epollo.loop import CallInLoop
from epollo.named_tuples import NamedTuple
from epollo.site.codings import (
    CODED_OCTETS_LIMIT,
    CODINGS,
    LARGE_OCTETS,
    Coding,
    encode_pieces,
    worthwhile_octets,
)
from epollo.site.entity_tags import tag_content
from epollo.site.file_task import FileTask, UnwantedError
from epollo.site.pieces import HeldContent, read_pieces
from epollo.site.sealed import Coded, SealedOctets
from epollo.site.sidecars import find_fault

Queued = TypeVar("Queued")

TASKS_LIMIT: Final = 1024
_LINES_LIMIT: Final = 16
TOO_LITTLE_MEMORY: Final = (
    "there is too little memory to compress a file as far as can be; it is sent longer than need be"
)
FILE_TASKS_LIMIT: Final = 16
"""Each of them holds up to four descriptors."""


class Task(NamedTuple):
    """Content to be coded, all of it kept.

    ``sidecars`` has octets that were found beside the file and claim to be a coding of it, by name of
    the coding; ``codings`` are to be made if no sidecar can be used. ``is_wanted`` returns whether the
    result is still of use. ``done`` is called with the coded octets by name of the coding, and with the
    lengths up to which those that were made here can be made better. ``refuse`` is called with the
    suffix of a sidecar that cannot be used, and the reason.
    """

    content: Segment
    sidecars: Mapping[bytes, bytes]
    is_wanted: Callable[[], bool]
    done: Callable[[Mapping[bytes, Coded], Mapping[bytes, int]], None]
    refuse: Callable[[bytes, str], None]
    codings: Sequence[Coding] = CODINGS

    def read(self) -> HeldContent:
        """Return the content as octets in memory. Raises `OSError`."""
        content = self.content
        if not isinstance(content, bytes):
            content = os.pread(content.file.descriptor, content.length, content.offset)
        return HeldContent(content)


class Compressor:
    """A thread that makes codings, started when the first is asked for.

    ``call_in_loop`` has the loop's thread make a call; ``report`` tells the operator, in one line.
    """

    def __init__(self, call_in_loop: CallInLoop, report: Callable[[str], None]) -> None:
        self._call_in_loop = call_in_loop
        self._report = report
        self._told: set[str] = set()
        self._quick: deque[Task] = deque()
        self._best: deque[tuple[Task, Mapping[bytes, int]]] = deque()
        self._files: deque[FileTask] = deque()
        self._best_files: deque[tuple[FileTask, dict[bytes, int]]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def has_room(self) -> bool:
        """Return whether `add` would take a task now."""
        return len(self._quick) + len(self._best) < TASKS_LIMIT

    def has_room_for_file(self) -> bool:
        """Return whether `add_file` would take a task now."""
        return len(self._files) < FILE_TASKS_LIMIT

    def add(self, task: Task) -> bool:
        """Take a task; False if too many are waiting."""
        return self._put(self._quick, task, self.has_room)

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:
        """Make codings as small as can be, if shorter than their limits; False if too many wait."""
        return self._put(self._best, (task, limits), self.has_room)

    def add_file(self, task: FileTask) -> bool:
        """Take a file that is not kept; False if too many are waiting."""
        return self._put(self._files, task, self.has_room_for_file)

    def share(
        self,
        content: FileSegment,
        is_wanted: Callable[[], bool],
        use: Callable[[SealedOctets], None],
    ) -> None:
        """Do nothing: only a coder keeps files that several processes share."""

    def close(self) -> None:
        """Stop after what is being done; nothing more is handed to the loop."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def _put(self, queue: deque[Queued], task: Queued, has_room: Callable[[], bool]) -> bool:
        """Put a task behind those that wait for the thread; False if there is no room."""
        with self._condition:
            if not has_room():
                return False
            queue.append(task)
            self._condition.notify()
        self._start()
        return True

    def _start(self) -> None:
        # The thread that begins may ask for more before it is known here: it is the only one.
        with self._condition:
            if self._thread is None:
                self._thread = start_thread(self._work, "compressor")
            is_there = self._thread is not None
        if not is_there:
            # The task waits for the next one that finds room.
            self._tell_once("no thread can be started; files are sent as they are until one can")

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._condition:
                while not (self._is_closed or self._has_tasks()):
                    self._condition.wait()
                if self._is_closed:
                    return
            try:
                self._do_next()
            except MemoryError:
                self._tell_once(TOO_LITTLE_MEMORY)
            except Exception as fault:
                # The next task may succeed.
                self._tell_once(describe_fault(fault))

    def _do_next(self) -> None:
        if self._quick:
            self._code(self._quick.popleft())
        elif self._files:
            self._code_file(self._files.popleft())
        elif self._best:
            self._improve(*self._best.popleft())
        else:
            task, limits = self._best_files.popleft()
            task.improve(limits, self._give_way_to_all, self._hand_on)

    def _tell_once(self, line: str) -> None:
        """Have the loop tell the operator, unless it has told so before."""
        if line not in self._told and len(self._told) < _LINES_LIMIT:
            self._told.add(line)
            self._hand_on(lambda: self._report(line))

    def _has_tasks(self) -> bool:
        return bool(self._quick or self._files or self._best or self._best_files)

    def _give_way(self) -> None:
        """Do what is more urgent than a file; raise `UnwantedError` if nothing is of use any more."""
        while self._quick and not self._is_closed:
            self._code(self._quick.popleft())
        if self._is_closed:
            raise UnwantedError

    def _give_way_to_all(self) -> None:
        """Do what is more urgent than making the coding of a file better."""
        self._give_way()
        while self._files:
            self._code_file(self._files.popleft())

    def _code_file(self, task: FileTask) -> None:
        self._make_file(task, task.prepare(self._give_way, self._hand_on))

    def _make_file(self, task: FileTask, codings: list[Coding]) -> None:
        """Make codings of a file that is not kept and has no sidecar that can be used."""
        limits = task.make(codings, self._give_way, self._hand_on)
        if limits and len(self._best_files) < FILE_TASKS_LIMIT:
            self._best_files.append((task, limits))

    def _code(self, task: Task) -> None:
        content = task.read()
        made: dict[bytes, Coded] = {}
        for coding in CODINGS if task.sidecars else ():
            if not task.is_wanted():
                return
            try:
                if self._is_sidecar_usable(task, coding, content):
                    sidecar = task.sidecars[coding.name]
                    made[coding.name] = Coded(sidecar, tag_content(sidecar))
            except MemoryError:
                self._tell_once(TOO_LITTLE_MEMORY)
        self._make(task, content, made)

    def _make(self, task: Task, content: HeldContent, made: dict[bytes, Coded]) -> None:
        """Make the codings that are not there, and hand on all."""
        limits: dict[bytes, int] = {}
        for coding in task.codings:
            if coding.name in made or content.length > CODED_OCTETS_LIMIT:
                continue
            if not task.is_wanted():
                return
            try:
                self._code_quickly(coding, content, made, limits)
            except MemoryError:
                # Another coding may take less.
                self._tell_once(TOO_LITTLE_MEMORY)
        # All at once: each time that there is a better coding, what was answered is rendered again.
        self._hand_on(lambda: task.done(made, limits))

    @staticmethod
    def _code_quickly(
        coding: Coding, content: HeldContent, made: dict[bytes, Coded], limits: dict[bytes, int]
    ) -> None:
        """Make a coding; note it where it is worth keeping, and how long a better one may be."""
        is_large = content.length >= LARGE_OCTETS
        coded = _encode(coding, coding.effort.large if is_large else coding.effort.quick, content)
        limit = content.length
        if len(coded) <= worthwhile_octets(content.length):
            made[coding.name] = Coded(coded, tag_content(coded))
            limit = len(coded)
        if not is_large:
            limits[coding.name] = limit

    def _is_sidecar_usable(self, task: Task, coding: Coding, content: HeldContent) -> bool:
        """Return whether the sidecar of a coding is there and clients can read it."""
        sidecar = task.sidecars.get(coding.name)
        if sidecar is None:
            return False
        fault = find_fault(coding, HeldContent(sidecar), content)
        if fault is not None:
            self._hand_on(lambda: task.refuse(coding.suffix, fault))
        return fault is None

    def _improve(self, task: Task, limits: Mapping[bytes, int]) -> None:
        """Make codings as small as they can be; hand on those that are shorter than what there is."""
        content = task.read()
        made: dict[bytes, Coded] = {}
        for coding in CODINGS:
            if coding.name not in limits:
                continue
            if not task.is_wanted():
                return
            try:
                coded = _encode(coding, coding.effort.best, content)
            except MemoryError:
                self._tell_once(TOO_LITTLE_MEMORY)
                continue
            limit = min(limits[coding.name] - 1, worthwhile_octets(content.length))
            if len(coded) <= limit:
                made[coding.name] = Coded(coded, tag_content(coded))
        if made:
            self._hand_on(lambda: task.done(made, {}))

    def _hand_on(self, call: Callable[[], None]) -> None:
        if not self._is_closed:
            self._call_in_loop(call)


def _encode(coding: Coding, level: int, content: HeldContent) -> bytes:
    return b"".join(encode_pieces(coding, level, content.length, read_pieces(content)))
