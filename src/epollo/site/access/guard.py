"""What stands before a site that is protected: credentials are asked for, and answers are private.

The answer to a request without credentials depends on nothing else, and one with credentials on the
version of the password file: both are recalled. Only a password that was not compared before is waited
for.
"""

import math
from collections.abc import Callable
from functools import partial

from epollo.annotations import Final
from epollo.http.authentication import format_challenge, parse_basic
from epollo.http.caching import make_private
from epollo.http.message import PERMANENT, AllOf, Basis, FieldLine, Later, Request, Response, alter
from epollo.http.status import respond_plainly
from epollo.http.target import decode_path
from epollo.site.access.password_file import PasswordFile
from epollo.site.access.realm import Realm
from epollo.site.access.sources import Sources
from epollo.site.access.verifier import Attempt, Verifier

_REALM_NAME: Final = b"epollo"
_PRIVATE: Final[FieldLine] = (b"Cache-Control", b"private, no-cache")


class Guard:
    """The responder before a site's own, ``then``, that lets users pass."""

    def __init__(
        self,
        realm: Realm,
        file: PasswordFile,
        verifier: Verifier,
        then: Callable[[Request], Response | Later],
        find_sources: Callable[[Request], Sources],
        *,
        refuse: Callable[[Request, Response], Response],
    ) -> None:
        """``find_sources`` returns where content comes from: a rule may lead to it from any path.

        ``refuse`` returns an error with the site's own page.
        """
        self._realm = realm
        self._find_sources = find_sources
        self._refuse = refuse
        self._file = file
        self._verifier = verifier
        self._then = then
        self._challenge = respond_plainly(401, (format_challenge(_REALM_NAME), _PRIVATE))

    def respond(self, request: Request) -> Response | Later:
        """Return the response to a valid request, or have its password compared first.

        What is not protected needs no password, but a folder may hold what is: its listing shows that to
        a client with one.
        """
        # A preflight has no credentials (Fetch, section 4.8), and OPTIONS tells nothing of the site.
        if request.method == b"OPTIONS":
            return self._then(request)
        rules: Basis = PERMANENT
        is_protected = self._realm.has_path(request.target.path)
        if not is_protected:
            sources, rules = self._find_sources(request)
            is_protected = any(map(self._realm.has, sources))
        value = request.fields.get(b"authorization")
        credentials = None if value is None else parse_basic(value)
        if not is_protected and (credentials is None or not self._may_list(request.target.path)):
            return self._then(request)
        if credentials is None:
            return self._refuse(request, self._challenge.on(rules))
        passwords = self._file.find()
        if passwords is None:
            return Later(self._file.wait, partial(self.respond, request))
        attempt = self._verifier.make_attempt(credentials, passwords)
        outcome = self._verifier.find_outcome(attempt)
        if outcome is None:
            begin = partial(self._verifier.begin, attempt)
            conclude = partial(self._respond_after, attempt, request, is_protected=is_protected)
            return Later(begin, conclude)
        if outcome:
            request.is_authenticated = True
            return alter(self._then(request), partial(_give_privately, passwords))
        if not is_protected:
            return alter(self._then(request), partial(_rest_on, passwords))
        return self._refuse(request, self._challenge.on(AllOf(rules, passwords)))

    def _may_list(self, path: bytes) -> bool:
        """Return whether a path is that of a folder in which something is protected."""
        names = decode_path(path) if path.endswith(b"/") else None
        return names is not None and self._realm.has_below(names[:-1])

    def _respond_after(
        self, attempt: Attempt, request: Request, *, is_protected: bool
    ) -> Response | Later:
        """Return the response after an attempt, which may have been one too many."""
        if not attempt.wait_seconds:
            return self.respond(request)
        if not is_protected:
            # With another address, or later, the same credentials may be compared.
            return alter(self._then(request), lambda response: response.on(None))
        seconds = b"%d" % math.ceil(attempt.wait_seconds)
        refused = respond_plainly(429, ((b"Retry-After", seconds), _PRIVATE))
        return self._refuse(request, refused)


def _rest_on(basis: Basis, response: Response) -> Response:
    """Return a response that rests on this version of the passwords too."""
    return response.on(None if response.basis is None else AllOf(basis, response.basis))


def _give_privately(basis: Basis, response: Response) -> Response:
    """Return a response for one user alone, that rests on this version of the passwords too."""
    return Response(
        response.status,
        make_private(response.fields),
        response.content,
        basis=None if response.basis is None else AllOf(basis, response.basis),
    )
