"""What plain HTTP is led to."""

import pytest

from epollo.http.message import Request, Response
from epollo.http.target import parse_target
from epollo.site.https_redirect import HttpsRedirect

SITE = Response(200)


TOKENS = {"token": "token.thumbprint"}


def make_redirect(port: int, *, is_ready: bool = True) -> HttpsRedirect:
    return HttpsRedirect(lambda _: SITE, port, lambda: is_ready, TOKENS.get)


def ask(
    target: bytes, host: bytes | None = b"a.test", *, port: int = 443, scheme: bytes = b"http"
) -> Response:
    parsed = parse_target(target)
    assert parsed is not None
    fields = {} if host is None else {b"host": host}
    response = make_redirect(port).respond(Request(b"GET", parsed, fields, scheme))
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize(
    ("target", "host", "port", "location"),
    [
        (b"/", b"a.test", 443, b"https://a.test/"),
        (b"/a%20b?c=d&e", b"a.test:80", 443, b"https://a.test/a%20b?c=d&e"),
        (b"/a?", b"a.test:", 8443, b"https://a.test:8443/a?"),
        (b"//evil.test/", b"a.test", 443, b"https://a.test//evil.test/"),
        (b"http://b.test:81/x", b"a.test", 443, b"https://b.test/x"),
        (b"/", b"[::1]:80", 8443, b"https://[::1]:8443/"),
        (b"/", b"[::1]", 443, b"https://[::1]/"),
        (b"/", b"127.0.0.1:7890", 7891, b"https://127.0.0.1:7891/"),
        (b'/\\a%zz\xe9?"<>', b"a.test", 443, b"https://a.test/%5Ca%zz%E9?%22%3C%3E"),
    ],
)
def test_every_request_is_led_to_the_same_url(
    target: bytes, host: bytes, port: int, location: bytes
) -> None:
    response = ask(target, host, port=port)
    assert response.status == 308
    assert (b"Location", location) in response.fields
    # The host is no part of what recall knows it by.
    assert response.basis is None


def test_what_is_not_redirected() -> None:
    assert ask(b"/", scheme=b"https") is SITE
    assert ask(b"/.well-known/acme-challenge/other") is SITE
    proof = ask(b"/.well-known/acme-challenge/token")
    assert (proof.status, proof.content, proof.basis) == (200, (b"token.thumbprint",), None)
    assert ask(b"/.well-known/acme-challenge/token", scheme=b"https") is SITE
    assert ask(b"/", port=0) is SITE
    assert ask(b"*") is SITE
    assert ask(b"/.well-known/other").status == 308
    for rest in (b"", b"../../page", b"%2e%2e/%2e%2e/page", b"token/", b"token/../../x", b"a.b"):
        assert ask(b"/.well-known/acme-challenge/" + rest).status == 308
    for host in (None, b""):
        assert ask(b"/", host).status == 400
    assert ask(b"a.test:443").status == 400
