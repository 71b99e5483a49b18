"""One version of a file, compiled: its content, its validators, its answers.

A file that fits is read once per version and gets a strong entity tag from its *content*. Replicas
agree on it, and ``touch`` does not change it, but an edit to the same length within the same second
does. A file too large to be kept is read while it is sent. It first gets a tag from its version, and
one from its content when that has been read in the background (`tagging`).
"""

import copy
import errno
import mmap
import os
import stat
from collections.abc import Callable, Mapping
from types import MappingProxyType

from epollo.annotations import Final
from epollo.http.content_coding import IDENTITY
from epollo.http.message import FieldLine, FileSegment, Segment
from epollo.http.validators import EntityTag
from epollo.site.entity_tags import format_tag_of
from epollo.site.inspection import HEAD_OCTETS, Inspected, inspect
from epollo.site.media_types import MediaType
from epollo.site.open_files import SharedFile
from epollo.site.promise import Promise
from epollo.site.sealed import KEPT_FILE_OCTETS, Coded, SealedOctets, seal
from epollo.site.version import (
    Version,
    VersionMark,
    date_of,
    mark_version,
    read_mark,
    version_of,
)

_READ_ATTEMPTS: Final = 3
_TAG_FIELDS: Final = (b"if-match", b"if-none-match", b"if-range")
_KEPT_FILES_LIMIT: Final = 512
# What a coding takes besides its octets: objects; the first one a dictionary, and the names of sidecar
# files, which are watched.
_CODING_OCTETS: Final = 128
_FIRST_CODING_OCTETS: Final = 2048


class KeptFile:
    """Content kept in memory that the kernel can send without copying: a sealed memfd.

    Facts: from some 64 KiB on, ``sendfile`` takes two thirds of the time of ``send``, but a file may
    change while it is sent, down to the pages that are under way.
    Decision: what is kept of that length is a file of its own, without a name, and sealed
    (memfd_create(2)): no process can change it any more.
    Price: a descriptor for each, so their number is limited; beyond that, content is kept as octets.
    """

    is_sealed = True
    is_settled = True
    checked_second = 0

    __slots__ = ("_memory", "descriptor")

    _count = 0

    def __init__(self, content: bytes | SealedOctets) -> None:
        """Raise `OSError` if the system has no descriptor, or no such files."""
        if KeptFile._count >= _KEPT_FILES_LIMIT:
            raise OSError(errno.EMFILE, "as many as are allowed")
        if isinstance(content, bytes):
            content = seal((content,))
        self._memory: memoryview | None = None
        self.descriptor = content.take_descriptor()
        KeptFile._count += 1

    def __del__(self) -> None:
        # Answers that are under way, and recalled ones, still refer to it when its version ends.
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
            KeptFile._count -= 1 if self._memory is None else 2

    def settle(self) -> bool:
        """Return that no process writes to it: it is sealed."""
        return True

    def may_send_on(self, second: int) -> bool:  # noqa: ARG002 - as of any file
        """Return that the content is what it was: it is sealed."""
        return True

    def is_unchanged(self, second: int) -> bool:  # noqa: ARG002 - as of any file
        """Return that the content is what it was: it is sealed."""
        return True

    def map(self) -> memoryview | None:
        """Return the content as memory, for a transport that has to read it; mapped once.

        Python keeps a second descriptor for that, hence it counts twice.
        """
        if self._memory is None and KeptFile._count < _KEPT_FILES_LIMIT:
            try:
                # A file that is sealed may not be mapped as shared before Linux 6.7.
                memory = mmap.mmap(self.descriptor, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
            except OSError:
                return None
            self._memory = memoryview(memory)
            KeptFile._count += 1
        return self._memory

    def close(self) -> None:
        """Do nothing: the file is closed when nothing refers to it any more."""


class Representation:
    """The content of a version in one content coding.

    ``content`` is None for a file too large to be kept, and a segment of a `KeptFile` where that is
    the better way to send it; ``length`` is octets. ``tag`` is the entity tag, with its quotes: it is a
    strong one.
    """

    __slots__ = ("content", "length", "tag")

    def __init__(self, content: Segment | None, length: int, tag: bytes) -> None:
        self.content = content
        self.length = length
        self.tag = tag

    @property
    def entity_tag(self) -> EntityTag:
        """The entity tag."""
        return EntityTag(self.tag, is_weak=False)

    def read(self) -> bytes:
        """Return the content that is kept; no octets where none is."""
        if isinstance(self.content, FileSegment):
            return os.pread(self.content.file.descriptor, self.content.length, 0)
        return self.content or b""


_NOT_CODED: Final[Mapping[bytes, Representation]] = MappingProxyType({})


class Edition:
    """A version of a file, and what was made of it: a representation for each content coding.

    ``identity`` is the one without a coding, ``coded`` has the others by their coding. ``own_coding`` is
    the content coding that the file itself is in. If the content is not kept, there is a ``promise``.
    ``last_modified_seconds`` is since 1970, None if the date says nothing. ``cache_fields`` are the field
    lines about caching, once they were asked for.

    Most files have one representation and need none of the rest. So nothing is made before it is needed:
    an empty dictionary takes 64 octets, and one with an entry 232.
    """

    __slots__ = (
        "_earlier_tag",
        "cache_fields",
        "coded",
        "file",
        "identity",
        "last_modified_seconds",
        "media_type",
        "own_coding",
        "promise",
        "types_encoded",
        "version_mark",
    )

    def __init__(
        self,
        version_mark: VersionMark,
        modified_ns: int,
        inspected: Inspected,
        identity: Representation,
        promise: Promise | None = None,
    ) -> None:
        """``modified_ns`` is the time of modification of this version, since 1970."""
        self.version_mark = version_mark
        """The version of the file, as it is kept."""
        self.media_type, self.own_coding = inspected
        self.last_modified_seconds = date_of(modified_ns)
        self.identity = identity
        self.coded = _NOT_CODED
        self.cache_fields: tuple[FieldLine, ...] | None = None
        self.types_encoded: dict[bytes, MediaType | None] | None = None
        """By the coding that a rule names: the media type of what it holds; None if it is not in it.

        None before a rule names one.
        """
        self.file: SharedFile | None = None
        """The open file, once it was sent, where its content is not kept."""
        self.promise = promise
        self._earlier_tag: bytes | None = None

    @property
    def version(self) -> Version:
        """The version of the file."""
        return read_mark(self.version_mark)

    @property
    def representations(self) -> dict[bytes, Representation]:
        """All representations, by their coding."""
        return {IDENTITY: self.identity, **self.coded}

    @property
    def lengths(self) -> dict[bytes, int]:
        """The octets of each representation, by its coding."""
        return {coding: one.length for coding, one in self.representations.items()}

    def select(self, coding: bytes) -> Representation:
        """Return the representation in a coding that there is."""
        return self.identity if coding == IDENTITY else self.coded[coding]

    def tag_anew(self, entity_tag: EntityTag) -> None:
        """Give content that is not kept another entity tag; the one that it had still names it."""
        self._earlier_tag = self.identity.tag
        self.add(IDENTITY, Representation(None, self.identity.length, entity_tag.opaque))

    def as_known_to(self, fields: Mapping[bytes, bytes]) -> "Edition":
        """Return this edition under the entity tag that the fields of a request know it by.

        A client puts parts together only where they have one strong validator in common (RFC 9110
        section 15.3.7.3), so it has to find the one that it knows.
        """
        tag = self._earlier_tag
        if tag is None or not any(
            # The tag of a path that rules are about has their mark behind it.
            tag[:-1] in fields.get(name, b"")
            for name in _TAG_FIELDS
        ):
            return self
        earlier = copy.copy(self)
        earlier.identity = Representation(None, self.identity.length, tag)
        earlier.coded = _NOT_CODED
        return earlier

    def add(self, coding: bytes, representation: Representation) -> int:
        """Add a representation in a coding, in the place of an earlier one of that coding.

        Return how many octets more are kept.
        """
        if coding == IDENTITY:
            octets = representation.length - self.identity.length
            self.identity = representation
            return octets
        octets = representation.length
        if coding in self.coded:
            octets -= self.coded[coding].length
        else:
            octets += _CODING_OCTETS if self.coded else _FIRST_CODING_OCTETS
        self.coded = {**self.coded, coding: representation}
        return octets


def keep(content: bytes) -> Segment:
    """Return content as it is kept."""
    if len(content) < KEPT_FILE_OCTETS:
        return content
    try:
        return FileSegment(KeptFile(content), 0, len(content))
    except (OSError, AttributeError):
        return content


def represent(content: bytes) -> Representation:
    """Return the representation of content, as it is kept."""
    octets = len(content)
    kept = content if octets < KEPT_FILE_OCTETS else keep(content)
    return Representation(kept, octets, format_tag_of(content))


def _promise(descriptor: int) -> Promise:
    """Return a promise about a file that is not watched."""
    return Promise(descriptor, None)


def keep_coded(coded: Coded) -> Representation:
    """Return the representation that has these octets as its content."""
    octets = coded.content
    if isinstance(octets, bytes):
        return Representation(keep(octets), len(octets), coded.entity_tag.opaque)
    try:
        content: Segment = FileSegment(KeptFile(octets), 0, octets.length)
    except OSError:
        content = octets.read(0, octets.length)
    return Representation(content, octets.length, coded.entity_tag.opaque)


def read_edition(
    descriptor: int,
    media_type: MediaType,
    kept_octets_limit: int,
    promise: Callable[[int], Promise] = _promise,
) -> Edition:
    """Read the file that is open, if it is not longer than the limit; it stays open.

    The octets are of one version: a file that is written to while it is read is read again. If the file
    is longer, a ``promise`` is made. Raises `OSError`.
    """
    after = version_of(os.fstat(descriptor))
    for _ in range(_READ_ATTEMPTS):
        version = after
        if version.octets > kept_octets_limit:
            promised = promise(descriptor)
            head = os.pread(descriptor, HEAD_OCTETS, 0)
            return _promise_edition(promised, inspect(media_type, head, None))
        content = _read(descriptor, version.octets)
        after = version_of(os.fstat(descriptor))
        if after == version and len(content) == version.octets:
            break
    # A file that changes all the time, or whose length is not what it says (those of procfs say that
    # they are empty), is taken as it was found. What counts: the announced length and the octets that
    # are sent come from one reading, and are no more than the version has.
    content = content[: version.octets]
    inspected = inspect(media_type, content[:HEAD_OCTETS], content)
    return Edition(version, version.modified_ns, inspected, represent(content))


def read_watched(descriptor: int, media_type: MediaType, kept_octets_limit: int) -> Edition | None:
    """Read the file that is open with one look at it; None where one does not suffice.

    For a file with one name, whose changes an event reports. If it is written to while it is read, it
    has the version from before. That is compared with the file in the next second, and ends with the
    event. Raises `OSError`.
    """
    status = os.fstat(descriptor)
    octets = status.st_size
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or octets > kept_octets_limit:
        return None
    content = os.read(descriptor, octets + 1)
    if len(content) != octets:
        return None
    inspected = inspect(media_type, content[:HEAD_OCTETS], content)
    return Edition(mark_version(status), status.st_mtime_ns, inspected, represent(content))


def _promise_edition(promise: Promise, inspected: Inspected) -> Edition:
    """Return the edition of a file about which there is a promise."""
    identity = Representation(None, promise.octets, promise.provisional_tag.opaque)
    version = promise.seen
    edition = Edition(version, version.modified_ns, inspected, identity, promise)
    if promise.content_tag is not None:
        edition.tag_anew(promise.content_tag)
    return edition


def _read(descriptor: int, octets: int) -> bytes:
    parts = []
    offset = 0
    # One octet more than expected, to notice a file that has grown.
    while part := os.pread(descriptor, octets + 1 - offset, offset):
        parts.append(part)
        offset += len(part)
        if offset > octets:
            break
    return b"".join(parts)
