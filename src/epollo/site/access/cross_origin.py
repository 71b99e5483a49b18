"""What answers say to other origins: these may read them (CORS), or are kept apart (COOP, COEP)."""

from collections.abc import Callable, Mapping

from epollo.annotations import Final
from epollo.http.cross_origin import ISOLATION, OriginPolicy
from epollo.http.message import PERMANENT, FieldLine, Later, Request, Response, alter

_ALLOW: Final[FieldLine] = (b"Allow", b"GET, HEAD, OPTIONS")
_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
_ALLOW_CREDENTIALS: Final = b"access-control-allow-credentials"


class CrossOrigin:
    """The responder before another, ``then``, that adds field lines to what that answers.

    Without a policy for origins, an answer has no line about them.
    """

    def __init__(
        self,
        origins: OriginPolicy | None,
        then: Callable[[Request], Response | Later],
        *,
        is_isolated: bool = False,
    ) -> None:
        self._origins = origins
        self._then = then
        self._isolation = ISOLATION if is_isolated else ()

    def respond(self, request: Request) -> Response | Later:
        """Return the response to a valid request, with what it says to other origins."""
        if request.method == b"OPTIONS" and self._origins is not None:
            allowing = self._origins.select_preflight_fields(request.fields)
            if allowing is not None:
                return Response(204, (_ALLOW, *allowing), basis=PERMANENT)
        added = self._select_fields(request.fields)
        return alter(self._then(request), lambda response: add_fields(response, added))

    def _select_fields(self, fields: Mapping[bytes, bytes]) -> tuple[FieldLine, ...]:
        if self._origins is None:
            return self._isolation
        return (*self._origins.select_fields(fields), *self._isolation)


def add_fields(response: Response, added: tuple[FieldLine, ...]) -> Response:
    """Return a response with more field lines; a field that it has already stays as it is, except Vary.

    If the response itself names an origin that may read it, that origin gets no credentials: the
    operator allowed them to others.
    """
    said = {name.lower() for name, _ in response.fields}
    if _ALLOW_ORIGIN in said:
        said.add(_ALLOW_CREDENTIALS)
    lines = list(response.fields)
    for name, value in added:
        if name.lower() not in said:
            lines.append((name, value))
        elif name == b"Vary":
            lines = [_add_to_vary(line, value) for line in lines]
    return Response(response.status, tuple(lines), response.content, basis=response.basis)


def _add_to_vary(line: FieldLine, value: bytes) -> FieldLine:
    name, former = line
    return (name, b"%b, %b" % (former, value)) if name.lower() == b"vary" else line
