"""A site without sockets: requests as values, a clock that tests turn, answers read strictly."""

import contextlib
import gc
import os
import re
from collections.abc import Mapping
from pathlib import Path

from epollo.budget import Budget
from epollo.http.content_coding import IDENTITY
from epollo.http.dates import format_date
from epollo.http.message import AllOf, Basis, FileSegment, Request, Response
from epollo.http.target import parse_target
from epollo.protocols.http1.render import has_content
from epollo.quantities import MEBIBYTE
from epollo.site.cache_policy import CachePolicy
from epollo.site.candidates import Paths
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor, Task
from epollo.site.file_task import FileTask
from epollo.site.policy import Policy
from epollo.site.respond import Site
from epollo.site.rulebook import FixedPolicy, PolicySource, Rulebook

START_SECOND = 4_000_000_000
"""Later than anything that a test writes, unless it says otherwise."""


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self, second: int = START_SECOND) -> None:
        self.now = 1000.0
        self.second = second
        self.date = format_date(second)

    def read(self) -> bool:
        return False

    def count_batch_seconds(self) -> float:
        return 0.0

    def turn(self, seconds: int = 1) -> None:
        self.now += seconds
        self.second += seconds
        self.date = format_date(self.second)


class Answer:
    """A response as a client would see it, after it was checked against RFC 9110."""

    def __init__(self, request: Request, response: Response) -> None:
        self.status = response.status
        self.fields: dict[str, str] = {}
        self.basis = response.basis
        self.is_kept = all(
            isinstance(segment, bytes) or segment.file.is_sealed for segment in response.content
        )
        for name, value in response.fields:
            text = name.decode().lower()
            assert text not in self.fields, f"{text} is there twice"
            self.fields[text] = value.decode("latin-1")
        content = b"".join(_read_segment(segment) for segment in response.content)
        self.content = content if has_content(request.method, response.status) else b""
        self._check(request, len(content))

    def _check(self, request: Request, content_octets: int) -> None:
        fields = self.fields
        assert not any(re.search(r"[\r\n\0]", value) for value in fields.values())
        length = fields.get("content-length")
        if self.status in {204, 304}:
            assert length is None
            assert content_octets == 0
        elif request.method != b"HEAD":
            assert length == str(content_octets)
        else:
            assert length is not None
        if self.content:
            assert fields["x-content-type-options"] == "nosniff"
            assert "content-type" in fields or "content-range" in fields
        # RFC 9110 section 15.3.7: what If-Range proves known is not repeated.
        if self.status == 206 and b"if-range" in request.fields:
            assert "etag" in fields
            assert not {"last-modified", "accept-ranges", "content-encoding"} & fields.keys()
        elif self.status in {200, 206}:
            assert {"etag", "accept-ranges", "content-type"} <= fields.keys()
        if self.status not in {200, 204, 206, 304}:
            assert fields.get("cache-control", "no-cache") in {"no-cache", "no-store"}
        if self.status == 304:
            assert "etag" in fields
            assert "content-type" not in fields
        if self.status == 206:
            media_type = fields.get("content-type", "")
            is_multipart = media_type.startswith("multipart/byteranges; boundary=")
            assert ("content-range" in fields) is not is_multipart
        if self.status == 416:
            assert re.fullmatch(r"bytes \*/\d+", fields["content-range"])
        if self.status == 405:
            assert "allow" in fields
        if self.status in {301, 308}:
            assert re.fullmatch(r"(https?://[^/]|/(?![/\\]))[!-~]*", fields["location"])
        if "content-encoding" in fields:
            assert fields["content-encoding"] != IDENTITY.decode()
            assert "Accept-Encoding" in fields["vary"].split(", ")


def _read_segment(segment: bytes | FileSegment) -> bytes:
    if isinstance(segment, bytes):
        return segment
    return os.pread(segment.file.descriptor, segment.length, segment.offset)


def write_names(root: Path, *names: str) -> None:
    """Write files of which the content is their name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


class Ground:
    """A root and the site on it, in this process."""

    def __init__(
        self,
        root: Path,
        *,
        cache_octets: int = 16 * MEBIBYTE,
        kept_octets_limit: int = MEBIBYTE,
        clock: TurnedClock | None = None,
        cache_control: str = "auto",
        compressor: Compressor | None = None,
        policy: Policy | None = None,
        paths: Paths = Paths(),  # noqa: B008 - it is immutable
        listing: str = "off",
    ) -> None:
        self.root = root
        self.clock = TurnedClock() if clock is None else clock
        self.reports: list[str] = []
        self.catalogue = Catalogue(
            root,
            self.clock,
            self.reports.append,
            budget=Budget(cache_octets),
            kept_octets_limit=kept_octets_limit,
            reach=paths.reach,
        )
        self.cache_policy = CachePolicy(cache_control, self.reports.append)
        policies: PolicySource
        if policy is None:
            policies = Rulebook(
                self.catalogue,
                self.clock,
                lambda rules: Policy(self.cache_policy, rules, paths),
                self.reports.append,
                os.fspath(root),
            )
        else:
            policies = FixedPolicy(policy, self.clock)
        self.policies = policies
        self.site = Site(self.catalogue, self.clock, compressor, policies, listing=listing)

    def follow(self, target: str, fields: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return the status, and where the answer leads or else its content."""
        answer = self.ask(target, fields)
        return answer.status, answer.fields.get("location", answer.content.decode())

    def ask(
        self,
        target: str | bytes,
        fields: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        drain: bool = True,
    ) -> Answer:
        """Return the answer to a request; the kernel's events are read first, as the loop does."""
        if drain and self.catalogue.watch is not None:
            self.catalogue.watch.on_ready(1)
        raw = target.encode() if isinstance(target, str) else target
        parsed = parse_target(raw)
        assert parsed is not None, raw
        request = Request(
            method.encode(),
            parsed,
            {name.lower().encode(): value.encode() for name, value in (fields or {}).items()},
        )
        response = self.site.respond(request)
        assert isinstance(response, Response)
        try:
            return Answer(request, response)
        finally:
            for segment in response.content:
                if isinstance(segment, FileSegment):
                    segment.file.close()

    def get(self, target: str | bytes) -> bytes:
        """Return the content of an answer 200."""
        answer = self.ask(target)
        assert answer.status == 200, answer.status
        return answer.content

    def status(self, target: str | bytes) -> int:
        return self.ask(target).status

    def close(self) -> None:
        self.catalogue.close()

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_true(basis: Basis | None, ground: Ground) -> bool:
    """Return whether an answer on this basis may be given again, as recall decides.

    One that is kept is released when a part of its basis ends; here each part is looked at.
    """
    second = ground.clock.second
    if isinstance(basis, AllOf):
        return all(is_true(part, ground) for part in basis.parts)
    return basis is not None and (basis.checked_second == second or basis.stands(second))


def count_descriptors() -> int:
    """Return how many descriptors this process has open."""
    # What an earlier test let go of in a circle would be counted, and closed at any time.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def list_open_below(folder: Path) -> list[str]:
    """Return the files and folders below a folder that this process has open.

    A thread of an earlier test may open and close others meanwhile.
    """
    gc.collect()
    below = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if path.startswith(os.fspath(folder)):
                below.append(path)
    return below


def replace(path: Path, content: bytes) -> None:
    """Replace a file at once: write another beside it, and rename it over the old one."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)


def switch_link(link: Path, target: Path | str) -> None:
    """Let a link lead elsewhere, at once."""
    new = link.with_name(link.name + ".new")
    new.symlink_to(target)
    new.replace(link)


class PromptCompressor(Compressor):
    """A compressor that does everything at once, where it is asked to."""

    def __init__(self) -> None:
        super().__init__(lambda call: call(), print)

    def add(self, task: Task) -> bool:
        self._code(task)
        return True

    def improve(self, task: Task, limits: Mapping[bytes, int]) -> bool:
        self._improve(task, limits)
        return True

    def add_file(self, task: FileTask) -> bool:
        limits = task.run(lambda: None, lambda call: call())
        task.improve(limits, lambda: None, lambda call: call())
        return True
