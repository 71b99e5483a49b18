"""What the answers of a site rest on, and so for how long each may be given again."""

from collections.abc import Mapping

from epollo.annotations import Final
from epollo.http.message import PERMANENT, AllOf, Basis, OneSecond
from epollo.site.open_files import OpenFile
from epollo.site.representation import Edition
from epollo.site.resource import Resource

_DATED: Final = frozenset((b"if-modified-since", b"if-unmodified-since", b"if-range"))
"""Fields whose value may be a date."""


class Unchanged(Basis):
    """The content of a file that is not kept, as the basis of an answer: looked at each time."""

    __slots__ = ("_file",)

    def __init__(self, file: OpenFile) -> None:
        self.checked_second = -1
        self._file = file

    def stands(self, second: int) -> bool:
        """Return whether the content is still that of the version."""
        return self._file.is_unchanged(second)


def select_basis(
    fields: Mapping[bytes, bytes], resource: Resource, edition: Edition, second: int
) -> Basis | None:
    """Return what an answer that was made of an edition in this second rests on; None for nothing.

    Some also depend on the time: Last-Modified within the second of a change, and conditions with a
    date whose century the time tells.
    """
    if not resource.is_current:
        return None
    if (edition.last_modified_seconds or 0) >= second or (
        not _DATED.isdisjoint(fields)
        and any(_has_short_year(fields[name]) for name in _DATED.intersection(fields))
    ):
        return AllOf(resource, OneSecond(second))
    return resource


def _has_short_year(value: bytes) -> bool:
    """Return whether a condition may have a year of two digits (rfc850-date, RFC 9110 section 5.6.7).

    Of the three forms of a date it alone has hyphens; and entity tags may have them.
    """
    return b"-" in value and b'"' not in value


def limit_basis(basis: Basis | None, until: Basis | None) -> Basis | None:
    """Return the basis of an answer that rests on both; None if one of them is None."""
    if basis is None or until is None:
        return None
    return basis if until is PERMANENT else AllOf(basis, until)


def select_file_basis(basis: Basis | None, edition: Edition, file: OpenFile) -> Basis | None:
    """Return what an answer that is read from a file also rests on, as no event tells of all changes."""
    if basis is None or file is not edition.file:
        return None
    return AllOf(basis, Unchanged(file))
