"""What each answer says in Cache-Control, by the name of its file and by what this server has seen.

Facts: without the field a browser may show a page for a tenth of its age without asking (RFC 9111
section 4.2.2), and a redirect forever.
Decision: a client asks each time, and the entity tag makes the answer a 304. Only a name that carries a
fingerprint of its content (`fingerprints`) says that it need not be asked for again, and only until
this server has seen another content under it.
Price: what is remembered of names is bounded. Beyond 16,384 to 32,768 names the oldest content is
forgotten; beyond 1,024 names whose content has changed, no name is trusted.
"""

import os
from collections.abc import Callable

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.http.caching import IMMUTABLE, NO_CACHE, NO_CACHE_FIELD
from epollo.http.message import FieldLine
from epollo.settings.option import CACHE_CONTROL_WORDS
from epollo.site.blake2 import blake2b
from epollo.site.fingerprints import has_fingerprint
from epollo.site.representation import Edition

AUTO, NONE = CACHE_CONTROL_WORDS

_NO_CACHE_FIELDS: Final = (NO_CACHE_FIELD,)
_IMMUTABLE_FIELDS: Final = ((NO_CACHE_FIELD[0], IMMUTABLE),)
_SEEN_NAMES_LIMIT: Final = 16_384
_CHANGED_NAMES_LIMIT: Final = 1024


def select_cache_control(names: tuple[bytes, ...], media_type: bytes) -> bytes:
    """Return the value of Cache-Control for the file at a path of names, by its name alone."""
    return IMMUTABLE if has_fingerprint(names[-1], media_type) else NO_CACHE


class CachePolicy:
    """The choice of Cache-Control for each version of a file.

    ``choice`` is `AUTO`, `NONE`, or the value that every file gets. ``error_fields`` are the field lines
    of every answer without a file: an error or a redirect is never kept without asking.
    """

    def __init__(self, choice: str = AUTO, report: Callable[[str], None] = lambda _: None) -> None:
        self._report = report
        self._fixed: tuple[FieldLine, ...] | None = None
        self.error_fields: tuple[FieldLine, ...] = (NO_CACHE_FIELD,)
        if choice == NONE:
            self._fixed = self.error_fields = ()
        elif choice != AUTO:
            self._fixed = (_line(choice.encode("ascii")),)
        # By a hash of the name: 16 octets, however long a path is.
        self._seen: Generations[bytes, bytes] = Generations(
            entries_limit=_SEEN_NAMES_LIMIT, octets_limit=0
        )
        self._changed: set[bytes] = set()

    def select_fields(self, names: tuple[bytes, ...], edition: Edition) -> tuple[FieldLine, ...]:
        """Return the field lines that each answer with this version of a file has."""
        if self._fixed is not None:
            return self._fixed
        value = select_cache_control(names, edition.media_type.value)
        if value == IMMUTABLE and not self._is_verified(names, edition):
            value = NO_CACHE
        return _NO_CACHE_FIELDS if value == NO_CACHE else _IMMUTABLE_FIELDS

    def _is_verified(self, names: tuple[bytes, ...], edition: Edition) -> bool:
        """Return whether no other content was seen under a name than that of this version."""
        if not edition.identity.length:
            # A copy in place begins with an empty file.
            return False
        path = b"/".join(names)
        key = blake2b(path, digest_size=16).digest()
        if key in self._changed or len(self._changed) >= _CHANGED_NAMES_LIMIT:
            return False
        mark = _mark(edition)
        seen = self._seen.get(key)
        if seen is None:
            self._seen.put(key, mark)
        elif seen != mark:
            self._note_change(path, key)
        return seen in {None, mark}

    def _note_change(self, path: bytes, key: bytes) -> None:
        self._changed.add(key)
        self._report(
            f"{os.fsdecode(path)} has changed, though its name looks like that of a file which never "
            "does; from now on browsers ask for it each time"
        )
        if len(self._changed) == _CHANGED_NAMES_LIMIT:
            self._report(
                f"{_CHANGED_NAMES_LIMIT:,} such files have changed; from now on no other name is trusted"
            )


def _line(value: bytes) -> FieldLine:
    return (b"Cache-Control", value)


def _mark(edition: Edition) -> bytes:
    """Return octets that another content does not share.

    Of content that is kept, its hash. A file too large to be kept is not read for this: another length
    or time of modification counts as another content.
    """
    if edition.identity.content is None:
        return b"%d %d" % (edition.version.octets, edition.version.modified_ns)
    return edition.identity.tag
