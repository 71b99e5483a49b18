"""The descent from a request to a response (RFC 9110): each step decides or hands on.

    method -> target -> treatment -> resource -> coding -> preconditions -> range -> fields

Each step is a pure function of `epollo.http` or a look-up; what is decided here is only their order. From
the coding on, `ContentAnswers` decides.
"""

from functools import partial

from epollo.annotations import TYPE_CHECKING, Final
from epollo.http.message import (
    AllOf,
    Basis,
    FieldLine,
    Later,
    Request,
    Response,
    select_host,
)
from epollo.http.target import HttpsTarget, TargetForm
from epollo.loop import Clock
from epollo.site.access.sources import Sources
from epollo.site.candidates import INDEX
from epollo.site.catalogue import Catalogue
from epollo.site.compressor import Compressor
from epollo.site.content_answers import ContentAnswers
from epollo.site.error_pages import ErrorPages, join_absences, rest_on
from epollo.site.listing.answers import Found, ListingAnswers
from epollo.site.listing.assets import Asset
from epollo.site.listing.builds import Build
from epollo.site.listing.snapshot import GeneratedResource
from epollo.site.navigation import is_navigation
from epollo.site.negotiation import Negotiator
from epollo.site.policy import Policy
from epollo.site.refusals import OPTIONS
from epollo.site.resolve import Kind, Names
from epollo.site.resource import Resource
from epollo.site.responses import (
    forbid_storing,
    redirect,
    redirect_by_rule,
)
from epollo.site.rulebook import FixedPolicy, PolicySource
from epollo.site.rules.redirection import Redirect, Rewrite
from epollo.site.treatment import Treatment

if TYPE_CHECKING:
    # Loaded where a site has passwords.
    from epollo.site.access.realm import Realm
_READING: Final = frozenset((b"GET", b"HEAD"))
_REPLACED_ATTEMPTS: Final = 3


class Site:
    """A folder as a function from requests to responses.

    ``is_behind_gateway`` is whether all requests come from a gateway that is trusted, so that what is
    asked for by https may have come over a secured connection (RFC 9110 section 7.4). ``listing`` is
    the choice of ``--listing``.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        compressor: Compressor | None = None,
        policies: PolicySource | None = None,
        *,
        listing: str = "auto",
        is_behind_gateway: bool = False,
    ) -> None:
        """Without a source of policies, that of the default settings holds."""
        self._catalogue = catalogue
        self._clock = clock
        self._policies = policies or FixedPolicy(Policy(), clock)
        negotiator = Negotiator(catalogue, compressor)
        self._contents = ContentAnswers(catalogue, clock, negotiator)
        self._errors = ErrorPages(catalogue, negotiator)
        self._listings = ListingAnswers(catalogue, listing)
        self._is_behind_gateway = is_behind_gateway

    def respond(self, request: Request, build: Build | None = None) -> Response | Later:
        """Return the response to a valid request; ``build`` is that of a listing that it waited for."""
        target = request.target
        policy = self._follow_rules()
        is_secured = self._is_behind_gateway or request.scheme == b"https"
        if isinstance(target, HttpsTarget) and not is_secured:
            return policy.select_refusals().misdirected
        if request.method == b"OPTIONS":
            return OPTIONS
        if request.method not in _READING:
            return self.refuse(request, policy.select_refusals().not_allowed)
        if target.form is TargetForm.AUTHORITY:
            return policy.select_refusals().bad_request
        treatment = _find_treatment(policy, request)
        if treatment is None:
            return policy.select_refusals().bad_request
        in_force = policy.basis
        response = self._respond_at(request, treatment, build)
        if isinstance(response, Response) and not self._is_still(in_force):
            # A look at a file told of a change of the rules: the answer is of the former ones.
            return response.on(None)
        return response

    def hide(self, realm: "Realm") -> None:
        """Let listings show what is protected to authenticated clients alone."""
        self._catalogue.listings.realm = realm

    def refuse(self, request: Request, response: Response) -> Response:
        """Return an error with the site's own page of its status, if there is one for the path."""
        policy = self._follow_rules()
        treatment = _find_treatment(policy, request)
        if treatment is None:
            return response
        in_force = policy.basis
        response = self._errors.replace_content(request, treatment, response)
        return response if self._is_still(in_force) else response.on(None)

    def find_sources(self, request: Request) -> Sources:
        """Return where the content of the answer to a request may come from."""
        policy = self._follow_rules()
        treatment = _find_treatment(policy, request)
        if treatment is None:
            return Sources((), policy.basis)
        otherwise = treatment.otherwise
        rewritten = otherwise.candidates if isinstance(otherwise, Rewrite) else ()
        if treatment.app_fields is not None and is_navigation(request.fields, treatment.names):
            rewritten = (*rewritten, (INDEX,))
        return Sources((*treatment.candidates, *rewritten), policy.basis)

    def _follow_rules(self) -> Policy:
        """Return the policy that is in force now."""
        policies = self._policies
        if policies.checked_second != self._clock.second:
            policies.follow()
        return policies.policy

    def _is_still(self, in_force: Basis) -> bool:
        """Return whether the rules that were in force are, and are not being replaced."""
        policies = self._policies
        return in_force is policies.policy.basis and not policies.is_reading

    def _respond_at(
        self, request: Request, treatment: Treatment, build: Build | None
    ) -> Response | Later:
        """Answer with the first that stands at a path."""
        absences: tuple[Resource, ...] = ()
        folder: Resource | None = None
        for names in treatment.candidates:
            resource = self._catalogue.find(names)
            if resource.kind is Kind.FOLDER:
                folder = folder or resource
            elif resource.kind is not Kind.MISSING:
                response = self._respond_with(request, treatment, resource)
                return rest_on(response, absences) if absences else response
            absences = (*absences, resource)
        if folder is not None and treatment.folder_names is not None:
            index = self._find_index(treatment)
            if index is None or index.kind is not Kind.MISSING:
                return self._redirect(request, treatment, treatment.folder_names, absences)
            absences = (*absences, index)
        if treatment.page_names is not None:
            page = self._catalogue.find(treatment.page_names)
            absences = (*absences, page)
            if page.kind is Kind.FILE:
                return self._respond_beside(request, treatment, absences, build)
        return self._respond_otherwise(request, treatment, absences, build)

    def _respond_beside(
        self,
        request: Request,
        treatment: Treatment,
        absences: tuple[Resource, ...],
        build: Build | None,
    ) -> Response | Later:
        """Answer for a slash behind the name of a page: a folder of that name, or no slash."""
        if treatment.otherwise is None:
            found = self._listings.find(request, treatment, self._policies.policy, build)
            absences = (*absences, *found.rests_on)
            if found.outcome is not Kind.MISSING:
                return self._respond_with_listing(request, treatment, absences, found)
        return self._redirect(request, treatment, treatment.names[:-1], absences)

    def _find_index(self, treatment: Treatment) -> Resource | None:
        """Return what stands at the index of a folder, where a rule is about folders without one."""
        if treatment.otherwise is None:
            return None
        return self._catalogue.find((*treatment.names, INDEX))

    def _redirect(
        self,
        request: Request,
        treatment: Treatment,
        names: Names,
        absences: tuple[Resource, ...],
    ) -> Response:
        """Send the client to another path of the site; what was looked at is the basis."""
        fields = self._select_refusal_fields(treatment)
        return redirect(names, request.target.query, fields, join_absences(absences))

    def _respond_otherwise(
        self,
        request: Request,
        treatment: Treatment,
        absences: tuple[Resource, ...],
        build: Build | None,
    ) -> Response | Later:
        """Answer by the rule of a path at which nothing stands, or that goes before what stands there."""
        policy, otherwise = self._policies.policy, treatment.otherwise
        if isinstance(otherwise, Redirect):
            fields = self._select_refusal_fields(treatment)
            response = redirect_by_rule(otherwise, request.target.query, fields)
            return rest_on(response.on(policy.basis), absences)
        if otherwise is not None:
            return self._respond_rewritten(request, treatment, otherwise, absences)
        found = self._listings.find(request, treatment, policy, build)
        absences = (*absences, *found.rests_on)
        if found.outcome is not Kind.MISSING:
            return self._respond_with_listing(request, treatment, absences, found)
        if treatment.app_fields is not None:
            treatment = treatment._replace(fields=treatment.app_fields, app_fields=None)
            if is_navigation(request.fields, treatment.names):
                page = Rewrite(200, ((INDEX,),))
                return self._respond_rewritten(request, treatment, page, absences)
            response = self._respond_not_found(request, treatment, absences)
            return forbid_storing(response) if policy.error_fields else response
        return self._respond_not_found(request, treatment, absences)

    def _respond_rewritten(
        self,
        request: Request,
        treatment: Treatment,
        rewrite: Rewrite,
        absences: tuple[Resource, ...],
    ) -> Response:
        """Answer with another file of the site."""
        for names in rewrite.candidates:
            resource = self._catalogue.find(names)
            if resource.kind is Kind.FILE:
                if rewrite.status == 200:
                    response = self._respond_with(request, treatment, resource)
                else:
                    response = self._errors.respond_with(
                        request, treatment, self._policies.policy, rewrite.status, resource
                    )
                return rest_on(response, absences)
            absences = (*absences, resource)
        status = 404 if rewrite.status == 200 else rewrite.status
        return self._respond_not_found(request, treatment, absences, status)

    def _respond_with_listing(
        self,
        request: Request,
        treatment: Treatment,
        absences: tuple[Resource, ...],
        found: Found,
    ) -> Response | Later:
        """Answer with a page of a listing, with what pages refer to, or with why there is none."""
        outcome, policy = found.outcome, self._policies.policy
        if not isinstance(outcome, Kind | Asset) and not _is_plain(request, treatment):
            # The references of a listing are relative to the folder's own path.
            return self._redirect(request, treatment, treatment.names, absences)
        if isinstance(outcome, Build):
            return Later(outcome.wait, partial(self.respond, request, outcome))
        if isinstance(outcome, GeneratedResource):
            treatment = treatment._replace(fields=found.fields)
            response = rest_on(self._respond_with(request, treatment, outcome), absences)
            # What is no file of the site does not end with the rules of the site.
            basis = response.basis
            return response.on(None if basis is None else AllOf(basis, policy.basis))
        if outcome is Kind.FORBIDDEN:
            return self._errors.respond(request, treatment, policy, 403).on(None)
        return self._respond_unavailable(request, treatment)

    def _respond_with(self, request: Request, treatment: Treatment, resource: Resource) -> Response:
        """Answer with what stands at the path."""
        if resource.kind is Kind.FORBIDDEN:
            policy = self._policies.policy
            return self._errors.respond(request, treatment, policy, 403).on(None)
        for _ in range(_REPLACED_ATTEMPTS):
            if resource.kind is Kind.UNAVAILABLE:
                break
            if resource.edition is None:
                return self._respond_not_found(request, treatment, (resource,))
            response = self._contents.respond(
                request, treatment, self._policies.policy, resource, resource.edition
            )
            if response is not None and response.status < 400:
                return response
            if response is not None:
                return self._errors.replace_content(request, treatment, response)
            # A large file was replaced since it was found: what stands there now is the answer.
            resource = self._catalogue.find(resource.names)
        return self._respond_unavailable(request, treatment)

    def _respond_unavailable(self, request: Request, treatment: Treatment) -> Response:
        """Answer 503."""
        response = self._policies.policy.select_refusals(treatment.fields).unavailable
        return self._errors.replace_content(request, treatment, response)

    def _respond_not_found(
        self,
        request: Request,
        treatment: Treatment,
        absences: tuple[Resource, ...],
        status: int = 404,
    ) -> Response:
        """Answer 404, or 410; what is not there is the basis."""
        return self._errors.respond(request, treatment, self._policies.policy, status, absences)

    def _select_refusal_fields(self, treatment: Treatment) -> tuple[FieldLine, ...]:
        """Return the fields of redirects at a path."""
        return self._policies.policy.select_refusal_fields(treatment.fields)


def _is_plain(request: Request, treatment: Treatment) -> bool:
    """Return whether a path has no segments that mean nothing: empty ones and dots."""
    return request.target.path.count(b"/") == len(treatment.names)


def _find_treatment(policy: Policy, request: Request) -> Treatment | None:
    """Return what the rules say of the path of a request; None if it is no path."""
    # A dot at the end makes no other host of it (RFC 3986 section 3.2.2).
    host = select_host(request).removesuffix(b".") if policy.is_host_relevant else b""
    return policy.find(request.target.path, request.target.query, host)
