"""A resource: what stands at a path of names, for as long as it stands there.

A path where nothing stands has a resource, too: that there is nothing is what an answer 404 rests on.
"""

import weakref
from collections.abc import Callable

from epollo.annotations import Final, TypeAlias
from epollo.http.message import Basis, Releasable
from epollo.site.file_codings import NO_SIDECARS
from epollo.site.folders import Folder
from epollo.site.representation import Edition
from epollo.site.resolve import Edge, Kind, Names
from epollo.site.watch import has_unwatched

# What a resource is counted as besides content and codings; the same where there is no content; and each
# of the names. Its objects and slots of dictionaries take half of it. The other half stands for what an
# allocator cannot give to another size: with 16 MiB and pages that come and go, a process grew by 1.3 of
# `--cache-size` without it, and by 1.1 with it.
RESOURCE_OCTETS: Final = 2048
ABSENCE_OCTETS: Final = 512
NAME_OCTETS: Final = 64

_COARSEST_TICK_SECONDS: Final = 2
_ANSWERS_LOOKED_AT: Final = 8

Confirm: TypeAlias = "Callable[[Resource], bool]"
"""Returns whether a resource still stands, compared with the file system once a second."""


class Whole:
    """A mark that ends all that was found in the tree below a root; a `Folder` is such a mark, too."""

    __slots__ = ("is_current",)

    def __init__(self) -> None:
        self.is_current = True


_LASTING: Final = Whole()
_NONE: Final[frozenset[bytes]] = frozenset()


class Resource(Basis):
    """What stands at a path of names, while it stands there: a basis of the answers made of it."""

    __slots__ = (
        "_answers",
        "_confirm",
        "asked",
        "doubts",
        "edges",
        "edition",
        "ends_with",
        "era",
        "folder",
        "has_ended",
        "hits",
        "improvable",
        "kind",
        "may_be_ambiguous",
        "names",
        "octets",
        "offered",
        "seconds_used",
        "sidecars",
    )

    def __init__(
        self,
        names: Names,
        kind: Kind,
        edges: tuple[Edge, ...],
        second: int,
        confirm: Confirm,
        *,
        era: int = 0,
    ) -> None:
        """Begin with what was found in this second (since 1970), and in this era."""
        self._confirm = confirm
        # Answers that are recalled; an answer that recall has dropped is gone from here as well.
        self._answers: weakref.ref[Releasable] | list[weakref.ref[Releasable]] | None = None
        self.names = names
        self.kind = kind
        self.edges = edges
        self.edition: Edition | None = None
        self.folder: Folder | None = None
        """The folder that this was found in, if it ends as a member of it; it may have more edges."""
        self.era = era
        """How often all answers of the site had ended at once when its own were looked at."""
        self.doubts = 0
        """How often all had to be compared anew, up to the last look at this."""
        self.has_ended = False
        """Whether this was ended by itself."""
        self.ends_with: Whole | Folder = _LASTING
        """What ends with all that was found in it."""
        self.asked = 0
        """How often codings were looked for, until they were offered."""
        self.improvable: tuple[tuple[bytes, int], ...] = ()
        """Names of codings, and how short one has to be to take the place of the one that was made."""
        self.seconds_used = 0
        """In how many seconds this was asked for after the first."""
        self.offered: frozenset[bytes] = _NONE
        """The names of the codings that were asked for."""
        self.may_be_ambiguous = False
        """Whether another edit may have the same times, and cause no event."""
        self.checked_second = second
        self.hits = 0
        own_octets = RESOURCE_OCTETS if kind is Kind.FILE else ABSENCE_OCTETS
        self.octets = own_octets + NAME_OCTETS * len(names) + sum(map(len, names))
        self.sidecars = NO_SIDECARS
        """Where the content is not kept: what stands beside it, by name of the coding."""

    @property
    def is_current(self) -> bool:
        """Whether this has not ended, so far as is known."""
        return not self.has_ended and self.ends_with.is_current

    def stands(self, second: int) -> bool:  # noqa: ARG002
        """Return whether this still stands at its path, compared with the file system once a second."""
        return self._confirm(self)

    def hold(self, answer: Releasable) -> None:
        """Have an answer that is kept release its content when this ends."""
        reference = weakref.ref(answer)
        answers = self._answers
        if answers is None:
            # Most have one answer: a list takes as much again.
            self._answers = reference
            return
        if not isinstance(answers, list):
            self._answers = [answers, reference]
            return
        if len(answers) >= _ANSWERS_LOOKED_AT and len(answers) & (len(answers) - 1) == 0:
            # At each doubling, so that it costs O(1) for each.
            self._answers = answers = [one for one in answers if one() is not None]
        answers.append(reference)

    def note_ambiguity(self, second: int, edges: tuple[Edge, ...]) -> None:
        """Note whether the file may change again without another time, and without an event.

        File systems count time in ticks, of up to two seconds (FAT).
        """
        if self.edition is not None:
            until_second = (
                self.edition.version.modified_ns // 1_000_000_000 + _COARSEST_TICK_SECONDS
            )
            self.may_be_ambiguous = until_second >= second and has_unwatched(edges)

    def end(self) -> None:
        """Stand no longer: the path was changed, or this was evicted."""
        self.mark_ended()
        self.end_answers()

    def mark_ended(self) -> None:
        """Stand no longer; what was made of this is still to be released."""
        self.has_ended = True
        self.checked_second = -1

    def begin_era(self, era: int) -> None:
        """Release the answers of an earlier era, and those of this era that are kept already."""
        self.era = era
        self.end_answers()

    def end_answers(self) -> None:
        """Let none of the answers made so far be given again."""
        answers, self._answers = self._answers, None
        if isinstance(answers, weakref.ref):
            answers = [answers]
        for reference in answers or ():
            answer = reference()
            if answer is not None:
                answer.release()
