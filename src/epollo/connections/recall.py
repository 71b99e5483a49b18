"""Recall: what asked for an answer, to the rendered answer, without parsing.

Facts: the answer to a request is a pure function of the scheme, of the octets of its head that an answer
may depend on, and of the state of the site. Most of what is asked for once is never asked for again.
Decision: an answer is kept with its *basis*, what it was made of, and given again for as long as that
stands. The basis is looked at when the answer is found; if it was found to stand in this second
already, that is one comparison. Nothing in an answer tells the time (`protocols.answer`), so neither a
clock nor a change of anything else ends it. The octets are bounded by S3-FIFO (Yang and others, "FIFO
queues are all you need for cache eviction", SOSP 2023): a new answer stands in a short queue and is
dropped at its end, unless it was asked for again meanwhile.
Consequence: what may be given again, and for how long, is decided here and nowhere else. Names that a
scanner tries, and queries that each come once, pass through the short queue and drive out nothing that
is in use.
Price: an answer whose basis has ended keeps its place, without its content, until its turn comes.

There is one recall for each scheme and way in which clients are verified. An answer is known by the
reduced octets of its request (`HeadReader.reduce`), which all clients that want the same thing share.
Octets as they came get an entry of their own if they come again. This saves the reduction: an answer
that is in use takes a single look-up. A cookie on which no answer depends is left out of them.
"""

from array import array
from collections import deque
from collections.abc import Callable

from epollo.annotations import Final
from epollo.budget import Budget, round_up
from epollo.generations import Generations
from epollo.http.message import ENDED, Later, Request, Response, close_files
from epollo.loop import Clock
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import HeadReader, cut_answer, split_range

_BUDGET_OCTETS: Final = 256 * 1024 * 1024
# The scopes of a scheme together take one part in this number of the budget.
_SHARE: Final = 4
_REQUEST_OCTETS_LIMIT: Final = 4096
_NO_SECOND: Final = -2
"""A second in which nothing was ever looked at."""
_FINGERPRINTS_LIMIT: Final = 16384
_MARKS: Final = 65536
"""How many octets as they came are known to have come before, at most."""
# One part in this number of what is here is for each of the two generations of octets as they came.
_AT_HAND_SHARE: Final = 8
# One part in this number of the rest, the answers by reduced octets, is for the short queue.
_SHORT_SHARE: Final = 10
_SPARED_LIMIT: Final = 32
"""The most answers that are passed over, for a new one, until one is found that is not in use."""

# What an entry takes besides its octets: the object, its basis and what holds it, three headers of
# bytes, the places in a dictionary and a queue. Octets as they came take a header and the places only.
_ENTRY_OCTETS: Final = 400
_AT_HAND_OCTETS: Final = 150
# A Range line as clients write it. Any other spelling is not sought here, and takes the long way.
_RANGE: Final = b"ange:"
_HAS_RANGES: Final = b"Accept-Ranges: bytes\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class Recall:
    """The answers of one scope, at most a quarter of the ``budget``, or one of its ``parts``."""

    __slots__ = (
        "_budget",
        "_clock",
        "_doubted_second",
        "_dropped",
        "_limit",
        "_main",
        "_marks",
        "_short",
        "_short_limit",
        "_short_octets",
        "at_hand",
        "known",
        "octets",
    )

    def __init__(self, clock: Clock, budget: Budget | None = None, parts: int = 1) -> None:
        self._clock = clock
        self._budget = budget or Budget(_BUDGET_OCTETS)
        octets_limit = self._budget.octets_limit // (_SHARE * parts)
        self._limit = octets_limit - octets_limit // _AT_HAND_SHARE * 2
        self._short_limit = self._limit // _SHORT_SHARE
        self.known: dict[bytes, Answer] = {}
        """Answers by the reduced octets; `is_true` is asked before one is given again."""
        self.octets = 0
        """What the answers that are known take."""
        # Each key stands in one of the queues.
        self._short: deque[bytes] = deque()
        self._main: deque[bytes] = deque()
        self._short_octets = 0
        # Fingerprints of what the short queue dropped: if it comes again, it goes to the main queue.
        self._dropped: set[int] = set()
        self.at_hand: Generations[bytes, Answer] = Generations(
            entries_limit=octets_limit, octets_limit=octets_limit // _AT_HAND_SHARE
        )
        """Answers by octets as they came; a connection looks into its young generation first.

        `is_true` is asked before one is given again.
        """
        # The marks of octets that came before; their hash gives place and mark. Empty until needed.
        self._marks = array("I")
        self._doubted_second = _NO_SECOND

    def __len__(self) -> int:
        return len(self.known) + len(self.at_hand)

    def is_true(self, answer: Answer) -> bool:
        """Return whether an answer may be given again now.

        To look at one part of its basis may reveal that another part has ended, or that much may have.
        """
        basis = answer.basis
        second = self._clock.second
        if second != self._doubted_second:
            if basis.checked_second != second and not basis.stands(second):
                return False
            if second != self._doubted_second:
                return answer.basis is basis
        return basis.stands(_NO_SECOND) and answer.basis is basis

    def doubt(self) -> None:
        """Look at each answer again, for the rest of this second, before it is given."""
        self._doubted_second = self._clock.second

    def find(self, reduced: bytes) -> Answer | None:
        """Return the answer to a reduced head, if it may be given again."""
        answer = self.known.get(reduced)
        if answer is None:
            return None
        return answer if self.is_true(answer) else None

    def find_at_hand(self, octets: bytes, trusted_second: int) -> Answer | None:
        """Return the answer to octets as they have come before, if it may be given again.

        What was found to stand in the trusted second stands.
        """
        answer = self.at_hand.young.get(octets)
        if answer is None or answer.basis.checked_second == trusted_second:
            return answer
        return answer if self.is_true(answer) else None

    def find_whole(self, octets: bytes, reader: HeadReader) -> tuple[Answer | None, bytes]:
        """Return the answer to octets that ask for what is known, in whatever words.

        It may be given now. If there is none, and the octets are one whole head, valid or not, return
        what the head was stripped to.
        """
        # Octets that are known with or without a cookie are one whole head.
        asking = reader.blank(octets) or octets
        answer = self.at_hand.young.get(asking)
        if answer is None:
            answer = self.at_hand.get(asking, _AT_HAND_OCTETS + len(asking))
        second = self._clock.second
        trusted_second = _NO_SECOND if second == self._doubted_second else second
        if answer is not None and (
            answer.basis.checked_second == trusted_second or self.is_true(answer)
        ):
            return answer, b""
        end = octets.find(_HEAD_END)
        if end < 0 or end != len(octets) - len(_HEAD_END) or octets.startswith(b"\r\n"):
            return None, b""
        split = None
        if _RANGE in octets and reader.is_bounded(octets) and (split := split_range(asking)):
            # A head that is known is valid, and so is a line with a range that it can have.
            answer = self._cut(self.at_hand.young.get(split[0]), split[1])
            if answer is not None:
                return answer, b""
        left = reader.strip(octets)
        # What is left is known only if it is a valid head, and then the octets are one, too (`strip`).
        answer = self.known.get(left)
        if answer is not None and (
            answer.basis.checked_second == trusted_second or self.is_true(answer)
        ):
            self._note(asking, answer)
            return answer, b""
        if split is not None and (answer := self._find_part(left, split[0])) is not None:
            return answer, b""
        return None, left

    def keep(self, reduced: bytes, answer: Answer) -> bool:
        """Give this answer again to what is reduced to the same, for as long as its basis stands.

        Return whether it is kept. It is not if its basis has ended by now, or if it is too long.
        """
        if not self.is_true(answer):
            return False
        octets = _measure(reduced, answer)
        # A long part of a content would stay in memory for this entry alone.
        is_copy = answer.status == 206 and any(isinstance(one, bytes) for one in answer.rest)
        if is_copy or len(reduced) > _REQUEST_OCTETS_LIMIT or octets > self._short_limit:
            return False
        answer.kept_octets = octets
        self._put(reduced, answer)
        answer.basis.hold(answer)
        return True

    def keep_whole(
        self,
        reduced: bytes,
        request: Request,
        respond: Callable[[Request], Response | Later],
        render: Callable[[Request, Response], Answer],
    ) -> None:
        """Keep the answer with the whole of what a request asks a part of, unless it is known.

        To be called before the part is kept: this looks at the basis once more, and if that has ended,
        all answers that are kept lose their content.
        """
        split = split_range(reduced)
        if split is None or self.find(split[0]) is not None:
            return
        fields = {name: value for name, value in request.fields.items() if name != b"range"}
        whole = request.replace_fields(fields)
        response = respond(whole)
        if isinstance(response, Later):
            return
        answer = render(whole, response)
        if not self.keep(split[0], answer):
            close_files(answer.rest)

    def clear(self) -> None:
        """Forget everything."""
        for kept in (self.known, self._short, self._main, self._dropped, self.at_hand):
            kept.clear()
        self._marks = array("I")
        self._budget.give_back(self.octets)
        self.octets = self._short_octets = 0

    def _find_part(self, reduced: bytes, rest: bytes) -> Answer | None:
        """Return an answer with a range of what is known as a whole, to be given once.

        ``rest`` is what was asked without the range; from the second time on it leads to the whole at
        once.
        """
        split = split_range(reduced)
        if split is None:
            return None
        whole = self.known.get(split[0])
        answer = self._cut(whole, split[1])
        if whole is not None and answer is not None:
            self._note(rest, whole)
        return answer

    def _cut(self, whole: Answer | None, value: bytes) -> Answer | None:
        """Return an answer with a range of this one, if it may be given now."""
        if whole is None or not self.is_true(whole):
            return None
        answer = cut_answer(whole, value)
        if answer is not None:
            whole.uses += 1
        return answer

    def _note(self, octets: bytes, answer: Answer) -> None:
        """Have octets that come for the second time lead to their answer without a reduction.

        With a cookie, they do if they have come with another cookie before, or if the cookie is blank.
        """
        if not self._marks:
            self._marks = array("I", bytes(4 * _MARKS))
        mark, place = divmod(hash(octets) & 0xFFFF_FFFF_FFFF, _MARKS)
        if self._marks[place] != mark:
            self._marks[place] = mark
        elif len(octets) <= _REQUEST_OCTETS_LIMIT:
            self.at_hand.put(octets, answer, _AT_HAND_OCTETS + len(octets))

    def _put(self, key: bytes, answer: Answer) -> None:
        former = self.known.get(key)
        self.known[key] = answer
        self.octets += answer.kept_octets
        if former is not None:
            # The basis of the former answer has ended; the new answer takes its place in the queue.
            self._discount(former)
            answer.uses, answer.is_established = former.uses, former.is_established
            if not answer.is_established:
                self._short_octets += answer.kept_octets - former.kept_octets
        elif hash(key) in self._dropped:
            answer.is_established = True
            self._main.append(key)
        else:
            self._short.append(key)
            self._short_octets += answer.kept_octets
        self._budget.take(answer.kept_octets)
        if self._short_octets > self._short_limit or self.octets > self._limit:
            self._make_room()

    def _make_room(self) -> None:
        # Down to half of it, the short queue gives way first: what is new and longer than what is dropped
        # for it would else take the place of what is in use.
        while self._short_octets > self._short_limit or (
            self.octets > self._limit and self._short_octets > self._short_limit // 2
        ):
            key = self._short.popleft()
            answer = self.known[key]
            self._short_octets -= answer.kept_octets
            # The first use is that of the request for which it was made.
            if self.octets <= self._limit or (answer.uses > 1 and answer.basis is not ENDED):
                answer.uses = 0
                answer.is_established = True
                self._main.append(key)
            else:
                _remember(self._dropped, hash(key))
                self._drop(key, answer)
        spared = 0
        while self.octets > self._limit:
            key = self._main.popleft()
            answer = self.known[key]
            if answer.uses and spared < _SPARED_LIMIT and answer.basis is not ENDED:
                answer.uses = 0
                spared += 1
                self._main.append(key)
            else:
                self._drop(key, answer)

    def _drop(self, key: bytes, answer: Answer) -> None:
        del self.known[key]
        self._discount(answer)

    def _discount(self, answer: Answer) -> None:
        self.octets -= answer.kept_octets
        self._budget.give_back(answer.kept_octets)


def _measure(key: bytes, answer: Answer) -> int:
    """Return what an entry takes.

    The content of a file, which has ranges, and of a page 404 is the representation's own.
    """
    octets = _ENTRY_OCTETS + len(key) + len(answer.fields)
    status = answer.status
    if status != 404 and (status != 200 or _HAS_RANGES not in answer.fields):
        octets += len(answer.content)
        octets += sum(len(one) for one in answer.rest if isinstance(one, bytes))
    return round_up(octets)


def _remember(fingerprints: set[int], fingerprint: int) -> None:
    if len(fingerprints) >= _FINGERPRINTS_LIMIT:
        fingerprints.clear()
    fingerprints.add(fingerprint)
