"""What a request for a folder gets: a page of its listing, where the folders of the site are listed.

A *site* has an ``index.html`` in its root; a *share* is a root without one. With the choice ``auto`` the
folders of a share are listed, with ``on`` all, with ``off`` none.
"""

from epollo.annotations import Final
from epollo.http.message import Request
from epollo.named_tuples import NamedTuple
from epollo.site.candidates import INDEX
from epollo.site.catalogue import Catalogue
from epollo.site.listing.assets import find_asset
from epollo.site.listing.builds import Build
from epollo.site.listing.snapshot import GeneratedResource
from epollo.site.listing.view import parse_view
from epollo.site.policy import Policy
from epollo.site.resolve import Kind
from epollo.site.resource import Resource
from epollo.site.rules.fields import PathFields
from epollo.site.treatment import Treatment

AUTO: Final = "auto"
OFF: Final = "off"

_POLICY_NAME: Final = b"content-security-policy"
_CONTENT_POLICY: Final = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; "
    b"base-uri 'none'"
)
_VARY_NAME: Final = b"vary"
_VARY: Final = (b"Vary", b"Accept, Accept-Encoding")


class Found(NamedTuple):
    """What of a listing there is at a path, and ``rests_on``, what that depends on.

    ``outcome`` is a page, a file that pages refer to, the build that makes a page, or why there is none;
    `Kind.MISSING` where nothing is listed there. Answers with it have the ``fields``.
    """

    outcome: GeneratedResource | Build | Kind
    fields: PathFields
    rests_on: tuple[Resource, ...] = ()


class ListingAnswers:
    """The listings of a site as answers to requests; ``choice`` is that of ``--listing``."""

    def __init__(self, catalogue: Catalogue, choice: str) -> None:
        self._catalogue = catalogue
        self._choice = choice

    def find(
        self, request: Request, treatment: Treatment, policy: Policy, build: Build | None
    ) -> Found:
        """Return what there is for a request; ``build`` is what it has waited for, if it has."""
        target, names, fields = request.target, treatment.names, treatment.fields
        if self._choice == OFF:
            return Found(Kind.MISSING, fields)
        asset = find_asset(target.path, target.query)
        if asset is not None:
            return Found(asset, fields)
        if names[-1] or not treatment.candidates:
            return Found(Kind.MISSING, fields)
        rests_on: tuple[Resource, ...] = ()
        if self._choice == AUTO:
            index = self._catalogue.find((INDEX,))
            rests_on = (index,)
            if index.kind is not Kind.MISSING:
                return Found(Kind.MISSING, fields, rests_on)
        fields = select_fields(fields)
        if build is not None:
            return Found(build.outcome or Kind.UNAVAILABLE, fields, rests_on)
        view = parse_view(target.query, request.fields.get(b"accept"))
        realm = self._catalogue.listings.realm
        if realm is not None and not request.is_authenticated and realm.has_below(names[:-1]):
            view = view._replace(has_protected=False)
        found = self._catalogue.listings.find(names[:-1], view, policy.error_fields)
        return Found(found, fields, rests_on)


def select_fields(fields: PathFields) -> PathFields:
    """Return the field lines of a listing, from those of a file at its path.

    A policy of content (CSP) that the site has for this path counts.
    """
    content, negotiated = fields.content, fields.negotiated
    if not any(name.lower() == _POLICY_NAME for name, _ in content):
        content = (*content, (b"Content-Security-Policy", _CONTENT_POLICY))
    others = (line for line in negotiated if line[0].lower() != _VARY_NAME)
    return fields._replace(content=content, negotiated=(*others, _VARY))
