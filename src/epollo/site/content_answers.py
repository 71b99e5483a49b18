"""The answers that have the content of a file, or say something about it (RFC 9110).

    coding -> preconditions -> range -> fields

What stands at the path was found before (`respond`).
"""

import os

from epollo.annotations import Final
from epollo.http.content_coding import IDENTITY
from epollo.http.message import PERMANENT, Basis, FieldLine, FileSegment, Request, Response
from epollo.http.preconditions import (
    CONDITIONAL_FIELDS,
    Outcome,
    evaluate_if_range,
    evaluate_preconditions,
)
from epollo.http.ranges import (
    UNSATISFIABLE,
    ByteRange,
    Unsatisfiable,
    parse_range,
    select_partial_fields,
)
from epollo.loop import Clock
from epollo.named_tuples import NamedTuple
from epollo.site.basis import limit_basis, select_basis, select_file_basis
from epollo.site.catalogue import Catalogue
from epollo.site.encoded_files import HEAD_OCTETS, select_encoded
from epollo.site.negotiation import Negotiator
from epollo.site.partial import respond_in_part
from epollo.site.policy import Policy
from epollo.site.representation import Edition, Representation
from epollo.site.resource import Resource
from epollo.site.responses import (
    describe,
    respond_not_modified,
    respond_unsatisfiable,
    select_entity_tag,
)
from epollo.site.treatment import Treatment

_CONDITIONS: Final = CONDITIONAL_FIELDS - {b"if-range"}


class _Selected(NamedTuple):
    """What a request selects: the resource, its version as the client knows it, and the coding.

    ``basis`` is what an answer made of content that is kept rests on.
    """

    treatment: Treatment
    policy: Policy
    resource: Resource
    edition: Edition
    coding: bytes
    representation: Representation
    basis: Basis | None


class ContentAnswers:
    """Answers with what stands at a path, as it was asked for."""

    def __init__(self, catalogue: Catalogue, clock: Clock, negotiator: Negotiator) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._negotiator = negotiator

    def respond(
        self,
        request: Request,
        treatment: Treatment,
        policy: Policy,
        resource: Resource,
        edition: Edition,
    ) -> Response | None:
        """Answer with an edition of a resource; None where the file is another by now."""
        selected = self._select(request, treatment, policy, resource, edition)
        representation = selected.representation
        is_kept = isinstance(representation.content, bytes)
        if not is_kept and not self._catalogue.may_send(selected.resource, representation):
            return None
        if not _CONDITIONS.isdisjoint(request.fields):
            response = self._evaluate_conditions(request, selected)
            if response is not None:
                return response
        if b"range" in request.fields and request.method == b"GET":
            ranges = self._select_ranges(request, selected)
            if ranges is UNSATISFIABLE:
                fields = policy.select_refusal_fields(treatment.fields)
                return respond_unsatisfiable(selected.representation, fields)
            if ranges is not None:
                return self._respond_in_part(request, selected, ranges)
        return self._respond_with_whole(request, selected)

    def _select(
        self,
        request: Request,
        treatment: Treatment,
        policy: Policy,
        resource: Resource,
        edition: Edition,
    ) -> _Selected:
        """Select the version that the client knows, and the coding of it."""
        if edition.cache_fields is None:
            policy.select_cache_fields(resource.names, edition)
        fields = request.fields
        if treatment.fields.content_coding is not None:
            edition = self._select_encoded(resource, edition, treatment.fields.content_coding)
        edition = edition.as_known_to(fields)
        coding = IDENTITY
        until: Basis | None = PERMANENT
        if edition.media_type.is_compressible and b"accept-encoding" in fields:
            coding, until = self._negotiator.negotiate(
                fields[b"accept-encoding"], resource, edition
            )
        basis = select_basis(fields, resource, edition, self._clock.second)
        if until is not PERMANENT:
            basis = limit_basis(basis, until)
        representation = edition.identity if coding == IDENTITY else edition.coded[coding]
        return _Selected(treatment, policy, resource, edition, coding, representation, basis)

    def _select_encoded(self, resource: Resource, edition: Edition, coding: bytes) -> Edition:
        """Return an edition as a file that a rule says to be in a coding."""

        def read_head() -> bytes:
            if edition.identity.content is not None:
                return edition.identity.read()[:HEAD_OCTETS]
            file = self._catalogue.open_file(resource)
            if file is None:
                return b""
            try:
                return os.pread(file.descriptor, HEAD_OCTETS, 0)
            finally:
                file.close()

        select = self._catalogue.media_types.select
        return select_encoded(edition, resource.names[-1], coding, read_head, select)

    def _evaluate_conditions(self, request: Request, selected: _Selected) -> Response | None:
        """Return the answer 304 or 412 where the preconditions ask for one."""
        representation = selected.representation
        outcome = evaluate_preconditions(
            request.method,
            request.fields,
            select_entity_tag(representation, selected.treatment.fields),
            selected.edition.last_modified_seconds,
            self._clock.second,
        )
        if outcome is Outcome.FAILED:
            refusals = selected.policy.select_refusals(selected.treatment.fields)
            return refusals.precondition_failed
        if outcome is not Outcome.NOT_MODIFIED:
            return None
        # That of a file which is not kept depends on more than the catalogue's events tell.
        basis = selected.basis if representation.content is not None else None
        return respond_not_modified(selected.treatment, selected.edition, representation, basis)

    def _select_ranges(
        self, request: Request, selected: _Selected
    ) -> list[ByteRange] | Unsatisfiable | None:
        """Return the ranges to send; None for the whole."""
        fields = request.fields
        if_range = fields.get(b"if-range")
        now_seconds = self._clock.second
        if if_range is not None and not evaluate_if_range(
            if_range,
            select_entity_tag(selected.representation, selected.treatment.fields),
            selected.edition.last_modified_seconds,
            now_seconds,
            now_seconds,
        ):
            return None
        return parse_range(fields[b"range"], selected.representation.length)

    def _respond_with_whole(self, request: Request, selected: _Selected) -> Response | None:
        """Answer 200; None where the file is another by now."""
        representation = selected.representation
        if representation.content is None and request.method == b"HEAD":
            return Response(200, self._describe(selected))
        if representation.content is None:
            return self._respond_from_file(selected)
        return Response(
            200,
            self._describe(selected),
            (representation.content,),
            basis=selected.basis,
            length=representation.length,
        )

    def _respond_from_file(self, selected: _Selected) -> Response | None:
        """Answer 200 with a file that is not kept; None where it is another by now."""
        file = self._catalogue.open_file(selected.resource)
        if file is None:
            return None
        return Response(
            200,
            self._describe(selected),
            (FileSegment(file, 0, selected.representation.length),),
            basis=select_file_basis(selected.basis, selected.edition, file),
        )

    def _respond_in_part(
        self, request: Request, selected: _Selected, ranges: list[ByteRange]
    ) -> Response | None:
        """Answer 206; None where the file is another by now."""
        representation, basis = selected.representation, selected.basis
        content = representation.content
        if content is None:
            file = self._catalogue.open_file(selected.resource)
            if file is None:
                return None
            content = FileSegment(file, 0, representation.length)
            basis = select_file_basis(basis, selected.edition, file)
        part = respond_in_part(representation, content, ranges, self._describe(selected), basis)
        if b"if-range" in request.fields:
            part.fields = select_partial_fields(part.fields)
        return part

    def _describe(self, selected: _Selected) -> tuple[FieldLine, ...]:
        """Return the fields of the answer with the whole of what is selected."""
        return describe(selected.treatment, selected.edition, selected.coding, self._clock.second)
