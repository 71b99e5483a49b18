"""The pages of a site's errors: the nearest one up the tree, in the coding that the client prefers.

Facts: an error is no version of a file. A client that keeps one, or takes its validators for those of
the page, is told nonsense later.
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
        """Answer with the nearest page of an error; what is not there is part of the basis."""
        nearest = None
        looked_at: tuple[Resource, ...] = absences
        for names in list_error_pages(treatment.names, status):
            page = self._catalogue.find(names)
            if page.edition is not None and page.edition.identity.content is not None:
                nearest = page
            looked_at = (*looked_at, page)
            if page.names != names:
                # A folder is missing that would be on the way to all of the rest.
                break
        if nearest is None:
            response = policy.select_refusals(treatment.fields).select(status)
            return response.on(join_absences(looked_at))
        return rest_on(self.respond_with(request, treatment, policy, status, nearest), looked_at)

    def respond_with(
        self,
        request: Request,
        treatment: Treatment,
        policy: Policy,
        status: int,
        page: Resource,
    ) -> Response:
        """Answer with a page that stands; in plain words where its content is not kept."""
        edition = page.edition
        if edition is None or edition.identity.content is None:
            response = policy.select_refusals(treatment.fields).select(status)
            return response.on(join_absences((page,)))
        coding = IDENTITY
        until: Basis | None = PERMANENT
        accepted = request.fields.get(b"accept-encoding")
        if edition.media_type.is_compressible and accepted is not None:
            coding, until = self._negotiator.negotiate(accepted, page, edition)
        fields = (*treatment.fields.refusal, *policy.error_fields)
        basis = limit_basis(page if page.is_current else None, until)
        return respond_with_page(status, treatment, edition, coding, fields).on(basis)


def rest_on(response: Response, resources: tuple[Resource, ...]) -> Response:
    """Let an answer rest on what was looked at before, too."""
    if not resources:
        return response
    basis, known = response.basis, join_absences(resources)
    if basis is None or known is None:
        return response.on(None)
    return response.on(AllOf(*dict.fromkeys(resources), basis))


def join_absences(resources: tuple[Resource, ...]) -> Basis | None:
    """Return the basis of an answer that rests on all of these; None where one has ended.

    A resource that was evicted at once is told of no change.
    """
    return AllOf(*resources) if all(one.is_current for one in resources) else None
