"""The responder before a site whose clients are asked for a certificate, or before one beside it.

A client is verified in the handshake, before any request tells its host. So a client that was verified
for one site, or for none, must get nothing of a site that verifies its clients in another way. 421
tells it to ask by another connection (RFC 9110 sections 7.4 and 15.5.20).
"""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.caching import NO_CACHE_FIELD, NO_STORE_FIELD
from epollo.http.message import ANY_SCOPE, PERMANENT, Later, Request, Response
from epollo.http.status import respond_plainly
from epollo.site.https_redirect import is_challenge

_MISDIRECTED: Final = respond_plainly(421, (NO_CACHE_FIELD,), basis=PERMANENT)
_NOT_YET: Final = respond_plainly(503, (NO_STORE_FIELD, (b"Retry-After", b"60")))
"""To a client by plain HTTP, which cannot show a certificate."""


class VerifiedClients:
    """Lets requests of one scope (`Kind`) pass, and no others.

    ``is_required`` is whether each client has to have a certificate: then plain HTTP is answered with 503
    until it leads to https, except for what an authority asks for (RFC 8555 section 8.3).
    """

    def __init__(
        self, scope: bytes, respond: Callable[[Request], Response | Later], *, is_required: bool
    ) -> None:
        self._scope = scope
        self._respond = respond
        self._is_required = is_required

    def respond(self, request: Request) -> Response | Later:
        """Return the response of the site to a client that was verified as the site wants it."""
        if request.scheme == b"https":
            if request.scope not in {self._scope, ANY_SCOPE}:
                return _MISDIRECTED
        elif self._is_required and not is_challenge(request.target.path):
            return _NOT_YET
        return self._respond(request)
