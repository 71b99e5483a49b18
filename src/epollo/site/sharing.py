"""Content that is kept as a file in memory: one such file for all workers.

Facts: four workers keep 300 files of 200 KB four times, with 57 MiB each. A sealed file is sent by any
process that holds a descriptor of it, and a process has 512 of them at most for content that is kept.
Decision: content of 64 KiB and more is offered to the coder when it is used in a second after its first.
The coder checks its seals, hashes it, and gives back the file that was first offered with this content.
Price: each worker keeps smaller content for itself. 10,000 files of 4 KiB take 56 MiB in each, 39 of
content and 17 of objects. Four workers and their parent take 277 MiB, one and its parent 76. With the
content in common, four would take some 160. But small content is copied into one send with its head. So
each worker would read it from memory of the coder, through an object of 184 octets for each file, and
offer it by a message, which takes 12 microseconds. Such memory is given back only with the last content
that lies in it.
"""

import os

from epollo.annotations import Final
from epollo.http.message import FileSegment
from epollo.site.compressor import Compressor
from epollo.site.representation import Edition, KeptFile, Representation
from epollo.site.resource import Resource
from epollo.site.sealed import SealedOctets

_OFFERED_SECONDS: Final = 1


class Sharing:
    """Has content exchanged for what other workers have of it, by a compressor whose coder they share."""

    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor

    def offer(self, resource: Resource) -> None:
        """Offer what a resource keeps as files, once; to be called once a second in use."""
        edition = resource.edition
        if edition is None or resource.seconds_used != _OFFERED_SECONDS:
            return
        for coding, representation in edition.representations.items():
            content = representation.content
            if isinstance(content, FileSegment) and content.file.is_sealed:
                self._offer(resource, edition, coding, representation, content)

    def _offer(
        self,
        resource: Resource,
        edition: Edition,
        coding: bytes,
        representation: Representation,
        content: FileSegment,
    ) -> None:
        def is_wanted() -> bool:
            return resource.is_current and edition.representations.get(coding) is representation

        def use(other: SealedOctets) -> None:
            if not is_wanted() or _is_same_file(other.descriptor, content.file.descriptor):
                return
            try:
                kept = FileSegment(KeptFile(other), 0, content.length)
            except OSError:
                # No more may be open: the former stays.
                return
            edition.add(coding, Representation(kept, content.length, representation.tag))
            # They refer to the former file.
            resource.end_answers()

        self._compressor.share(content, is_wanted, use)


def _is_same_file(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))
