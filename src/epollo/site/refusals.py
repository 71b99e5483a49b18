"""The answers of a site that depend on no file: each is made once."""

from typing import Final

from epollo.http.message import FieldLine, Response
from epollo.http.status import respond_plainly

_ALLOW: Final = (b"Allow", b"GET, HEAD, OPTIONS")
OPTIONS: Final = Response(204, (_ALLOW,))


class Refusals:
    """A response for each status; ``fields`` are field lines that all of them have."""

    def __init__(self, fields: tuple[FieldLine, ...]) -> None:
        self.bad_request: Final = respond_plainly(400, fields)
        self.forbidden: Final = respond_plainly(403, fields)
        self.not_found: Final = respond_plainly(404, fields)
        self.not_allowed: Final = respond_plainly(405, (_ALLOW, *fields))
        self.precondition_failed: Final = respond_plainly(412, fields)
        self.misdirected: Final = respond_plainly(421, fields)
        self.unavailable: Final = respond_plainly(503, ((b"Retry-After", b"1"), *fields))
