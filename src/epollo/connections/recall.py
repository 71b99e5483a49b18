"""Recall: the exact octets of a request to the rendered answer, without parsing.

Facts: the answer to a GET is a pure function of the octets of the request, the state of the site and
the second that Date shows.
Decision: what was answered to these octets in this second is answered again. At the first batch of
another second, and at every change of the site, everything is forgotten at once; the first request
after that is parsed and looked up, and recalled anew.
Consequence: no entry needs to be checked for being current, and the site gets to look at each file in
use about once a second.
Price: one full answer per distinct request and second, some ten microseconds.

An answer is known by the reduced octets of its request (`HeadReader.reduce`), which all clients that
want the same thing share. Octets as they came, and what stands around a cookie in them, get an entry of
their own when they come a second time: requests that differ each from the last are never seen twice and
take no room.
"""

from typing import Final, TypeAlias

from epollo.connections.answer import Answer
from epollo.generations import Generations

_ENTRIES_LIMIT: Final = 4096
_OCTETS_LIMIT: Final = 8 * 1024 * 1024
_REQUEST_OCTETS_LIMIT: Final = 4096

# What an entry takes besides its octets: the object, the dictionary's slot, three headers of bytes.
_ENTRY_OCTETS: Final = 400


Key: TypeAlias = bytes | tuple[bytes, bytes]
"""Octets of a request, or the two parts of them that stand around a cookie (`part_at_cookie`)."""


class Recall(Generations[Key, Answer]):
    """The answers of this second, bounded to two generations of 4,096 entries and 8 MiB."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        super().__init__(entries_limit=_ENTRIES_LIMIT, octets_limit=_OCTETS_LIMIT)
        self._seen: set[int] = set()

    def find(self, key: Key, *others: Key) -> Answer | None:
        """Return the answer that is known by a key; have the others lead to it when they come again."""
        answer = self.young.get(key) or self.get(key)
        if answer is not None:
            for other in others:
                if other is key:
                    continue
                fingerprint = hash(other)
                if fingerprint in self._seen:
                    self.keep(other, answer)
                else:
                    if len(self._seen) >= _ENTRIES_LIMIT:
                        self._seen.clear()
                    self._seen.add(fingerprint)
        return answer

    def get(self, key: Key, octets: int = 0) -> Answer | None:  # noqa: ARG002
        """Return the answer that is known by this key."""
        answer = self.young.get(key)
        if answer is None:
            answer = self._old.pop(key, None)
            if answer is not None:
                self.keep(key, answer)
        return answer

    def keep(self, key: Key, answer: Answer) -> None:
        """Recall this answer to these octets until `clear` is called.

        Long content is the representation's own and is not counted here; a long part of it (206) is
        a copy that nobody else has, and is not kept.
        """
        is_copy = answer.status == 206 and any(isinstance(one, bytes) for one in answer.rest)
        octets = len(key) if isinstance(key, bytes) else sum(map(len, key))
        if octets <= _REQUEST_OCTETS_LIMIT and not is_copy:
            self.put(key, answer, _ENTRY_OCTETS + octets + len(answer.octets))
