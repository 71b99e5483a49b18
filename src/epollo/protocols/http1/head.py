r"""Reading a request head (RFC 9112 sections 2, 3 and 5).

We read strictly where others are lenient: a bare CR, a bare LF, a NUL, a folded line, white space
before a colon, two spaces in the request line, two Host fields, a length that is not digits. Two
readers that disagree about such octets are what request smuggling is made of (RFC 9112 section 11).

Two rules make the outcome the same however the octets are split:

- The lines of a head are judged in their order, and the first fault decides. A line is judged when it
  is complete; an octet that no line may hold is a fault at once.
- What concerns the whole head (Host, length, codings) is judged after its last line (`framing`).

Facts: llhttp, the field's own parser, takes 4.5 microseconds for a browser's twelve fields when each
is handed to a dictionary; but most of them do not decide the answer of a static server, and the lines
of those that do are nearly all the same from one request to the next, unlike the target.
Decision: a head is *reduced* before it is read. Valid lines of fields that no answer depends on are
taken
out in one pass (`reduction`). What is left, without its target, is the *shape* of the head. If a shape
was read before, only the target is parsed.
Consequence: browsers that ask for the same thing have the same reduced head, so its answer can be
recalled, and a head that is recalled was judged. A request reads as if it had no other fields: an
answer
cannot come to depend on one unseen.
Price: a parser of our own, held against h11 and llhttp by a test.
"""

import re

from epollo.annotations import Final
from epollo.generations import Generations
from epollo.http.fields import is_host, is_token, parse_content_length
from epollo.http.grammar import OWS_OCTETS, TCHAR, VALUE_OCTETS
from epollo.http.message import FieldLine, Request
from epollo.http.target import TargetForm, parse_origin_form, parse_target
from epollo.named_tuples import NamedTuple
from epollo.protocols.contract import Refusal
from epollo.protocols.http1.framing import FRAMING_FIELDS, Head, RequestLine, conclude
from epollo.protocols.http1.reduction import COOKIE, blank_cookie, compile_irrelevant

CRLF: Final = b"\r\n"

# request-line = method SP request-target SP HTTP-version           RFC 9112 section 3
# HTTP-version = "HTTP" "/" DIGIT "." DIGIT                          RFC 9112 section 2.3
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([^\x00-\x20\x7f]++) HTTP/([0-9])\.([0-9])"
)

# field-line  = field-name ":" OWS field-value OWS                   RFC 9112 section 5
_FIELD_LINE: Final = re.compile(rb"(%b++):(%b)" % (TCHAR, VALUE_OCTETS))

# An octet that no line may hold: a control other than HTAB, and a CR that no LF follows. A CR at the
# end may still be the first half of a CRLF.
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0a-\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)")

METHODS: Final = frozenset(
    (b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT")
)
"""The methods that we know; any other is answered 501 (RFC 9110 section 9.1)."""

_LONGEST_METHOD_OCTETS: Final = max(map(len, METHODS))

# A request that asks by HEAD; empty lines before it are ignored (RFC 9112 section 2.2).
_HEAD_BEGIN: Final = re.compile(rb"(?:\r\n)*HEAD ")

# A shape that is longer is not kept.
_SHAPE_OCTETS_LIMIT: Final = 512
# With the space before it.
_VERSION_OCTETS: Final = len(b" HTTP/1.1")


class Limits(NamedTuple):
    """How much of a request we are willing to read."""

    request_line_octets: int = 8 * 1024
    head_octets: int = 32 * 1024
    fields: int = 100
    content_octets: int = 64 * 1024


class HeadReader:
    """Reads heads for all connections, and remembers the shapes that it has read.

    ``relevant_fields`` are those that an answer may depend on, as the site's policy says.
    """

    __slots__ = (
        "_heeds_cookie",
        "_irrelevant",
        "_lines_limit",
        "_shapes",
        "head_octets_limit",
        "limits",
        "relevant_fields",
    )

    def __init__(self, limits: Limits, relevant_fields: frozenset[bytes]) -> None:
        self.limits = limits
        # Plain attributes: each name of a named tuple takes as long as a look-up.
        self.head_octets_limit = limits.head_octets
        # The request line and the empty one, too.
        self._lines_limit = limits.fields + 2
        # What a head says, by its shape.
        self._shapes: Generations[bytes, Head] = Generations(
            entries_limit=512, octets_limit=128 * 1024
        )
        self.relevant_fields: frozenset[bytes] = frozenset()
        """The fields that a reduction leaves; the same object for as long as they stay the same."""
        self.rely_on(relevant_fields)

    def rely_on(self, relevant_fields: frozenset[bytes]) -> bool:
        """Let answers depend on these fields from now on; return whether they are others than before.

        A head that was reduced before such a change must not be read after it.
        """
        relevant = FRAMING_FIELDS | relevant_fields
        # A name with a colon counts with every value (`epollo.http.relevance`).
        names = relevant | {name.removesuffix(b":") for name in relevant}
        is_other = names != self.relevant_fields
        if is_other:
            self.relevant_fields = names
            self._heeds_cookie = COOKIE in names
            self._irrelevant = compile_irrelevant(relevant).split
        return is_other

    def blank(self, octets: bytes) -> bytes:
        """Return a head with its cookie blank, or no octets if answers may depend on cookies.

        Heads with the same outcome ask for the same, and if one of them is a valid head and nothing
        else, all are: the value that is taken out ends no line.
        """
        if self._heeds_cookie or len(octets) > self.head_octets_limit:
            return b""
        return blank_cookie(octets)

    def is_bounded(self, octets: bytes) -> bool:
        """Return whether a head has no more octets and lines than it may have."""
        return len(octets) <= self.head_octets_limit and octets.count(b"\n") <= self._lines_limit

    def strip(self, octets: bytes) -> bytes:
        """Return octets without the field lines that are valid and on which no answer depends.

        If what is left is a head that was reduced before, the octets are one whole head, and valid:
        they differ from it by valid lines alone. If the octets, or their lines, are too many, nothing
        is left.
        """
        if not self.is_bounded(octets):
            return b""
        left = self._irrelevant(octets)
        return octets if len(left) == 1 else b"".join(left)

    def reduce(self, octets: bytes) -> bytes | Refusal:
        """Judge the lines of a complete head; return it without those on which no answer depends.

        A head is lines that each end in CRLF, and then an empty one.
        """
        reduced = self.strip(octets)
        request_line, *lines = reduced.split(CRLF)
        if isinstance(self._read_request_line(request_line), Refusal):
            return self._first_fault(octets)
        # Two empty strings stand behind the last CRLF and the empty line.
        if None in map(_read_field_line, lines[:-2]):
            return self._first_fault(octets)
        return reduced

    def read(self, reduced: bytes, octets: bytes = b"") -> Head | Refusal:
        """Read a head that was reduced, and judge all of it.

        If ``reduced`` was not judged yet (`strip` left it), ``octets`` are the head as it came.
        """
        begin = reduced.find(b" ") + 1
        end = reduced.find(b" ", begin)
        key = reduced[:begin] + reduced[end:]
        shape = self._shapes.young.get(key) or self._shapes.get(key, len(key))
        if shape is not None and end + _VERSION_OCTETS <= self.limits.request_line_octets:
            target = parse_origin_form(reduced[begin:end])
            if target is not None:
                request = Request(shape.request.method, target, shape.request.fields)
                return Head(request, *shape[1:])
        head = self._read_lines(octets or reduced, reduced)
        if (
            len(key) <= _SHAPE_OCTETS_LIMIT
            and isinstance(head, Head)
            and head.request.target.form is TargetForm.ORIGIN
        ):
            self._shapes.put(key, head, len(key))
        return head

    def _read_lines(self, octets: bytes, reduced: bytes) -> Head | Refusal:
        first, *lines = reduced.split(CRLF)
        request_line = self._read_request_line(first)
        if isinstance(request_line, Refusal):
            return self._first_fault(octets)
        fields: dict[bytes, bytes] = {}
        # The values of fields with several lines are joined once, at the end: each time, they would cost
        # the square of their length.
        values: dict[bytes, list[bytes]] = {}
        # Two empty strings stand behind the last CRLF and the empty line.
        for line in lines[:-2]:
            field = _read_field_line(line)
            if field is None:
                return self._first_fault(octets)
            name, value = field
            if name in fields:
                values.setdefault(name, [fields[name]]).append(value)
            else:
                fields[name] = value
        for name, several in values.items():
            if name in _ONLY_ONCE:
                return refuse(400, octets)
            fields[name] = b", ".join(several)
        head = conclude(request_line, fields)
        return refuse(head, octets) if isinstance(head, int) else head

    def judge_lines(
        self, octets: bytes, start: int, count: int, judged: int = 0
    ) -> tuple[Refusal | None, int, int]:
        """Judge what is there of a head that is not complete yet.

        ``start`` and ``count`` say how far an earlier call came: the octet at which the first
        incomplete line begins, and how many lines were judged before it. Return both anew, behind the
        refusal, if the octets have a fault whatever may follow them. ``judged`` is how many octets that
        call was given: they are not searched again for forbidden octets, however slowly a line comes.
        """
        while (end := octets.find(CRLF, start)) >= 0:
            line = octets[start:end]
            if count == 0:
                request_line = self._read_request_line(line)
                if isinstance(request_line, Refusal):
                    return request_line, start, count
            elif line:
                if _read_field_line(line) is None:
                    return refuse(400, octets), start, count
                if count > self.limits.fields:
                    return refuse(431, octets), start, count
            start = end + 2
            count += 1
        # The last of them may be a CR: what follows it is known only now.
        begin = max(start, judged - 1)
        if count == 0:
            return self._judge_length(octets, begin), start, count
        is_refused = _FORBIDDEN.search(octets, begin) is not None
        return (refuse(400, octets) if is_refused else None), start, count

    def _read_request_line(self, line: bytes) -> RequestLine | Refusal:
        found = _REQUEST_LINE.fullmatch(line)
        if found is None or len(line) > self.limits.request_line_octets:
            return self._judge_length(line) or refuse(400, line)
        method, octets, major, minor = found.groups()
        if major != b"1":
            return refuse(505, line)
        if method not in METHODS:
            return refuse(501, line)
        target = parse_target(octets)
        if target is None or not _suits(target.form, method):
            return refuse(400, line)
        return RequestLine(method, target, int(minor))

    def _judge_length(self, line: bytes, begin: int = 0) -> Refusal | None:
        """Judge a request line, complete or not, by its octets from ``begin`` on and their number."""
        limit = self.limits.request_line_octets
        # Whichever fault comes first decides, so that the outcome does not depend on the split.
        if _FORBIDDEN.search(line, begin, limit + 1):
            return refuse(400, line)
        if len(line) <= limit:
            return None
        if line[limit : limit + 1] != b"\r":
            return refuse(_judge_overlong(line[: limit + 1]), line)
        return refuse(400, line) if len(line) > limit + 1 else None

    def _first_fault(self, octets: bytes) -> Refusal:
        """Return the refusal of a head that is known to have a fault, by the rule of the first one."""
        refusal, _, _ = self.judge_lines(octets, 0, 0)
        return refusal or refuse(400, octets)


def _read_field_line(line: bytes) -> FieldLine | None:
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        return None
    name, value = found[1].lower(), found[2].strip(OWS_OCTETS)
    if name == b"host" and not is_host(value):
        return None
    if name == b"content-length" and parse_content_length(value) is None:
        return None
    return name, value


def refuse(status: int, octets: bytes) -> Refusal:
    """Return the refusal of a head, or of the part that is here, which begins with these octets.

    A head that begins with HEAD has its fault later. So the method is here when the fault is found,
    however the octets were split.
    """
    return Refusal(status, _HEAD_BEGIN.match(octets) is not None)


# Fields that decide on framing and authority: a second line of one is a fault, never a list
# (RFC 9112 sections 3.2 and 6.3).
_ONLY_ONCE: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))


def _judge_overlong(line: bytes) -> int:
    """Return the status for a request line that is too long and begins with these octets.

    RFC 9112 section 3: it is 501 for a method longer than any that we know, 414 for a target.
    """
    method = line.partition(b" ")[0]
    if len(method) <= _LONGEST_METHOD_OCTETS:
        return 414
    return 501 if is_token(method) else 400


def _suits(form: TargetForm, method: bytes) -> bool:
    """Return whether a method may come with this form of target (RFC 9112 section 3.2)."""
    if form is TargetForm.AUTHORITY:
        return method == b"CONNECT"
    if form is TargetForm.ASTERISK:
        return method == b"OPTIONS"
    return method != b"CONNECT"
