"""Responses made of an edition: their field lines, and those that have no content of a file.

Each is a pure function. Which edition, which coding and which octets are sent is decided before
(`respond`).
"""

from epollo.annotations import Final
from epollo.http.caching import NO_STORE_FIELD
from epollo.http.content_coding import IDENTITY
from epollo.http.dates import format_date
from epollo.http.message import Basis, FieldLine, Response
from epollo.http.ranges import format_content_range
from epollo.http.status import NO_SNIFF, respond_plainly
from epollo.http.target import encode_path
from epollo.http.validators import EntityTag
from epollo.patterns import compile_late
from epollo.site.representation import Edition, Representation
from epollo.site.resolve import Names
from epollo.site.rules.fields import PathFields
from epollo.site.rules.redirection import Redirect
from epollo.site.treatment import Treatment

_OF_PLAIN_PAGE: Final = frozenset(
    (b"content-length", b"content-type", b"vary", b"x-content-type-options")
)
# What may stand in a query (RFC 3986 section 3.4); all else is encoded before it goes into a Location.
_NOT_IN_QUERY: Final = compile_late(rb"[^!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]")


def describe(
    treatment: Treatment, edition: Edition, coding: bytes, now_seconds: int
) -> tuple[FieldLine, ...]:
    """Return the fields of an answer with a whole representation: Content-Type, Content-Length, the rest.

    A file may be written to twice in one second, and keep its date. While that second lasts, the second
    before it is given out: a client that asks with that date is told of any change, and a date that a
    client has is of one version only (RFC 9110 section 8.8.2.2). Nor is it ever later than Date
    (section 8.8.2.1).
    """
    seconds = edition.last_modified_seconds
    date = None if seconds is None else format_date(min(seconds, now_seconds - 1))
    content_coding = edition.own_coding if coding == IDENTITY else coding
    representation = edition.select(coding)
    return (
        (b"Content-Type", treatment.fields.content_type or edition.media_type.value),
        (b"Content-Length", b"%d" % representation.length),
        *_validate(treatment, edition, representation),
        *(((b"Last-Modified", date),) if date is not None else ()),
        (b"Accept-Ranges", b"bytes"),
        *(() if content_coding == IDENTITY else ((b"Content-Encoding", content_coding),)),
        *treatment.fields.content,
    )


def respond_not_modified(
    treatment: Treatment, edition: Edition, representation: Representation, basis: Basis | None
) -> Response:
    """Return the answer 304 (RFC 9110 section 15.4.5)."""
    fields = (*_validate(treatment, edition, representation), *treatment.fields.not_modified)
    return Response(304, fields, basis=basis)


def respond_unsatisfiable(
    representation: Representation, error_fields: tuple[FieldLine, ...]
) -> Response:
    """Return the answer 416 (RFC 9110 section 15.5.17)."""
    content_range = format_content_range(None, representation.length)
    return respond_plainly(416, ((b"Content-Range", content_range), *error_fields))


def respond_with_page(
    response: Response, treatment: Treatment, page: Edition, coding: bytes
) -> Response:
    """Return the answer to an error with the content of a page of the site, which is kept.

    It has the field lines of the plain answer, but for those about its content, and those that the rules
    give to errors at the path.
    """
    representation = page.select(coding)
    content = representation.content
    assert content is not None  # noqa: S101 - for the type checker
    content_coding = page.own_coding if coding == IDENTITY else coding
    fields = treatment.fields
    own = tuple(line for line in response.fields if line[0].lower() not in _OF_PLAIN_PAGE)
    said = {name.lower() for name, _ in own}
    ruled = tuple(line for line in fields.refusal if line[0].lower() not in said)
    said.update(name.lower() for name, _ in ruled)
    return Response(
        response.status,
        (
            (b"Content-Type", page.media_type.value),
            (b"Content-Length", b"%d" % representation.length),
            *(() if content_coding == IDENTITY else ((b"Content-Encoding", content_coding),)),
            *(fields.negotiated if page.media_type.is_compressible else fields.fixed),
            *(() if NO_SNIFF[0].lower() in said else (NO_SNIFF,)),
            *ruled,
            *own,
        ),
        (content,),
    )


def redirect(
    names: Names,
    query: bytes | None,
    error_fields: tuple[FieldLine, ...],
    basis: Basis | None,
) -> Response:
    """Send the client to a path of this very host: no names make a path that leads to another."""
    location = encode_path(names) + _format_query(query)
    return respond_plainly(301, ((b"Location", location), *error_fields), basis=basis)


def redirect_by_rule(
    rule: Redirect, query: bytes | None, fields: tuple[FieldLine, ...]
) -> Response:
    """Send the client where a rule says, with what is handed on of the query."""
    location = rule.location
    if rule.dropped is not None and query is not None:
        if rule.dropped:
            kept = [
                part for part in query.split(b"&") if part.partition(b"=")[0] not in rule.dropped
            ]
            query = b"&".join(kept) or None
        before, mark, fragment = location.partition(b"#")
        location = before + _format_query(query) + mark + fragment
    return respond_plainly(rule.status, ((b"Location", location), *fields))


def forbid_storing(response: Response) -> Response:
    """Return the same answer, which no cache may keep (RFC 9111 section 5.2.2.5)."""
    fields = tuple(line for line in response.fields if line[0] != NO_STORE_FIELD[0])
    return Response(
        response.status, (*fields, NO_STORE_FIELD), response.content, basis=response.basis
    )


def _format_query(query: bytes | None) -> bytes:
    """Return a query as Location shows it, with its question mark."""
    if query is None:
        return b""
    return b"?" + _NOT_IN_QUERY.sub(lambda found: b"%%%02X" % found[0][0], query)


def select_entity_tag(representation: Representation, fields: PathFields) -> EntityTag:
    """Return the entity tag of a representation at a path that has these fields."""
    return EntityTag(_format_entity_tag(representation, fields), is_weak=False)


def _format_entity_tag(representation: Representation, fields: PathFields) -> bytes:
    tag = representation.tag
    return b'%b-%b"' % (tag[:-1], fields.mark) if fields.mark else tag


def _validate(
    treatment: Treatment, edition: Edition, representation: Representation
) -> tuple[FieldLine, ...]:
    """Return the fields that an answer 304 repeats (RFC 9110 section 15.4.5)."""
    fields = treatment.fields
    entity_tag = (b"ETag", _format_entity_tag(representation, fields))
    cache = edition.cache_fields or () if fields.cache is None else fields.cache
    if edition.media_type.is_compressible or edition.own_coding != IDENTITY:
        return (entity_tag, *fields.negotiated, *cache)
    return (entity_tag, *fields.fixed, *cache)
