"""No answer outlives what it was made of: beside a server that recalls nothing, under the same changes.

Files that are written, replaced, removed; a page for what is not found that appears; a folder that is
renamed, a link that is switched, a coding that is made; and a clock that is turned by hand over seconds,
over midnight, and set back.
"""

import contextlib
import gzip
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from connections.in_process import FolderSite, InProcess
from epollo.http.dates import format_date
from epollo.site.entity_tags import tag_content
from epollo.site.representation import keep_coded
from epollo.site.sealed import Coded
from loop.hand_clock import START_SECOND, HandClock

DAY_SECONDS = 86_400
PAGES = ("page.txt", "a/page.txt", "b/page.txt", "404.html", "a/index.html")
PATHS = (
    *("/page.txt", "/a/page.txt", "/b/page.txt", "/link/page.txt", "/link/", "/a", "/a/", "/b/"),
    *("/missing", "/a/missing/more", "/gone/deep/more", "/page.txt/below", "/?query", "/404.html"),
)
FIELDS = (
    *("", "", "", "Accept-Encoding: gzip\r\n", "If-None-Match: *\r\n", 'If-None-Match: "x"\r\n'),
    *("Range: bytes=0-1\r\n", "Range: bytes=1-3\r\n", "range: bytes=9-\r\n"),
    *(f"If-Modified-Since: {format_date(START_SECOND + more).decode()}\r\n" for more in (-5, 0, 5)),
)


class Ask(NamedTuple):
    """A request, made twice."""

    path: str
    fields: str
    method: str = "GET"

    def format(self) -> bytes:
        return f"{self.method} {self.path} HTTP/1.1\r\nHost: a\r\n{self.fields}\r\n".encode()


class Write(NamedTuple):
    """A file that is written in its place, or takes the place of another, with a date by the clock."""

    page: str
    content: int
    age_seconds: int
    is_replaced: bool

    def change(self, root: Path, second: int) -> None:
        path = root / self.page
        with contextlib.suppress(OSError):
            target = path.with_name("new") if self.is_replaced else path
            target.write_bytes(b"%d of them\n" % self.content * 30)
            os.utime(target, (second - self.age_seconds, second - self.age_seconds))
            target.rename(path)


class Remove(NamedTuple):
    """A name that is gone."""

    name: str

    def change(self, root: Path, second: int) -> None:  # noqa: ARG002
        path = root / self.name
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path)


class Move(NamedTuple):
    """A name that becomes another."""

    name: str
    other: str

    def change(self, root: Path, second: int) -> None:  # noqa: ARG002
        with contextlib.suppress(OSError):
            (root / self.name).rename(root / self.other)


class Folder(NamedTuple):
    """A folder that is made."""

    name: str

    def change(self, root: Path, second: int) -> None:  # noqa: ARG002
        with contextlib.suppress(OSError):
            (root / self.name).mkdir()


class Switch(NamedTuple):
    """A link that is switched at once, as a deployment does."""

    target: str

    def change(self, root: Path, second: int) -> None:  # noqa: ARG002
        with contextlib.suppress(OSError):
            (root / "next").symlink_to(self.target)
            (root / "next").rename(root / "link")


class Code(NamedTuple):
    """A coding that is made of a page."""

    page: str


class Turn(NamedTuple):
    """A clock that is turned, or set; to midnight but for a second, for no seconds."""

    seconds: int
    is_jump: bool


Change = Write | Remove | Move | Folder | Switch
Step = Ask | Change | Code | Turn


class Side:
    """One of two servers of the same folder."""

    def __init__(self, root: Path, stack: contextlib.ExitStack, *, has_recall: bool) -> None:
        self.clock = HandClock()
        self.site = stack.enter_context(FolderSite(root, self.clock))
        self.way = stack.enter_context(
            InProcess(self.site.respond, clock=self.clock, has_recall=has_recall)
        )
        self._peer = self.way.connect()

    def learn(self) -> None:
        """Learn of what was changed, as a server does before it answers."""
        assert self.site.catalogue.watch is not None
        self.site.catalogue.watch.on_ready(0)

    def ask(self, request: bytes) -> bytes:
        if self._peer.is_closed:
            self._peer = self.way.connect()
        self._peer.received.clear()
        self._peer.send(request)
        self.way.settle(self._peer)
        return bytes(self._peer.received)

    def turn(self, turn: Turn) -> None:
        seconds = turn.seconds or DAY_SECONDS - 1 - self.clock.second % DAY_SECONDS
        (self.clock.jump if turn.is_jump else self.clock.turn)(seconds)
        self.way.loop.run_batch(0)

    def code(self, page: str) -> None:
        resource = self.site.catalogue.find(tuple(page.encode().split(b"/")))
        if resource.edition is not None:
            coded = gzip.compress(resource.edition.identity.read(), mtime=0)
            resource.edition.add(b"gzip", keep_coded(Coded(coded, tag_content(coded))))
            resource.end_answers()


pages = st.sampled_from(PAGES)
names = st.sampled_from(
    ("page.txt", "a", "b", "gone", "link", "404.html", "a/missing", "gone/deep")
)
asks = st.builds(
    Ask, st.sampled_from(PATHS), st.sampled_from(FIELDS), st.sampled_from(("GET", "GET", "HEAD"))
)
changes = st.one_of(
    st.builds(Write, pages, st.integers(0, 3), st.sampled_from((0, 1, 2, 1000, -5)), st.booleans()),
    st.builds(Remove, names),
    st.builds(Move, names, names),
    st.builds(Folder, names),
    st.builds(Switch, st.sampled_from(("a", "b", "gone", ".."))),
)
turns = st.builds(Turn, st.sampled_from((0, 1, 2, 3600, -1, -3600)), st.booleans())
steps = st.lists(
    st.one_of(asks, asks, asks, changes, changes, st.builds(Code, pages), turns),
    min_size=2,
    max_size=25,
)

OLD = 1000
MISSING = [Ask("/missing", ""), Ask("/a/missing/more", ""), Ask("/gone/deep/more", "")]
FOUND = [Ask(path, "") for path in ("/a/page.txt", "/link/page.txt", "/b/page.txt")]
SETTLED = [
    Write("a/page.txt", 1, OLD, is_replaced=False),
    Write("page.txt", 1, OLD, is_replaced=False),
]

IN_TURN = [Ask("/page.txt", ""), Turn(1, is_jump=False)] * 3


@given(steps)
@example(
    [*MISSING, Write("404.html", 1, OLD, is_replaced=True), *MISSING, Remove("404.html"), *MISSING]
)
@example([*SETTLED, *FOUND, Move("a", "b"), *FOUND, Folder("a"), *FOUND, Move("b", "gone"), *FOUND])
@example(
    [*SETTLED, Switch("a"), *FOUND, Folder("gone"), Switch("gone"), *FOUND, Switch("a"), *FOUND]
)
@example(
    [*SETTLED, *FOUND, Code("a/page.txt"), Ask("/a/page.txt", "Accept-Encoding: gzip\r\n"), *FOUND]
)
@example(
    [*MISSING, Folder("gone"), *MISSING, Folder("gone/deep"), *MISSING, Remove("gone"), *MISSING]
)
@example(
    [
        *SETTLED,
        Turn(0, is_jump=True),
        *FOUND,
        Turn(1, is_jump=False),
        *FOUND,
        Turn(-3600, is_jump=True),
        *FOUND,
    ]
)
@example([Write("page.txt", 1, 0, is_replaced=False), *IN_TURN])
@example([Write("page.txt", 1, -5, is_replaced=False), *IN_TURN])
@example(
    [*SETTLED, Ask("/page.txt", FIELDS[-1]), Turn(5, is_jump=False), Ask("/page.txt", FIELDS[-1])]
)
def test_answers_with_and_without_recall(steps: list[Step]) -> None:
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "a").mkdir()
        sides = [Side(root, stack, has_recall=has_recall) for has_recall in (True, False)]
        for step in steps:
            if isinstance(step, Ask):
                for _ in range(2):
                    recalled, made = (side.ask(step.format()) for side in sides)
                    assert recalled == made, step
                continue
            if isinstance(step, Turn):
                for side in sides:
                    side.turn(step)
            elif isinstance(step, Code):
                for side in sides:
                    side.code(step.page)
            else:
                step.change(root, sides[0].clock.second)
            for side in sides:
                side.learn()
        assert not [report for side in sides for report in (*side.way.reports, *side.site.reports)]
