"""The style and the script of listings: two files of this program, at a reserved path.

Each is asked for with the hash of its content, so that a client need not ask for it again. The hash
stands in the query, because tools that read a page for the files of a folder pass over references with
a query. The path begins with a dot: nothing of a site is served there.
"""

import os

from epollo.annotations import Final
from epollo.http.caching import IMMUTABLE
from epollo.http.content_coding import IDENTITY
from epollo.named_tuples import NamedTuple
from epollo.site.blake2 import blake2b
from epollo.site.inspection import Inspected
from epollo.site.listing.snapshot import NO_VERSION, GeneratedResource
from epollo.site.media_types import select_media_type
from epollo.site.representation import Edition, represent
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource

_FOLDER: Final = b".epollo"


class Asset(GeneratedResource):
    """A file of this program, for as long as it runs."""

    __slots__ = ()

    def __init__(self, names: Names, content: bytes) -> None:
        super().__init__(names, Kind.FILE, (), 0, _confirm)
        inspected = Inspected(select_media_type(names[-1]), IDENTITY)
        edition = Edition(NO_VERSION, 0, inspected, represent(content))
        edition.cache_fields = ((b"Cache-Control", IMMUTABLE),)
        self.edition = edition


def _confirm(resource: Resource) -> bool:
    """Return that nothing changes."""
    return resource.is_current


class _Reference(NamedTuple):
    """How a page refers to a file of this program."""

    asset: Asset
    query: bytes

    @property
    def href(self) -> str:
        """The reference, from the root."""
        return (b"/".join(self.asset.names) + b"?" + self.query).decode("ascii")


def _read(name: str) -> _Reference:
    # Read when this is imported: a worker that is confined may read no file of the program.
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
        content = file.read()
    digest = blake2b(content, digest_size=6).hexdigest()
    return _Reference(Asset((_FOLDER, name.encode()), content), digest.encode())


STYLE: Final = _read("listing.css")
SCRIPT: Final = _read("listing.js")

_BY_PATH: Final = {b"/" + b"/".join(one.asset.names): one for one in (STYLE, SCRIPT)}


def find_asset(path: bytes, query: bytes | None) -> Asset | None:
    """Return the file at a path, in the version that the query names; both as they stand in a request."""
    found = _BY_PATH.get(path)
    return found.asset if found is not None and found.query == query else None
