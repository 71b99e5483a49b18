"""The pages of a site's errors: the nearest one up the tree, in the coding that the client prefers.

Facts: an error is no version of a file. A client that keeps one, or takes its validators for those of
the page, gets wrong content later.
Decision: an error has no validators, is asked for again each time, and inherits no field that is about
the file at its path. Its page is any file ``404.html`` on the way to the path, also ``403.html`` and
``410.html``.
"""

from epollo.http.content_coding import IDENTITY
from epollo.http.message import PERMANENT, AllOf, Basis, Request, Response
from epollo.site.basis import limit_basis
from epollo.site.candidates import list_error_pages
from epollo.site.catalogue import Catalogue
from epollo.site.negotiation import Negotiator
from epollo.site.policy import Policy
from epollo.site.resource import Resource
from epollo.site.responses import respond_with_page
from epollo.site.treatment import Treatment


class ErrorPages:
    """Answers with errors."""

    def __init__(self, catalogue: Catalogue, negotiator: Negotiator) -> None:
        self._catalogue = catalogue
        self._negotiator = negotiator

    def respond(
        self,
        request: Request,
        treatment: Treatment,
        policy: Policy,
        status: int,
        absences: tuple[Resource, ...] = (),
    ) -> Response:
        """Answer 403, 404 or 410 with the nearest page; what is not there is part of the basis."""
        response = policy.select_refusals(treatment.fields).select(status).on(PERMANENT)
        return self.replace_content(request, treatment, response, absences)

    def replace_content(
        self,
        request: Request,
        treatment: Treatment,
        response: Response,
        absences: tuple[Resource, ...] = (),
    ) -> Response:
        """Return an error with the nearest page of its status; as it is where there is none."""
        nearest = None
        looked_at: tuple[Resource, ...] = absences
        for names in list_error_pages(treatment.names, response.status):
            page = self._catalogue.find(names)
            if page.edition is not None and page.edition.identity.content is not None:
                nearest = page
            looked_at = (*looked_at, page)
            if page.names != names:
                # A folder is missing that would be on the way to all of the rest.
                break
        if nearest is not None:
            response = self._respond_with(request, treatment, response, nearest)
        return rest_on(response, looked_at)

    def respond_with(
        self,
        request: Request,
        treatment: Treatment,
        policy: Policy,
        status: int,
        page: Resource,
    ) -> Response:
        """Answer with a page that stands; in plain words where its content is not kept."""
        response = policy.select_refusals(treatment.fields).select(status).on(PERMANENT)
        if page.edition is not None and page.edition.identity.content is not None:
            response = self._respond_with(request, treatment, response, page)
        return rest_on(response, (page,))

    def _respond_with(
        self, request: Request, treatment: Treatment, response: Response, page: Resource
    ) -> Response:
        """Return an error with the content of a page, which is kept, in the coding that is preferred."""
        edition = page.edition
        assert edition is not None  # noqa: S101 - for the type checker
        coding = IDENTITY
        until: Basis | None = PERMANENT
        accepted = request.fields.get(b"accept-encoding")
        if edition.media_type.is_compressible and accepted is not None:
            coding, until = self._negotiator.negotiate(accepted, page, edition)
        basis = limit_basis(response.basis, until)
        return respond_with_page(response, treatment, edition, coding).on(basis)


def rest_on(response: Response, resources: tuple[Resource, ...]) -> Response:
    """Let an answer rest on what was looked at before, too."""
    if not resources:
        return response
    basis, known = response.basis, join_absences(resources)
    if basis is None or known is None:
        return response.on(None)
    if basis is PERMANENT:
        return response.on(known)
    return response.on(AllOf(*dict.fromkeys(resources), basis))


def join_absences(resources: tuple[Resource, ...]) -> Basis | None:
    """Return the basis of an answer that rests on all of these; None if one has ended.

    A resource that was evicted at once is told of no change.
    """
    return AllOf(*resources) if all(one.is_current for one in resources) else None
