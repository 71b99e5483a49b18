"""A coder as its clients meet it: a process of its own, and a loop that tests turn."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from epollo.coder.client import SharedCompressor
from epollo.coder.supply import CoderSupply
from epollo.http.message import Segment
from epollo.loop import EventLoop
from epollo.pollers import open_poller
from epollo.site.codings import CODINGS
from epollo.site.compressor import Task
from epollo.site.file_task import FileTask
from epollo.site.pieces import FileContent
from epollo.site.sealed import Coded
from epollo.site.version import version_of

PATIENCE_SECONDS = 60
TEXT = b"content that shrinks, " * 200


def ignore(*_: object) -> None:
    """Take what comes, and do nothing."""


def decode(name: bytes, coded: Coded) -> bytes:
    """Undo a coding."""
    content = coded.content
    octets = content if isinstance(content, bytes) else content.read(0, content.length)
    coding = next(one for one in CODINGS if one.name == name)
    return b"".join(coding.decode([octets]))


class Coding:
    """A loop, what starts coders, and compressors that use them.

    With ``beside`` the loop does not wait until a coder has started.
    """

    def __init__(self, sandbox: str = "auto", *, beside: bool = False) -> None:
        self.lines: list[str] = []
        self.loop = EventLoop(open_poller("auto"), self.lines.append)
        self._calls: deque[Callable[[], None]] = deque()
        call_in_loop = self._calls.append if beside else None
        self.supply = CoderSupply(
            self.loop, self.lines.append, sandbox, "", call_in_loop=call_in_loop
        )
        self._compressors: list[SharedCompressor] = []
        self.asked = 0
        self._clients = 0

    def open_compressor(self) -> SharedCompressor:
        """Return a compressor of another worker, as it were."""

        number = self.new_number()

        def ask() -> None:
            self.asked += 1
            self.supply.ask(compressor.use, number)

        compressor = SharedCompressor(
            self._calls.append, self.lines.append, self.loop, ask, self.supply.look
        )
        self._compressors.append(compressor)
        return compressor

    def new_number(self) -> int:
        """Return the number of another client."""
        self._clients += 1
        return self._clients

    def await_true(self, condition: Callable[[], bool]) -> None:
        """Turn the loop until something holds."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, self.lines
            self.loop.run_batch(0.02)
            self.prefer_coder()
            while self._calls:
                self._calls.popleft()()

    def prefer_coder(self) -> None:
        """Let the coder run as others do, where that is allowed: a test waits for it."""
        coder = self.supply._coder
        with contextlib.suppress(OSError):
            if coder is not None and coder.pid and os.getpriority(os.PRIO_PROCESS, coder.pid):
                os.setpriority(os.PRIO_PROCESS, coder.pid, 0)
                Path(f"/proc/{coder.pid}/autogroup").write_text("0")

    @property
    def coder_pid(self) -> int:
        """The process number of the coder."""
        coder = self.supply._coder
        assert coder is not None
        return coder.pid

    def close(self) -> None:
        """End everything."""
        for compressor in self._compressors:
            compressor.close()
        self.supply.close()
        self.loop.close()


class Wanted:
    """Content, and what was made of it."""

    def __init__(self, content: Segment) -> None:
        self.content = content
        self.made: dict[bytes, Coded] = {}
        self.limits: Mapping[bytes, int] = {}
        self.done = 0
        self.is_current = True

    def task(self, sidecars: Mapping[bytes, bytes] | None = None) -> Task:
        """Return it as a task."""
        return Task(self.content, sidecars or {}, lambda: self.is_current, self._take, ignore)

    def is_done(self) -> bool:
        """Return whether there is a result."""
        return self.done > 0

    def decoded(self) -> dict[bytes, bytes]:
        """Return what was made, undone, by the name of the coding."""
        return {name: decode(name, coded) for name, coded in self.made.items()}

    def _take(self, made: Mapping[bytes, Coded], limits: Mapping[bytes, int]) -> None:
        self.made |= made
        self.limits = limits
        self.done += 1


class WantedFile:
    """A file that is not kept, and what was made of it."""

    def __init__(self, path: Path, text_type: bytes | None = None, limit: int = 1 << 30) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        content = FileContent(descriptor, version_of(os.fstat(descriptor)))
        self.made: dict[bytes, Coded] = {}
        self.is_text = False
        self.task = FileTask(
            content, {}, text_type, limit, lambda: True, self._announce, self._take, ignore, ignore
        )
        self.times = 0

    def decoded(self) -> dict[bytes, bytes]:
        """Return what was made, undone, by the name of the coding."""
        return {name: decode(name, coded) for name, coded in self.made.items()}

    def _announce(self) -> None:
        self.is_text = True

    def _take(self, name: bytes, coded: Coded) -> None:
        self.made[name] = coded
        self.times += 1
