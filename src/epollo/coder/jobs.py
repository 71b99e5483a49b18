"""What is asked of a coder: a request, and what becomes of its answers."""

from collections.abc import Callable, Mapping

from epollo.coder.messages import Answer, Grade, Outcome, Request
from epollo.coder.sockets import INLINE_OCTETS_LIMIT
from epollo.http.message import FileSegment, count_octets
from epollo.site.codings import CODED_OCTETS_LIMIT, CODINGS, LARGE_OCTETS, worthwhile_octets
from epollo.site.compressor import Compressor, Task
from epollo.site.file_task import FileTask
from epollo.site.sealed import Coded, SealedOctets, seal


class Job:
    """Something to be coded, and what was made of it so far."""

    grade: Grade

    def __init__(self) -> None:
        self.tries = 0

    def is_wanted(self) -> bool:
        """Return whether the codings are still of use."""
        raise NotImplementedError

    def describe(self, number: int) -> tuple[Request, int, object]:
        """Return the request, the descriptor to go with it or -1, and what keeps that open.

        Raises `OSError`.
        """
        raise NotImplementedError

    def is_answered_by(self, answer: Answer, coded: Coded | None) -> bool:
        """Return whether this was asked for: a coder may be code that has broken into it."""
        raise NotImplementedError

    def take(self, answer: Answer, coded: Coded | None) -> None:
        """Note the outcome of one coding."""
        raise NotImplementedError

    def do_alone(self, compressor: Compressor) -> None:
        """Have it made by the thread."""
        raise NotImplementedError


class KeptJob(Job):
    """Content that is kept; ``made`` has the sidecars that can be used, and ``best`` limits or None."""

    def __init__(
        self, task: Task, made: dict[bytes, Coded], best: Mapping[bytes, int] | None
    ) -> None:
        super().__init__()
        self._task = task
        self._made = made
        self._best = best
        self._octets = octets = count_octets(task.content)
        self.grade = Grade.QUICK if best is None else Grade.BEST
        if octets >= LARGE_OCTETS:
            self.grade = Grade.LARGE
        most = worthwhile_octets(octets) if octets <= CODED_OCTETS_LIMIT else 0
        if best is None:
            self._wanted = tuple(
                most if one in task.codings and one.name not in made else 0 for one in CODINGS
            )
        else:
            self._wanted = tuple(max(0, min(best.get(one.name, 1) - 1, most)) for one in CODINGS)
        self._limits: dict[bytes, int] = {}

    def is_wanted(self) -> bool:
        """Return whether the version is still current."""
        return self._task.is_wanted()

    def finish(self) -> bool:
        """Hand on what there is, if nothing more is to be made; return whether that is so."""
        if any(self._wanted):
            return False
        self._task.done(self._made, {})
        return True

    def describe(self, number: int) -> tuple[Request, int, object]:
        """Return the request. Raises `OSError`."""
        content = self._task.content
        request = Request(number, self.grade, self._octets, self._wanted, None)
        if not isinstance(content, bytes):
            return request, content.file.descriptor, content
        if self._octets <= INLINE_OCTETS_LIMIT:
            return request._replace(content=content), -1, None
        sealed = seal((content,))
        return request, sealed.descriptor, sealed

    def is_answered_by(self, answer: Answer, coded: Coded | None) -> bool:
        """Return whether the coding is wanted, and not longer than it may be."""
        return _is_within(self._wanted[answer.place], coded)

    def take(self, answer: Answer, coded: Coded | None) -> None:
        """Note a coding, and hand on all of them with the last."""
        name = CODINGS[answer.place].name
        if coded is not None:
            self._made[name] = coded
        if self.grade is Grade.QUICK and answer.outcome in {Outcome.MADE, Outcome.TOO_LONG}:
            self._limits[name] = self._octets if coded is None else coded.length
        if answer.is_last:
            # All at once: each time that there is a better coding, what was answered is rendered again.
            self._task.done(self._made, self._limits)

    def do_alone(self, compressor: Compressor) -> None:
        """Have it made by the thread."""
        if self._best is None:
            compressor.add(self._task)
        else:
            compressor.improve(self._task, self._best)


class ShareJob(Job):
    """Content in a sealed file; ``use`` is called with a file of the same content, this or another."""

    grade = Grade.SHARE

    def __init__(
        self,
        content: FileSegment,
        is_wanted: Callable[[], bool],
        use: Callable[[SealedOctets], None],
    ) -> None:
        super().__init__()
        self._content = content
        self._is_wanted = is_wanted
        self._use = use

    def is_wanted(self) -> bool:
        """Return whether the content is still kept."""
        return self._is_wanted()

    def describe(self, number: int) -> tuple[Request, int, object]:
        """Return the request."""
        content = self._content
        limits = (0,) * len(CODINGS)
        request = Request(number, Grade.SHARE, content.length, limits, None)
        return request, content.file.descriptor, content

    def is_answered_by(self, answer: Answer, coded: Coded | None) -> bool:  # noqa: ARG002
        """Return whether it is a file of the same length."""
        return coded is None or coded.length == self._content.length

    def take(self, answer: Answer, coded: Coded | None) -> None:  # noqa: ARG002
        """Hand on the file."""
        if coded is not None and isinstance(coded.content, SealedOctets):
            self._use(coded.content)

    def do_alone(self, compressor: Compressor) -> None:
        """Keep the content as it is."""


class FileJob(Job):
    """A file that is not kept; ``limits`` say how long the codings that are wanted may be."""

    def __init__(self, task: FileTask, grade: Grade, limits: dict[bytes, int]) -> None:
        super().__init__()
        self.task = task
        self.grade = grade
        self._limits = limits
        self.better: dict[bytes, int] = {}
        """How long each of them may be to be made better."""

    def is_wanted(self) -> bool:
        """Return whether the file is the version that it was opened as."""
        return self.task.is_wanted() and self.task.content.is_unchanged()

    def describe(self, number: int) -> tuple[Request, int, object]:
        """Return the request."""
        content = self.task.content
        limits = tuple(self._limits.get(one.name, 0) for one in CODINGS)
        return (
            Request(number, self.grade, content.length, limits, None),
            content.descriptor,
            content,
        )

    def is_answered_by(self, answer: Answer, coded: Coded | None) -> bool:
        """Return whether the coding is wanted, and not longer than it may be."""
        return _is_within(self._limits.get(CODINGS[answer.place].name, 0), coded)

    def take(self, answer: Answer, coded: Coded | None) -> None:
        """Hand on a coding of what the file still is."""
        name = CODINGS[answer.place].name
        if not self.is_wanted():
            return
        self.better[name] = self._limits[name] if coded is None else coded.length - 1
        if coded is not None:
            self.task.done(name, coded)

    def do_alone(self, compressor: Compressor) -> None:
        """Have it made by the thread."""
        if self.grade is Grade.LARGE:
            compressor.add_file(self.task)


def _is_within(limit: int, coded: Coded | None) -> bool:
    if coded is None:
        return limit > 0
    return coded.length <= limit and bool(coded.entity_tag.opaque)
