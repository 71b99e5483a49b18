"""Compression in the background: once per version of a file, never while somebody waits.

One thread of the lowest priority makes the codings; the libraries let go of the interpreter while
they work. Every coding is first made quickly and then, when all that was asked for has its quick
ones, as small as it can be. What comes out is handed to the loop.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from epollo.site.codings import CODINGS, Coding, decodes_to, is_worthwhile

_TASKS_LIMIT: Final = 1024
_LOWEST_PRIORITY: Final = 19

Done: TypeAlias = Callable[[bytes, bytes], None]
"""Takes the name of a coding and the coded octets."""
CallInLoop: TypeAlias = Callable[[Callable[[], None]], None]


class Task(NamedTuple):
    """Content to be coded.

    ``sidecars`` has octets that were found beside the file and claim to be a coding of it, by name of
    the coding. ``is_wanted`` tells whether anybody still needs the result; ``refuse`` is called with
    the suffix of a sidecar that is something else.
    """

    content: bytes
    sidecars: Mapping[bytes, bytes]
    is_wanted: Callable[[], bool]
    done: Done
    refuse: Callable[[bytes], None]


class Compressor:
    """A thread that makes codings, started when the first is asked for.

    ``call_in_loop`` has the loop's thread make a call.
    """

    def __init__(self, call_in_loop: CallInLoop) -> None:
        self._call_in_loop = call_in_loop
        self._quick: deque[Task] = deque()
        self._best: deque[tuple[Task, Coding, int]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def has_room(self) -> bool:
        """Tell whether `add` would take a task now."""
        return len(self._quick) + len(self._best) < _TASKS_LIMIT

    def add(self, task: Task) -> bool:
        """Take a task; False where too many are waiting."""
        with self._condition:
            if not self.has_room():
                return False
            self._quick.append(task)
            self._condition.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="compressor", daemon=True)
            self._thread.start()
        return True

    def close(self) -> None:
        """Stop after the coding that is being made; nothing more is handed to the loop."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def _work(self) -> None:
        # Linux has a priority for each thread (setpriority(2), BUGS).
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        while True:
            with self._condition:
                while not (self._quick or self._best or self._is_closed):
                    self._condition.wait()
                if self._is_closed:
                    return
                task = self._quick.popleft() if self._quick else None
                improvement = None if task is not None else self._best.popleft()
            if task is not None:
                for coding in CODINGS:
                    self._code(task, coding)
            elif improvement is not None:
                self._improve(*improvement)

    def _code(self, task: Task, coding: Coding) -> None:
        """Use the sidecar of a coding if it is what it claims to be; else make one quickly."""
        if not task.is_wanted():
            return
        sidecar = task.sidecars.get(coding.name)
        if sidecar is not None:
            if decodes_to(coding, sidecar, task.content):
                self._hand_on(task.done, coding.name, sidecar)
                return
            self._hand_on(task.refuse, coding.suffix)
        coded = coding.quick(task.content)
        length = len(task.content)
        if is_worthwhile(coded, task.content):
            length = len(coded)
            self._hand_on(task.done, coding.name, coded)
        with self._condition:
            self._best.append((task, coding, length))

    def _improve(self, task: Task, coding: Coding, length: int) -> None:
        """Make a coding as small as it can be; hand it on if it is shorter than what there is."""
        if not task.is_wanted():
            return
        coded = coding.best(task.content)
        if len(coded) < length and is_worthwhile(coded, task.content):
            self._hand_on(task.done, coding.name, coded)

    def _hand_on(self, call: Callable[..., None], *arguments: bytes) -> None:
        if not self._is_closed:
            self._call_in_loop(lambda: call(*arguments))
