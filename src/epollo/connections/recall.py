"""Recall: what asked for an answer, to the rendered answer, without parsing.

Facts: the answer to a request is a pure function of the scheme, of the octets of its head that an answer
may depend on, and of the state of the site.
Decision: an answer is kept with its *basis*, what it was made of, and given again for as long as that
stands. The basis is looked at at the hit, which costs a comparison where it was found to stand in this
second already. Nothing in an answer tells the time (`protocols.answer`), so no clock ends it, nor does
a change of anything else.
Consequence: what may be given again, and for how long, is decided here and nowhere else.
Price: an answer whose basis has ended takes its place, without its content, until its generation goes.

There is one recall for each scheme. An answer is known by the reduced octets of its request
(`HeadReader.reduce`), which all clients that want the same thing share. Octets as they came, and what
stands around a cookie in them, get an entry of their own when they come a second time: requests that
differ each from the last are never seen twice and take no room.
"""

from typing import Final, TypeAlias

from epollo.generations import Generations
from epollo.loop import Clock
from epollo.protocols.answer import Answer
from epollo.protocols.contract import Refusal
from epollo.protocols.http1 import HeadReader

_ENTRIES_LIMIT: Final = 1024 * 1024
OCTETS_LIMIT: Final = 4 * 1024 * 1024
_REQUEST_OCTETS_LIMIT: Final = 4096
_SEEN_LIMIT: Final = 16384

# What an entry takes besides its octets: the object, the dictionary's slot, three headers of bytes.
_ENTRY_OCTETS: Final = 500
_HEAD_END: Final = b"\r\n\r\n"

Key: TypeAlias = bytes | tuple[bytes, bytes]
"""Octets of a request, or the two parts of them that stand around a cookie (`part_at_cookie`)."""


class Recall(Generations[Key, Answer]):
    """The answers of one scheme, bounded to two generations of ``octets_limit`` each."""

    __slots__ = ("_clock", "_seen")

    def __init__(self, clock: Clock, octets_limit: int = OCTETS_LIMIT) -> None:
        super().__init__(entries_limit=_ENTRIES_LIMIT, octets_limit=octets_limit)
        self._clock = clock
        self._seen: set[int] = set()

    def is_true(self, answer: Answer) -> bool:
        """Return whether an answer may be given again now.

        A look at one part of what it rests on may find that another part has ended.
        """
        second = self._clock.second
        basis = answer.basis
        return (basis.checked_second == second or basis.stands(second)) and answer.basis is basis

    def find(self, key: Key) -> Answer | None:
        """Return the answer that is known by a key and may be given again."""
        answer = self.young.get(key)
        if answer is None:
            answer = self._old.pop(key, None)
            if answer is None:
                return None
            if self.is_true(answer):
                self._keep(key, answer)
                return answer
        elif self.is_true(answer):
            return answer
        else:
            del self.young[key]
        return None

    def find_reduced(self, reduced: bytes, *others: Key) -> Answer | None:
        """Return the answer to a reduced head; have the other keys lead to it when they come again."""
        answer = self.find(reduced)
        if answer is not None:
            for other in others:
                if other == reduced:
                    continue
                fingerprint = hash(other)
                if fingerprint in self._seen:
                    self._keep(other, answer)
                else:
                    if len(self._seen) >= _SEEN_LIMIT:
                        self._seen.clear()
                    self._seen.add(fingerprint)
        return answer

    def find_whole(self, octets: bytes, reader: HeadReader) -> tuple[Answer | None, bytes]:
        """Return the answer to octets that ask in other words for what is known.

        Where there is none, and the octets are one whole head, return what it was reduced to.
        """
        if octets in self._old:
            return self.find(octets), b""
        if len(octets) > reader.limits.head_octets:
            return None, b""
        parts = reader.part_at_cookie(octets)
        if parts is not None and (answer := self.find(parts)) is not None:
            # Known parts are those of one whole head, and a cookie between them leaves it one.
            return answer, b""
        if octets.find(_HEAD_END) != len(octets) - len(_HEAD_END) or octets.startswith(b"\r\n"):
            return None, b""
        reduced = reader.reduce(octets)
        if isinstance(reduced, Refusal):
            return None, b""
        others: tuple[Key, ...] = (octets,) if parts is None else (octets, parts)
        return self.find_reduced(reduced, *others), reduced

    def keep(self, reduced: bytes, answer: Answer) -> bool:
        """Give this answer again to what is reduced to the same, for as long as its basis stands.

        Return whether it is kept: not where its basis has ended by now, nor where it is too long.
        """
        is_kept = self.is_true(answer) and self._keep(reduced, answer)
        if is_kept:
            answer.basis.hold(answer)
        return is_kept

    def _keep(self, key: Key, answer: Answer) -> bool:
        """Keep an entry; return whether it is not too long.

        Content is the representation's own and is not counted here; a part of it (206) is a copy, and
        is kept only where it is short.
        """
        is_copy = answer.status == 206 and any(isinstance(one, bytes) for one in answer.rest)
        octets = len(key) if isinstance(key, bytes) else sum(map(len, key))
        if octets > _REQUEST_OCTETS_LIMIT or is_copy:
            return False
        copied_octets = len(answer.content) if answer.status == 206 else 0
        octets += len(answer.target) + len(answer.fields) + copied_octets
        self.put(key, answer, _ENTRY_OCTETS + octets)
        return True
