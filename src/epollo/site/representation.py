"""One version of a file, compiled: its content, its validators, its answers.

A file that fits is read once per version and gets a strong entity tag from its *content*: replicas
agree on it, ``touch`` does not change it, and an edit within the second of the last one, to the same
length, does. A file too large to be kept gets a tag from device, inode, length and the times of its
last change in nanoseconds, and is read while it is sent.
"""

import base64
import errno
import hashlib
import os
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from epollo.http.content_coding import IDENTITY
from epollo.http.message import FileSegment, Response, Segment
from epollo.http.validators import EntityTag
from epollo.site.inspection import HEAD_OCTETS, inspect
from epollo.site.media_types import MediaType
from epollo.site.sealed import SealedOctets, seal

_READ_ATTEMPTS: Final = 3
_SETTLED_NS: Final = 10_000_000_000
KEPT_FILE_OCTETS: Final = 64 * 1024
"""Content from this length on is kept as a file, see `KeptFile`."""
_KEPT_FILES_LIMIT: Final = 512
_SHARED_FILES_LIMIT: Final = 128


class Version(NamedTuple):
    """What tells one version of a file from another without reading it (stat(2))."""

    device: int
    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


def version_of(status: os.stat_result) -> Version:
    """Return the version that a status shows."""
    return Version(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


class OpenFile:
    """An open file of which a known version is to be sent.

    ``is_watched`` is whether the kernel would tell of a write to it; else it is looked at with every
    step.
    """

    is_sealed = False

    __slots__ = (
        "_is_watched",
        "_is_written",
        "_modified_ns",
        "_octets",
        "checked_second",
        "descriptor",
        "is_settled",
    )

    def __init__(self, descriptor: int, version: Version, *, is_watched: bool = False) -> None:
        self.descriptor = descriptor
        self._octets = version.octets
        self._modified_ns = version.modified_ns
        self._is_watched = is_watched
        self._is_written = False
        # It stays settled: a write makes it another version, which is not sent.
        self.is_settled = False
        self.checked_second = 0

    def settle(self) -> bool:
        """Tell whether nobody wrote to the file in the last seconds, and note that."""
        self.is_settled = time.time_ns() - self._modified_ns > _SETTLED_NS
        return self.is_settled

    def is_unchanged(self, second: int) -> bool:
        """Tell whether the content is still that of the version.

        The time of the last change of *status* is left out: a file that is renamed, or replaced by
        another while it is sent, goes on being what it was. One that cannot be looked at does not.
        """
        if self._is_watched:
            self.checked_second = second
        try:
            status = os.fstat(self.descriptor)
        except OSError:
            return False
        return (
            not self._is_written
            and status.st_size == self._octets
            and status.st_mtime_ns == self._modified_ns
        )

    def distrust(self, *, is_written: bool) -> None:
        """Look at the file with every step from now on; or end it, where it was written to.

        The time of its last change may be set back then: ``rsync --inplace --times`` does.
        """
        self._is_watched = False
        self._is_written |= is_written
        self.checked_second = 0

    def close(self) -> None:
        """Give the descriptor back; once is enough."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class SharedFile(OpenFile):
    """An open file that all answers with this version share.

    Finding and opening a file anew for each answer takes some sixty microseconds. The price is a
    descriptor for each, hence a limit to their number.
    """

    __slots__ = ()

    _count = 0

    def __init__(self, descriptor: int, version: Version, *, is_watched: bool) -> None:
        super().__init__(descriptor, version, is_watched=is_watched)
        SharedFile._count += 1

    @staticmethod
    def may_have_more() -> bool:
        """Tell whether another one may be opened."""
        return SharedFile._count < _SHARED_FILES_LIMIT

    def __del__(self) -> None:
        super().close()
        SharedFile._count -= 1

    def close(self) -> None:
        """Do nothing: the file is closed when nothing refers to it any more."""


class KeptFile:
    """Content kept in memory that the kernel can send without copying: a sealed memfd.

    Facts: from some 64 KiB on, ``sendfile`` takes two thirds of the time of ``send``, but a file may
    change while it is sent, down to the pages that are under way.
    Decision: what is kept of that length is a file of its own, without a name, and sealed
    (memfd_create(2)): no one can change it any more.
    Price: a descriptor for each, hence a limit to their number; beyond it content is kept as octets.
    """

    is_sealed = True
    is_settled = True
    checked_second = 0

    __slots__ = ("descriptor",)

    _count = 0

    def __init__(self, content: bytes | SealedOctets) -> None:
        """Raise `OSError` where the system has no descriptor, or no such files."""
        if KeptFile._count >= _KEPT_FILES_LIMIT:
            raise OSError(errno.EMFILE, "as many as are allowed")
        if isinstance(content, bytes):
            content = seal((content,))
        self.descriptor = content.take_descriptor()
        KeptFile._count += 1

    def __del__(self) -> None:
        # Answers that are under way, and recalled ones, still refer to it when its version ends.
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
            KeptFile._count -= 1

    def settle(self) -> bool:
        """Tell that nobody writes to it: it is sealed."""
        return True

    def is_unchanged(self, second: int) -> bool:  # noqa: ARG002 - as of any file
        """Tell that the content is what it was: it is sealed."""
        return True

    def close(self) -> None:
        """Do nothing: the file is closed when nothing refers to it any more."""


class Representation:
    """The content of a version in one content coding, with the answers that consist of it.

    ``content`` is None for a file too large to be kept, and a segment of a `KeptFile` where that is
    the better way to send it; ``length`` is octets.
    """

    __slots__ = ("content", "entity_tag", "length", "not_modified", "ok")

    def __init__(self, content: Segment | None, length: int, entity_tag: EntityTag) -> None:
        self.content = content
        self.length = length
        self.entity_tag = entity_tag
        self.ok: Response | None = None
        """The answer 200, made when it is first asked for; and below, the answer 304."""
        self.not_modified: Response | None = None

    def read(self) -> bytes:
        """Return the content that is kept; no octets where none is."""
        if isinstance(self.content, FileSegment):
            return os.pread(self.content.file.descriptor, self.content.length, 0)
        return self.content or b""


class Edition:
    """A version of a file, and what was made of it: a representation for each content coding.

    ``last_modified_seconds`` is since 1970. ``lengths`` has the octets of each representation.
    """

    __slots__ = (
        "file",
        "last_modified_seconds",
        "lengths",
        "media_type",
        "own_coding",
        "representations",
        "version",
    )

    def __init__(
        self, version: Version, media_type: MediaType, own_coding: bytes, content: bytes | None
    ) -> None:
        self.version = version
        self.media_type = media_type
        self.own_coding = own_coding
        """The content coding that the file itself is in."""
        self.last_modified_seconds = version.modified_ns // 1_000_000_000
        self.file: SharedFile | None = None
        """The open file, once it was sent, where its content is not kept."""
        self.representations: dict[bytes, Representation] = {}
        self.lengths: dict[bytes, int] = {}
        if content is None:
            self.add(IDENTITY, Representation(None, version.octets, _tag_version(version)))
        else:
            self.add_coding(IDENTITY, content)

    @property
    def identity(self) -> Representation:
        """The representation without a content coding."""
        return self.representations[IDENTITY]

    def add_coding(self, coding: bytes, content: bytes) -> None:
        """Add the same content in a coding, in the place of an earlier one of that coding."""
        self.add(coding, Representation(_keep(content), len(content), tag_content(content)))

    def add(self, coding: bytes, representation: Representation) -> None:
        """Add a representation in a coding, in the place of an earlier one of that coding."""
        self.representations[coding] = representation
        self.lengths[coding] = representation.length


def _keep(content: bytes) -> Segment:
    """Return content as it is kept."""
    if len(content) < KEPT_FILE_OCTETS:
        return content
    try:
        return FileSegment(KeptFile(content), 0, len(content))
    except (OSError, AttributeError):
        return content


def keep_sealed(octets: SealedOctets, entity_tag: EntityTag) -> Representation:
    """Return the representation that has these octets as its content."""
    try:
        content: Segment = FileSegment(KeptFile(octets), 0, octets.length)
    except OSError:
        content = octets.read(0, octets.length)
    return Representation(content, octets.length, entity_tag)


def tag_content(content: bytes) -> EntityTag:
    """Return the strong entity tag of octets: 96 bits of their BLAKE2b hash."""
    return tag_pieces((content,))


def tag_pieces(pieces: Iterable[bytes]) -> EntityTag:
    """Return the strong entity tag of octets that come in pieces."""
    state = hashlib.blake2b(digest_size=12)
    for piece in pieces:
        state.update(piece)
    return EntityTag(b'"%b"' % base64.urlsafe_b64encode(state.digest()), is_weak=False)


def _tag_version(version: Version) -> EntityTag:
    """Return the entity tag of content that is not kept.

    The time of the last change of status is in it because, unlike that of the content, nobody can set
    it: a copy in place that sets the old time again (``rsync --inplace --times``) is another version.
    """
    return EntityTag(
        b'"%x-%x-%x-%x-%x"'
        % (
            version.device,
            version.inode,
            version.octets,
            version.modified_ns,
            version.changed_ns,
        ),
        is_weak=False,
    )


def read_edition(descriptor: int, media_type: MediaType, kept_octets_limit: int) -> Edition:
    """Read the file that is open, if it is not longer than the limit; it stays open.

    Octets of one version only: a file that is being written to while it is read is read again.
    Raises `OSError`.
    """
    after = version_of(os.fstat(descriptor))
    for _ in range(_READ_ATTEMPTS):
        version = after
        if version.octets > kept_octets_limit:
            head = os.pread(descriptor, HEAD_OCTETS, 0)
            return Edition(version, *inspect(media_type, head, None), None)
        content = _read(descriptor, version.octets)
        after = version_of(os.fstat(descriptor))
        if after == version and len(content) == version.octets:
            break
    # One that changes all the time, or whose length is not what it says (those of procfs say that they
    # are empty), is taken as it was found: what counts is that the length that is announced and the
    # octets that are sent are of one reading, and of no more than the version has.
    content = content[: version.octets]
    return Edition(version, *inspect(media_type, content[:HEAD_OCTETS], content), content)


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
