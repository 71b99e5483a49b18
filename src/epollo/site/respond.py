"""The descent from a request to a response (RFC 9110): each step decides or hands on.

    method -> target -> resource -> coding -> preconditions -> range -> fields

Each step is a pure function of `epollo.http` or a look-up; what is decided here is only their order.
"""

import hashlib
import os
import re
from typing import Final

from epollo.generations import Generations
from epollo.http.content_coding import (
    IDENTITY,
    CodingPreference,
    parse_accept_encoding,
    select_coding,
)
from epollo.http.dates import format_date
from epollo.http.message import FieldLine, FileSegment, Request, Response, Segment
from epollo.http.preconditions import (
    CONDITIONAL_FIELDS,
    Outcome,
    evaluate_if_range,
    evaluate_preconditions,
)
from epollo.http.ranges import (
    UNSATISFIABLE,
    ByteRange,
    format_content_range,
    format_multipart,
    parse_range,
    select_partial_fields,
)
from epollo.http.status import respond_plainly
from epollo.http.target import HttpsTarget, TargetForm, decode_path, encode_path
from epollo.loop import Clock
from epollo.site.cache_policy import CachePolicy
from epollo.site.catalogue import NAME_OCTETS, Catalogue, Resource
from epollo.site.compressor import Compressor
from epollo.site.refusals import OPTIONS, Refusals
from epollo.site.representation import Edition, KeptFile, Representation
from epollo.site.resolve import Kind, is_hidden

INDEX: Final = b"index.html"
NOT_FOUND_PAGE: Final = b"404.html"

_NO_SNIFF: Final = (b"X-Content-Type-Options", b"nosniff")
_READING: Final = frozenset((b"GET", b"HEAD"))
_CONDITIONS: Final = CONDITIONAL_FIELDS - {b"if-range"}
# What may stand in a query (RFC 3986 section 3.4); all else is encoded before it goes into a Location.
_NOT_IN_QUERY: Final = re.compile(rb"[^!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]")
# Below this a coding saves no packet, and its field line costs octets.
_COMPRESSED_OCTETS_MINIMUM: Final = 256
_REPLACED_ATTEMPTS: Final = 3
# So much is sent in one piece with its head, which a system call less pays for; and what is joined with
# its head may be recalled.
_COPIED_OCTETS: Final = 16 * 1024


class Site:
    """A folder as a function from requests to responses.

    ``is_behind_gateway`` is whether all requests come from a gateway that is trusted, so that what is
    asked for by https may have come over a secured connection (RFC 9110 section 7.4).
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        compressor: Compressor | None = None,
        cache_policy: CachePolicy | None = None,
        *,
        is_behind_gateway: bool = False,
    ) -> None:
        """With no policy, that of the default settings holds."""
        self._catalogue = catalogue
        self._clock = clock
        self._compressor = compressor
        self._cache_policy = cache_policy or CachePolicy()
        self._error_fields = self._cache_policy.error_fields
        self._refusals = Refusals(self._error_fields)
        self._is_behind_gateway = is_behind_gateway
        # What paths and Accept-Encoding fields mean, for those that were seen lately; some
        # megabytes at the most.
        self._names: Generations[bytes, tuple[bytes, ...]] = Generations(
            entries_limit=4096, octets_limit=512 * 1024
        )
        self._preferences: Generations[bytes, CodingPreference] = Generations(
            entries_limit=512, octets_limit=64 * 1024
        )

    def respond(self, request: Request) -> Response:
        """Return the response to a valid request."""
        target = request.target
        if isinstance(target, HttpsTarget) and not self._is_behind_gateway:
            return self._refusals.misdirected
        if request.method not in _READING:
            return OPTIONS if request.method == b"OPTIONS" else self._refusals.not_allowed
        if target.form is TargetForm.AUTHORITY:
            return self._refusals.bad_request
        names = self._names.young.get(target.path)
        if names is None:
            names = self._resolve(target.path)
            if names is None:
                return self._refusals.bad_request
        if is_hidden(names):
            return self._respond_not_found()
        if names[-1]:
            resource = self._catalogue.find(names)
            if resource.kind is Kind.FOLDER:
                return _redirect((*names, b""), target.query, self._error_fields)
        else:
            resource = self._catalogue.find((*names[:-1], INDEX))
        return self._respond_with(request, resource)

    def _resolve(self, path: bytes) -> tuple[bytes, ...] | None:
        # A path of short names takes many times its own octets.
        octets = len(path) + NAME_OCTETS * path.count(b"/")
        names = self._names.get(path, octets)
        if names is None:
            names = decode_path(path)
            if names is not None:
                self._names.put(path, names, octets)
        return names

    def _respond_with(self, request: Request, resource: Resource) -> Response:
        """Answer with what stands at the path."""
        if resource.kind is Kind.FORBIDDEN:
            return self._refusals.forbidden
        for _ in range(_REPLACED_ATTEMPTS):
            if resource.kind is Kind.UNAVAILABLE:
                break
            if resource.edition is None:
                return self._respond_not_found()
            response = self._respond_with_edition(request, resource, resource.edition)
            if response is not None:
                return response
            # A large file was replaced since it was found: what stands there now is the answer.
            resource = self._catalogue.find(resource.names)
        return self._refusals.unavailable

    def _respond_not_found(self) -> Response:
        """Answer 404 with the site's own page if it has one."""
        edition = self._catalogue.find((NOT_FOUND_PAGE,)).edition
        if edition is None or edition.identity.content is None:
            return self._refusals.not_found
        return Response(
            404,
            (
                (b"Content-Type", edition.media_type.value),
                (b"Content-Length", b"%d" % edition.identity.length),
                _NO_SNIFF,
                *self._error_fields,
            ),
            (edition.identity.content,),
        )

    def _respond_with_edition(
        self, request: Request, resource: Resource, edition: Edition
    ) -> Response | None:
        """Select the representation and what of it to send; None where the file is another by now."""
        if edition.cache_fields is None:
            edition.cache_fields = self._cache_policy.select_fields(resource.names, edition)
        fields = request.fields
        edition = edition.as_known_to(fields)
        coding = IDENTITY
        if edition.media_type.is_compressible and b"accept-encoding" in fields:
            coding = self._negotiate(fields[b"accept-encoding"], resource, edition)
        representation = edition.representations[coding]
        if not self._catalogue.may_send(resource, representation):
            return None
        now_seconds = self._clock.second
        if not _CONDITIONS.isdisjoint(fields):
            outcome = evaluate_preconditions(
                request.method,
                fields,
                representation.entity_tag,
                edition.last_modified_seconds,
                now_seconds,
            )
            if outcome is Outcome.NOT_MODIFIED:
                return _respond_not_modified(resource, edition, representation)
            if outcome is Outcome.FAILED:
                return self._refusals.precondition_failed
        if b"range" in fields and request.method == b"GET":
            if_range = fields.get(b"if-range")
            if if_range is None or evaluate_if_range(
                if_range,
                representation.entity_tag,
                edition.last_modified_seconds,
                now_seconds,
                now_seconds,
            ):
                ranges = parse_range(fields[b"range"], representation.length)
                if ranges is UNSATISFIABLE:
                    return _respond_unsatisfiable(representation, self._error_fields)
                if ranges is not None:
                    response = self._respond_in_part(resource, edition, coding, ranges)
                    if response is not None and if_range is not None:
                        response.fields = select_partial_fields(response.fields)
                    return response
        if representation.content is None:
            return self._respond_from_file(request, resource, edition)
        if representation.ok is not None:
            return representation.ok
        response = Response(
            200,
            _describe(edition, coding, representation.length, now_seconds),
            (representation.content,),
            is_recallable=resource.is_current,
        )
        if (edition.last_modified_seconds or 0) < now_seconds:
            representation.ok = response
        return response

    def _negotiate(self, accept_encoding: bytes, resource: Resource, edition: Edition) -> bytes:
        """Return the coding to send now; have the others made for those who ask later."""
        preference = self._preferences.young.get(accept_encoding)
        if preference is None:
            octets = len(accept_encoding)
            preference = self._preferences.get(accept_encoding, octets)
            if preference is None:
                preference = parse_accept_encoding(accept_encoding)
                self._preferences.put(accept_encoding, preference, octets)
        if (
            not resource.is_offered
            and self._compressor is not None
            and edition.identity.length >= _COMPRESSED_OCTETS_MINIMUM
            and any(coding != IDENTITY for coding, _ in preference.weights)
        ):
            self._catalogue.offer(resource, self._compressor)
        # RFC 9110 section 12.5.3: where nothing is acceptable, send it as it is.
        return select_coding(preference, edition.lengths) or IDENTITY

    def _respond_from_file(
        self, request: Request, resource: Resource, edition: Edition
    ) -> Response | None:
        fields = _describe(edition, IDENTITY, edition.identity.length, self._clock.second)
        if request.method == b"HEAD":
            return Response(200, fields)
        file = self._catalogue.open_file(resource)
        if file is None:
            return None
        return Response(
            200,
            fields,
            (FileSegment(file, 0, edition.identity.length),),
            is_recallable=resource.is_current and file is edition.file,
        )

    def _respond_in_part(
        self, resource: Resource, edition: Edition, coding: bytes, ranges: list[ByteRange]
    ) -> Response | None:
        """Answer 206 with one range, or with several as multipart/byteranges."""
        representation = edition.representations[coding]
        whole = representation.content
        is_recallable = resource.is_current
        if whole is None:
            file = self._catalogue.open_file(resource)
            if file is None:
                return None
            whole = FileSegment(file, 0, representation.length)
            is_recallable &= file is edition.file
        if len(ranges) == 1:
            content = _cut(whole, ranges[0])
            length = ranges[0].last - ranges[0].first + 1
            fields = _describe(edition, coding, length, self._clock.second)
            content_range = format_content_range(ranges[0], representation.length)
            return Response(
                206,
                (*fields, (b"Content-Range", content_range)),
                (content,),
                is_recallable=is_recallable,
            )
        # Made from a hash of the content, so that the content cannot hold it (RFC 2046 section 5.1.1)
        # and the same request gets the same octets.
        boundary = (
            hashlib.blake2b(representation.entity_tag.opaque, digest_size=15).hexdigest().encode()
        )
        parts, closing = format_multipart(
            ranges, representation.length, edition.media_type.value, boundary
        )
        segments: list[Segment] = []
        for part_head, byte_range in parts:
            segments += (part_head, _slice(whole, byte_range))
        response = Response(206, (), (*segments, closing), is_recallable=is_recallable)
        content_type = b"multipart/byteranges; boundary=%b" % boundary
        response.fields = (
            (b"Content-Type", content_type),
            *_describe(edition, coding, response.length, self._clock.second)[1:],
        )
        return response


def _cut(whole: Segment, byte_range: ByteRange) -> Segment:
    """Return one range of a content, as octets where that is short and cannot change."""
    part = _slice(whole, byte_range)
    if (
        isinstance(part, FileSegment)
        and isinstance(part.file, KeptFile)
        and part.length <= _COPIED_OCTETS
    ):
        return os.pread(part.file.descriptor, part.length, part.offset)
    return part


def _slice(whole: Segment, byte_range: ByteRange) -> Segment:
    """Return a range of a content; what is in a file is read when it is sent."""
    first, last = byte_range
    if isinstance(whole, bytes):
        return whole[first : last + 1]
    return FileSegment(whole.file, first, last - first + 1)


def _describe(
    edition: Edition, coding: bytes, length: int, now_seconds: int
) -> tuple[FieldLine, ...]:
    """Return the fields of an answer with so many octets of a representation; Content-Type first.

    A file may be written to again in the second in which it was, and keep its date. As long as that
    second lasts the one before it is given out: whoever asks with that date is told of any change, and
    a date that a client has is of one version only (RFC 9110 section 8.8.2.2). Nor is it ever later
    than Date (section 8.8.2.1).
    """
    seconds = edition.last_modified_seconds
    date = None if seconds is None else format_date(min(seconds, now_seconds - 1))
    content_coding = edition.own_coding if coding == IDENTITY else coding
    return (
        (b"Content-Type", edition.media_type.value),
        (b"Content-Length", b"%d" % length),
        *_validate(edition, edition.representations[coding]),
        *(((b"Last-Modified", date),) if date is not None else ()),
        (b"Accept-Ranges", b"bytes"),
        *(() if content_coding == IDENTITY else ((b"Content-Encoding", content_coding),)),
        _NO_SNIFF,
    )


def _validate(edition: Edition, representation: Representation) -> tuple[FieldLine, ...]:
    """Return the fields that an answer 304 repeats (RFC 9110 section 15.4.5)."""
    entity_tag = (b"ETag", representation.entity_tag.format())
    if edition.media_type.is_compressible or edition.own_coding != IDENTITY:
        return (entity_tag, (b"Vary", b"Accept-Encoding"), *(edition.cache_fields or ()))
    return (entity_tag, *(edition.cache_fields or ()))


def _respond_not_modified(
    resource: Resource, edition: Edition, representation: Representation
) -> Response:
    if representation.not_modified is None:
        # That of a file which is not kept depends on more than the catalogue's events tell.
        representation.not_modified = Response(
            304,
            _validate(edition, representation),
            is_recallable=representation.content is not None and resource.is_current,
        )
    return representation.not_modified


def _respond_unsatisfiable(
    representation: Representation, error_fields: tuple[FieldLine, ...]
) -> Response:
    """Answer 416 (RFC 9110 section 15.5.17)."""
    content_range = format_content_range(None, representation.length)
    return respond_plainly(416, ((b"Content-Range", content_range), *error_fields))


def _redirect(
    names: tuple[bytes, ...], query: bytes | None, error_fields: tuple[FieldLine, ...]
) -> Response:
    """Send the client to a path of this very host: no names make a path that leads to another."""
    location = encode_path(names)
    if query is not None:
        location += b"?" + _NOT_IN_QUERY.sub(lambda found: b"%%%02X" % found[0][0], query)
    return respond_plainly(301, ((b"Location", location), *error_fields))
