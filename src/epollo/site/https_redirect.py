"""The plain address of a site that is served over TLS: every request is led to the same URL by https."""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.caching import NO_STORE_FIELD
from epollo.http.message import Later, Request, Response
from epollo.http.status import respond_plainly
from epollo.http.target import TargetForm
from epollo.patterns import compile_late

CHALLENGES: Final = b"/.well-known/acme-challenge/"
"""Below it an authority looks, by plain HTTP, for the proof of a host (RFC 8555 section 8.3)."""
# token: base64url, RFC 8555 section 8.3. With dots and slashes behind it, a path is of any file.
_TOKEN: Final = compile_late(rb"[A-Za-z0-9_-]+")
# What may stand in a path or query (RFC 3986 sections 3.3 and 3.4), and what is encoded already.
_NOT_IN_PATH: Final = compile_late(rb"[^!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]")
_HTTPS_PORT: Final = 443


def is_challenge(path: bytes) -> bool:
    """Return whether an authority looks for a token at a path."""
    return path.startswith(CHALLENGES) and _TOKEN.fullmatch(path, len(CHALLENGES)) is not None


class HttpsRedirect:
    """A responder before that of the site.

    ``port`` is where TLS is spoken, 0 if plain HTTP is to lead nowhere; ``is_ready`` returns whether
    there is a certificate yet, ``find_token`` what a token of an authority is answered with.
    """

    def __init__(
        self,
        respond: Callable[[Request], Response | Later],
        port: int,
        is_ready: Callable[[], bool],
        find_token: Callable[[str], str | None],
    ) -> None:
        self._respond = respond
        self._port = port
        self._is_ready = is_ready
        self._find_token = find_token
        self._suffix = b"" if port == _HTTPS_PORT else b":%d" % port

    def respond(self, request: Request) -> Response | Later:
        """Return a redirect for a request by plain HTTP, and the site's response to any other.

        ``OPTIONS *`` asks about the server in general, and about no resource that stands elsewhere
        (RFC 9110 section 9.3.7).
        """
        if request.scheme != b"http" or request.target.form is TargetForm.ASTERISK:
            return self._respond(request)
        path = request.target.path
        if is_challenge(path):
            authorization = self._find_token(path[len(CHALLENGES) :].decode("ascii"))
            return self._respond(request) if authorization is None else _tell(authorization)
        if not (self._port and self._is_ready()):
            return self._respond(request)
        location = self._locate(request)
        if location is None:
            return respond_plainly(400)
        # RFC 9110 section 15.4.9: unlike 301, it lets a client keep its method. It is not recalled: the
        # host is in it, and in no key of recall.
        return respond_plainly(308, ((b"Location", location),))

    def _locate(self, request: Request) -> bytes | None:
        """Return the URL by https of what is asked for; None if the host is not told."""
        target = request.target
        authority = target.authority or request.fields.get(b"host", b"")
        host = _strip_port(authority)
        if not host or target.form is TargetForm.AUTHORITY:
            return None
        query = b"" if target.query is None else b"?" + target.query
        rest = _NOT_IN_PATH.sub(
            lambda found: b"%%%02X" % found[0][0], (target.path or b"/") + query
        )
        return b"https://%b%b%b" % (host, self._suffix, rest)


def _tell(authorization: str) -> Response:
    """Return the answer to an authority (RFC 8555 section 8.3)."""
    content = authorization.encode()
    fields = (
        (b"Content-Type", b"application/octet-stream"),
        (b"Content-Length", b"%d" % len(content)),
        NO_STORE_FIELD,
    )
    return Response(200, fields, (content,))


def _strip_port(authority: bytes) -> bytes:
    """Return a host without its port; an IPv6 address keeps its brackets (RFC 3986 section 3.2.2)."""
    if authority.endswith(b"]"):
        return authority
    host, colon, _ = authority.rpartition(b":")
    return host if colon else authority
