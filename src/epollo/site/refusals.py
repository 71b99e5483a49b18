"""The answers of a site that depend on no file: each is made once."""

from epollo.annotations import Final
from epollo.http.message import PERMANENT, FieldLine, Response
from epollo.http.status import respond_plainly

_ALLOW: Final = (b"Allow", b"GET, HEAD, OPTIONS")
OPTIONS: Final = Response(204, (_ALLOW,), basis=PERMANENT)


class Refusals:
    """A response for each status; ``fields`` are field lines that all of them have."""

    def __init__(self, fields: tuple[FieldLine, ...]) -> None:
        self.bad_request: Final = respond_plainly(400, fields, basis=PERMANENT)
        self.forbidden: Final = respond_plainly(403, fields)
        self.not_found: Final = respond_plainly(404, fields)
        self.not_allowed: Final = respond_plainly(405, (_ALLOW, *fields), basis=PERMANENT)
        self.precondition_failed: Final = respond_plainly(412, fields)
        self.misdirected: Final = respond_plainly(421, fields, basis=PERMANENT)
        self.gone: Final = respond_plainly(410, fields)
        self._replaceable: dict[int, Response] = {
            403: self.forbidden,
            404: self.not_found,
            410: self.gone,
        }
        self.unavailable: Final = respond_plainly(503, ((b"Retry-After", b"1"), *fields))

    def select(self, status: int) -> Response:
        """Return the answer that a page of the site may take the place of: 403, 404 or 410."""
        return self._replaceable[status]
