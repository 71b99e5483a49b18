"""Files beside a file that claim to be a coding of it: used where every client can read them."""

from epollo.annotations import Final
from epollo.site.codings import Coding
from epollo.site.decoding import NOT_DECODED, UnreadableError
from epollo.site.pieces import Readable, read_pieces

# A file of empty blocks decodes to little and takes long; none that is of use is near this.
_LENGTH_FACTOR: Final = 2
_LENGTH_ADDED_OCTETS: Final = 1024


def find_fault(coding: Coding, coded: Readable, content: Readable) -> str | None:
    """Return why coded octets cannot take the place of the content, the file being the subject.

    None if every client that offers the coding decodes them to the content. No more is decoded than
    the content has. Raises `OSError`.
    """
    if coded.length > content.length * _LENGTH_FACTOR + _LENGTH_ADDED_OCTETS:
        return "is more than twice as long as the file beside it"
    offset = 0
    try:
        for piece in coding.decode(read_pieces(coded)):
            if content.read(offset, len(piece)) != piece:
                return NOT_DECODED
            offset += len(piece)
    except UnreadableError as error:
        return str(error)
    return None if offset == content.length else NOT_DECODED
