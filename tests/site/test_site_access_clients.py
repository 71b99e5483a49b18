"""What stands before a site that verifies its clients: 421 for others, 503 for plain HTTP."""

import pytest

from epollo.http.message import ANY_SCOPE, Request, Response
from epollo.http.target import parse_target
from epollo.site.access.clients import VerifiedClients

SITE = Response(200)


def ask(scheme: bytes, scope: bytes, path: bytes = b"/", *, is_required: bool = True) -> Response:
    target = parse_target(path)
    assert target is not None
    before = VerifiedClients(b"https 1", lambda _: SITE, is_required=is_required)
    response = before.respond(Request(b"GET", target, {b"host": b"a.test"}, scheme, scope))
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize("is_required", [True, False])
def test_a_client_that_was_verified_otherwise_is_misdirected(is_required: bool) -> None:
    assert ask(b"https", b"https 1", is_required=is_required) is SITE
    assert ask(b"https", ANY_SCOPE, is_required=is_required) is SITE
    for scope in (b"https", b"https 2", b"https 11", b""):
        assert ask(b"https", scope, is_required=is_required).status == 421


def test_by_plain_http_no_client_has_a_certificate() -> None:
    """Also until there is one to speak https with; but an authority is told its token."""
    assert ask(b"http", b"http").status == 503
    assert ask(b"http", b"http", is_required=False) is SITE
    assert ask(b"http", b"http", b"/.well-known/acme-challenge/token") is SITE
    for rest in (b"", b"../index.html", b"%2e%2e/index.html", b"token/..", b"..", b"a.b", b"t/"):
        assert ask(b"http", b"http", b"/.well-known/acme-challenge/" + rest).status == 503, rest
