"""The descent from a request to a response (RFC 9110): each step decides or hands on.

    method -> target -> treatment -> resource -> coding -> preconditions -> range -> fields

Each step is a pure function of `epollo.http` or a look-up; what is decided here is only their order.
"""

from typing import Final, NamedTuple

from epollo.http.content_coding import IDENTITY
from epollo.http.message import (
    AllOf,
    Basis,
    FieldLine,
    FileSegment,
    Request,
    Response,
    select_host,
)
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
from epollo.http.target import HttpsTarget, TargetForm
from epollo.loop import Clock
from epollo.site.basis import select_basis, select_file_basis
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.negotiation import Negotiator
from epollo.site.partial import respond_in_part
from epollo.site.policy import Policy
from epollo.site.refusals import OPTIONS
from epollo.site.representation import Edition, Representation
from epollo.site.resolve import Kind
from epollo.site.resource import Resource
from epollo.site.responses import (
    describe,
    redirect,
    redirect_by_rule,
    respond_not_modified,
    respond_unsatisfiable,
    respond_with_page,
)
from epollo.site.rulebook import FixedPolicy, PolicySource
from epollo.site.rules.redirection import Redirect, Rewrite
from epollo.site.treatment import Treatment

_READING: Final = frozenset((b"GET", b"HEAD"))
_CONDITIONS: Final = CONDITIONAL_FIELDS - {b"if-range"}
_REPLACED_ATTEMPTS: Final = 3


class _Selected(NamedTuple):
    """What a request selects: the resource, its version as the client knows it, and the coding.

    ``basis`` is what an answer made of content that is kept rests on.
    """

    treatment: Treatment
    resource: Resource
    edition: Edition
    coding: bytes
    representation: Representation
    basis: Basis | None


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
        policies: PolicySource | None = None,
        *,
        is_behind_gateway: bool = False,
    ) -> None:
        """Without a source of policies, that of the default settings holds."""
        self._catalogue = catalogue
        self._clock = clock
        self._policies = policies or FixedPolicy(Policy(), clock)
        self._negotiator = Negotiator(catalogue, compressor)
        self._is_behind_gateway = is_behind_gateway

    def respond(self, request: Request) -> Response:
        """Return the response to a valid request."""
        target = request.target
        policies = self._policies
        if policies.checked_second != self._clock.second:
            policies.follow()
        policy = policies.policy
        is_secured = self._is_behind_gateway or request.scheme == b"https"
        if isinstance(target, HttpsTarget) and not is_secured:
            return policy.select_refusals().misdirected
        if request.method not in _READING:
            is_options = request.method == b"OPTIONS"
            return OPTIONS if is_options else policy.select_refusals().not_allowed
        if target.form is TargetForm.AUTHORITY:
            return policy.select_refusals().bad_request
        host = select_host(request) if policy.is_host_relevant else b""
        treatment = policy.find(target.path, target.query, host)
        if treatment is None:
            return policy.select_refusals().bad_request
        absences: tuple[Resource, ...] = ()
        for names in treatment.candidates:
            resource = self._catalogue.find(names)
            if resource.kind is not Kind.MISSING:
                response = self._respond_with(request, treatment, resource)
                return _rest_on_absences(response, absences)
            absences = (*absences, resource)
        if treatment.otherwise is not None:
            return self._respond_otherwise(request, treatment, treatment.otherwise, absences)
        return self._respond_not_found(treatment, *absences)

    def _respond_otherwise(
        self,
        request: Request,
        treatment: Treatment,
        otherwise: Redirect | Rewrite,
        absences: tuple[Resource, ...],
    ) -> Response:
        """Answer by the rule of a path at which nothing stands, or that goes before what stands there."""
        policy = self._policies.policy
        if isinstance(otherwise, Redirect):
            fields = (*treatment.fields.refusal, *policy.error_fields)
            response = redirect_by_rule(otherwise, request.target.query, fields)
            return _rest_on_absences(response.on(policy.basis), absences)
        for names in otherwise.candidates:
            resource = self._catalogue.find(names)
            if resource.edition is not None:
                if otherwise.status == 200:
                    response = self._respond_with(request, treatment, resource)
                else:
                    response = self._respond_with_page(treatment, resource, otherwise.status)
                return _rest_on_absences(response, absences)
            absences = (*absences, resource)
        return self._respond_not_found(treatment, *absences)

    def _respond_with(self, request: Request, treatment: Treatment, resource: Resource) -> Response:
        """Answer with what stands at the path."""
        if resource.kind is Kind.FORBIDDEN:
            return self._policies.policy.select_refusals(treatment.fields).forbidden
        if resource.kind is Kind.FOLDER and treatment.folder_names is not None:
            basis = resource if resource.is_current else None
            fields = (*treatment.fields.refusal, *self._policies.policy.error_fields)
            return redirect(treatment.folder_names, request.target.query, fields, basis)
        for _ in range(_REPLACED_ATTEMPTS):
            if resource.kind is Kind.UNAVAILABLE:
                break
            if resource.edition is None:
                return self._respond_not_found(treatment, resource)
            selected = self._select(request, treatment, resource, resource.edition)
            response = self._respond_with_selected(request, selected)
            if response is not None:
                return response
            # A large file was replaced since it was found: what stands there now is the answer.
            resource = self._catalogue.find(resource.names)
        return self._policies.policy.select_refusals(treatment.fields).unavailable

    def _respond_not_found(self, treatment: Treatment, *absences: Resource) -> Response:
        """Answer 404 with the site's own page if it has one; what is not there is the basis."""
        page = self._catalogue.find(treatment.not_found_page)
        return _rest_on_absences(self._respond_with_page(treatment, page, 404), absences)

    def _respond_with_page(self, treatment: Treatment, page: Resource, status: int) -> Response:
        """Answer an error with the content of a page if it is there; else in plain words."""
        basis = page if page.is_current else None
        edition = page.edition
        policy = self._policies.policy
        if edition is None or edition.identity.content is None:
            return policy.select_refusals(treatment.fields).select(status).on(basis)
        fields = (*treatment.fields.refusal, *policy.error_fields)
        return respond_with_page(status, edition, edition.identity.content, fields, basis)

    def _select(
        self, request: Request, treatment: Treatment, resource: Resource, edition: Edition
    ) -> _Selected:
        """Select the version that the client knows, and the coding of it."""
        if edition.cache_fields is None:
            self._policies.policy.select_cache_fields(resource.names, edition)
        fields = request.fields
        edition = edition.as_known_to(fields)
        coding, is_settled = IDENTITY, True
        if edition.media_type.is_compressible and b"accept-encoding" in fields:
            coding, is_settled = self._negotiator.negotiate(
                fields[b"accept-encoding"], resource, edition
            )
        basis = select_basis(fields, resource, edition, self._clock.second) if is_settled else None
        representation = edition.representations[coding]
        return _Selected(treatment, resource, edition, coding, representation, basis)

    def _respond_with_selected(self, request: Request, selected: _Selected) -> Response | None:
        """Answer by the preconditions and ranges; None where the file is another by now."""
        if not self._catalogue.may_send(selected.resource, selected.representation):
            return None
        if not _CONDITIONS.isdisjoint(request.fields):
            response = self._evaluate_conditions(request, selected)
            if response is not None:
                return response
        if b"range" in request.fields and request.method == b"GET":
            ranges = self._select_ranges(request, selected)
            if ranges is UNSATISFIABLE:
                return respond_unsatisfiable(
                    selected.representation,
                    (*selected.treatment.fields.refusal, *self._policies.policy.error_fields),
                )
            if ranges is not None:
                return self._respond_in_part(request, selected, ranges)
        return self._respond_with_whole(request, selected)

    def _evaluate_conditions(self, request: Request, selected: _Selected) -> Response | None:
        """Return the answer 304 or 412 where the preconditions ask for one."""
        representation = selected.representation
        outcome = evaluate_preconditions(
            request.method,
            request.fields,
            representation.entity_tag,
            selected.edition.last_modified_seconds,
            self._clock.second,
        )
        if outcome is Outcome.FAILED:
            policy = self._policies.policy
            return policy.select_refusals(selected.treatment.fields).precondition_failed
        if outcome is not Outcome.NOT_MODIFIED:
            return None
        answers = representation.find_answers(selected.treatment.fields)
        response = answers.not_modified
        if response is None:
            response = respond_not_modified(selected.treatment, selected.edition, representation)
            answers.not_modified = response
        # That of a file which is not kept depends on more than the catalogue's events tell.
        return response.on(selected.basis if representation.content is not None else None)

    def _select_ranges(
        self, request: Request, selected: _Selected
    ) -> list[ByteRange] | Unsatisfiable | None:
        """Return the ranges to send; None for the whole."""
        fields = request.fields
        if_range = fields.get(b"if-range")
        now_seconds = self._clock.second
        if if_range is not None and not evaluate_if_range(
            if_range,
            selected.representation.entity_tag,
            selected.edition.last_modified_seconds,
            now_seconds,
            now_seconds,
        ):
            return None
        return parse_range(fields[b"range"], selected.representation.length)

    def _respond_with_whole(self, request: Request, selected: _Selected) -> Response | None:
        """Answer 200; None where the file is another by now."""
        representation, basis = selected.representation, selected.basis
        if representation.content is None and request.method == b"HEAD":
            return Response(200, self._describe(selected))
        if representation.content is None:
            return self._respond_from_file(selected)
        answers = representation.find_answers(selected.treatment.fields)
        if answers.ok is not None:
            return answers.ok if answers.ok.basis is basis else answers.ok.on(basis)
        content = (representation.content,)
        response = Response(200, self._describe(selected), content, basis=basis)
        if (selected.edition.last_modified_seconds or 0) < self._clock.second:
            answers.ok = response
        return response

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


def _rest_on_absences(response: Response, absences: tuple[Resource, ...]) -> Response:
    """Let an answer rest on what is not there at the candidates before, too."""
    if not absences:
        return response
    basis, known = response.basis, _join(*absences)
    return response.on(None if basis is None or known is None else AllOf(known, basis))


def _join(*resources: Resource) -> Basis | None:
    """Return the basis of an answer that rests on all of these; None where one has ended.

    A resource that was evicted at once is told of no change.
    """
    return AllOf(*resources) if all(one.is_current for one in resources) else None
